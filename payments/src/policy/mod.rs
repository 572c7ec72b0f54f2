//! Rules in Cedar.
//!
//! Who, what, where and when is decided here, by [`Policy::decide`], a pure function of facts; caps and counts are enforced
//! in the ledger. A missing fact never allows, and an evaluation error denies.

mod decide;
mod error;
mod examples;
mod facts;
mod load;
mod pinned;
mod question;
mod rule;
#[cfg(test)]
mod tests;
mod weakened;

pub use decide::{Enforce, Policy, Weighed};
pub use error::PolicyError;
pub use examples::{Example, ExampleError};
pub use facts::{
    Actor, ApprovedBy, CallFacts, Facts, GateState, PayFacts, PlanFacts, QuoteFacts, Sums, Thresholds,
};
pub use load::PolicyFile;
pub(crate) use pinned::Unpinned;
pub use rule::{RuleEffect, RuleView};
