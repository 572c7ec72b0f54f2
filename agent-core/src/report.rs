//! What a run gives back.

use crate::record::{Answer, RecordEntry, RecordError};
use crate::run::{ApplyError, Run, UsageTotal};
use crate::stop::StopCause;
use crate::task::TaskError;
use bursar_types::{Amount, CallId, Journal, JournalError, MeterError, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use]
pub enum RunOutcome {
    /// With an answer.
    Answered {
        /// The answer.
        answer: Answer,
    },
    /// Without one.
    Stopped {
        /// Why.
        cause: StopCause,
    },
}

/// A run that has ended, or stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub outcome: RunOutcome,
    /// How many turns the model had.
    pub turns: u32,
    /// How many tool calls it asked for.
    pub calls: u32,
    /// Tokens.
    pub usage: UsageTotal,
    /// What the model cost, in micro-USD, all its tries; zero for a model without [prices](crate::AgentBuilder::prices).
    pub model_cost: Amount,
}

/// The run ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("run {run} has no answer: {cause}")]
pub struct NoAnswer {
    /// The run.
    pub run: RunId,
    /// Why.
    pub cause: StopCause,
}

impl RunReport {
    /// The answer's text.
    ///
    /// # Errors
    /// [`NoAnswer`] says why there is none.
    pub fn answer(&self) -> Result<&str, NoAnswer> {
        match &self.outcome {
            RunOutcome::Answered { answer } => Ok(&answer.text),
            RunOutcome::Stopped { cause } => Err(NoAnswer { run: self.run, cause: cause.clone() }),
        }
    }

    /// Whether `resume` goes on from here.
    #[must_use]
    pub const fn can_go_on(&self) -> bool {
        match &self.outcome {
            RunOutcome::Answered { .. } => false,
            RunOutcome::Stopped { cause } => cause.can_go_on(),
        }
    }

    /// What the tool that ended the run added, such as citations.
    #[must_use]
    pub const fn details(&self) -> Option<&Value> {
        match &self.outcome {
            RunOutcome::Answered { answer } => Some(&answer.details),
            RunOutcome::Stopped { .. } => None,
        }
    }
}

/// Why a run could not be driven to its end. Its records stand; `resume` goes on from them unless the variant says otherwise.
#[derive(Debug, Error)]
pub enum RunError {
    /// A tool may spend and the run has no purse. Nothing was recorded.
    #[error("tool `{tool}` may spend, and the run has no purse")]
    SpendWithoutPurse {
        /// The tool.
        tool: String,
    },
    /// Another worker continues this run; this one must stop.
    #[error("another worker goes on with run {run}{}", .by.as_ref().map(|by| format!(": {by}")).unwrap_or_default())]
    Fenced {
        /// The run.
        run: RunId,
        /// Who, if that could be read.
        by: Option<String>,
    },
    /// The task is too large. Nothing was recorded.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A person answered for a call that does not wait for a person. Nothing was recorded.
    #[error("call {call} of run {run} does not wait for a person")]
    NotOpen {
        /// The run.
        run: RunId,
        /// The call.
        call: CallId,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(JournalError),
    /// What the model costs could not be counted. What was set aside is settled when the run goes on.
    #[error(transparent)]
    Meter(#[from] MeterError),
    /// A record could not be written as JSON.
    #[error("record cannot be written")]
    Encode(#[source] serde_json::Error),
    /// A stored record could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A stored record cannot follow those before it.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// There is no such run.
    #[error("there is no run {run}")]
    NotFound {
        /// The run.
        run: RunId,
    },
    /// The run was begun under other instructions, tools, or another model or session.
    #[error("run {run} was begun under other settings: {difference}")]
    OtherSettings {
        /// The run.
        run: RunId,
        /// What differs.
        difference: &'static str,
    },
}

/// Reads a run back from the journal: its state, and its records for whoever shows them.
///
/// # Errors
/// [`RunError::NotFound`], or what is wrong with its records.
pub async fn read_run(journal: &dyn Journal, run: RunId) -> Result<(Run, Vec<RecordEntry>), RunError> {
    let stored = journal.read(run, 0).await.map_err(RunError::Journal)?;
    let mut state: Option<Run> = None;
    let mut entries = Vec::with_capacity(stored.len());
    for stored in &stored {
        let entry = RecordEntry::decode(stored)?;
        match &mut state {
            None => state = Some(Run::begin(&entry.record)?),
            Some(state) => state.apply(&entry.record)?,
        }
        entries.push(entry);
    }
    state.map(|state| (state, entries)).ok_or(RunError::NotFound { run })
}
