//! Checkpoints: a log's word on what its tree is.

use crate::hash::{Hash, empty_root};
use crate::key::{NoteKey, VerifierKey};
use crate::note::{NoteError, SignedNote};
use crate::tree::SIZE_MAX;
use std::fmt;
use thiserror::Error;

/// What a log says of itself: who it is, how many entries it has, and the root of their tree.
///
/// Two signed checkpoints of one origin that no consistency proof joins are proof that the log was rewritten.
///
/// # Source
/// C2SP tlog-checkpoint. Extension lines are read over: nothing here depends on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, unique among logs. A checkpoint is signed by a key of the same name.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a note is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note itself.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text.
    #[error("this is no checkpoint: {0}")]
    Malformed(&'static str),
    /// The key is another log's.
    #[error("the checkpoint is of `{found}`, and the key is of `{expected}`")]
    Origin {
        /// Whose key it is.
        expected: String,
        /// Whose checkpoint it is.
        found: String,
    },
}

impl Checkpoint {
    /// Reads the text of a note that nobody has checked yet.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let no = CheckpointError::Malformed;
        let body = text.strip_suffix('\n').ok_or(no("its last line does not end"))?;
        let mut lines = body.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let origin = line().ok_or(no("it has no origin"))?;
        let size = line().and_then(decimal).ok_or(no("its second line is no size"))?;
        let root = line().and_then(|line| Hash::parse(line).ok()).ok_or(no("its third line is no root"))?;
        if lines.any(str::is_empty) {
            return Err(no("it has an empty line"));
        }
        if size == 0 && root != empty_root() {
            return Err(no("it has no entries, and the root of some"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Signs it with the log's own key.
    ///
    /// The caller answers for never having signed another tree: see [`crate::prove_consistency`].
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] if the key is another log's; [`CheckpointError::Note`].
    pub fn sign(&self, key: &NoteKey) -> Result<SignedNote, CheckpointError> {
        self.belongs_to(&key.verifier())?;
        Ok(SignedNote::sign(&self.to_string(), key)?)
    }

    /// Reads a note that this log's key must have signed.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn check(note: &SignedNote, log: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(note.text())?;
        checkpoint.belongs_to(log)?;
        note.check(log)?;
        Ok(checkpoint)
    }

    fn belongs_to(&self, log: &VerifierKey) -> Result<(), CheckpointError> {
        if self.origin == log.name() {
            return Ok(());
        }
        Err(CheckpointError::Origin { expected: log.name().to_owned(), found: self.origin.clone() })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

/// A count as specifications write it: digits, and no zero before others.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|size| plain && *size <= SIZE_MAX)
}
