//! The words that Bursar's crates share.
//!
//! Small and quiet on purpose: ids, amounts, decisions, the canonical bytes behind every hash, and the traits
//! that join the floors. No I/O, no clock, no randomness.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod amount;
mod asset;
mod buyer;
mod canonical;
mod cause;
mod causes;
mod ceiling;
mod clock;
mod decision;
mod digest;
mod gate;
mod id;
mod journal;
mod label;
mod level;
mod meter;
mod phase;
mod plan;
mod quote;
pub mod telemetry;
mod transport;
mod untrusted;

pub use amount::{Amount, AmountError, ParseAmountError};
pub use asset::{Asset, AssetId, AssetRegistry, Eip712Name, ParseAssetIdError, UnknownAsset};
pub use buyer::{
    ArtifactRecord, ArtifactRef, BudgetStanding, Buyer, Delivery, FetchError, Fetched, OpenItem, PaymentView,
    PurchaseKey, PurchaseKeyError, Purse, ReceiptView, Standing, Undelivered, UnknownOutcome,
    UnsettledPayment, UnsettledState, WaitingQuestion,
};
pub use canonical::{CanonicalError, canonical_bytes, canonical_digest};
pub use cause::Cause;
pub use causes::causes;
pub use ceiling::Ceiling;
pub use clock::{Clock, Entropy, ManualClock, SeededEntropy, Timestamp};
pub use decision::{Decision, Reason, Verdict};
pub use digest::{Digest, ParseDigestError};
pub use gate::{Action, Asked, Effect, Gate, GateError, Principal};
pub use id::{
    AgentId, ApprovalId, ArtifactId, BudgetId, CallId, HoldId, LedgerId, ParseIdError, PaymentId, PlanId,
    PlanItemId, QuoteId, RunId, SessionId,
};
pub use journal::{Journal, JournalError, JournalRecord, StoredRecord};
pub use label::DataLabel;
pub use level::GateLevel;
pub use meter::{MeterError, ModelCharge, ModelCost, ModelHold, ModelMeter};
pub use phase::Phase;
pub use plan::{ApprovalTicket, PlanItem, PlanItemView, PlanOutcome, PlanProposal, PlanView};
pub use quote::{Quote, QuoteOutcome};
pub use transport::{BodyProblem, HttpRequest, HttpResponse, Limits, MCP_TOOL, Transport, TransportError};
pub use untrusted::{Provenance, Untrusted, is_hidden, visible};
