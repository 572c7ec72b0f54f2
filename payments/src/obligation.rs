//! What the payee owes for one captured payment, and what is done about it.
//!
//! An obligation is opened with the capture, in the same transaction, and lies inside the payment: there is exactly one for
//! each. It ends delivered, refunded (seen, not promised), settled by a person, or written off by one; until then somebody
//! owns it and a moment is named by which it must have ended. [`Obligation::next`] says what to do now; it is a pure
//! function, so a crash between two steps loses nothing and repeats nothing.

use crate::rail::{ChainEvent, ClaimReason, Transfer};
use crate::recovery::RecoveryRules;
use bursar_ledger::Commitment;
use bursar_types::{Amount, ArtifactRecord, Timestamp};
use serde::{Deserialize, Serialize};

/// How far an obligation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ObligationState {
    /// The payee owes the goods.
    Owed {
        /// What came instead, if anything did.
        problem: String,
    },
    /// The goods came and are kept.
    Delivered,
    /// Money was asked back.
    Claimed,
    /// Everything was tried, or nothing could be. A person owns it.
    Parked {
        /// What is open, and why.
        problem: String,
    },
    /// What was asked back came back, and was seen to.
    Refunded,
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

/// One remedy and how far it is. A try is recorded before it is made and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// Not yet.
    NotTried,
    /// It was begun; after a crash the same try is made again.
    Running {
        /// Which try, from 0.
        attempt: u32,
    },
    /// It was done, and how it was answered.
    Done {
        /// The answer, in words.
        answer: String,
    },
    /// It failed and will be tried again.
    Failed {
        /// The last try, from 0.
        attempt: u32,
        /// Why.
        problem: String,
        /// When it is tried again.
        again_at: Timestamp,
    },
    /// It is of no use to try again.
    GivenUp {
        /// Why.
        problem: String,
    },
}

impl Step {
    /// The try to make now, if one is due.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<u32> {
        match self {
            Self::NotTried => Some(0),
            Self::Running { attempt } => Some(*attempt),
            Self::Failed { attempt, again_at, .. } if *again_at <= now => Some(attempt.saturating_add(1)),
            Self::Failed { .. } | Self::Done { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// Whether nothing more is done about it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::GivenUp { .. })
    }
}

/// How a try of a remedy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum StepResult {
    /// It was done.
    Done {
        /// The answer, in words.
        answer: String,
    },
    /// It failed.
    Failed {
        /// Why.
        problem: String,
        /// When it is tried again; `None` if it is given up.
        again_at: Option<Timestamp>,
    },
}

impl StepResult {
    /// The step after this result of try `attempt`.
    #[must_use]
    pub fn step(self, attempt: u32) -> Step {
        match self {
            Self::Done { answer } => Step::Done { answer },
            Self::Failed { problem, again_at: Some(again_at) } => Step::Failed { attempt, problem, again_at },
            Self::Failed { problem, again_at: None } => Step::GivenUp { problem },
        }
    }
}

/// Which remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Asking the payee or the rail for the money.
    Refund,
    /// Writing down all evidence for whoever decides.
    Dispute,
}

/// Money asked back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its name for the payee: the same in every repetition.
    pub id: String,
    /// How much, in the asset that was paid with.
    pub amount: Amount,
    /// Why.
    pub reason: ClaimReason,
    /// Why, in words.
    pub detail: String,
    /// Asking for it.
    pub refund: Step,
    /// Writing it down.
    pub dispute: Step,
    /// Where the dispute file is kept, once written.
    pub file: Option<Commitment>,
}

/// Money that came back, credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What was seen.
    pub transfer: Transfer,
    /// The person who said that it belongs here; `None` if sender and amount did.
    pub by: Option<String>,
}

/// What the payee owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// How far it is.
    pub state: ObligationState,
    /// Who looks after it.
    pub owner: String,
    /// By when the present state must have ended; `None` once it is over.
    pub due: Option<Timestamp>,
    /// What came, if anything did.
    pub record: Option<Box<ArtifactRecord>>,
    /// What was asked back, if anything was.
    pub claim: Option<Claim>,
    /// What came back.
    pub refunds: Vec<Refund>,
}

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

/// What to do about an obligation now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is over.
    Over,
    /// Only look whether money came back. Earlier than that moment nothing else is due; `None` if only a person can go on.
    Watch {
        /// When something is due.
        until: Option<Timestamp>,
    },
    /// Ask for the money: nothing usable came.
    OpenClaim,
    /// Ask the payee or the rail.
    AskRefund {
        /// Which try.
        attempt: u32,
    },
    /// Write the evidence down.
    WriteDispute {
        /// Which try.
        attempt: u32,
    },
    /// Keep the goods and ask nothing back any more.
    DropClaim {
        /// Why.
        problem: String,
    },
    /// Hand it to a person.
    Park {
        /// Why.
        problem: String,
    },
}

impl Obligation {
    /// Opens one: the payee owes the goods.
    #[must_use]
    pub const fn opened(owner: String, due: Timestamp, problem: String) -> Self {
        Self {
            state: ObligationState::Owed { problem },
            owner,
            due: Some(due),
            record: None,
            claim: None,
            refunds: Vec::new(),
        }
    }

    /// Opens one that a person has to look after from the start: nobody could say whether money moved.
    #[must_use]
    pub const fn parked(owner: String, due: Timestamp, problem: String) -> Self {
        Self {
            state: ObligationState::Parked { problem },
            owner,
            due: Some(due),
            record: None,
            claim: None,
            refunds: Vec::new(),
        }
    }

    /// Whether it ended. Money may still come back, and is credited then.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self.state {
            ObligationState::Delivered
            | ObligationState::Refunded
            | ObligationState::Settled { .. }
            | ObligationState::WrittenOff { .. } => true,
            ObligationState::Owed { .. } | ObligationState::Claimed | ObligationState::Parked { .. } => false,
        }
    }

    /// Whether the goods are here.
    #[must_use]
    pub const fn has_goods(&self) -> bool {
        self.record.is_some()
    }

    /// What came back so far, in the asset that was paid with; `None` if the sum does not fit.
    #[must_use]
    pub fn refunded(&self) -> Option<u128> {
        self.refunds.iter().try_fold(0_u128, |sum, refund| sum.checked_add(refund.transfer.amount.atomic()))
    }

    /// What may still come back: of the claim, or of `price` where nothing was asked back. `None` if nothing may, because
    /// it came already, or because the goods are here and nothing was asked back.
    #[must_use]
    pub fn left(&self, price: &Amount) -> Option<Amount> {
        let dropped = matches!(self.state, ObligationState::Delivered);
        let wanted = match &self.claim {
            Some(claim) => &claim.amount,
            None if dropped => return None,
            None => price,
        };
        let left = wanted.atomic().checked_sub(self.refunded()?)?;
        (left > 0).then(|| Amount::from_atomic(price.asset().clone(), left))
    }

    /// Whether this event was credited here.
    #[must_use]
    pub fn credits(&self, event: &ChainEvent) -> bool {
        self.refunds.iter().any(|refund| refund.transfer.event == *event)
    }

    /// What to do now. `presentable_until` is when the authorization ran, or runs, out: until then the goods can be asked
    /// for again, and nothing is claimed. `observed` says whether the rail itself was seen to have moved the money; nothing
    /// is asked back on a payee's word alone.
    #[must_use]
    pub fn next(&self, now: Timestamp, presentable_until: Timestamp, observed: bool) -> Next {
        match &self.state {
            _ if self.is_over() => Next::Over,
            ObligationState::Owed { .. } if !observed || now < presentable_until => {
                Next::Watch { until: Some(presentable_until) }
            }
            ObligationState::Owed { .. } => Next::OpenClaim,
            ObligationState::Parked { .. } => Next::Watch { until: None },
            ObligationState::Claimed => match &self.claim {
                Some(claim) => self.next_of(claim, now),
                None => Next::Park { problem: "it is claimed, and there is no claim".to_owned() },
            },
            _ => Next::Over,
        }
    }

    fn next_of(&self, claim: &Claim, now: Timestamp) -> Next {
        let late = self.due.is_some_and(|due| due <= now);
        if !late {
            if let Some(attempt) = claim.refund.due(now) {
                return Next::AskRefund { attempt };
            }
            match &claim.refund {
                Step::Done { .. } => return Next::Watch { until: self.due },
                Step::Failed { again_at, .. } => return Next::Watch { until: Some(*again_at) },
                Step::NotTried | Step::Running { .. } | Step::GivenUp { .. } => {}
            }
        }
        // Whoever delivered what was asked for owes nothing, and was only asked.
        let only_asked = claim.reason == ClaimReason::FailedLater && self.has_goods();
        if let (true, Step::GivenUp { problem }) = (only_asked, &claim.refund) {
            return Next::DropClaim { problem: problem.clone() };
        }
        if let Some(attempt) = claim.dispute.due(now) {
            return Next::WriteDispute { attempt };
        }
        let asked = match &claim.refund {
            Step::Done { answer } => format!("a refund was asked for ({answer}) and did not come"),
            Step::GivenUp { problem } => format!("no refund could be asked for: {problem}"),
            Step::Failed { problem, .. } => format!("the refund request kept failing: {problem}"),
            Step::NotTried | Step::Running { .. } => "no refund was asked for in time".to_owned(),
        };
        match &claim.dispute {
            Step::Done { .. } => Next::Park { problem: asked },
            Step::GivenUp { problem } => {
                Next::Park { problem: format!("{asked}; the dispute file could not be written: {problem}") }
            }
            Step::Failed { again_at, .. } => Next::Watch { until: Some(*again_at) },
            Step::NotTried | Step::Running { .. } => Next::Watch { until: None },
        }
    }

    /// The obligation after `event`; `None` if it cannot follow. `price` is what was paid.
    #[must_use]
    pub fn apply(mut self, event: ObligationEvent, price: &Amount) -> Option<Self> {
        use ObligationEvent as E;
        match event {
            E::ClaimOpened { id, amount, reason, detail, due } => {
                let open = matches!(
                    self.state,
                    ObligationState::Owed { .. }
                        | ObligationState::Delivered
                        | ObligationState::Parked { .. }
                );
                let fits = !amount.is_zero() && matches!(amount.at_most(price), Ok(true));
                if !open || !fits || self.claim.is_some() {
                    return None;
                }
                let (refund, dispute) = (Step::NotTried, Step::NotTried);
                self.claim = Some(Claim { id, amount, reason, detail, refund, dispute, file: None });
                self.state = ObligationState::Claimed;
                self.due = Some(due);
            }
            E::StepStarted { remedy, attempt } => {
                let step = self.step(remedy).filter(|step| !step.is_over())?;
                *step = Step::Running { attempt };
            }
            E::StepEnded { remedy, attempt, result, file } => {
                let step = self.step(remedy).filter(|step| **step == Step::Running { attempt })?;
                *step = result.step(attempt);
                if let (Some(claim), Some(file)) = (&mut self.claim, file) {
                    claim.file = Some(file);
                }
            }
            E::ClaimDropped { .. } => {
                if !matches!(self.state, ObligationState::Claimed) || !self.has_goods() {
                    return None;
                }
                self.state = ObligationState::Delivered;
                self.due = None;
            }
            E::RefundSeen { refund } => return self.refund_seen(refund, price),
            E::Parked { problem, owner, due } => {
                if self.is_over() {
                    return None;
                }
                self.state = ObligationState::Parked { problem };
                self.owner = owner;
                self.due = Some(due);
            }
            E::Extended { due, .. } => {
                if self.is_over() {
                    return None;
                }
                self.due = Some(due);
            }
            E::Settled { by, reason } => self = self.ended(ObligationState::Settled { by, reason })?,
            E::WrittenOff { by, reason } => self = self.ended(ObligationState::WrittenOff { by, reason })?,
        }
        Some(self)
    }

    /// The goods came. After a claim they change nothing about it: what was asked back stays asked back.
    #[must_use]
    pub(crate) fn delivered(mut self, record: Box<ArtifactRecord>) -> Option<Self> {
        if self.record.is_some() {
            return None;
        }
        self.record = Some(record);
        let waits = matches!(self.state, ObligationState::Owed { .. } | ObligationState::Parked { .. });
        if waits && self.claim.is_none() {
            self.state = ObligationState::Delivered;
            self.due = None;
        }
        Some(self)
    }

    /// What was only presumed to have moved was seen to have moved: now the goods are owed.
    #[must_use]
    pub(crate) fn confirmed(mut self) -> Self {
        if let (ObligationState::Parked { problem }, None) = (&self.state, &self.claim) {
            self.state = ObligationState::Owed { problem: problem.clone() };
        }
        self
    }

    /// Something else came.
    #[must_use]
    pub(crate) fn failed(mut self, problem: String, owner: String, due: Timestamp) -> Option<Self> {
        let ObligationState::Owed { .. } = self.state else { return None };
        self.state = ObligationState::Owed { problem };
        // The payee's time counts from the first failure.
        if self.owner.is_empty() {
            self.owner = owner;
            self.due = Some(due);
        }
        Some(self)
    }

    /// Money that came back is never more than what was paid, and no event counts twice.
    fn refund_seen(mut self, refund: Refund, price: &Amount) -> Option<Self> {
        if self.credits(&refund.transfer.event) || refund.transfer.amount.asset() != price.asset() {
            return None;
        }
        let sum = self.refunded()?.checked_add(refund.transfer.amount.atomic())?;
        if sum > price.atomic() {
            return None;
        }
        self.refunds.push(refund);
        let wanted = self.claim.as_ref().map_or(price, |claim| &claim.amount);
        // What a person ended stays as the person said; the money is credited all the same.
        if sum >= wanted.atomic() && !self.is_over() {
            self.state = ObligationState::Refunded;
            self.due = None;
        }
        Some(self)
    }

    fn ended(mut self, state: ObligationState) -> Option<Self> {
        if self.is_over() {
            return None;
        }
        self.state = state;
        self.due = None;
        Some(self)
    }

    const fn step(&mut self, remedy: Remedy) -> Option<&mut Step> {
        match (&mut self.claim, remedy) {
            (Some(claim), Remedy::Refund) => Some(&mut claim.refund),
            (Some(claim), Remedy::Dispute) => Some(&mut claim.dispute),
            (None, _) => None,
        }
    }
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

/// How a remedy that failed at `attempt` goes on.
#[must_use]
pub(crate) fn failed_step(
    rules: &RecoveryRules,
    now: Timestamp,
    attempt: u32,
    problem: String,
    may_be_repeated: bool,
) -> StepResult {
    let again_at = if may_be_repeated { rules.try_again_at(now, attempt) } else { None };
    StepResult::Failed { problem, again_at }
}
