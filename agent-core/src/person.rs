//! What a person says of a call whose end nobody knows.

use crate::record::{CallResult, Record};
use crate::tool::Executed;
use bursar_types::CallId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A person's answer to [`StopCause::WriteUnknown`](crate::StopCause::WriteUnknown), for
/// [`Agent::resume_with`](crate::Agent::resume_with).
///
/// # Example
/// ```
/// use bursar_agent_core::{PersonAnswer, PersonVerdict};
/// use bursar_types::CallId;
/// let call = CallId::derived(&[b"send_letter"]);
/// let sent = PersonAnswer::happened(call, "ada", "the letter is in the post");
/// let not_sent = PersonAnswer::did_not_happen(call, "ada").note("asked the post office");
/// assert_eq!(not_sent.verdict, PersonVerdict::DidNotHappen);
/// # let _ = sent;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonAnswer {
    /// The call.
    pub call: CallId,
    /// Who says it.
    pub by: String,
    /// What they say.
    pub verdict: PersonVerdict,
    /// What they add, for whoever reads it later; the model does not see it.
    pub note: Option<String>,
}

/// What a person says of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum PersonVerdict {
    /// It happened.
    Happened {
        /// What came of it, as the model is told: a JSON object in the tool's own form, or plain words.
        outcome: String,
    },
    /// It did not happen and will not any more; it is done now.
    DidNotHappen,
}

impl PersonAnswer {
    /// It happened, and this came of it.
    #[must_use]
    pub fn happened(call: CallId, by: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self { call, by: by.into(), verdict: PersonVerdict::Happened { outcome: outcome.into() }, note: None }
    }

    /// It did not happen, so the run may do it now.
    #[must_use]
    pub fn did_not_happen(call: CallId, by: impl Into<String>) -> Self {
        Self { call, by: by.into(), verdict: PersonVerdict::DidNotHappen, note: None }
    }

    /// The same with a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    pub(crate) fn into_record(self) -> Record {
        let Self { call, by, verdict, note } = self;
        Record::CallSettledByPerson { call, by, verdict, note }
    }
}

/// The result of a call of which a person said that it happened.
pub(crate) fn happened(outcome: &str) -> CallResult {
    let content = match serde_json::from_str(outcome) {
        Ok(object @ Value::Object(_)) => object,
        _ => Value::from(outcome),
    };
    CallResult { content, is_error: false, executed: Executed::Yes, answer: None, waits: None }
}
