//! What happens to an obligation.

use super::{Refund, Remedy, StepResult};
use crate::rail::ClaimReason;
use bursar_ledger::Commitment;
use bursar_types::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

/// Something that happened to an obligation after it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "obligation")]
pub enum ObligationEvent {
    /// Money was asked back: nothing was sent yet.
    ClaimOpened {
        /// The claim's name.
        id: String,
        /// How much.
        amount: Amount,
        /// Why.
        reason: ClaimReason,
        /// Why, in words.
        detail: String,
        /// By when it must have come back.
        due: Timestamp,
    },
    /// A remedy is about to be tried.
    StepStarted {
        /// Which.
        remedy: Remedy,
        /// Which try, from 0.
        attempt: u32,
    },
    /// A try ended.
    StepEnded {
        /// Which.
        remedy: Remedy,
        /// Which try.
        attempt: u32,
        /// How.
        result: StepResult,
        /// Where the dispute file is kept.
        file: Option<Commitment>,
    },
    /// Nothing comes of asking, and the goods are here: they are kept, and nothing is asked back any more.
    ClaimDropped {
        /// Why.
        problem: String,
    },
    /// Money came back.
    RefundSeen {
        /// What was seen, and who credited it.
        refund: Refund,
    },
    /// A person takes over.
    Parked {
        /// What is open, and why.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
    },
    /// A person gave it more time.
    Extended {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// By when it must have ended now.
        due: Timestamp,
    },
    /// A person settled it.
    Settled {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person gave it up.
    WrittenOff {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl ObligationEvent {
    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ClaimOpened { .. } => "claim_opened",
            Self::StepStarted { remedy: Remedy::Refund, .. } => "refund_started",
            Self::StepStarted { remedy: Remedy::Dispute, .. } => "dispute_started",
            Self::StepEnded { remedy: Remedy::Refund, .. } => "refund_ended",
            Self::StepEnded { remedy: Remedy::Dispute, .. } => "dispute_ended",
            Self::ClaimDropped { .. } => "claim_dropped",
            Self::RefundSeen { .. } => "refund_seen",
            Self::Parked { .. } => "parked",
            Self::Extended { .. } => "extended",
            Self::Settled { .. } => "settled",
            Self::WrittenOff { .. } => "written_off",
        }
    }

    /// Whether it can follow only once the rail was seen to have moved the money.
    pub(crate) const fn needs_observed(&self) -> bool {
        matches!(self, Self::ClaimOpened { .. } | Self::RefundSeen { .. })
    }

    /// The kind of its journal entry.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ClaimOpened { .. } => "obligation.claim_opened",
            Self::StepStarted { remedy: Remedy::Refund, .. } => "obligation.refund_started",
            Self::StepStarted { remedy: Remedy::Dispute, .. } => "obligation.dispute_started",
            Self::StepEnded { remedy: Remedy::Refund, .. } => "obligation.refund_ended",
            Self::StepEnded { remedy: Remedy::Dispute, .. } => "obligation.dispute_ended",
            Self::ClaimDropped { .. } => "obligation.claim_dropped",
            Self::RefundSeen { .. } => "obligation.refund_seen",
            Self::Parked { .. } => "obligation.parked",
            Self::Extended { .. } => "obligation.extended",
            Self::Settled { .. } => "obligation.settled",
            Self::WrittenOff { .. } => "obligation.written_off",
        }
    }
}
