//! What the ledger says about sessions and payments: plain views, read without a wallet or a network.

mod books;
mod decisions;
mod erased;
mod models;
mod read;
mod receipt;
mod trace;
mod verify;

pub use books::{
    AdoptedOutflow, BooksFormat, GroupValue, Moved, ParseSpendKeyError, Purchase, SpendFilter, SpendKey,
    SpendRow, Sums, Whose, adopted_outflow, export_books, purchases, spend_by, spend_with,
};
pub use decisions::{DecisionReport, Explained, Replayed, decisions, explain, replay, verdict_name};
pub use models::{ModelSpend, model_spend};
pub use receipt::{CameBack, Receipt, ReceiptEntry, Testimony, Witness, receipt};
pub use trace::{Denied, Subject, Trace, TraceLine, TracePart, denied, trace, trace_refusal};
pub use verify::{DecisionsVerified, Verified, verify, verify_with};

use crate::error::BursarError;
use crate::handle::Bursar;
use crate::mark;
use crate::system::{SystemClock, SystemEntropy};
use books::Life;
use bursar_agent_core::StopCause;
use bursar_ledger::{Ledger, SqliteOptions, SqliteStore, StreamId};
use bursar_memory::read_uses;
use bursar_payments::{
    Held, Obligation, ObligationState, Payment, Payments, PlanApproval, Policy, Scope, SessionEvent,
    SessionState, phase,
};
use bursar_types::{
    Amount, ArtifactRef, AssetId, AssetRegistry, Clock, PaymentId, Phase, PlanItemId, ReceiptView, RunId,
    SessionId, Timestamp,
};
use erased::erased_report;
use read::{read, runs, uses};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Opens the ledger of a data folder alone: to read and verify it, without wallet, rules or network.
///
/// # Errors
/// [`BursarError::Ledger`].
pub fn open_ledger(data: impl AsRef<Path>) -> Result<Ledger, BursarError> {
    let data = data.as_ref();
    let options = SqliteOptions::new(
        data.join("ledger.sqlite"),
        mark::of(data, None).map_err(|source| BursarError::Write { path: data.to_owned(), source })?,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    );
    Ok(Ledger::new(Arc::new(SqliteStore::open(options)?)))
}

/// What is owed in a data folder, and what persons do about it: without wallet or network, so that nothing can be paid.
///
/// # Errors
/// [`BursarError::Ledger`].
pub fn open_desk(data: impl AsRef<Path>) -> Result<Payments, BursarError> {
    let ledger = open_ledger(data)?;
    let registry = Arc::new(AssetRegistry::pinned());
    Ok(Payments::offline(ledger, registry, Arc::new(SystemClock), Arc::new(SystemEntropy))?)
}

/// Lets a session of a data folder go on under these rules: an operator's word, which is journaled.
///
/// # Errors
/// [`BursarError::Ledger`], or [`BursarError::Session`] if there is no such session or its mandate pins other rules.
pub async fn accept_policies(
    data: impl AsRef<Path>,
    policy: Policy,
    session: SessionId,
    by: &str,
) -> Result<(), BursarError> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let registry = Arc::new(AssetRegistry::pinned());
    let desk = Payments::offline_under(Arc::new(policy), open_ledger(data)?, registry, clock, entropy);
    let accepted = desk.accept_policies(session, by).await;
    desk.ledger().close().await?;
    Ok(accepted?)
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PaymentState {
    /// Money is set aside; nothing was signed.
    Held,
    /// A signature may exist and may have been presented.
    Signing,
    /// It was presented, and nobody can say yet whether money moved.
    Unknown {
        /// Why.
        problem: String,
    },
    /// Money moved and the goods came.
    Delivered,
    /// Money moved and the goods did not come.
    Undelivered {
        /// What came instead.
        problem: String,
    },
    /// Money moved, the goods did not come or not whole, and money was asked back.
    Claimed {
        /// Why.
        problem: String,
    },
    /// A person looks after it: what could be tried was tried.
    Parked {
        /// What is open.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Option<Timestamp>,
    },
    /// What was asked back came back.
    Refunded,
    /// A person settled it, or wrote it off.
    Closed {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Whether it was given up.
        written_off: bool,
    },
    /// No money moved, and that is proven.
    NotPaid {
        /// The proof.
        proof: String,
    },
    /// It is over, and what it was for was erased. Amount, payee, asset and rules are left.
    Erased {
        /// Whether money moved.
        paid: bool,
    },
    /// Its record is damaged.
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
}

impl PaymentState {
    /// Whether it is not over: the outcome is not known, or something is owed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Signing
                | Self::Unknown { .. }
                | Self::Undelivered { .. }
                | Self::Claimed { .. }
                | Self::Parked { .. }
                | Self::Unreadable { .. }
        )
    }

    /// Whether money moved.
    #[must_use]
    pub const fn is_paid(&self) -> bool {
        match self {
            Self::Delivered
            | Self::Undelivered { .. }
            | Self::Claimed { .. }
            | Self::Parked { .. }
            | Self::Refunded
            | Self::Closed { .. } => true,
            Self::Erased { paid } => *paid,
            Self::Held
            | Self::Signing
            | Self::Unknown { .. }
            | Self::NotPaid { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}

/// One payment, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentReport {
    /// Its id.
    pub id: PaymentId,
    /// The session that pays; `None` if the record cannot be read.
    pub session: Option<SessionId>,
    /// When money was first set aside.
    pub at: Timestamp,
    /// How it stands.
    #[serde(flatten)]
    pub state: PaymentState,
    /// What it costs.
    pub amount: Option<Amount>,
    /// The same in micro-USD, as budgets count it.
    pub micro_usd: Option<Amount>,
    /// Host and port of the vendor.
    pub host: String,
    /// The payee.
    pub payee: String,
    /// What was asked for.
    pub method: String,
    /// What was asked for.
    pub resource: String,
    /// What the vendor called it.
    pub description: Option<String>,
    /// Evidence of settlement.
    pub receipt: Option<ReceiptView>,
    /// What came.
    pub artifact: Option<ArtifactRef>,
    /// The rules that allowed it.
    pub rules: Vec<String>,
    /// The plan's item that covered it.
    pub item: Option<PlanItemId>,
    /// What it was used for, in the words of those who used it.
    pub uses: Vec<String>,
}

/// A run of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunBrief {
    /// The run.
    pub run: RunId,
    /// What was asked.
    pub question: String,
    /// Whether it ended with an answer.
    pub answered: bool,
    /// Why it ended without one, or stands still; `None` while it goes on or after a crash.
    pub stopped: Option<StopCause>,
}

impl RunBrief {
    /// Whether it can go on: a crash or an interruption left it, or it waits for a person. A run that another process works on
    /// looks the same; whoever resumes it takes it over.
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        !self.answered && self.stopped.as_ref().is_none_or(StopCause::can_go_on)
    }
}

/// One session, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionReport {
    /// Its id.
    pub id: SessionId,
    /// When it was opened.
    pub at: Timestamp,
    /// What the money is for.
    pub purpose: String,
    /// The phase it is in now.
    pub phase: Phase,
    /// Who is asked about plans.
    pub approval: PlanApproval,
    /// Whether an answer counts only with an approver's signature.
    pub signed_approvals: bool,
    /// The session's own cap, in micro-USD.
    pub budget: Option<Amount>,
    /// What was spent, in micro-USD.
    pub spent: Amount,
    /// How many payments moved money.
    pub paid: u64,
    /// How many payments are not over.
    pub open: u64,
    /// Its runs.
    pub runs: Vec<RunBrief>,
}

/// Every payment of a ledger, oldest first.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn payments(ledger: &Ledger) -> Result<Vec<PaymentReport>, BursarError> {
    let uses = uses(&runs(ledger).await?, &read_uses(ledger).await?);
    let mut reports = Vec::new();
    for (stream, _) in ledger.streams("payment/").await? {
        if let Some(life) = Life::read(ledger, &stream, None).await? {
            let mut report = life.report();
            let used = report.artifact.as_ref().and_then(|artifact| uses.get(&artifact.id));
            report.uses = used.cloned().unwrap_or_default();
            reports.push(report);
        }
    }
    reports.sort_by_key(|report| (report.at, report.id));
    Ok(reports)
}

/// One payment; `None` if the ledger has none of this id. What it was used for is left out.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn payment(ledger: &Ledger, id: PaymentId) -> Result<Option<PaymentReport>, BursarError> {
    let life = Life::read(ledger, &StreamId::of("payment", id), None).await?;
    Ok(life.map(|life| life.report()))
}

/// Every session of a ledger, oldest first. One whose record was erased is left out.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn sessions(ledger: &Ledger) -> Result<Vec<SessionReport>, BursarError> {
    let payments = payments(ledger).await?;
    let runs = runs(ledger).await?;
    let mut reports = Vec::new();
    for (stream, _) in ledger.streams("session/").await? {
        if let Some(mut report) = session(ledger, &stream, &payments).await? {
            let own = runs.iter().filter(|run| run.session == report.id);
            report.runs = own.map(|run| run.brief.clone()).collect();
            reports.push(report);
        }
    }
    reports.sort_by_key(|report| (report.at, report.id));
    Ok(reports)
}

impl Bursar {
    /// Every payment, oldest first.
    ///
    /// # Errors
    /// [`BursarError::Ledger`].
    pub async fn payments(&self) -> Result<Vec<PaymentReport>, BursarError> {
        payments(self.ledger()).await
    }

    /// Every session, oldest first.
    ///
    /// # Errors
    /// [`BursarError::Ledger`].
    pub async fn sessions(&self) -> Result<Vec<SessionReport>, BursarError> {
        sessions(self.ledger()).await
    }
}

fn payment_report(
    id: PaymentId,
    at: Timestamp,
    payment: Option<&Payment>,
    held: Option<&Held>,
    problem: Option<String>,
) -> PaymentReport {
    let (mut receipt, mut artifact) = (None, None);
    let state = match (problem, payment) {
        (Some(problem), _) => PaymentState::Unreadable { problem },
        (None, None) => PaymentState::Unreadable { problem: "it has no events".to_owned() },
        (None, Some(Payment::Held(_))) => PaymentState::Held,
        (None, Some(Payment::Signing(_))) => PaymentState::Signing,
        (None, Some(Payment::Unknown { problem, .. })) => PaymentState::Unknown { problem: problem.clone() },
        (None, Some(Payment::NotPaid { proof, .. })) => PaymentState::NotPaid { proof: proof.clone() },
        (None, Some(paid @ Payment::Paid { obligation, .. })) => {
            receipt = paid.view().and_then(|view| view.receipt);
            artifact = obligation.record.as_ref().map(|record| record.artifact.clone());
            owed(obligation)
        }
    };
    let quote = held.map(|held| &held.offer.quote);
    let text = |field: Option<&String>| field.cloned().unwrap_or_default();
    PaymentReport {
        id,
        session: held.map(|held| held.ask.session),
        at,
        state,
        amount: quote.map(|quote| quote.price.clone()),
        micro_usd: quote.and_then(|quote| quote.cost_micro_usd.clone()),
        host: text(quote.map(|quote| &quote.host)),
        payee: text(quote.map(|quote| &quote.payee)),
        method: text(held.map(|held| &held.ask.method)),
        resource: text(held.map(|held| &held.ask.url)),
        description: quote.and_then(|quote| quote.description.as_ref()).map(ToString::to_string),
        receipt,
        artifact,
        rules: held.map(|held| held.decision.rules.clone()).unwrap_or_default(),
        item: held.map(|held| held.item),
        uses: Vec::new(),
    }
}

/// How a payment stands that moved money: as what the payee owes for it does.
fn owed(obligation: &Obligation) -> PaymentState {
    match &obligation.state {
        ObligationState::Owed { problem } => PaymentState::Undelivered { problem: problem.clone() },
        ObligationState::Delivered => PaymentState::Delivered,
        ObligationState::Claimed => PaymentState::Claimed {
            problem: obligation.claim.as_ref().map(|claim| claim.detail.clone()).unwrap_or_default(),
        },
        ObligationState::Parked { problem } => PaymentState::Parked {
            problem: problem.clone(),
            owner: obligation.owner.clone(),
            due: obligation.due,
        },
        ObligationState::Refunded => PaymentState::Refunded,
        ObligationState::Settled { by, reason } => {
            PaymentState::Closed { by: by.clone(), reason: reason.clone(), written_off: false }
        }
        ObligationState::WrittenOff { by, reason } => {
            PaymentState::Closed { by: by.clone(), reason: reason.clone(), written_off: true }
        }
    }
}

async fn session(
    ledger: &Ledger,
    stream: &StreamId,
    payments: &[PaymentReport],
) -> Result<Option<SessionReport>, BursarError> {
    let Some(Ok(id)) = stream.as_str().strip_prefix("session/").map(SessionId::parse) else {
        return Ok(None);
    };
    let entries = ledger.stream(stream, 0).await?;
    let Some(first) = entries.first() else { return Ok(None) };
    let mut state = None;
    for entry in &entries {
        let Ok(event) = read::<SessionEvent>(ledger, entry).await? else { break };
        match SessionState::apply(id, state.take(), event) {
            Ok(next) => state = Some(next),
            Err(error) => {
                tracing::warn!(session = %id, %error, "a session cannot be read to its end");
                break;
            }
        }
    }
    let Some(state) = state else { return Ok(None) };
    let own = || payments.iter().filter(|payment| payment.session == Some(id));
    let mut bought: BTreeMap<PlanItemId, u64> = BTreeMap::new();
    let (mut spent, mut paid) = (0_u128, 0_u64);
    for payment in own().filter(|payment| payment.state.is_paid()) {
        paid = paid.saturating_add(1);
        spent = spent.saturating_add(payment.micro_usd.as_ref().map_or(0, Amount::atomic));
        if let Some(item) = payment.item {
            let count = bought.entry(item).or_default();
            *count = count.saturating_add(1);
        }
    }
    let open = own().filter(|payment| payment.state.is_open()).count();
    let caps = state.mandate.budgets.iter().filter(|rule| rule.scope == Scope::Session);
    Ok(Some(SessionReport {
        id,
        at: first.at,
        purpose: state.mandate.purpose.clone(),
        phase: phase(&state, &bought, SystemClock.now()),
        approval: state.mandate.approval,
        signed_approvals: state.mandate.needs_signature(),
        budget: caps.map(|rule| rule.limit.clone()).min_by_key(Amount::atomic),
        spent: Amount::from_atomic(AssetId::micro_usd(), spent),
        paid,
        open: u64::try_from(open).unwrap_or(u64::MAX),
        runs: Vec::new(),
    }))
}
