//! How a saga stands, in words that a person can act on.

use super::event::{OnFailure, StepTerms, Undone};
use super::id::SagaId;
use super::state::{SagaPhase, SagaState, SagaStep, StepRun, UndoState};
use bursar_types::{Amount, Timestamp};
use std::fmt;

/// How a saga ended, or where it stands. A saga that failed is never simply done: each step says what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaEnd {
    /// It goes forward.
    Running,
    /// Every step was done.
    Completed,
    /// It failed, and is taken back: something is tried again, or money that was asked back is awaited.
    Unwinding,
    /// It failed, and every step is undone, refunded or kept.
    Compensated,
    /// It failed, and something is at risk: a person owns it.
    Parked,
}

/// A saga, as its caller and its owner see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaReport {
    /// The saga.
    pub saga: SagaId,
    /// Its name in the session.
    pub name: String,
    /// How it ended, or where it stands.
    pub end: SagaEnd,
    /// Why it failed; empty if it did not.
    pub reason: String,
    /// Who looks after what stays open.
    pub owner: String,
    /// When no step may start any more.
    pub deadline: Timestamp,
    /// Its steps, in the order in which they ran.
    pub steps: Vec<StepReport>,
}

/// One step of a saga, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// The step.
    pub name: String,
    /// The whole of it.
    pub step: SagaStep,
}

impl SagaReport {
    /// Reads it off a state.
    #[must_use]
    pub fn of(state: &SagaState) -> Self {
        let end = match &state.phase {
            SagaPhase::Running => SagaEnd::Running,
            SagaPhase::Completed => SagaEnd::Completed,
            SagaPhase::Unwinding { .. } => SagaEnd::Unwinding,
            SagaPhase::Ended { .. } if state.parked().next().is_some() => SagaEnd::Parked,
            SagaPhase::Ended { .. } => SagaEnd::Compensated,
        };
        let steps = state.steps.iter();
        Self {
            saga: state.id,
            name: state.name.clone(),
            end,
            reason: state.reason().to_owned(),
            owner: state.owner.clone(),
            deadline: state.deadline,
            steps: steps.map(|step| StepReport { name: step.name.clone(), step: step.clone() }).collect(),
        }
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&SagaStep> {
        self.steps.iter().find(|report| report.name == name).map(|report| &report.step)
    }

    /// What is at risk, with whoever owns it and by when: one for each parked step. An amount of `None` is no money.
    pub fn at_risk(&self) -> impl Iterator<Item = (&str, Option<&Amount>, &str, Timestamp)> {
        self.steps.iter().filter_map(|report| match &report.step.undo {
            UndoState::Parked { owner, due, at_risk, .. } => {
                Some((report.name.as_str(), at_risk.as_ref(), owner.as_str(), *due))
            }
            _ => None,
        })
    }
}

impl fmt::Display for SagaReport {
    /// One line for the saga and one for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            SagaEnd::Running => "runs",
            SagaEnd::Completed => "was completed",
            SagaEnd::Unwinding => "failed and is being taken back",
            SagaEnd::Compensated => "failed and was taken back",
            SagaEnd::Parked => "failed, and a person has to look after it",
        };
        write!(f, "saga `{}` {end}", self.name)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

impl fmt::Display for StepReport {
    /// One sentence about the step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.step.run {
            StepRun::Running => f.write_str("began, and nobody knows whether it was done")?,
            StepRun::Done { .. } => f.write_str("was done")?,
            StepRun::Failed { problem, .. } => write!(f, "failed ({problem})")?,
        }
        match &self.step.undo {
            UndoState::NotStarted if !self.step.needs_undo() => Ok(()),
            UndoState::NotStarted => match &self.step.terms {
                StepTerms::Paid { on_failure: OnFailure::Keep, .. } => {
                    f.write_str("; if the saga fails, it is kept")
                }
                _ => f.write_str("; not taken back"),
            },
            UndoState::Deferred { due, .. } => {
                write!(f, "; waits until {due} for a process that can take it back")
            }
            UndoState::Running { attempt, .. } => {
                write!(f, "; is being taken back (try {})", attempt.saturating_add(1))
            }
            UndoState::Failed { problem, again_at: Some(at), .. } => {
                write!(f, "; taking it back failed ({problem}) and is tried again at {at}")
            }
            UndoState::Failed { problem, .. } => write!(f, "; taking it back failed ({problem})"),
            UndoState::Awaiting { what, .. } => write!(f, "; {what}"),
            UndoState::Over(undone) => write!(f, "; {undone}"),
            UndoState::Parked { problem, owner, due, at_risk } => {
                write!(f, "; open: {problem}; {owner} looks after it until {due}")?;
                match at_risk {
                    Some(amount) => write!(f, "; at risk: {}", units(amount)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compensated { answer } => write!(f, "taken back ({answer})"),
            Self::NotPaid { proof } => write!(f, "nothing was paid ({proof})"),
            Self::Refunded { amount, price } => {
                write!(f, "refunded {} of {}", units(amount), units(price))
            }
            Self::Kept { price, problem } => {
                write!(f, "paid {} and kept in the library, where a later run finds it", units(price))?;
                match problem {
                    Some(problem) => write!(f, "; nobody gives the money back ({problem})"),
                    None => Ok(()),
                }
            }
            Self::NotOurs { payment } => write!(f, "paid by another purchase of the same ({payment})"),
            Self::ByPerson { by, reason } => write!(f, "settled by {by}: {reason}"),
        }
    }
}

/// An amount without its asset's name: a registry is needed for that.
fn units(amount: &Amount) -> String {
    format!("{} atomic units", amount.atomic())
}
