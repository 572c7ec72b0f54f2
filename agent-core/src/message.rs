//! What is said in a run, in a form that every backend can render.

use crate::model::ProviderItem;
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
    /// A picture or a document. Only in a user's message.
    Media(Media),
    /// A piece of an assistant's message in its provider's own form: see [`ProviderItem`].
    ProviderItem(ProviderItem),
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

/// A picture or a document for a model to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Its media type, such as `image/png` or `application/pdf`.
    pub media_type: String,
    /// A file name, for documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its bytes in base64, standard alphabet with padding.
    pub data: String,
}

impl Media {
    /// Whether it is a picture; anything else goes to the model as a document.
    #[must_use]
    pub fn is_image(&self) -> bool {
        self.media_type.starts_with("image/")
    }
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
