//! What is said in a run, in a form that every backend can render.

use crate::tool::Executed;
use bursar_types::CallId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person, or the program, that asks.
    User,
    /// The model.
    Assistant,
    /// The driver, with the results of tool calls.
    Tool,
}

/// One message.
///
/// # Example
/// ```
/// use bursar_agent_core::{Message, Role};
/// let message = Message::text(Role::User, "Who may pay the gas?");
/// assert_eq!(message.plain_text(), "Who may pay the gas?");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// What the model said it thought.
    Reasoning {
        /// The text.
        text: String,
    },
    /// A tool call that the model asked for.
    ToolCall {
        /// Our id.
        call: CallId,
        /// The provider's id, kept beside ours for backends that want it back.
        provider_id: Option<String>,
        /// The tool's name, as the model wrote it.
        tool: String,
        /// The arguments; malformed ones as the text they came as.
        arguments: Value,
    },
    /// What came of a tool call.
    ToolResult {
        /// Our id of the call.
        call: CallId,
        /// The content for the model.
        content: Value,
        /// Whether it is an error message.
        is_error: bool,
        /// Whether the tool's work was done.
        executed: Executed,
    },
}

impl Message {
    /// A message of one text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text { text: text.into() }] }
    }

    /// Its texts, joined; reasoning and calls left out.
    #[must_use]
    pub fn plain_text(&self) -> String {
        let texts: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join("\n")
    }
}
