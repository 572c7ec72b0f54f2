//! What a saga is made of and what happens to it: plain data, so that any process can go on from the journal alone.

use crate::rail::ClaimReason;
use bursar_types::{Amount, Digest, PaymentId, PurchaseKey, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a step's effect is taken back: the name of a [`Compensator`](crate::Compensator) and what it is told. It is data and
/// no closure, because another process may have to do it.
///
/// # Example
/// ```
/// use bursar_payments::Undo;
/// use serde_json::json;
/// let undo = Undo::by("delete_upload", json!({"id": 7})).may_run_again();
/// assert!(undo.repeatable && !Undo::by("delete_upload", json!({"id": 7})).repeatable);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Undo {
    /// The compensator; `None` where the step has no effects.
    pub compensator: Option<String>,
    /// What it is told: whole numbers and texts, the same in every run. Ids that it names are chosen before the step.
    pub arguments: Value,
    /// Whether running the step twice does no more than running it once.
    pub repeatable: bool,
    /// What is lost at most if the step cannot be taken back; `None` if that is no money.
    pub at_risk: Option<Amount>,
}

impl Undo {
    /// The step is taken back by this compensator. It must bear that the step was never done: after a crash nobody knows.
    pub fn by(compensator: impl Into<String>, arguments: Value) -> Self {
        Self { compensator: Some(compensator.into()), arguments, repeatable: false, at_risk: None }
    }

    /// The step has no effects: there is nothing to take back, and it may run again.
    pub const fn nothing() -> Self {
        Self { compensator: None, arguments: Value::Null, repeatable: true, at_risk: None }
    }

    /// Says that running the step twice does no more than running it once. After a crash in the middle it then runs again;
    /// otherwise the saga unwinds.
    pub const fn may_run_again(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Says what is lost at most if the step cannot be taken back: whoever looks after it then is told.
    pub fn at_risk(mut self, amount: Amount) -> Self {
        self.at_risk = Some(amount);
        self
    }
}

/// What is done about a bought thing when the saga fails later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The money is asked back.
    #[default]
    AskBack,
    /// It is kept in the library, where a later run finds it. Nothing is asked back for it.
    Keep,
}

/// A step as it was registered before it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum StepTerms {
    /// It is the user's own, with its compensation.
    Free {
        /// How it is taken back.
        undo: Undo,
    },
    /// It buys. How that is taken back follows from what became of the payment.
    Paid {
        /// The payment, if money is paid.
        payment: PaymentId,
        /// The name of the purchase.
        key: PurchaseKey,
        /// Digest of the request.
        request: Digest,
        /// What is done about it when the saga fails later.
        on_failure: OnFailure,
    },
}

/// Money that a step wants back although the saga may go on: not everything came, or the wrong thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedClaim {
    /// How much; `None` for all of it.
    pub amount: Option<Amount>,
    /// Why.
    pub reason: ClaimReason,
    /// Why, in words.
    pub detail: String,
}

/// How a step was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undone")]
pub enum Undone {
    /// Its compensator did it.
    Compensated {
        /// What the compensator said.
        answer: String,
    },
    /// No money moved.
    NotPaid {
        /// What proves it.
        proof: String,
    },
    /// The money came back, and was seen to.
    Refunded {
        /// How much.
        amount: Amount,
        /// Of what price.
        price: Amount,
    },
    /// The goods are here and are kept.
    Kept {
        /// What was paid.
        price: Amount,
        /// Why nobody gives the money back; `None` where the step said that nothing is asked back.
        problem: Option<String>,
    },
    /// Another purchase of the same request, which this step joined, paid for it. Its buyer looks after the money.
    NotOurs {
        /// The other payment.
        payment: PaymentId,
    },
    /// A person settled it, or wrote it off.
    ByPerson {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What a try to take a step back gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum UndoResult {
    /// It is over.
    Over {
        /// How.
        undone: Undone,
    },
    /// Everything was asked for, and the answer is awaited. It is looked at again in every pass of recovery.
    Awaiting {
        /// What is awaited, in words.
        what: String,
        /// How much money may not come.
        at_risk: Option<Amount>,
    },
    /// It failed.
    Failed {
        /// Why.
        problem: String,
        /// When it is tried again; `None` if it is of no use.
        again_at: Option<Timestamp>,
    },
}

/// Something that happened to a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum SagaEvent {
    /// It was opened.
    Opened {
        /// The session whose money it spends.
        session: SessionId,
        /// Its name in the session.
        name: String,
        /// Who looks after what stays open.
        owner: String,
        /// When no step may start any more.
        deadline: Timestamp,
    },
    /// A step is about to run. Its compensation is registered with this.
    StepStarted {
        /// The step.
        step: String,
        /// What it is.
        terms: StepTerms,
        /// Which try, from 0.
        attempt: u32,
    },
    /// A step was done.
    StepDone {
        /// The step.
        step: String,
        /// What it gave; a resumed saga gets it from here.
        result: Value,
        /// What it wants back.
        claim: Option<WantedClaim>,
    },
    /// What a step wants back is claimed: the payment's own obligation looks after it from here on.
    ClaimMade {
        /// The step.
        step: String,
    },
    /// What a step of a completed saga wants back could not be claimed.
    ClaimFailed {
        /// The step.
        step: String,
        /// Which try, from 0.
        attempt: u32,
        /// Why.
        problem: String,
        /// When it is tried again; `None` if that is of no use.
        again_at: Option<Timestamp>,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: String,
        /// Why.
        problem: String,
        /// Whether it may have had effects all the same.
        effects: bool,
        /// What it wants back.
        claim: Option<WantedClaim>,
    },
    /// Every step was done, and its caller says that this was all.
    Completed,
    /// From here on everything is taken back, last step first.
    UnwindStarted {
        /// Why.
        reason: String,
    },
    /// No process that looked knows the step's compensator. The others go on; one that knows it takes it up.
    UndoDeferred {
        /// The step.
        step: String,
        /// By when one must have come.
        due: Timestamp,
        /// Which try it is then.
        attempt: u32,
    },
    /// A step is about to be taken back.
    UndoStarted {
        /// The step.
        step: String,
        /// Which try, from 0.
        attempt: u32,
        /// When it began.
        at: Timestamp,
    },
    /// A try ended, or what was awaited came.
    UndoEnded {
        /// The step.
        step: String,
        /// Which try.
        attempt: u32,
        /// How.
        result: UndoResult,
    },
    /// A step cannot be taken back by itself: a person owns it.
    StepParked {
        /// The step.
        step: String,
        /// What is open, and why.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
        /// How much money may be lost; `None` if that is no money.
        at_risk: Option<Amount>,
    },
    /// What was parked is over: a person says so, or what was awaited came after all.
    StepSettled {
        /// The step.
        step: String,
        /// How.
        undone: Undone,
    },
    /// A worker that had been given up for dead finished the step after all: it has to be taken back once more.
    StepLate {
        /// The step.
        step: String,
        /// What it gave.
        result: Value,
    },
    /// Every step is undone, refunded, kept or parked.
    Ended,
}

impl SagaEvent {
    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::StepStarted { .. } => "step_started",
            Self::StepDone { .. } => "step_done",
            Self::ClaimMade { .. } => "claim_made",
            Self::ClaimFailed { .. } => "claim_failed",
            Self::StepFailed { .. } => "step_failed",
            Self::Completed => "completed",
            Self::UnwindStarted { .. } => "unwind_started",
            Self::UndoDeferred { .. } => "undo_deferred",
            Self::UndoStarted { .. } => "undo_started",
            Self::UndoEnded { .. } => "undo_ended",
            Self::StepParked { .. } => "step_parked",
            Self::StepSettled { .. } => "step_settled",
            Self::StepLate { .. } => "step_late",
            Self::Ended => "ended",
        }
    }

    /// The kind of its journal entry.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "saga.opened",
            Self::StepStarted { .. } => "saga.step_started",
            Self::StepDone { .. } => "saga.step_done",
            Self::ClaimMade { .. } => "saga.claim_made",
            Self::ClaimFailed { .. } => "saga.claim_failed",
            Self::StepFailed { .. } => "saga.step_failed",
            Self::Completed => "saga.completed",
            Self::UnwindStarted { .. } => "saga.unwind_started",
            Self::UndoDeferred { .. } => "saga.undo_deferred",
            Self::UndoStarted { .. } => "saga.undo_started",
            Self::UndoEnded { .. } => "saga.undo_ended",
            Self::StepParked { .. } => "saga.step_parked",
            Self::StepSettled { .. } => "saga.step_settled",
            Self::StepLate { .. } => "saga.step_late",
            Self::Ended => "saga.ended",
        }
    }

    /// The step it is about.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepStarted { step, .. }
            | Self::StepDone { step, .. }
            | Self::ClaimMade { step }
            | Self::ClaimFailed { step, .. }
            | Self::StepFailed { step, .. }
            | Self::UndoDeferred { step, .. }
            | Self::UndoStarted { step, .. }
            | Self::UndoEnded { step, .. }
            | Self::StepParked { step, .. }
            | Self::StepSettled { step, .. }
            | Self::StepLate { step, .. } => Some(step),
            Self::Opened { .. } | Self::Completed | Self::UnwindStarted { .. } | Self::Ended => None,
        }
    }
}
