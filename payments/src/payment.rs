//! The life of one payment.
//!
//! A stored enum whose variants hold only what exists then, with one [`Payment::apply`] used live and in replay.

use crate::rail::{Offer, Order, Outcome, Prepared};
use bursar_ledger::{Commitment, Line};
use bursar_types::{
    Amount, ArtifactRecord, Decision, Digest, HoldId, PaymentId, PaymentView, PlanItemId, PurchaseKey,
    ReceiptView, SessionId,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What was asked for, chosen before the first try and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The payment.
    pub payment: PaymentId,
    /// The session that pays.
    pub session: SessionId,
    /// The agent, as rules know it.
    pub agent: String,
    /// The caller's name for the purchase.
    pub key: PurchaseKey,
    /// Digest of principal, method, URL and body.
    pub request: Digest,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The request's body, if it has one.
    pub body: Option<Commitment>,
    /// The request's own headers.
    pub headers: Vec<(String, String)>,
}

/// A decided purchase with money set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What was asked.
    pub ask: Ask,
    /// Which attempt, from 0.
    pub attempt: u32,
    /// The terms.
    pub offer: Offer,
    /// The plan's item that covers it.
    pub item: PlanItemId,
    /// The money set aside.
    pub hold: HoldId,
    /// What was set aside, and is captured if it moves.
    pub lines: Vec<Line>,
    /// Why it was allowed.
    pub decision: Decision,
}

/// A purchase for which a signature may exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The purchase.
    pub held: Held,
    /// The order that was prepared.
    pub order: Order,
    /// The exact terms; the same bytes can be made from them again, and no others.
    pub prepared: Prepared,
}

/// The body that came with an answer, kept before the answer is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Where it is kept.
    pub payload: Commitment,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: Option<String>,
}

/// Whether what was paid for came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "delivery")]
pub enum DeliveryState {
    /// The payee owes it.
    Owed {
        /// What came instead, if anything did.
        problem: String,
    },
    /// It came and is kept.
    Delivered {
        /// Where.
        record: Box<ArtifactRecord>,
    },
}

/// What is known about a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Payment {
    /// Money is set aside; nothing was signed.
    Held(Box<Held>),
    /// The terms are durable; a signature may exist and may have been presented.
    Signing(Box<Signed>),
    /// It was presented, and nobody can say yet.
    Unknown {
        /// The purchase.
        signed: Box<Signed>,
        /// Why it is not known.
        problem: String,
        /// What came with the answer.
        received: Option<Received>,
    },
    /// Money moved.
    Paid {
        /// The purchase.
        signed: Box<Signed>,
        /// The transaction or charge.
        reference: String,
        /// Whether the rail itself was seen to have moved it. Final only then.
        observed: bool,
        /// Whether the goods came.
        delivery: DeliveryState,
    },
    /// No money moved under the attempts so far, and that is proven. A new attempt may be held.
    NotPaid {
        /// What was asked.
        ask: Ask,
        /// How many attempts there were.
        attempts: u32,
        /// What proves it.
        proof: String,
    },
}

/// Something that happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum PaymentEvent {
    /// It was decided and money was set aside.
    Held(Box<Held>),
    /// The hold was given back before anything was signed.
    LetGo {
        /// Why.
        reason: String,
    },
    /// The terms were fixed; from here a signature may exist.
    Signing {
        /// The order.
        order: Box<Order>,
        /// The terms.
        prepared: Box<Prepared>,
    },
    /// The payee answered, or did not.
    Answered {
        /// What the rail made of it.
        outcome: Outcome,
        /// What came with it.
        received: Option<Received>,
    },
    /// The rail itself was asked.
    Observed {
        /// What it said.
        outcome: Outcome,
    },
    /// The goods came.
    Delivered {
        /// Where they are kept.
        record: Box<ArtifactRecord>,
    },
    /// Something else came.
    DeliveryFailed {
        /// What.
        problem: String,
    },
}

/// The event cannot follow the state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{event}` cannot follow `{state}` in the life of a payment")]
pub struct IllegalEvent {
    state: &'static str,
    event: &'static str,
}

impl Payment {
    /// The state after `event`. The only way to change state; replay uses it too.
    ///
    /// # Errors
    /// [`IllegalEvent`] when the event cannot follow this state.
    pub fn apply(state: Option<Self>, event: PaymentEvent) -> Result<Self, IllegalEvent> {
        use PaymentEvent as E;
        let illegal = |state: &'static str, event: &E| IllegalEvent { state, event: event.name() };
        match (state, event) {
            (None, E::Held(held)) if held.attempt == 0 => Ok(Self::Held(held)),
            (Some(Self::NotPaid { attempts, .. }), E::Held(held)) if held.attempt == attempts => {
                Ok(Self::Held(held))
            }
            (Some(Self::Held(held)), E::LetGo { reason }) => Ok(Self::not_paid(*held, reason)),
            (Some(Self::Held(held)), E::Signing { order, prepared }) => {
                Ok(Self::Signing(Box::new(Signed { held: *held, order: *order, prepared: *prepared })))
            }
            (Some(Self::Signing(signed)), E::Answered { outcome, received }) => {
                Ok(Self::resolved(signed, outcome, received))
            }
            (Some(Self::Unknown { signed, received, .. }), E::Answered { outcome, received: new }) => {
                Ok(Self::resolved(signed, outcome, new.or(received)))
            }
            (Some(Self::Signing(signed)), E::Observed { outcome }) => {
                Ok(Self::resolved(signed, outcome, None))
            }
            (Some(Self::Unknown { signed, received, .. }), E::Observed { outcome }) => {
                Ok(Self::resolved(signed, outcome, received))
            }
            (Some(paid @ Self::Paid { .. }), E::Observed { outcome }) => Ok(paid.observed_again(outcome)),
            (Some(Self::Paid { signed, reference, observed, .. }), E::Delivered { record }) => {
                Ok(Self::Paid { signed, reference, observed, delivery: DeliveryState::Delivered { record } })
            }
            (
                Some(Self::Paid { signed, reference, observed, delivery: DeliveryState::Owed { .. } }),
                E::DeliveryFailed { problem },
            ) => Ok(Self::Paid { signed, reference, observed, delivery: DeliveryState::Owed { problem } }),
            (state, event) => Err(illegal(state.as_ref().map_or("nothing", Self::name), &event)),
        }
    }

    fn resolved(signed: Box<Signed>, outcome: Outcome, received: Option<Received>) -> Self {
        match outcome {
            Outcome::Moved { reference, observed } => {
                let delivery = DeliveryState::Owed { problem: "nothing came yet".to_owned() };
                Self::Paid { signed, reference, observed, delivery }
            }
            Outcome::DidNotMove { proof } => Self::not_paid(signed.held, proof),
            Outcome::Unknown { problem } => Self::Unknown { signed, problem, received },
        }
    }

    /// A payee's claim is confirmed or disproved by the rail; nothing else changes a paid payment.
    fn observed_again(self, outcome: Outcome) -> Self {
        match (self, outcome) {
            (Self::Paid { signed, delivery, .. }, Outcome::Moved { reference, observed: true }) => {
                Self::Paid { signed, reference, observed: true, delivery }
            }
            (Self::Paid { signed, observed: false, .. }, Outcome::DidNotMove { proof }) => {
                Self::not_paid(signed.held, proof)
            }
            (paid, _) => paid,
        }
    }

    fn not_paid(held: Held, proof: String) -> Self {
        Self::NotPaid { ask: held.ask, attempts: held.attempt.saturating_add(1), proof }
    }

    /// The name of the state.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Signing(_) => "signing",
            Self::Unknown { .. } => "unknown",
            Self::Paid { .. } => "paid",
            Self::NotPaid { .. } => "not_paid",
        }
    }

    /// Whether money moved and the goods did not come.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        matches!(self, Self::Paid { delivery: DeliveryState::Owed { .. }, .. })
    }

    /// What was asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        match self {
            Self::Held(held) => &held.ask,
            Self::Signing(signed) | Self::Unknown { signed, .. } | Self::Paid { signed, .. } => {
                &signed.held.ask
            }
            Self::NotPaid { ask, .. } => ask,
        }
    }

    /// The purchase that is under way or was paid.
    #[must_use]
    pub const fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Signing(signed) | Self::Unknown { signed, .. } | Self::Paid { signed, .. } => {
                Some(&signed.held)
            }
            Self::NotPaid { .. } => None,
        }
    }

    /// The payment as its buyer sees it; `None` if nothing was ever held or no money moved.
    #[must_use]
    pub fn view(&self) -> Option<PaymentView> {
        let receipt = match self {
            Self::Paid { reference, observed, .. } => {
                Some(ReceiptView { reference: reference.clone(), observed: *observed })
            }
            _ => None,
        };
        self.held().map(|held| held.view(receipt))
    }
}

impl Held {
    /// The purchase as its buyer sees it.
    #[must_use]
    pub fn view(&self, receipt: Option<ReceiptView>) -> PaymentView {
        PaymentView {
            id: self.ask.payment,
            amount: self.amount().clone(),
            host: self.offer.quote.host.clone(),
            payee: self.offer.quote.payee.clone(),
            resource: self.offer.quote.resource.clone(),
            receipt,
        }
    }

    /// What it costs.
    #[must_use]
    pub const fn amount(&self) -> &Amount {
        &self.offer.quote.price
    }
}

impl PaymentEvent {
    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::LetGo { .. } => "let_go",
            Self::Signing { .. } => "signing",
            Self::Answered { .. } => "answered",
            Self::Observed { .. } => "observed",
            Self::Delivered { .. } => "delivered",
            Self::DeliveryFailed { .. } => "delivery_failed",
        }
    }

    /// The kind of its journal entry.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Held(_) => "payment.held",
            Self::LetGo { .. } => "payment.let_go",
            Self::Signing { .. } => "payment.signing",
            Self::Answered { .. } => "payment.answered",
            Self::Observed { .. } => "payment.observed",
            Self::Delivered { .. } => "payment.delivered",
            Self::DeliveryFailed { .. } => "payment.delivery_failed",
        }
    }
}
