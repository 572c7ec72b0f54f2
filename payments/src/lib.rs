//! Governed payments.
//!
//! One path leads from an agent's wish to a signature, and reading [`purse`] from top to bottom tells it. Rules are pure,
//! limits are enforced by the ledger, and every step is durable before the next one starts.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::cast_precision_loss)]

mod policy;
mod purse;
mod rail;
mod transport;
mod wallet;

pub use policy::{
    Actor, CallFacts, Facts, PayFacts, PlanFacts, Policy, PolicyError, PolicyFile, QuoteFacts, RuleEffect, RuleView,
};
pub use purse::{Clearance, Signable};
pub use rail::{
    Authorization, AuthorizeError, Exchange, Offer, OfferError, Order, Outcome, Prepared, Rail, x402,
};
pub use transport::{HttpTransport, HttpTransportError};
pub use wallet::{LocalWallet, Wallet, WalletError};
