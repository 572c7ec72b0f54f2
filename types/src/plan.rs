//! Plans as their proposer and reader see them.

use crate::amount::Amount;
use crate::cause::Cause;
use crate::clock::Timestamp;
use crate::decision::Decision;
use crate::digest::Digest;
use crate::id::{ApprovalId, LedgerId, PlanId, PlanItemId, QuoteId, SessionId};
use crate::untrusted::Untrusted;
use serde::{Deserialize, Serialize};

/// One purchase an agent proposes. Payee, host, method, asset, network and price are copied from the stored quote, never
/// taken from the proposer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanItem {
    /// The stored quote.
    pub quote: QuoteId,
    /// How many times it may be bought.
    pub count: u32,
    /// What it is for.
    pub purpose: Untrusted<String>,
}

/// What an agent proposes to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanProposal {
    /// Why.
    pub purpose: Untrusted<String>,
    /// The purchases; at least one.
    pub items: Vec<PlanItem>,
    /// The tool call that proposes it, if the purse was told: see [`Purse::caused_by`](crate::Purse::caused_by).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl PlanProposal {
    /// A proposal of these purchases.
    #[must_use]
    pub const fn new(purpose: Untrusted<String>, items: Vec<PlanItem>) -> Self {
        Self { purpose, items, cause: None }
    }
}

/// One line of a plan as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItemView {
    /// Its id.
    pub id: PlanItemId,
    /// The quote it was made from.
    pub quote: QuoteId,
    /// URL to buy.
    pub resource: String,
    /// Method to buy with.
    pub method: String,
    /// Host and port.
    pub host: String,
    /// Payee.
    pub payee: String,
    /// Most that one purchase may cost.
    pub ceiling: Amount,
    /// How many may be bought.
    pub count: u32,
    /// What it is for.
    pub purpose: Untrusted<String>,
}

/// A plan as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Its id.
    pub id: PlanId,
    /// Digest that an approval names.
    pub digest: Digest,
    /// Its lines.
    pub items: Vec<PlanItemView>,
    /// Most that the whole plan may cost, in micro-USD.
    pub total: Amount,
}

/// A question that waits for an approver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalTicket {
    /// The question's id.
    pub id: ApprovalId,
    /// The ledger in which it was asked.
    pub ledger: LedgerId,
    /// The session that asks.
    pub session: SessionId,
    /// Digest of the exact action, which an answer names.
    pub action: Digest,
    /// What would happen, for a person.
    pub summary: String,
    /// The decision that asked.
    pub decision: Decision,
    /// An answer after this moment counts as no.
    pub expires_at: Timestamp,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[must_use]
pub enum PlanOutcome {
    /// It may be bought as listed.
    Approved {
        /// The plan.
        plan: PlanView,
        /// Who approved it: `rule` with the deciding rules, or an approver's name.
        approved_by: String,
        /// The decision.
        decision: Decision,
    },
    /// A person has to answer first.
    AwaitingApproval {
        /// The plan.
        plan: PlanView,
        /// The question.
        ticket: ApprovalTicket,
    },
    /// It may not be bought.
    Refused {
        /// The plan, if it could be made from the proposal.
        plan: Option<PlanView>,
        /// The decision, with reasons and next steps.
        decision: Decision,
    },
}
