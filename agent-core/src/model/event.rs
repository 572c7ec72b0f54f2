//! What a model says while a turn goes on.

use super::ModelDescriptor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Who answers, said by models that ask one of several.
    AnsweredBy {
        /// The model that does.
        model: ModelDescriptor,
    },
    /// A piece of the turn as the provider wrote it, to be given back intact in later turns.
    ProviderItem(ProviderItem),
    /// What the turn cost in tokens. The last one counts.
    Usage(Usage),
    /// The turn is complete.
    Finished {
        /// Why it ended.
        reason: StopReason,
    },
}

/// A piece of a turn in the provider's own form, such as a reasoning block with its signature.
///
/// Whoever made it reads it; everybody else passes it on unread. A backend that finds items of its own in an assistant's message
/// gives exactly these back to the provider, in order, and leaves the message's other parts out: so a turn holds either an item for
/// each of its pieces, or none. Another backend uses the other parts. It is data from outside: nothing in it is ever acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderItem {
    /// Provider and protocol, such as `openai.responses`.
    pub provider: String,
    /// Where it was made: the service's address, and the account as far as the backend knows it. What one account was given in
    /// encrypted or signed form is no business of another's: a backend leaves out what was made elsewhere.
    #[serde(default)]
    pub endpoint: String,
    /// The piece.
    pub payload: Value,
}

/// Tokens of one turn; `None` is what the provider did not report, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, those from a cache and those written to one included.
    pub input_tokens: Option<u64>,
    /// Tokens written, those of reasoning included.
    pub output_tokens: Option<u64>,
    /// Of the tokens read, those that came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Of the tokens read, those that were written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Of the tokens written, those of reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
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
    /// It wrote one of the texts that end a turn.
    StopSequence,
    /// It hit the length limit: whatever came last may be cut off.
    Length,
    /// The conversation grew past what the model can read.
    ContextFull,
    /// The model declined.
    Refused,
    /// The provider or a guardrail withheld what it said.
    Filtered,
    /// A guardrail changed what it said, and what is left may be used.
    Masked,
    /// It wrote a tool call that the provider could not read.
    MalformedCall,
    /// Something else: nobody knows whether it was whole.
    Other,
}

impl StopReason {
    /// Whether the tool calls of a turn that ended so are whole. Of a turn that was cut off, withheld or garbled, no call is made.
    #[must_use]
    pub const fn calls_are_whole(self) -> bool {
        match self {
            Self::EndTurn | Self::ToolCalls | Self::StopSequence | Self::Masked => true,
            Self::Length
            | Self::ContextFull
            | Self::Refused
            | Self::Filtered
            | Self::MalformedCall
            | Self::Other => false,
        }
    }
}
