//! What the purse tells whoever watches.

use async_trait::async_trait;
use bursar_types::{
    Amount, ApprovalTicket, ArtifactRef, BudgetId, Decision, GateLevel, PaymentId, PaymentView, Phase,
    PlanOutcome, Quote, Reason, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// One thing that happened to money. Everything here is in the journal already; the stream is for screens.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "money")]
#[non_exhaustive]
pub enum MoneyEvent {
    /// The session's phase is another one.
    PhaseChanged {
        /// Before.
        from: Phase,
        /// Now.
        to: Phase,
    },
    /// Prices came in.
    Quoted {
        /// Every alternative.
        quotes: Vec<Quote>,
    },
    /// A plan was decided on.
    PlanDecided {
        /// How.
        outcome: PlanOutcome,
    },
    /// Somebody is asked.
    ApprovalAsked {
        /// The question.
        ticket: ApprovalTicket,
    },
    /// Something was refused.
    Refused {
        /// What.
        what: String,
        /// Why.
        decision: Decision,
    },
    /// Money was set aside.
    Held {
        /// The payment.
        payment: PaymentView,
        /// Its worst-case debit in micro-USD.
        micro_usd: Amount,
    },
    /// Terms are durable and are being signed and presented.
    Signing {
        /// The payment.
        payment: PaymentView,
        /// What differs from what the vendor asked for, such as a shorter window.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Reason>,
    },
    /// Money moved.
    Paid {
        /// The payment, with its receipt.
        payment: PaymentView,
    },
    /// The chain was seen to confirm a payment.
    Observed {
        /// The payment.
        payment: PaymentView,
    },
    /// The goods came and are kept.
    Delivered {
        /// The payment.
        payment: PaymentView,
        /// Where they are kept.
        artifact: ArtifactRef,
    },
    /// Paid, and the goods did not come.
    Undelivered {
        /// The payment.
        payment: PaymentView,
        /// What came instead.
        problem: String,
    },
    /// Nobody can say yet whether money moved.
    Unknown {
        /// The payment.
        payment: PaymentView,
        /// Why.
        problem: String,
    },
    /// Money is asked back.
    Claimed {
        /// The payment.
        payment: PaymentView,
        /// How much.
        amount: Amount,
        /// Why.
        problem: String,
    },
    /// A remedy failed. It is tried again, or a person takes over: that is told as well.
    RemedyFailed {
        /// The payment.
        payment: PaymentView,
        /// Why.
        problem: String,
    },
    /// Money came back, and was seen to.
    Refunded {
        /// The payment.
        payment: PaymentView,
        /// How much.
        amount: Amount,
    },
    /// A person looks after it now.
    Parked {
        /// The payment.
        payment: PaymentView,
        /// What is open.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
    },
    /// A budget reached one of its gates. The agent is told by its [`Standing`](bursar_types::Standing) too.
    GateReached {
        /// Which, and how far.
        gate: GateReached,
    },
    /// No money moved, and that is proven.
    NotPaid {
        /// The payment.
        payment: PaymentId,
        /// The proof.
        proof: String,
    },
}

/// A budget reached one of its gates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReached {
    /// The budget.
    pub budget: BudgetId,
    /// What it caps, such as `user per day`.
    pub name: String,
    /// Which gate.
    pub level: GateLevel,
    /// What is spent and held with the payment that reached it, in micro-USD. Before refunds, but for `stopped`.
    pub used: Amount,
    /// The cap, in micro-USD.
    pub limit: Amount,
}

/// Takes the alerts that a mandate [requires](crate::AlertRule::Required).
///
/// # What implementers guarantee
/// `Ok` only once the alert is where it cannot be lost, such as in a queue on disk or with the person. It may come more than
/// once for one gate, and also for a payment that is refused afterwards; [`GateReached::budget`] and
/// [`GateReached::level`] tell repeats. It is called before anything is held, so it should answer within seconds.
///
/// # Example
/// ```
/// use bursar_payments::{AlertError, Alerts, GateReached};
/// use std::io::Write as _;
///
/// /// Appends alerts to a file that an operator's tools follow.
/// #[derive(Debug)]
/// struct AlertFile(std::path::PathBuf);
///
/// #[async_trait::async_trait]
/// impl Alerts for AlertFile {
///     async fn deliver(&self, gate: &GateReached) -> Result<(), AlertError> {
///         let append = || -> std::io::Result<()> {
///             let mut file = std::fs::File::options().append(true).create(true).open(&self.0)?;
///             writeln!(file, "{} {}", gate.level, gate.name)?;
///             file.sync_all()
///         };
///         append().map_err(|error| AlertError(error.into()))
///     }
/// }
/// ```
#[async_trait]
pub trait Alerts: Send + Sync + fmt::Debug {
    /// Takes one alert.
    ///
    /// # Errors
    /// [`AlertError`]: the payment is refused with `GATE_UNDELIVERED`, and nothing was held for it.
    async fn deliver(&self, gate: &GateReached) -> Result<(), AlertError>;
}

/// An alert was not taken.
#[derive(Debug, Error)]
#[error("alert was not taken: {0}")]
pub struct AlertError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Watches what happens to money.
///
/// # What implementers guarantee
/// `event` returns quickly and does not block: it is called on the way of a payment.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Takes one event.
    fn event(&self, event: &MoneyEvent);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _event: &MoneyEvent) {}
}
