//! A proof to carry about: an entry's place, the way to the root, and who signed the root.

use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{NoteError, SignedNote};
use crate::proof::{Inclusion, ProofError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use thiserror::Error;

const HEADING: &str = "c2sp.org/tlog-proof@v1";
/// An inclusion proof has at most one hash for each level.
const HASHES_MAX: usize = 63;

/// An inclusion proof with the checkpoint it leads to.
///
/// # Source
/// C2SP tlog-proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Whatever its maker put beside it; Bursar puts the entry's bytes. It proves nothing until its leaf hash is checked.
    pub extra: Option<Vec<u8>>,
    /// The entry's place and the way up.
    pub inclusion: Inclusion,
    /// The checkpoint, with the signatures of the log and of witnesses.
    pub checkpoint: SignedNote,
}

/// Why a proof file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// The text is no proof file.
    #[error("this is no proof file: {0}")]
    Malformed(&'static str),
    /// Its note is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its checkpoint is none, or not signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not in the tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl ProofFile {
    /// Reads a proof file.
    ///
    /// # Errors
    /// [`ProofFileError::Malformed`], [`ProofFileError::Note`].
    pub fn parse(text: &str) -> Result<Self, ProofFileError> {
        let no = ProofFileError::Malformed;
        let (head, note) = text.split_once("\n\n").ok_or(no("no empty line stands before its checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADING) {
            return Err(no("it does not begin with `c2sp.org/tlog-proof@v1`"));
        }
        let mut line = lines.next().ok_or(no("it has no index"))?;
        let mut extra = None;
        if let Some(data) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(data).map_err(|_| no("its extra data is not base64"))?);
            line = lines.next().ok_or(no("it has no index"))?;
        }
        let index = line.strip_prefix("index ").and_then(decimal).ok_or(no("it has no index"))?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == HASHES_MAX {
                return Err(no("it has too many hashes"));
            }
            hashes.push(Hash::parse(line).map_err(|_| no("a line is no hash"))?);
        }
        Ok(Self { extra, inclusion: Inclusion { index, hashes }, checkpoint: SignedNote::parse(note)? })
    }

    /// Checks that the entry with this leaf hash is in a tree that this log signed, and answers which.
    ///
    /// Witnesses are asked apart: [`crate::Cosignature::check`] on [`Self::checkpoint`].
    ///
    /// # Errors
    /// [`ProofFileError`].
    pub fn check(&self, leaf: &Hash, log: &VerifierKey) -> Result<Checkpoint, ProofFileError> {
        let checkpoint = Checkpoint::check(&self.checkpoint, log)?;
        self.inclusion.check(leaf, checkpoint.size, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.inclusion.index)?;
        self.inclusion.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
