//! What a run is asked.

use crate::message::{Media, Message, Part, Role};
use thiserror::Error;

/// How many pictures and documents a task may carry.
const MEDIA_MAX: usize = 16;
/// How many bytes of base64 they may have together: 18 MB of content.
const MEDIA_BYTES_MAX: usize = 24 << 20;
/// How long the text may be.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a run is asked: a text, and pictures or documents to look at.
///
/// # Example
/// ```
/// use bursar_agent_core::{Media, Task};
/// let map = Media { media_type: "image/png".into(), name: None, data: "iVBORw0KGgo=".into() };
/// let task = Task::new("Where is this?").with_media(map);
/// assert_eq!(task.text, "Where is this?");
/// assert!(task.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The question.
    pub text: String,
    /// What to look at: 16 pieces at most, 24 MiB of base64 together.
    pub media: Vec<Media>,
}

/// A run cannot be begun with this task; nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskError {
    /// The text is too long.
    #[error(
        "the question has {bytes} bytes where {TEXT_BYTES_MAX} are allowed; put long texts where a tool can read them"
    )]
    Text {
        /// How long it is.
        bytes: usize,
    },
    /// There are too many pieces.
    #[error("the task has {count} pictures and documents where {MEDIA_MAX} are allowed")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// They are too large.
    #[error("pictures and documents have {bytes} bytes of base64 where {MEDIA_BYTES_MAX} are allowed")]
    Bytes {
        /// How large they are together.
        bytes: usize,
    },
    /// One is not base64.
    #[error("piece {index} of the task is not base64")]
    NotBase64 {
        /// Which, from 0.
        index: usize,
    },
}

impl Task {
    /// A question without anything to look at.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), media: Vec::new() }
    }

    /// The same with one more thing to look at.
    #[must_use]
    pub fn with_media(mut self, media: Media) -> Self {
        self.media.push(media);
        self
    }

    /// Whether a run can be begun with it.
    ///
    /// # Errors
    /// [`TaskError`] says what is too large.
    pub fn check(&self) -> Result<(), TaskError> {
        let (count, bytes) = (self.media.len(), self.text.len());
        if bytes > TEXT_BYTES_MAX {
            return Err(TaskError::Text { bytes });
        }
        if count > MEDIA_MAX {
            return Err(TaskError::Count { count });
        }
        let bytes = self.media.iter().map(|media| media.data.len()).fold(0, usize::saturating_add);
        if bytes > MEDIA_BYTES_MAX {
            return Err(TaskError::Bytes { bytes });
        }
        match self.media.iter().position(|media| !is_base64(&media.data)) {
            Some(index) => Err(TaskError::NotBase64 { index }),
            None => Ok(()),
        }
    }
}

impl<T: Into<String>> From<T> for Task {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// The first message of a conversation.
pub(crate) fn first_message(text: &str, media: &[Media]) -> Message {
    let mut message = Message::text(Role::User, text);
    message.parts.extend(media.iter().cloned().map(Part::Media));
    message
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(body.len());
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4) && padding <= 2 && !body.is_empty() && body.bytes().all(letter)
}
