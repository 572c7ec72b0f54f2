//! Journal entries and the head of their tree.

use bursar_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// Names a list of entries that belong together, such as `payment/pay_…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(String);

/// The text cannot name a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a stream name is 1 to 120 characters of a-z, 0-9, `_`, `-`, `.` and `/`")]
pub struct StreamIdError;

impl StreamId {
    /// Wraps a name.
    ///
    /// # Errors
    /// [`StreamIdError`] for other characters or lengths.
    pub fn new(name: impl Into<String>) -> Result<Self, StreamIdError> {
        let name = name.into();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b);
        let fits = (1..=120).contains(&name.len()) && name.bytes().all(plain);
        if fits { Ok(Self(name)) } else { Err(StreamIdError) }
    }

    /// Names the stream of one thing: `kind/id`. Ids print in the allowed characters.
    #[must_use]
    pub fn of(kind: &'static str, id: impl fmt::Display) -> Self {
        Self(format!("{kind}/{id}"))
    }

    /// The stream into which the ledger itself journals account changes; nobody else may append to it.
    #[must_use]
    pub fn accounts() -> Self {
        Self("accounts".to_owned())
    }

    /// The stream into which the ledger itself journals which payloads were erased; nobody else may append to it.
    #[must_use]
    pub fn erasures() -> Self {
        Self("erasures".to_owned())
    }

    /// The stream into which the ledger itself journals that its time was turned back; nobody else may append to it.
    #[must_use]
    pub fn clock() -> Self {
        Self("clock".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry to append.
///
/// The body is hashed and kept for ever: no personal data, no prompts, no pages. Such bytes go into a
/// [`crate::Payload`], and the body names its [`crate::Commitment`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// The stream.
    pub stream: StreamId,
    /// Short name of what happened, such as `payment.signing`.
    pub kind: Cow<'static, str>,
    /// What happened. No floats, and integers up to 2^53 - 1: it is hashed as canonical JSON.
    pub body: serde_json::Value,
}

/// An entry as kept: a leaf of the tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position in the journal, from 0; the leaf index.
    pub sequence: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// The stream.
    pub stream: StreamId,
    /// Position in the stream, from 0.
    pub stream_sequence: u64,
    /// Short name of what happened.
    pub kind: String,
    /// What happened.
    pub body: serde_json::Value,
}

/// Size and root of the tree over the journal.
///
/// # Source
/// RFC 6962, section 2.1: leaf hash SHA-256(0x00 || entry), node hash SHA-256(0x01 || left || right).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHead {
    /// How many entries.
    pub size: u64,
    /// The root.
    pub root: Digest,
}
