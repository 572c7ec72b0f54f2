//! Cosignatures: a witness's word that it saw a log grow.

use crate::checkpoint::Checkpoint;
use crate::key::{KeyKind, NoteKey, VerifierKey};
use crate::note::{NoteError, NoteSignature, SignedNote};

/// A witness said: at this time, the largest tree of this log that I saw is this one, and it continues all I saw before.
///
/// # Source
/// C2SP tlog-cosignature, Ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    /// Seconds since 1970, by the witness's clock.
    pub at: u64,
}

impl Cosignature {
    /// Cosigns the text of a checkpoint. Whether it may be cosigned is for [`crate::Submission::judge`] to say, before.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] if the key is no witness's, the text no checkpoint, or the time is beyond 2^63.
    pub fn sign(text: &str, at: u64, key: &NoteKey) -> Result<NoteSignature, NoteError> {
        let verifier = key.verifier();
        if verifier.kind() != KeyKind::Witness {
            return Err(NoteError::Malformed("a log's key does not cosign"));
        }
        if at > i64::MAX.unsigned_abs() {
            return Err(NoteError::Malformed("the time is out of range"));
        }
        Checkpoint::parse(text).map_err(|_| NoteError::Malformed("only checkpoints are cosigned"))?;
        let mut bytes = at.to_be_bytes().to_vec();
        bytes.extend_from_slice(&key.sign(message(text, at).as_bytes()));
        Ok(NoteSignature { name: verifier.name().to_owned(), id: verifier.id(), bytes })
    }

    /// Finds a witness's cosignature on a checkpoint and checks it; the latest, if there are several.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] if there is none, [`NoteError::Wrong`] if one in its name is false.
    pub fn check(note: &SignedNote, witness: &VerifierKey) -> Result<Self, NoteError> {
        let wrong = || NoteError::Wrong(witness.name().to_owned());
        let mut latest = None;
        for signature in note.by(witness) {
            let (at, bytes) = signature.bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
            let bytes: &[u8; 64] = bytes.try_into().map_err(|_| wrong())?;
            let at = u64::from_be_bytes(*at);
            let cosigned = witness.kind() == KeyKind::Witness
                && at <= i64::MAX.unsigned_abs()
                && witness.verifies(message(note.text(), at).as_bytes(), bytes);
            if !cosigned {
                return Err(wrong());
            }
            latest = latest.max(Some(at));
        }
        latest.map(|at| Self { at }).ok_or_else(|| NoteError::Unsigned(witness.name().to_owned()))
    }
}

fn message(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}
