//! What the payee owes for one captured payment, and what is done about it.
//!
//! An obligation is opened with the capture, in the same transaction, and lies inside the payment: there is exactly one for
//! each. It ends delivered, refunded (seen, not promised), settled by a person, or written off by one; until then somebody
//! owns it and a moment is named by which it must have ended. [`Obligation::next`] says what to do now; it is a pure
//! function, so a crash between two steps loses nothing and repeats nothing.

mod event;
mod next;
mod step;

pub use event::ObligationEvent;
pub use next::Next;
pub(crate) use step::failed_step;
pub use step::{Step, StepResult};

use crate::rail::{ChainEvent, ClaimReason, Transfer};
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
    /// What had come back before it was asked, in atomic units.
    pub already: u128,
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

    /// What of `price` did not come back yet; `None` if all did.
    #[must_use]
    pub fn left_of(&self, price: &Amount) -> Option<Amount> {
        let left = price.atomic().checked_sub(self.refunded()?)?;
        (left > 0).then(|| Amount::from_atomic(price.asset().clone(), left))
    }

    /// What may still come back: of the claim, or of `price` where nothing was asked back. `None` if nothing may, because
    /// it came already, or because the goods are here and nothing was asked back.
    #[must_use]
    pub fn left(&self, price: &Amount) -> Option<Amount> {
        let dropped = matches!(self.state, ObligationState::Delivered);
        let wanted = match &self.claim {
            Some(claim) => claim.amount.atomic().checked_add(claim.already)?,
            None if dropped => return None,
            None => price.atomic(),
        };
        let left = wanted.checked_sub(self.refunded()?)?;
        (left > 0).then(|| Amount::from_atomic(price.asset().clone(), left))
    }

    /// Whether this event was credited here.
    #[must_use]
    pub fn credits(&self, event: &ChainEvent) -> bool {
        self.refunds.iter().any(|refund| refund.transfer.event == *event)
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
                let already = self.refunded()?;
                self.claim = Some(Claim { id, amount, already, reason, detail, refund, dispute, file: None });
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
        let wanted = match &self.claim {
            Some(claim) => claim.amount.atomic().checked_add(claim.already)?,
            None => price.atomic(),
        };
        // What a person ended stays as the person said; the money is credited all the same.
        if sum >= wanted && !self.is_over() {
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
