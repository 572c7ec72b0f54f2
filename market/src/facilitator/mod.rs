//! The facilitator: verifies and settles over the chain, and knows what is for sale.

mod check;
mod discovery;
mod handle;
mod service;

pub(crate) use discovery::Listing;
pub(crate) use handle::{Exchange, signer_address};
pub use handle::{Facilitator, FacilitatorCall};
pub(crate) use service::FacilitatorService;
