//! Models: a request in, a stream of events out.

mod error;
mod event;
mod fold;
mod stream;

pub use error::{ModelError, ModelErrorKind, Retry};
pub use event::{ModelEvent, ProviderItem, StopReason, Usage};
pub use fold::{Arguments, FoldError, ModelTurn, ProposedCall, TurnFold, fold_turn};
pub use stream::ModelStream;

use crate::message::Message;
use crate::tool::ToolSpec;
use async_trait::async_trait;
use bursar_types::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Something that continues a conversation.
///
/// # What implementers guarantee
/// One call is one try: retries belong to the driver, which records them. Dropping the stream stops the work. A token count
/// that the provider did not report is `None`.
#[async_trait]
pub trait Model: Send + Sync + fmt::Debug {
    /// What it is.
    fn descriptor(&self) -> &ModelDescriptor;

    /// How many requests that may have a price one call of [`stream`](Self::stream) makes at most: so many times the most that a
    /// request can cost is set aside before it. One, for a model that keeps to "one call is one try"; a model that asks others says
    /// the sum of theirs, and one around another says what that one says.
    fn attempts_max(&self) -> u32 {
        1
    }

    /// Begins a turn.
    ///
    /// # Errors
    /// [`ModelError`]; its `retry` says whether another try makes sense.
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError>;
}

const _: Option<&dyn Model> = None;

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDescriptor {
    /// Who serves it, such as `openai` or `builtin`.
    pub provider: String,
    /// Its name there.
    pub name: String,
}

impl ModelDescriptor {
    /// Names a model.
    #[must_use]
    pub fn new(provider: impl Into<String>, name: impl Into<String>) -> Self {
        Self { provider: provider.into(), name: name.into() }
    }
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// Instructions.
    pub system: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools it may call.
    pub tools: Vec<ToolSpec>,
    /// The run.
    pub run: RunId,
    /// The turn, from 0.
    pub turn: u32,
    /// A number that follows from run and turn, for backends that take a seed.
    pub seed: u64,
    /// Whether it may, must, or must not call tools in this turn.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The form that its final text must have, if one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSchema>,
    /// The most tokens that it may write in this turn, those of reasoning included. A backend hands it on under the provider's name for
    /// it; where it was itself set to less, less it is. What is set aside for the turn follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

/// Whether a model may call tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// At least one call.
    Required,
    /// None; the tools are still described, so that earlier calls can be read.
    None,
}

/// The form of a final text: JSON under a schema.
///
/// A backend that has the provider enforce it says so to the provider; one that cannot puts it into words. Either way the text is
/// checked by whoever asked: a provider's promise is not a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// Its name: letters, digits, underscores and dashes, 64 at most.
    pub name: String,
    /// JSON schema.
    pub schema: Value,
}
