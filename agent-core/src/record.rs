//! What a run leaves in the journal.

use crate::agent::Limits;
use crate::compact::Compaction;
use crate::context::Under;
use crate::message::{Media, Message};
use crate::model::{ModelErrorKind, ModelTurn, OutputSchema, Retry, Usage};
use crate::person::PersonVerdict;
use crate::prompt::PromptMark;
use crate::stop::StopCause;
use crate::tool::{Executed, ToolError, ToolOutput, Waits};
use crate::warning::Problem;
use bursar_types::telemetry::TraceContext;
use bursar_types::{
    Amount, CallId, Decision, Digest, Effect, JournalRecord, Reason, RunId, SessionId, StoredRecord,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The form of the payloads; another number is not read.
const FORM: u32 = 1;

/// One thing that happened in a run. The state is the fold of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the large one is written once in a run")]
pub enum Record {
    /// The run began.
    Started {
        /// The run.
        run: RunId,
        /// The session it spends in.
        session: SessionId,
        /// What was asked.
        question: String,
        /// What there was to look at beside the question.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        media: Vec<Media>,
        /// The form that the answer must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<OutputSchema>,
        /// Digest of model name, instructions and tools; a run goes on only under the same.
        settings: Digest,
        /// Which instructions it was begun under, if they are from a file with a version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<PromptMark>,
        /// Its limits.
        limits: Limits,
        /// Its tools and what they do to the world.
        tools: BTreeMap<String, Effect>,
        /// Those of its tools that may be asked the same again and again, because they wait for something.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        polls: BTreeSet<String>,
        /// Whether there is a cheaper model for when little is left of a budget.
        #[serde(default, skip_serializing_if = "is_no")]
        has_cheaper: bool,
        /// Which call of which run it works for, if it is a sub-agent's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under: Option<Under>,
        /// When it began; its time counts from here.
        at: Timestamp,
        /// The trace that its spans are in, if anything traced it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<TraceContext>,
    },
    /// A worker took the run up again. From here on every other worker is fenced off.
    Resumed {
        /// Who, as the worker names itself.
        worker: String,
        /// For how long nobody had worked on it. This is not the run's time.
        idle_ms: u64,
        /// Whether calls that were allowed before, and have not begun, are decided again. Journals from before this was so have it not.
        #[serde(default)]
        decides_anew: bool,
        /// The trace that its spans are in from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<TraceContext>,
    },
    /// The model is about to be called.
    ModelRequested {
        /// The turn, from 0.
        turn: u32,
        /// The try, from 0.
        attempt: u32,
        /// Whether it is the cheaper model, because little is left of a budget.
        #[serde(default, skip_serializing_if = "is_no")]
        cheaper: bool,
        /// The most that it may cost, in micro-USD; `None` if it has no price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<Amount>,
        /// Whether it is asked to sum up what was done so far, and not for its turn.
        #[serde(default, skip_serializing_if = "is_no")]
        summary: bool,
    },
    /// The conversation was made shorter. What is gone of it stands in the records before this one.
    Compacted {
        /// How.
        how: Compaction,
        /// The whole conversation as it is from here on.
        messages: Vec<Message>,
        /// Tokens that it took.
        usage: Usage,
        /// What it cost, in micro-USD, if a model with a price was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Amount>,
    },
    /// The model was not called: its most does not fit into a budget, or nothing may be spent.
    ModelWithheld {
        /// The turn.
        turn: u32,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// A try that has neither an answer nor a failure was settled: nobody knows what it cost, so all that was set aside counts.
    ModelCharged {
        /// The turn.
        turn: u32,
        /// What it cost, in micro-USD.
        cost: Amount,
    },
    /// The model answered.
    ModelReplied {
        /// The turn.
        turn: u32,
        /// What it said.
        reply: ModelTurn,
        /// What it cost, in micro-USD: as reported, or all that was set aside. `None` if it has no price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Amount>,
    },
    /// The model failed.
    ModelFailed {
        /// The turn.
        turn: u32,
        /// What kind of failure.
        kind: ModelErrorKind,
        /// In words.
        message: String,
        /// Whether another try makes sense.
        retry: Retry,
        /// What it cost, in micro-USD: nothing if the provider turned it away, else all that was set aside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Amount>,
    },
    /// The user said something in the middle of the run. The model hears it with its next turn.
    Steered {
        /// Who said it.
        by: String,
        /// What.
        text: String,
    },
    /// The driver told the model that it cannot go on like this.
    Warned {
        /// Why.
        problem: Problem,
        /// What the model was told.
        message: String,
    },
    /// The gate decided on a call; a gate that could not decide counts as a denial.
    CallDecided {
        /// The call.
        call: CallId,
        /// The decision.
        decision: Decision,
    },
    /// What came of asking a person about a call that the gate escalated.
    CallAnswered {
        /// The call.
        call: CallId,
        /// What holds for it now: an allow after a yes, a denial after a no; the escalation itself if nobody answered.
        decision: Decision,
        /// The question that it waits for, if nobody answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits: Option<Waits>,
    },
    /// A tool is about to be called.
    CallStarted {
        /// The call.
        call: CallId,
        /// The try, from 0: more than one only for what may be called again after a crash.
        attempt: u32,
    },
    /// The tool proved that a call that was started did not happen, so it may be started again.
    CallCleared {
        /// The call.
        call: CallId,
    },
    /// A person said what came of a call that was started and has no result.
    CallSettledByPerson {
        /// The call.
        call: CallId,
        /// Who said it.
        by: String,
        /// What they said.
        verdict: PersonVerdict,
        /// What they added, for whoever reads it later; the model does not see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A call has its result, whether or not a tool ran.
    CallFinished {
        /// The call.
        call: CallId,
        /// The result.
        result: CallResult,
    },
    /// The run ended with an answer.
    Finished {
        /// The answer.
        answer: Answer,
    },
    /// The run ended without one, or stands still until it is taken up again: see [`StopCause::can_go_on`].
    Stopped {
        /// Why.
        cause: StopCause,
    },
}

impl Record {
    /// Short name of the kind, as in the journal.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "run_started",
            Self::Resumed { .. } => "run_resumed",
            Self::ModelRequested { .. } => "model_requested",
            Self::Compacted { .. } => "run_compacted",
            Self::ModelWithheld { .. } => "model_withheld",
            Self::ModelCharged { .. } => "model_charged",
            Self::ModelReplied { .. } => "model_replied",
            Self::ModelFailed { .. } => "model_failed",
            Self::Steered { .. } => "run_steered",
            Self::Warned { .. } => "model_warned",
            Self::CallDecided { .. } => "call_decided",
            Self::CallAnswered { .. } => "call_answered",
            Self::CallStarted { .. } => "call_started",
            Self::CallCleared { .. } => "call_cleared",
            Self::CallSettledByPerson { .. } => "call_settled_by_person",
            Self::CallFinished { .. } => "call_finished",
            Self::Finished { .. } => "run_finished",
            Self::Stopped { .. } => "run_stopped",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

/// What a run ends with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The answer, for a person.
    pub text: String,
    /// What the tool that ended the run added, such as citations; null if nothing.
    pub details: Value,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// What the model is told.
    pub content: Value,
    /// Whether it is an error message.
    pub is_error: bool,
    /// Whether the tool's work was done.
    pub executed: Executed,
    /// The answer, if the call ends the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// What the call waits for, if it did nothing because it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

impl From<Result<ToolOutput, ToolError>> for CallResult {
    fn from(result: Result<ToolOutput, ToolError>) -> Self {
        match result {
            Ok(ToolOutput { content, answer, waits }) => {
                Self { content, is_error: false, executed: Executed::Yes, answer, waits }
            }
            Err(error) => Self {
                content: Value::String(error.message().to_owned()),
                is_error: true,
                executed: error.executed(),
                answer: None,
                waits: None,
            },
        }
    }
}

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordEntry {
    /// Its position in the run, from 0.
    pub sequence: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

/// Why a stored record cannot be read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Its payload was erased.
    #[error("record {sequence} was erased")]
    Erased {
        /// Its position.
        sequence: u64,
    },
    /// Its payload is not one of ours.
    #[error("record {sequence} cannot be read")]
    Json {
        /// Its position.
        sequence: u64,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It was written in another form.
    #[error("record {sequence} has form {form}; this version reads form 1")]
    Form {
        /// Its position.
        sequence: u64,
        /// Its form.
        form: u32,
    },
}

#[derive(Deserialize)]
struct Form {
    form: u32,
}

#[derive(Serialize, Deserialize)]
struct Envelope<R> {
    form: u32,
    at: Timestamp,
    record: R,
}

impl RecordEntry {
    /// Writes a record for the journal.
    ///
    /// # Errors
    /// `serde_json::Error` if it cannot be written.
    pub(crate) fn encode(record: &Record, at: Timestamp) -> Result<JournalRecord, serde_json::Error> {
        let payload = serde_json::to_vec(&Envelope { form: FORM, at, record })?.into();
        Ok(JournalRecord { kind: record.kind().to_owned(), payload })
    }

    /// Reads a record of the journal.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(stored: &StoredRecord) -> Result<Self, RecordError> {
        let sequence = stored.sequence;
        let payload = stored.payload.as_ref().ok_or(RecordError::Erased { sequence })?;
        let json = |source| RecordError::Json { sequence, source };
        let Form { form } = serde_json::from_slice(payload).map_err(json)?;
        if form != FORM {
            return Err(RecordError::Form { sequence, form });
        }
        let Envelope { at, record, .. } = serde_json::from_slice(payload).map_err(json)?;
        Ok(Self { sequence, at, record })
    }
}
