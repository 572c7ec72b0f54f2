//! Models: a request in, a stream of events out.

mod fold;

pub use fold::{Arguments, FoldError, ModelTurn, ProposedCall, TurnFold, fold_turn};

use crate::message::Message;
use crate::tool::ToolSpec;
use async_trait::async_trait;
use bursar_types::RunId;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use thiserror::Error;

/// Something that continues a conversation.
///
/// # What implementers guarantee
/// One call is one try: retries belong to the driver, which records them. Dropping the stream stops the work. A token count
/// that the provider did not report is `None`.
#[async_trait]
pub trait Model: Send + Sync + fmt::Debug {
    /// What it is.
    fn descriptor(&self) -> &ModelDescriptor;

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
}

/// One event of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelEvent {
    /// The next piece of text.
    TextDelta {
        /// The piece.
        text: String,
    },
    /// The next piece of reasoning.
    ReasoningDelta {
        /// The piece.
        text: String,
    },
    /// A tool call begins.
    ToolCallStarted {
        /// The call's number in this turn; each is used once.
        index: u32,
        /// The provider's id.
        provider_id: Option<String>,
        /// The tool's name, as the model wrote it.
        tool: String,
    },
    /// The next piece of a tool call's arguments.
    ToolArgumentsDelta {
        /// The call's number.
        index: u32,
        /// The piece of JSON text.
        fragment: String,
    },
    /// What the turn cost in tokens. The last one counts.
    Usage(Usage),
    /// The turn is complete.
    Finished {
        /// Why it ended.
        reason: StopReason,
    },
}

/// Tokens of one turn; `None` is what the provider did not report, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// It said what it had to say.
    EndTurn,
    /// It waits for tool results.
    ToolCalls,
    /// It hit the length limit.
    Length,
    /// The provider withheld the rest.
    Filtered,
    /// Something else.
    Other,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The key is missing or wrong.
    Authentication,
    /// Too many requests, or no quota left.
    RateLimited,
    /// The conversation does not fit.
    TooLong,
    /// The provider refused the request as it stands.
    Refused,
    /// The provider failed.
    Provider,
    /// The network failed.
    Network,
    /// The turn took longer than its limit.
    TimedOut,
    /// The answer did not follow the protocol.
    Protocol,
    /// A scripted or recorded model has nothing more to say.
    Exhausted,
}

/// Whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// No.
    Never,
    /// Yes, after so many milliseconds.
    After {
        /// Milliseconds to wait.
        ms: u64,
    },
}

/// A model failed.
///
/// # Example
/// ```
/// use bursar_agent_core::{ModelError, ModelErrorKind, Retry};
/// let error = ModelError::new(ModelErrorKind::RateLimited, "429").retry(Retry::After { ms: 500 });
/// assert_eq!(error.retry, Retry::After { ms: 500 });
/// ```
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ModelError {
    /// What kind of failure.
    pub kind: ModelErrorKind,
    /// Whether another try makes sense.
    pub retry: Retry,
    /// In words; no prompts and no keys.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ModelError {
    /// A failure that is not tried again.
    #[must_use]
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { kind, retry: Retry::Never, message: message.into(), source: None }
    }

    /// The same with advice on another try.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// The events of one turn.
pub struct ModelStream(Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>);

impl ModelStream {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Result<ModelEvent, ModelError>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// A stream of events that are all here already.
    #[must_use]
    pub fn ready(events: Vec<ModelEvent>) -> Self {
        Self::new(Ready(events.into_iter()))
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl fmt::Debug for ModelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelStream")
    }
}

impl Stream for ModelStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

struct Ready(std::vec::IntoIter<ModelEvent>);

impl Stream for Ready {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
