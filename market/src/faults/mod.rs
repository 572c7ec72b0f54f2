//! What can go wrong on demand: one list of faults, each with a place where it strikes.

mod apply;
mod list;
mod plan;

pub(crate) use apply::{distort_answer, distort_offer, distort_quote};
pub use list::{Fault, Malformation, Place};
pub use plan::{FaultError, FaultRule, Faults};
