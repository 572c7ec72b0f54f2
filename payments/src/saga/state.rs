//! A saga as folded from its events: one pure function, used live and in replay.

use super::event::{SagaEvent, StepTerms, UndoResult, Undone, WantedClaim};
use super::id::{CompensationId, SagaId};
use bursar_types::{Amount, SessionId, Timestamp};
use serde_json::Value;
use thiserror::Error;

/// How far a step is on its way forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepRun {
    /// It began. If its worker died, nobody knows whether it was done.
    Running,
    /// It was done.
    Done {
        /// What it gave.
        result: Value,
    },
    /// It failed.
    Failed {
        /// Why.
        problem: String,
        /// Whether it may have had effects all the same.
        effects: bool,
    },
}

/// How far taking a step back is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoState {
    /// Not begun.
    NotStarted,
    /// Waits for a process that knows its compensator.
    Deferred {
        /// Until when.
        due: Timestamp,
        /// Which try it is then.
        attempt: u32,
    },
    /// It was begun. Where its worker died, it is tried again after the same wait as one that failed, under the same id.
    Running {
        /// Which try, from 0.
        attempt: u32,
        /// When it began.
        since: Timestamp,
    },
    /// It failed. In a completed saga: claiming what the step wants back did.
    Failed {
        /// The last try.
        attempt: u32,
        /// Why.
        problem: String,
        /// When it is tried again; `None` if it is of no use.
        again_at: Option<Timestamp>,
    },
    /// Everything was asked for, and the answer is awaited.
    Awaiting {
        /// The try that asked.
        attempt: u32,
        /// What is awaited.
        what: String,
        /// How much money may not come.
        at_risk: Option<Amount>,
    },
    /// It is over.
    Over(Undone),
    /// A person owns it.
    Parked {
        /// What is open, and why.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
        /// How much money may be lost; `None` if that is no money.
        at_risk: Option<Amount>,
    },
}

/// One step of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaStep {
    /// Its name, unique in the saga.
    pub name: String,
    /// What was registered before it ran.
    pub terms: StepTerms,
    /// Which try of running it was the last, from 0.
    pub attempt: u32,
    /// How far it is.
    pub run: StepRun,
    /// What it wants back although the saga may go on.
    pub claim: Option<WantedClaim>,
    /// Whether that is claimed.
    pub claimed: bool,
    /// How far taking it back is.
    pub undo: UndoState,
    /// How often it has to be taken back anew, because it was finished after it had been taken back.
    pub round: u32,
}

impl SagaStep {
    /// Whether there is something to take back. A payment is always looked at: it may be open although its step failed.
    #[must_use]
    pub const fn needs_undo(&self) -> bool {
        match (&self.terms, &self.run) {
            (StepTerms::Paid { .. }, _) => true,
            (StepTerms::Free { .. }, StepRun::Failed { effects: false, .. }) => false,
            (StepTerms::Free { undo }, _) => undo.compensator.is_some(),
        }
    }

    /// Whether it wants money back that nobody has claimed yet, and that no person looks after.
    #[must_use]
    pub const fn wants_claim(&self) -> bool {
        let with_a_person = matches!(self.undo, UndoState::Parked { .. } | UndoState::Over(_));
        self.claim.is_some() && !self.claimed && !with_a_person
    }

    /// Which try to claim what it wants back is the next, from 0.
    pub(super) fn claim_attempt(&self) -> Option<u32> {
        let wanting = Some(self).filter(|step| step.wants_claim());
        wanting.and_then(|step| step.undo.next_attempt())
    }

    /// Whether running it again does no harm.
    #[must_use]
    pub const fn may_run_again(&self) -> bool {
        match (&self.terms, &self.run) {
            // The same key never pays twice.
            (StepTerms::Paid { .. }, _) | (_, StepRun::Failed { effects: false, .. }) => true,
            (StepTerms::Free { undo }, _) => undo.repeatable,
        }
    }
}

/// How far a saga is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaPhase {
    /// Forward.
    Running,
    /// Every step was done.
    Completed,
    /// It failed, and is taken back.
    Unwinding {
        /// Why it failed.
        reason: String,
    },
    /// It failed, and every step is undone, refunded, kept or parked.
    Ended {
        /// Why it failed.
        reason: String,
    },
}

/// A saga as folded from its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaState {
    /// The saga.
    pub id: SagaId,
    /// The session whose money it spends.
    pub session: SessionId,
    /// Its name in the session.
    pub name: String,
    /// Who looks after what stays open.
    pub owner: String,
    /// When no step may start any more.
    pub deadline: Timestamp,
    /// How far it is.
    pub phase: SagaPhase,
    /// Its steps, in the order in which they last started.
    pub steps: Vec<SagaStep>,
    /// How many events were folded; whoever writes requires that it is still so.
    pub length: u64,
}

/// The event cannot follow what happened so far.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{event}` cannot follow in the life of saga {saga}")]
pub struct IllegalSagaEvent {
    saga: SagaId,
    event: &'static str,
}

impl SagaState {
    /// The state after `event`. The only way to change it; replay uses it too.
    ///
    /// # Errors
    /// [`IllegalSagaEvent`] when the event cannot follow.
    pub fn apply(id: SagaId, state: Option<Self>, event: SagaEvent) -> Result<Self, IllegalSagaEvent> {
        let illegal = IllegalSagaEvent { saga: id, event: event.name() };
        let next = match (state, event) {
            (None, SagaEvent::Opened { session, name, owner, deadline }) => Some(Self {
                id,
                session,
                name,
                owner,
                deadline,
                phase: SagaPhase::Running,
                steps: Vec::new(),
                length: 1,
            }),
            (None, _) => None,
            (Some(state), event) => state.follow(event).map(|mut state| {
                state.length = state.length.saturating_add(1);
                state
            }),
        };
        next.ok_or(illegal)
    }

    fn follow(mut self, event: SagaEvent) -> Option<Self> {
        use SagaEvent as E;
        let running = self.phase == SagaPhase::Running;
        let unwinding = matches!(self.phase, SagaPhase::Unwinding { .. });
        let completed = self.phase == SagaPhase::Completed;
        match event {
            E::StepStarted { step, terms, attempt } if running => self.started(step, terms, attempt)?,
            E::StepDone { step, result, claim } if running => {
                self.running(&step)?.ended(StepRun::Done { result }, claim);
            }
            E::StepFailed { step, problem, effects, claim } if running => {
                self.running(&step)?.ended(StepRun::Failed { problem, effects }, claim);
            }
            E::ClaimMade { step } if running || completed => {
                let step = self.step_mut(&step).filter(|step| step.wants_claim())?;
                step.claimed = true;
                step.undo = UndoState::NotStarted;
            }
            E::ClaimFailed { step, attempt, problem, again_at } if completed => {
                let step = self.step_mut(&step).filter(|step| step.claim_attempt() == Some(attempt))?;
                step.undo = UndoState::Failed { attempt, problem, again_at };
            }
            E::Completed if running && self.unfinished().is_none() => self.phase = SagaPhase::Completed,
            E::UnwindStarted { reason } if running => self.phase = SagaPhase::Unwinding { reason },
            E::UndoDeferred { step, due, attempt } if unwinding => {
                let step = self.step_mut(&step).filter(|step| step.undo.next_attempt() == Some(attempt))?;
                step.undo = UndoState::Deferred { due, attempt };
            }
            E::UndoStarted { step, attempt, at } if unwinding => {
                let step = self.step_mut(&step).filter(|step| step.needs_undo())?;
                if step.undo.next_attempt() != Some(attempt) {
                    return None;
                }
                step.undo = UndoState::Running { attempt, since: at };
            }
            E::UndoEnded { step, attempt, result } if unwinding => {
                self.step_mut(&step)?.undo_ended(attempt, result)?;
            }
            E::StepParked { step, problem, owner, due, at_risk } if unwinding || completed => {
                let step = self.step_mut(&step).filter(|step| unwinding || step.wants_claim())?;
                if matches!(step.undo, UndoState::Over(_) | UndoState::Parked { .. }) {
                    return None;
                }
                step.undo = UndoState::Parked { problem, owner, due, at_risk };
            }
            E::StepSettled { step, undone } if !running => {
                let parked = |step: &&mut SagaStep| matches!(step.undo, UndoState::Parked { .. });
                self.step_mut(&step).filter(parked)?.undo = UndoState::Over(undone);
            }
            E::StepLate { step, result } if !running && !completed => {
                self.late(&step, result)?;
            }
            E::Ended if unwinding && self.undoing().next().is_none() => {
                self.phase = SagaPhase::Ended { reason: self.reason().to_owned() };
            }
            _ => return None,
        }
        Some(self)
    }

    fn started(&mut self, name: String, terms: StepTerms, attempt: u32) -> Option<()> {
        // The last started is undone first, so a step that runs again stands last.
        let step = match self.steps.iter().position(|step| step.name == name) {
            None if attempt == 0 => {
                let (run, undo) = (StepRun::Running, UndoState::NotStarted);
                SagaStep { name, terms, attempt, run, claim: None, claimed: false, undo, round: 0 }
            }
            None => return None,
            Some(at) => {
                let mut step = self.steps.remove(at);
                let again = !matches!(step.run, StepRun::Done { .. }) && step.terms == terms;
                if !again || step.attempt.checked_add(1) != Some(attempt) {
                    return None;
                }
                step.attempt = attempt;
                step.run = StepRun::Running;
                step
            }
        };
        self.steps.push(step);
        Some(())
    }

    /// The effect came after the undo, so it is undone under another id: the first one counts as done.
    fn late(&mut self, name: &str, result: Value) -> Option<()> {
        let at = self.steps.iter().position(|step| step.name == name && step.run == StepRun::Running)?;
        let mut step = self.steps.remove(at);
        step.run = StepRun::Done { result };
        step.undo = UndoState::NotStarted;
        step.round = step.round.checked_add(1)?;
        self.steps.push(step);
        self.phase = SagaPhase::Unwinding { reason: self.reason().to_owned() };
        Some(())
    }

    fn running(&mut self, name: &str) -> Option<&mut SagaStep> {
        self.step_mut(name).filter(|step| step.run == StepRun::Running)
    }

    fn step_mut(&mut self, name: &str) -> Option<&mut SagaStep> {
        self.steps.iter_mut().find(|step| step.name == name)
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&SagaStep> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The first step that was not done.
    #[must_use]
    pub fn unfinished(&self) -> Option<&SagaStep> {
        self.steps.iter().find(|step| !matches!(step.run, StepRun::Done { .. }))
    }

    /// Why it failed; empty if it did not.
    #[must_use]
    pub fn reason(&self) -> &str {
        match &self.phase {
            SagaPhase::Running | SagaPhase::Completed => "",
            SagaPhase::Unwinding { reason } | SagaPhase::Ended { reason } => reason,
        }
    }

    /// Whether something of it still has to be done, by its worker or by recovery.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.phase {
            SagaPhase::Running | SagaPhase::Unwinding { .. } => true,
            SagaPhase::Completed => self.steps.iter().any(SagaStep::wants_claim),
            SagaPhase::Ended { .. } => false,
        }
    }

    /// The steps that a person owns.
    pub fn parked(&self) -> impl Iterator<Item = &SagaStep> {
        self.steps.iter().filter(|step| matches!(step.undo, UndoState::Parked { .. }))
    }

    /// Steps that have to be taken back and are not, last first.
    pub(super) fn undoing(&self) -> impl Iterator<Item = &SagaStep> {
        self.steps.iter().rev().filter(|step| {
            step.needs_undo() && !matches!(step.undo, UndoState::Over(_) | UndoState::Parked { .. })
        })
    }
}

impl UndoState {
    /// The try that may begin now; `None` if none may.
    #[must_use]
    pub const fn next_attempt(&self) -> Option<u32> {
        match self {
            Self::NotStarted => Some(0),
            Self::Deferred { attempt, .. } => Some(*attempt),
            Self::Running { attempt, .. } | Self::Failed { attempt, again_at: Some(_), .. } => {
                attempt.checked_add(1)
            }
            Self::Failed { again_at: None, .. }
            | Self::Awaiting { .. }
            | Self::Over(_)
            | Self::Parked { .. } => None,
        }
    }
}

impl SagaStep {
    fn ended(&mut self, run: StepRun, claim: Option<WantedClaim>) {
        self.run = run;
        // The first claim of a payment stands.
        if self.claim.is_none() {
            self.claim = claim;
        }
    }

    fn undo_ended(&mut self, ended: u32, result: UndoResult) -> Option<()> {
        match self.undo {
            UndoState::Running { attempt, .. } | UndoState::Awaiting { attempt, .. } if attempt == ended => {}
            _ => return None,
        }
        let attempt = ended;
        self.undo = match result {
            UndoResult::Over { undone } => UndoState::Over(undone),
            UndoResult::Awaiting { what, at_risk } => UndoState::Awaiting { attempt, what, at_risk },
            UndoResult::Failed { problem, again_at } => UndoState::Failed { attempt, problem, again_at },
        };
        Some(())
    }
}

impl SagaState {
    /// The id under which a step is taken back.
    #[must_use]
    pub fn compensation(&self, step: &SagaStep) -> CompensationId {
        self.id.compensation(&step.name, step.round)
    }
}
