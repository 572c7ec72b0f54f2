//! What the purse tells whoever watches.

use bursar_types::{
    Amount, ArtifactRef, Decision, PaymentId, PaymentView, Phase, PlanOutcome, Quote, Timestamp,
};
use serde::Serialize;
use std::fmt;

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
    /// No money moved, and that is proven.
    NotPaid {
        /// The payment.
        payment: PaymentId,
        /// The proof.
        proof: String,
    },
}

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
