//! One remedy and how far it is: recorded before each try and after.

use crate::recovery::RecoveryRules;
use bursar_types::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// It was tried as often as it may be, and nobody can say whether a try arrived.
    GivenUp {
        /// Why.
        problem: String,
    },
    /// It was refused, or is not possible at all: nothing comes of it.
    Refused {
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
            Self::Failed { .. } | Self::Done { .. } | Self::GivenUp { .. } | Self::Refused { .. } => None,
        }
    }

    /// Whether nothing more is done about it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::GivenUp { .. } | Self::Refused { .. })
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
    /// It was refused, or is not possible at all.
    Refused {
        /// Why.
        problem: String,
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
            Self::Refused { problem } => Step::Refused { problem },
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
    match may_be_repeated {
        true => StepResult::Failed { problem, again_at: rules.try_again_at(now, attempt) },
        false => StepResult::Refused { problem },
    }
}
