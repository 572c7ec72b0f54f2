//! The purse: the only path to a payment.

mod clearance;

pub use clearance::{Clearance, Signable};
