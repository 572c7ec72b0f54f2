//! What a tool gives back.

use crate::record::Answer;
use bursar_types::{ApprovalId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Whether a tool's work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// Nothing happened.
    No,
    /// It happened.
    Yes,
    /// Nobody can say: look before doing it again.
    Unknown,
}

/// Why a tool gave no result.
///
/// # Example
/// ```
/// use bursar_agent_core::{Executed, ToolError};
/// let error = ToolError::not_executed("no such quote `quo_1`; call get_quotes first");
/// assert_eq!(error.executed(), Executed::No);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ToolError {
    message: String,
    executed: Executed,
    #[serde(default)]
    interrupted: bool,
}

impl ToolError {
    /// Nothing happened.
    #[must_use]
    pub fn not_executed(message: impl Into<String>) -> Self {
        Self { message: message.into(), executed: Executed::No, interrupted: false }
    }

    /// It happened, and yet there is no result.
    #[must_use]
    pub fn executed_without_result(message: impl Into<String>) -> Self {
        Self { message: message.into(), executed: Executed::Yes, interrupted: false }
    }

    /// Nobody can say whether it happened.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { message: message.into(), executed: Executed::Unknown, interrupted: false }
    }

    /// It stopped half-way because the run was cancelled or its time is over, and the same call goes on with it. Of a run that goes on
    /// all the same, it is as [`ToolError::unknown`].
    #[must_use]
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { message: message.into(), executed: Executed::Unknown, interrupted: true }
    }

    /// Whether it says that the same call goes on with it.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// What the model is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the work was done.
    #[must_use]
    pub const fn executed(&self) -> Executed {
        self.executed
    }
}

/// What a call waits for: a question that somebody has to answer first. Nothing of what was asked about was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The question.
    pub approval: ApprovalId,
    /// After this moment no answer counts.
    pub until: Timestamp,
}

/// A tool's result; it may end the run.
///
/// # Example
/// ```
/// use bursar_agent_core::ToolOutput;
/// let output = ToolOutput::finish("ERC-3009.").with_details(serde_json::json!({"citations": []}));
/// assert_eq!(output.answer().map(|answer| answer.text.as_str()), Some("ERC-3009."));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    pub(crate) content: Value,
    pub(crate) answer: Option<Answer>,
    pub(crate) waits: Option<Waits>,
}

impl ToolOutput {
    /// A result for the model; the run goes on.
    #[must_use]
    pub const fn value(content: Value) -> Self {
        Self { content, answer: None, waits: None }
    }

    /// Ends the run with this answer. Calls of the same turn that come after it are not made.
    #[must_use]
    pub fn finish(answer: impl Into<String>) -> Self {
        let answer = Answer { text: answer.into(), details: Value::Null };
        Self { content: Value::String("the run is finished".into()), answer: Some(answer), waits: None }
    }

    /// The same, with details of the answer such as citations; without an answer, it becomes the content.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        match &mut self.answer {
            Some(answer) => answer.details = details,
            None => self.content = details,
        }
        self
    }

    /// The same of a call that did nothing because it waits for an answer. The model is told the content, or the run stands still
    /// until it is resumed and then makes the call again: see [`OnQuestion`](crate::OnQuestion).
    #[must_use]
    pub const fn waiting(mut self, approval: ApprovalId, until: Timestamp) -> Self {
        self.waits = Some(Waits { approval, until });
        self
    }

    /// What the model is told.
    #[must_use]
    pub const fn content(&self) -> &Value {
        &self.content
    }

    /// What it waits for, if it does.
    #[must_use]
    pub const fn waits(&self) -> Option<Waits> {
        self.waits
    }

    /// The answer that ends the run, if it does.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }
}

/// What a tool may return: anything that serialises, or a [`ToolOutput`].
pub trait IntoToolOutput: Send {
    /// The result for the driver.
    ///
    /// # Errors
    /// [`ToolError`] with [`Executed::Yes`] if the value cannot be written as JSON.
    fn into_tool_output(self) -> Result<ToolOutput, ToolError>;
}

impl<T: Serialize + Send> IntoToolOutput for T {
    fn into_tool_output(self) -> Result<ToolOutput, ToolError> {
        serde_json::to_value(self)
            .map(ToolOutput::value)
            .map_err(|error| ToolError::executed_without_result(format!("result cannot be written: {error}")))
    }
}

impl IntoToolOutput for ToolOutput {
    fn into_tool_output(self) -> Result<ToolOutput, ToolError> {
        Ok(self)
    }
}
