//! What to do about a saga now: a pure function, so that a crash between two steps loses nothing and repeats nothing.

use super::event::StepTerms;
use super::state::{SagaPhase, SagaState, UndoState};
use crate::recovery::RecoveryRules;
use bursar_types::Timestamp;

/// How long after its deadline another process takes a saga for abandoned: by then a step that began in time has ended.
pub(crate) const GRACE_MS: u64 = 15 * 60 * 1_000;

/// What to do about a saga now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaNext {
    /// Nothing: it is over.
    Over,
    /// Its steps run, and nobody else may touch it before this moment.
    Run {
        /// When it counts as abandoned.
        until: Timestamp,
    },
    /// It was completed, and these steps want money back that was not claimed yet. Each is tried now.
    Claim {
        /// The steps.
        steps: Vec<String>,
    },
    /// It was abandoned: it must be taken back.
    Unwind {
        /// Why.
        reason: String,
    },
    /// Take this step back.
    Undo {
        /// The step.
        step: String,
        /// Which try, from 0.
        attempt: u32,
    },
    /// Hand this step to a person.
    Park {
        /// The step.
        step: String,
        /// Why.
        problem: String,
    },
    /// Look whether what these steps wait for is there. Nothing else is due before `until`.
    Look {
        /// The steps, last first.
        steps: Vec<String>,
        /// When something is due; `None` if only what is awaited counts.
        until: Option<Timestamp>,
    },
    /// Every step is undone, refunded, kept or parked: say so.
    End,
}

impl SagaState {
    /// What to do now. One step is taken back after the other, last first; the next one begins when the one before is done,
    /// parked, or waits for somebody else.
    #[must_use]
    pub fn next(&self, now: Timestamp, rules: &RecoveryRules) -> SagaNext {
        match &self.phase {
            SagaPhase::Ended { .. } => {
                // Money that is parked may come back all the same, or a person says what became of it.
                let paid = self.parked().filter(|step| matches!(step.terms, StepTerms::Paid { .. }));
                let steps: Vec<_> = paid.map(|step| step.name.clone()).collect();
                return if steps.is_empty() { SagaNext::Over } else { SagaNext::Look { steps, until: None } };
            }
            SagaPhase::Completed => return self.next_claim(now),
            SagaPhase::Running => {
                let until = self.deadline.plus_ms(GRACE_MS);
                return match until <= now {
                    true => SagaNext::Unwind { reason: "it was not complete by its deadline".to_owned() },
                    false => SagaNext::Run { until },
                };
            }
            SagaPhase::Unwinding { .. } => {}
        }
        let (mut steps, mut until) = (Vec::new(), None);
        for step in self.undoing() {
            let name = step.name.clone();
            let (attempt, again_at) = match &step.undo {
                UndoState::NotStarted => return SagaNext::Undo { step: name, attempt: 0 },
                UndoState::Failed { problem, again_at: None, .. } => {
                    return SagaNext::Park { step: name, problem: problem.clone() };
                }
                UndoState::Failed { attempt, again_at: Some(again_at), .. } => (*attempt, *again_at),
                // Its worker is at it, or died: nobody can say, so it gets the time that a failed one waits.
                UndoState::Running { attempt, since } => match rules.try_again_at(*since, *attempt) {
                    Some(again_at) => (*attempt, again_at),
                    None if since.plus_ms(rules.ask_again_max_ms) <= now => {
                        let tries = attempt.saturating_add(1);
                        let problem = format!("taking it back was begun {tries} times and never ended");
                        return SagaNext::Park { step: name, problem };
                    }
                    None => {
                        until = Some(since.plus_ms(rules.ask_again_max_ms));
                        break;
                    }
                },
                UndoState::Deferred { .. } | UndoState::Awaiting { .. } => {
                    steps.push(name);
                    continue;
                }
                UndoState::Over(_) | UndoState::Parked { .. } => continue,
            };
            if again_at <= now {
                return SagaNext::Undo { step: name, attempt: attempt.saturating_add(1) };
            }
            until = Some(again_at);
            break;
        }
        // What waits for somebody else is looked at also where an earlier step has to be tried again.
        match (steps.is_empty(), until) {
            (true, None) => SagaNext::End,
            _ => SagaNext::Look { steps, until },
        }
    }

    /// What to do about a completed saga: claiming what its steps want back, as often as the rules say.
    fn next_claim(&self, now: Timestamp) -> SagaNext {
        let (mut steps, mut until) = (Vec::new(), None);
        for step in self.steps.iter().filter(|step| step.wants_claim()) {
            match &step.undo {
                UndoState::Failed { problem, again_at: None, .. } => {
                    return SagaNext::Park { step: step.name.clone(), problem: problem.clone() };
                }
                UndoState::Failed { again_at: Some(again_at), .. } if *again_at > now => {
                    until = Some(until.map_or(*again_at, |other: Timestamp| other.min(*again_at)));
                }
                _ => steps.push(step.name.clone()),
            }
        }
        match (steps.is_empty(), until) {
            (false, _) => SagaNext::Claim { steps },
            (true, None) => SagaNext::Over,
            (true, until) => SagaNext::Look { steps, until },
        }
    }
}
