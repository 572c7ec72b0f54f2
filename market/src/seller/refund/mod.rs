//! Giving money back. x402 has no words for it, so these are our own: an extension of the 402 says where to ask, and
//! what is asked there is a claim for one settlement.

mod claim;
mod decide;
mod desk;
mod rule;

pub(super) use desk::Desk;
pub use desk::{RefundClaim, RefundError};
pub use rule::RefundRule;
pub(super) use rule::{EXTENSION, PATH, offer};
