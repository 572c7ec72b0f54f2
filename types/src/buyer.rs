//! The purse: an agent's only handle on money.

use crate::amount::Amount;
use crate::cause::Cause;
use crate::clock::Timestamp;
use crate::decision::{Decision, Reason};
use crate::digest::Digest;
use crate::id::{ApprovalId, ArtifactId, PaymentId, PlanId, PlanItemId, SessionId};
use crate::level::GateLevel;
use crate::phase::Phase;
use crate::plan::{ApprovalTicket, PlanOutcome, PlanProposal};
use crate::quote::{Quote, QuoteOutcome};
use crate::transport::{HttpRequest, HttpResponse, TransportError};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The caller's name for one purchase, chosen and kept before the first try.
///
/// A repeat of the same request under the same key, by the same user, is the same purchase for ever. The same request under
/// another key joins it only while it is open; after that it is a new purchase. A key does not stand for the request: use one
/// key for one request.
///
/// # Example
/// ```
/// use bursar_types::PurchaseKey;
/// let key = PurchaseKey::new("prices/2026-11-21")?;
/// # Ok::<(), bursar_types::PurchaseKeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PurchaseKey(String);

/// The text cannot name a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a purchase key is 1 to 200 printable ASCII characters")]
pub struct PurchaseKeyError;

impl PurchaseKey {
    /// Wraps a name of 1 to 200 printable ASCII characters.
    ///
    /// # Errors
    /// [`PurchaseKeyError`] for anything else.
    pub fn new(text: impl Into<String>) -> Result<Self, PurchaseKeyError> {
        let text = text.into();
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if fits { Ok(Self(text)) } else { Err(PurchaseKeyError) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PurchaseKey {
    type Error = PurchaseKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<PurchaseKey> for String {
    fn from(key: PurchaseKey) -> Self {
        key.0
    }
}

/// The payee's or rail's evidence of settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// The transaction or charge, as the payee named it.
    pub reference: String,
    /// Whether the chain or rail itself was seen to have moved the money; otherwise the payee claims it.
    pub observed: bool,
}

/// One payment as its buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// Its id for its whole life.
    pub id: PaymentId,
    /// What left, or may have left, the wallet.
    pub amount: Amount,
    /// Host and port of the vendor.
    pub host: String,
    /// The payee that was signed for.
    pub payee: String,
    /// The resource bought.
    pub resource: String,
    /// Evidence of settlement, if there is any.
    pub receipt: Option<ReceiptView>,
}

/// Where a bought thing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Its id.
    pub id: ArtifactId,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its media type, as sent.
    pub media_type: Option<String>,
    /// Its length.
    pub size_bytes: u64,
}

/// The journal's event for a bought thing, sealed in its entry's payload: the library is rebuilt from these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// What is kept.
    pub artifact: ArtifactRef,
    /// The payment it came with.
    pub payment: PaymentView,
    /// The session that bought it.
    pub session: SessionId,
    /// When it arrived.
    pub kept_at: Timestamp,
    /// Commitment under which the payload store keeps the bytes.
    pub payload: Digest,
}

impl ArtifactRecord {
    /// The journal stream of these records.
    pub const STREAM: &str = "library";
    /// The kind of their entries.
    pub const KIND: &str = "artifact.kept";
}

/// What was bought, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The payment it came with.
    pub payment: PaymentView,
    /// Where it is kept.
    pub artifact: ArtifactRef,
    /// The bytes.
    pub body: Bytes,
}

/// Paid for, and not delivered: an outcome with evidence, never an error that invites a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// The payment; its money moved.
    pub payment: PaymentView,
    /// What came instead of the goods.
    pub problem: String,
}

/// Nobody can say yet whether money moved. The hold stays; the payment is settled by observation, never by a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownOutcome {
    /// The payment.
    pub id: PaymentId,
    /// What may have moved; `None` if its record cannot be read now.
    pub payment: Option<PaymentView>,
    /// Why it is not known.
    pub problem: String,
    /// From this moment on the chain can tell that it did not move.
    pub decidable_from: Option<Timestamp>,
}

/// What a fetch gave. Every variant must be handled.
#[derive(Debug)]
#[must_use]
pub enum Fetched {
    /// The resource is free; nothing was paid.
    Free(HttpResponse),
    /// It was bought before, by this principal; nothing was paid now.
    Owned(Delivery),
    /// It was paid for and delivered now.
    Delivered(Delivery),
    /// It costs money and no approved plan covers it; here are the prices. Nothing was paid.
    Quotes {
        /// Every alternative, payable and cheapest first.
        quotes: Vec<Quote>,
        /// Why it was not bought.
        reasons: Vec<Reason>,
    },
    /// It waits for an approver. Nothing was paid.
    AwaitingApproval(ApprovalTicket),
    /// It was paid for and did not come.
    Undelivered(Undelivered),
    /// It may have been paid for.
    Unknown(UnknownOutcome),
}

/// This call moved no money, and that is proven. An earlier call for the same request may have said that its own payment is
/// open; that stands.
#[derive(Debug, Error)]
pub enum FetchError {
    /// A rule, a budget or the plan says no.
    #[error("{0}")]
    Denied(Decision),
    /// The request itself is not one the purse sends.
    #[error("request refused: {0}")]
    Request(String),
    /// The vendor's terms could not be read.
    #[error("terms of {host} could not be read: {}", reason.message)]
    Terms {
        /// The vendor.
        host: String,
        /// What was wrong with them.
        reason: Reason,
    },
    /// The vendor kept asking for payment or answered something unusable, and the chain shows that no money moved.
    #[error("not paid: {0}")]
    NotPaid(String),
    /// The network failed before anything could be paid.
    #[error(transparent)]
    Transport(TransportError),
    /// The wallet cannot pay: locked, empty, or for another network.
    #[error("wallet cannot pay: {0}")]
    Wallet(String),
    /// The ledger could not be read or written, so nothing was signed.
    #[error("ledger is not available")]
    Ledger(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The purse is closing and takes no new payments.
    #[error("purse is closing")]
    Closing,
}

impl FetchError {
    /// Why, with what can be done next: stable codes for programs. Never empty. No text is read for meaning here: the variant
    /// says it.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let (code, next_step) = match self {
            Self::Denied(decision) if decision.reasons.is_empty() => {
                ("DENIED", "go on without it, and say so in the answer")
            }
            Self::Denied(decision) => return decision.reasons.clone(),
            Self::Terms { reason, .. } => return vec![reason.clone()],
            Self::Request(_) => ("REQUEST_REFUSED", "correct the URL, or go on without this source"),
            Self::NotPaid(_) => ("NOT_PAID", "nothing was paid; try another seller, or go on without it"),
            Self::Transport(_) => ("NETWORK", "nothing was paid; try once more later, or use another source"),
            Self::Wallet(_) => ("WALLET", "nothing can be paid now; use what is free or owned"),
            Self::Ledger(_) => ("LEDGER_UNAVAILABLE", "nothing can be paid now; use what is free or owned"),
            Self::Closing => ("CLOSING", "finish with what is owned"),
        };
        let message = match self {
            Self::Denied(decision) => format!("a rule says no ({})", decision.rules.join(", ")),
            other => other.to_string(),
        };
        vec![Reason::new(code, message, next_step)]
    }
}

/// One budget as its spender sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStanding {
    /// What it caps, such as `session`.
    pub name: String,
    /// The cap.
    pub limit: Amount,
    /// Captured in the window.
    pub spent: Amount,
    /// Held and not resolved.
    pub held: Amount,
    /// What is left; zero also when spending passed the cap.
    pub left: Amount,
    /// The highest gate it has reached.
    pub gate: GateLevel,
}

/// An item of an approved plan that can still be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenItem {
    /// The plan.
    pub plan: PlanId,
    /// The item.
    pub item: PlanItemId,
    /// The URL, or a pattern for a metered item.
    pub resource: String,
    /// How many are left.
    pub left: u64,
}

/// A question that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingQuestion {
    /// The question.
    pub approval: ApprovalId,
    /// What it is about, in words.
    pub about: String,
    /// After this moment no answer counts.
    pub until: Timestamp,
}

/// A payment of which it is not settled yet whether its money moved. What was set aside for it stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsettledPayment {
    /// The payment.
    pub payment: PaymentView,
    /// What is known of it.
    pub state: UnsettledState,
}

/// What is known of a payment that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum UnsettledState {
    /// It is being made.
    InFlight,
    /// It was presented, and nobody can say.
    Unknown {
        /// Why not.
        problem: String,
    },
}

/// Where the session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The phase.
    pub phase: Phase,
    /// The session's budgets.
    pub budgets: Vec<BudgetStanding>,
    /// What can still be bought.
    pub open_items: Vec<OpenItem>,
    /// What a person was asked and has not answered.
    #[serde(default)]
    pub waiting: Vec<WaitingQuestion>,
    /// Payments in flight, and those that nobody knows the end of.
    #[serde(default)]
    pub unsettled: Vec<UnsettledPayment>,
}

impl Standing {
    /// The highest gate that any of its budgets has reached.
    #[must_use]
    pub fn gate(&self) -> GateLevel {
        self.budgets.iter().map(|budget| budget.gate).max().unwrap_or_default()
    }
}

/// What a purse is made of. `bursar-payments` implements it; nothing else should.
///
/// # What implementers guarantee
/// `Err` means that no money moved. A payment runs on the buyer's own task: dropping a future detaches it and never
/// cancels it.
#[async_trait]
pub trait Buyer: Send + Sync + fmt::Debug {
    /// Fetches a resource, paying for it if an approved plan covers it.
    ///
    /// # Errors
    /// [`FetchError`]: proven that no money moved.
    async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError>;

    /// Asks for prices. Never pays.
    ///
    /// # Errors
    /// [`FetchError`].
    async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError>;

    /// Proposes a plan.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]; a refusal is a [`PlanOutcome`].
    async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError>;

    /// What became of this very proposal, if it was made before: see [`Purse::proposed`].
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    async fn proposed(&self, proposal: PlanProposal) -> Result<Option<PlanOutcome>, FetchError>;

    /// Takes back every plan that stands; returns which.
    ///
    /// # Errors
    /// [`FetchError`]: nothing was taken back.
    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError>;

    /// Where the session stands.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    async fn standing(&self) -> Result<Standing, FetchError>;
}

/// An agent's only handle on money.
///
/// Cheap to clone. What it may do is decided by the mandate, plans and rules behind it, not by who holds it.
#[derive(Debug, Clone)]
pub struct Purse {
    buyer: Arc<dyn Buyer>,
    cause: Option<Cause>,
}

impl Purse {
    /// Wraps a buyer.
    #[must_use]
    pub fn new(buyer: Arc<dyn Buyer>) -> Self {
        Self { buyer, cause: None }
    }

    /// The same for one tool call: what is fetched through it is journaled as asked for by that call. A request that says
    /// another cause already is corrected.
    #[must_use]
    pub fn caused_by(&self, cause: Cause) -> Self {
        Self { buyer: Arc::clone(&self.buyer), cause: Some(cause) }
    }

    fn caused(&self, request: HttpRequest) -> HttpRequest {
        match self.cause {
            Some(cause) => cause.on(request),
            None => request,
        }
    }

    /// Fetches a resource, paying for it if an approved plan covers it.
    ///
    /// # Errors
    /// [`FetchError`]: proven that no money moved; its text says what to do next.
    ///
    /// # Idempotency
    /// A second call with the same request and key gives the same purchase, and never pays again. The same request under
    /// another key joins the payment while it is open, and is a new purchase after that.
    ///
    /// # Cancellation
    /// Dropping the future leaves the payment running on the purse's own task; call again with the same key to see
    /// how it ended.
    pub async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError> {
        self.buyer.fetch(self.caused(request), key).await
    }

    /// Asks for prices. Never pays.
    ///
    /// # Errors
    /// [`FetchError`].
    ///
    /// # Idempotency
    /// Asking again gives fresh quotes; the same terms have the same id.
    ///
    /// # Cancellation
    /// Dropping the future leaves at most stored quotes behind.
    pub async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        self.buyer.quote(self.caused(request)).await
    }

    /// Proposes a plan made of stored quotes. Where a person is asked, it waits for the answer, at most 15 minutes.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]; a refusal is a [`PlanOutcome`].
    ///
    /// # Idempotency
    /// None: each call proposes a new plan.
    ///
    /// # Cancellation
    /// Dropping the future may leave the plan approved, or its question without an answer; `standing` tells.
    pub async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError> {
        let cause = self.cause.or(proposal.cause);
        self.buyer.propose(PlanProposal { cause, ..proposal }).await
    }

    /// What became of a proposal of these very quotes and counts that was made before, whoever answered it since: approved, with
    /// nothing of it bought yet, or still waiting. `None` if there is none: it was never made, it is over, or it was used.
    ///
    /// For whoever goes on after a question or a crash: the same is then neither proposed nor asked about twice.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    ///
    /// # Idempotency
    /// A yes that was given meanwhile is used up by the first call; later ones find the approved plan.
    ///
    /// # Cancellation
    /// As [`Purse::propose`].
    pub async fn proposed(&self, proposal: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        self.buyer.proposed(proposal).await
    }

    /// Takes back every plan that stands, so that the session explores again; returns which. What was signed before goes on.
    ///
    /// # Errors
    /// [`FetchError`]: nothing was taken back.
    ///
    /// # Idempotency
    /// A second call takes back nothing more.
    ///
    /// # Cancellation
    /// Dropping the future may leave the plans taken back; `standing` tells.
    pub async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        self.buyer.withdraw_plans().await
    }

    /// Where the session stands: phase, budgets, and what can still be bought.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn standing(&self) -> Result<Standing, FetchError> {
        self.buyer.standing().await
    }
}

const _: Option<&dyn Buyer> = None;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_key_is_short_printable_text() {
        for text in ["", "a\nb", "é", &"x".repeat(201)] {
            assert!(PurchaseKey::new(text).is_err(), "`{text}`");
        }
        assert_eq!(PurchaseKey::new("prices/2026-11-21").unwrap().as_str(), "prices/2026-11-21");
    }
}
