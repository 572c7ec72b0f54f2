//! What can go wrong on demand: one list of faults, each with a place where it strikes.

mod list;
mod plan;

pub use list::{Fault, Malformation, Place};
pub use plan::{FaultError, FaultRule, Faults};
