//! Rules in Cedar.

mod facts;

pub use facts::{Actor, CallFacts, Facts, PayFacts, PlanFacts, QuoteFacts};
