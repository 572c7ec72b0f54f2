//! Mutation of policies: one check is taken out at a time, and some case must notice.
//!
//! A check is a rule of the shipped files or of a scenario's own, a part of a rule's condition, or a limit of the mandate. A suite
//! that passes without a check says nothing about that check.

mod cut;
mod mandate;
mod run;
mod second;

pub use run::{Removed, WeakenOptions, WeakenReport, run_weakened};
