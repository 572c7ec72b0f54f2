//! How a saga stands, in words that a person can act on.

use super::event::Undone;
use super::id::SagaId;
use super::state::{SagaPhase, SagaState, SagaStep, StepRun, UndoState};
use bursar_types::{Amount, AssetRegistry, Timestamp};
use std::fmt;

/// How a saga ended, or where it stands. A saga that failed is never simply done: each step says what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaEnd {
    /// It goes forward.
    Running,
    /// Every step was done. What a step wanted back may be with a person all the same: see [`SagaReport::at_risk`].
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

impl SagaReport {
    /// What happened, in sentences with amounts as a person reads them: one line for the saga and one for each step.
    #[must_use]
    pub fn describe(&self, registry: &AssetRegistry) -> String {
        self.sentences(&|amount| registry.display(amount).to_string())
    }

    fn sentences(&self, show: Show<'_>) -> String {
        let end = match self.end {
            SagaEnd::Running => "runs",
            SagaEnd::Completed => "was completed",
            SagaEnd::Unwinding => "failed and is being taken back",
            SagaEnd::Compensated => "failed and was taken back",
            SagaEnd::Parked => "failed, and a person has to look after it",
        };
        let why = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let mut lines = vec![format!("saga `{}` {end}{why}", self.name)];
        lines.extend(self.steps.iter().map(|step| format!("  {}", step.sentence(show))));
        lines.join("\n")
    }
}

impl fmt::Display for SagaReport {
    /// As [`SagaReport::describe`] tells it, with amounts in atomic units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences(&atomic))
    }
}

/// How an amount is written.
type Show<'a> = &'a dyn Fn(&Amount) -> String;

/// An amount without its asset's name: a registry is needed for that.
fn atomic(amount: &Amount) -> String {
    format!("{} atomic units", amount.atomic())
}

impl StepReport {
    /// What became of the step, in a sentence with amounts as a person reads them.
    #[must_use]
    pub fn describe(&self, registry: &AssetRegistry) -> String {
        self.sentence(&|amount| registry.display(amount).to_string())
    }

    /// The same, with amounts as `show` writes them.
    #[must_use]
    pub fn describe_with(&self, show: impl Fn(&Amount) -> String) -> String {
        self.sentence(&show)
    }

    fn sentence(&self, show: Show<'_>) -> String {
        let run = match &self.step.run {
            StepRun::Running => "began, and nobody knows whether it was done".to_owned(),
            StepRun::Done { .. } => "was done".to_owned(),
            StepRun::Failed { problem, .. } => format!("failed ({problem})"),
        };
        let undo = match &self.step.undo {
            UndoState::NotStarted => None,
            UndoState::Deferred { due, .. } => {
                Some(format!("it waits until {due} for a process that can take it back"))
            }
            UndoState::Running { attempt, .. } => {
                Some(format!("it is being taken back (try {})", attempt.saturating_add(1)))
            }
            UndoState::Failed { problem, again_at: Some(at), .. } => {
                Some(format!("taking it back failed ({problem}) and is tried again at {at}"))
            }
            UndoState::Failed { problem, .. } => Some(format!("taking it back failed ({problem})")),
            UndoState::Awaiting { what, .. } => Some(what.clone()),
            UndoState::Over(undone) => Some(undone.sentence(show)),
            UndoState::Parked { problem, owner, due, at_risk } => {
                let risk = at_risk.as_ref().map(|amount| format!("{} are at risk; ", show(amount)));
                let risk = risk.unwrap_or_default();
                Some(format!("{risk}{owner} looks after it until {due}: {problem}"))
            }
        };
        match undo {
            Some(undo) => format!("{}: {run}; {undo}", self.name),
            None => format!("{}: {run}", self.name),
        }
    }
}

impl fmt::Display for StepReport {
    /// As [`StepReport::describe`] tells it, with amounts in atomic units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(&atomic))
    }
}

impl Undone {
    fn sentence(&self, show: Show<'_>) -> String {
        match self {
            Self::Compensated { answer } => format!("it was taken back ({answer})"),
            Self::NotPaid { proof } => format!("nothing was paid ({proof})"),
            Self::Refunded { amount, price } if amount == price => {
                format!("all of {} came back, and was seen to", show(price))
            }
            Self::Refunded { amount, price } => {
                format!("{} of {} came back, and was seen to", show(amount), show(price))
            }
            Self::Kept { price, problem: None } => {
                format!("{} were paid, and it is kept in the library, as the step said", show(price))
            }
            Self::Kept { price, problem: Some(problem) } => format!(
                "{} were paid, and it is kept in the library, since nobody gives the money back ({problem})",
                show(price)
            ),
            Self::NotOurs { payment } => format!("another purchase of the same paid for it ({payment})"),
            Self::ByPerson { by, reason } => format!("{by} settled it: {reason}"),
        }
    }
}
