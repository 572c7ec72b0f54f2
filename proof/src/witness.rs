//! What a witness is asked, and whether it may say yes.

use crate::checkpoint::{Checkpoint, decimal};
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::SignedNote;
use crate::proof::{Consistency, ProofError};
use std::fmt;
use thiserror::Error;

/// No proof is longer.
const HASHES_MAX: usize = 63;

/// A checkpoint handed to a witness, with the proof that it continues the one the witness saw last.
///
/// # Source
/// C2SP tlog-witness, "add-checkpoint".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The size that the submitter believes the witness saw last.
    pub old_size: u64,
    /// From there to the checkpoint.
    pub proof: Consistency,
    /// The checkpoint.
    pub note: SignedNote,
}

/// The text is no submission; a witness answers 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is no submission to a witness: {0}")]
pub struct SubmissionError(&'static str);

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Turned {
    /// The old size is larger than the checkpoint: a log that shrinks.
    #[error("the checkpoint is smaller than what it should continue")]
    Shrunk,
    /// Nobody told the witness of this log.
    #[error("this log is not known here")]
    UnknownOrigin,
    /// No signature of a key that the witness knows for this log, or a false one.
    #[error("the log's key has not signed this")]
    NotSigned,
    /// The witness saw another size last; the proof must start there.
    #[error("{seen} entries were seen last")]
    Conflict {
        /// What it saw.
        seen: u64,
    },
    /// The checkpoint does not continue what was seen: a fork, or a log that was rewritten.
    #[error("the checkpoint does not continue what was seen: {0}")]
    Inconsistent(ProofError),
}

impl Turned {
    /// The status of the answer over HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Shrunk => 400,
            Self::UnknownOrigin => 404,
            Self::NotSigned => 403,
            Self::Conflict { .. } => 409,
            Self::Inconsistent(_) => 422,
        }
    }
}

impl Submission {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`SubmissionError`].
    pub fn parse(body: &str) -> Result<Self, SubmissionError> {
        let (head, note) =
            body.split_once("\n\n").ok_or(SubmissionError("no empty line stands before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old_size = old.ok_or(SubmissionError("its first line is not `old SIZE`"))?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == HASHES_MAX {
                return Err(SubmissionError("the proof has too many hashes"));
            }
            hashes.push(Hash::parse(line).map_err(|_| SubmissionError("a line of the proof is no hash"))?);
        }
        let note =
            SignedNote::parse(note).map_err(|_| SubmissionError("the checkpoint is no signed note"))?;
        Checkpoint::parse(note.text()).map_err(|_| SubmissionError("the note is no checkpoint"))?;
        Ok(Self { old_size, proof: Consistency { hashes }, note })
    }

    /// The checkpoint as it stands there; nobody has checked who signed it.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Checkpoint::parse(self.note.text()).ok()
    }

    /// Whether a witness that saw `seen` last, and trusts `logs`, may cosign; answers what it will have seen.
    ///
    /// Pure: the caller reads what was seen, and replaces it durably before it answers, under one lock. Else two submissions at
    /// once could take the witness back.
    ///
    /// # Errors
    /// [`Turned`], with the status to answer.
    pub fn judge(&self, seen: Option<&Checkpoint>, logs: &[VerifierKey]) -> Result<Checkpoint, Turned> {
        let new = self.checkpoint().ok_or(Turned::NotSigned)?;
        let mut known = logs.iter().filter(|key| key.name() == new.origin).peekable();
        if known.peek().is_none() {
            return Err(Turned::UnknownOrigin);
        }
        let mut signed = false;
        for key in known {
            match self.note.check(key) {
                Ok(()) => signed = true,
                Err(crate::NoteError::Unsigned(_)) => {}
                Err(_) => return Err(Turned::NotSigned),
            }
        }
        if !signed {
            return Err(Turned::NotSigned);
        }
        if self.old_size > new.size {
            return Err(Turned::Shrunk);
        }
        let (seen_size, seen_root) = match seen {
            Some(seen) => (seen.size, seen.root),
            None => (0, crate::empty_root()),
        };
        if self.old_size != seen_size {
            return Err(Turned::Conflict { seen: seen_size });
        }
        self.proof.check((seen_size, &seen_root), (new.size, &new.root)).map_err(Turned::Inconsistent)?;
        Ok(new)
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}
