//! The market's own x402 codec: strict where a buyer might be careless.

mod headers;
mod payment;
mod terms;

pub(crate) use headers::{decode, encode};
pub(crate) use payment::{Payment, PaymentError};
pub(crate) use terms::{Domain, Terms, network_v1};
