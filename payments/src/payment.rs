//! The life of one payment.
//!
//! A stored enum whose variants hold only what exists then, with one [`Payment::apply`] used live and in replay.

use crate::obligation::{Obligation, ObligationEvent, ObligationState, Step, StepResult};
use crate::rail::{Offer, Order, Outcome, PayeeStatements, Prepared, PreparedVoid};
use bursar_ledger::{Commitment, Line};
use bursar_types::{
    Amount, ApprovalId, ArtifactRecord, Cause, Decision, Digest, HoldId, PaymentId, PaymentView, PlanItemId,
    PurchaseKey, ReceiptView, SessionId, Timestamp,
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
    /// The tool call that asked first, if the caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
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
    /// Those of the request's own headers that are no credentials.
    pub headers: Vec<(String, String)>,
    /// Whether these were all: only then can the request be made again without its caller.
    pub whole: bool,
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
    /// The approver's yes that it needs. It is used up when it is signed.
    pub approval: Option<ApprovalId>,
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

/// How it is known that money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "evidence")]
pub enum Evidence {
    /// The payee says so.
    Claimed {
        /// The transaction or charge, as it named it.
        reference: String,
    },
    /// The rail itself was seen to have moved it. Final only then.
    Observed {
        /// The transaction or charge.
        reference: String,
    },
    /// Nobody could say for so long that it counts as spent, until the rail says otherwise.
    Presumed {
        /// Why it is not known.
        problem: String,
        /// What came with the payee's answer.
        received: Option<Received>,
    },
}

impl Evidence {
    /// Whether the rail itself was seen to have moved it.
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        matches!(self, Self::Observed { .. })
    }

    /// The transaction or charge, if anyone named one.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Claimed { reference } | Self::Observed { reference } => Some(reference),
            Self::Presumed { .. } => None,
        }
    }

    fn receipt(&self) -> Option<ReceiptView> {
        let reference = self.reference()?.to_owned();
        Some(ReceiptView { reference, observed: self.is_observed() })
    }
}

/// Taking an authorization back that nobody used yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Why.
    pub reason: String,
    /// The exact terms; `None` where the rail could not fix any.
    pub prepared: Option<PreparedVoid>,
    /// How far it is.
    pub step: Step,
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
        /// Whether it is being taken back. From then on it is never presented again.
        void: Option<Box<Void>>,
    },
    /// Money moved, or counts as moved.
    Paid {
        /// The purchase.
        signed: Box<Signed>,
        /// How that is known.
        evidence: Evidence,
        /// What the payee owes for it.
        obligation: Box<Obligation>,
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
        /// What the payee signed, with its terms and with this answer; `None` where nobody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Box<PayeeStatements>>,
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
        /// Who looks after what the payee owes.
        owner: String,
        /// By when it must have come.
        due: Timestamp,
    },
    /// It is being taken back: the terms of that are fixed.
    VoidStarted {
        /// Why.
        reason: String,
        /// The terms.
        prepared: Option<Box<PreparedVoid>>,
        /// Which try, from 0.
        attempt: u32,
    },
    /// A try to take it back ended. Whether it was taken back is for the rail to say.
    VoidEnded {
        /// Which try.
        attempt: u32,
        /// How.
        result: StepResult,
    },
    /// Nobody could say for long enough: it counts as spent, and a person looks after it.
    Presumed {
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
    },
    /// Something happened to what the payee owes.
    Owed(ObligationEvent),
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
        let illegal =
            IllegalEvent { state: state.as_ref().map_or("nothing", Self::name), event: event.name() };
        Self::next(state, event).ok_or(illegal)
    }

    fn next(state: Option<Self>, event: PaymentEvent) -> Option<Self> {
        use PaymentEvent as E;
        Some(match (state, event) {
            (None, E::Held(held)) if held.attempt == 0 => Self::Held(held),
            (Some(Self::NotPaid { attempts, .. }), E::Held(held)) if held.attempt == attempts => {
                Self::Held(held)
            }
            (Some(Self::Held(held)), E::LetGo { reason }) => Self::not_paid(*held, reason),
            (Some(Self::Held(held)), E::Signing { order, prepared }) => {
                Self::Signing(Box::new(Signed { held: *held, order: *order, prepared: *prepared }))
            }
            (Some(Self::Signing(signed)), E::Answered { outcome, received, .. }) => {
                Self::resolved(signed, outcome, received, None)
            }
            (
                Some(Self::Unknown { signed, received, void, .. }),
                E::Answered { outcome, received: new, .. },
            ) => Self::resolved(signed, outcome, new.or(received), void),
            (Some(Self::Signing(signed)), E::Observed { outcome }) => {
                Self::resolved(signed, outcome, None, None)
            }
            (Some(Self::Unknown { signed, received, void, .. }), E::Observed { outcome }) => {
                Self::resolved(signed, outcome, received, void)
            }
            (Some(paid @ Self::Paid { .. }), E::Observed { outcome }) => paid.observed_again(outcome),
            (Some(unknown @ Self::Unknown { .. }), event) => return unknown.given_up(event),
            // Nothing is asked back, and nothing credited, for money that nobody saw move.
            (Some(Self::Paid { evidence, .. }), E::Owed(event))
                if event.needs_observed() && !evidence.is_observed() =>
            {
                return None;
            }
            (Some(Self::Paid { signed, evidence, obligation }), event) => {
                let obligation = owed(*obligation, event, signed.held.amount())?;
                Self::Paid { signed, evidence, obligation: Box::new(obligation) }
            }
            _ => return None,
        })
    }

    /// An unknown payment is taken back, or counts as spent.
    fn given_up(self, event: PaymentEvent) -> Option<Self> {
        use PaymentEvent as E;
        let Self::Unknown { signed, problem, received, void } = self else { return None };
        match event {
            E::VoidStarted { reason, prepared, attempt } => {
                if void.as_ref().is_some_and(|void| void.step.is_over()) {
                    return None;
                }
                let prepared = prepared.map(|prepared| *prepared);
                let void = Void { reason, prepared, step: Step::Running { attempt } };
                Some(Self::Unknown { signed, problem, received, void: Some(Box::new(void)) })
            }
            E::VoidEnded { attempt, result } => {
                let mut void = void.filter(|void| void.step == Step::Running { attempt })?;
                void.step = result.step(attempt);
                Some(Self::Unknown { signed, problem, received, void: Some(void) })
            }
            E::Presumed { owner, due } => {
                let obligation = Obligation::parked(owner, due, problem.clone());
                let evidence = Evidence::Presumed { problem, received };
                Some(Self::Paid { signed, evidence, obligation: Box::new(obligation) })
            }
            _ => None,
        }
    }

    fn resolved(
        signed: Box<Signed>,
        outcome: Outcome,
        received: Option<Received>,
        void: Option<Box<Void>>,
    ) -> Self {
        match outcome {
            Outcome::Moved { reference, observed } => {
                let evidence = match observed {
                    true => Evidence::Observed { reference },
                    false => Evidence::Claimed { reference },
                };
                // Opened here; the event that follows in the same transaction says what came, who looks after it and by when.
                let opened = Obligation {
                    due: None,
                    ..Obligation::opened(
                        String::new(),
                        signed.prepared.expires_at,
                        "nothing came yet".to_owned(),
                    )
                };
                Self::Paid { signed, evidence, obligation: Box::new(opened) }
            }
            Outcome::DidNotMove { proof } => Self::not_paid(signed.held, proof),
            Outcome::Unknown { problem } => Self::Unknown { signed, problem, received, void },
        }
    }

    /// A payee's claim, or a presumption, is confirmed or disproved by the rail; nothing else changes a paid payment.
    fn observed_again(self, outcome: Outcome) -> Self {
        match (self, outcome) {
            (Self::Paid { signed, obligation, .. }, Outcome::Moved { reference, observed: true }) => {
                let obligation = Box::new(obligation.confirmed());
                Self::Paid { signed, evidence: Evidence::Observed { reference }, obligation }
            }
            (Self::Paid { signed, evidence, .. }, Outcome::DidNotMove { proof })
                if !evidence.is_observed() =>
            {
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

    /// Whether money moved and the goods are still owed: not here, and no money asked back yet.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        matches!(self.obligation(), Some(Obligation { state: ObligationState::Owed { .. }, .. }))
    }

    /// What the payee owes, if money moved.
    #[must_use]
    pub fn obligation(&self) -> Option<&Obligation> {
        match self {
            Self::Paid { obligation, .. } => Some(obligation),
            Self::Held(_) | Self::Signing(_) | Self::Unknown { .. } | Self::NotPaid { .. } => None,
        }
    }

    /// Whether nothing more can happen by itself: no money moved, or the rail was seen to move it and the obligation ended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::NotPaid { .. } => true,
            Self::Paid { evidence, obligation, .. } => evidence.is_observed() && obligation.is_over(),
            Self::Held(_) | Self::Signing(_) | Self::Unknown { .. } => false,
        }
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
            Self::Paid { evidence, .. } => evidence.receipt(),
            _ => None,
        };
        self.held().map(|held| held.view(receipt))
    }
}

/// What an event does to what is owed.
fn owed(obligation: Obligation, event: PaymentEvent, price: &Amount) -> Option<Obligation> {
    match event {
        PaymentEvent::Delivered { record } => obligation.delivered(record),
        PaymentEvent::DeliveryFailed { problem, owner, due } => obligation.failed(problem, owner, due),
        PaymentEvent::Owed(event) => obligation.apply(event, price),
        _ => None,
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
            Self::VoidStarted { .. } => "void_started",
            Self::VoidEnded { .. } => "void_ended",
            Self::Presumed { .. } => "presumed",
            Self::Owed(event) => event.name(),
        }
    }

    /// Whether money moved, as far as this event says anything about it: `yes`, `no` or `unknown`.
    pub(crate) const fn moved(&self) -> Option<&'static str> {
        match self {
            Self::Answered { outcome, .. } | Self::Observed { outcome } => Some(match outcome {
                Outcome::Moved { .. } => "yes",
                Outcome::DidNotMove { .. } => "no",
                Outcome::Unknown { .. } => "unknown",
            }),
            Self::LetGo { .. } => Some("no"),
            Self::Presumed { .. } => Some("yes"),
            _ => None,
        }
    }

    /// What came back with it, in atomic units of the asset that was paid with.
    pub(crate) const fn refunded(&self) -> Option<u128> {
        match self {
            Self::Owed(ObligationEvent::RefundSeen { refund }) => Some(refund.transfer.amount.atomic()),
            _ => None,
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
            Self::VoidStarted { .. } => "payment.void_started",
            Self::VoidEnded { .. } => "payment.void_ended",
            Self::Presumed { .. } => "payment.presumed",
            Self::Owed(event) => event.kind(),
        }
    }
}
