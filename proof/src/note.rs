//! Signed notes.

use crate::key::{KeyKind, NoteKey, VerifierKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use thiserror::Error;

/// Notes larger than this are not read: a checkpoint has some hundred bytes.
const NOTE_MAX: usize = 1 << 20;
/// More signatures than this are not read.
const SIGNATURES_MAX: usize = 100;

/// Text with signatures under it. Who signed is not known before [`Self::check`].
///
/// # Source
/// C2SP signed-note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Whose key is said to have signed.
    pub name: String,
    /// The id of that key.
    pub id: [u8; 4],
    /// What that key made; its form is up to its kind.
    pub bytes: Vec<u8>,
}

/// Why something is no note, or is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The text is no signed note.
    #[error("this is no signed note: {0}")]
    Malformed(&'static str),
    /// No signature of the key.
    #[error("the note is not signed by `{0}`")]
    Unsigned(String),
    /// A signature that says it is the key's, and is not.
    #[error("the signature of `{0}` is not over this text: text or signature was changed")]
    Wrong(String),
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let no = |why| Err(NoteError::Malformed(why));
        if note.len() > NOTE_MAX {
            return no("it is too large");
        }
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return no("it has control characters");
        }
        let Some((text, lines)) = note.rsplit_once("\n\n") else { return no("no empty line ends its text") };
        let Some(lines) = lines.strip_suffix('\n') else { return no("its last line does not end") };
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let Some(signature) = NoteSignature::parse(line) else {
                return no("a signature line cannot be read");
            };
            if signatures.len() == SIGNATURES_MAX {
                return no("it has too many signatures");
            }
            signatures.push(signature);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Signs text with a log's key.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] for text that does not end with a line, or a witness's key: that signs checkpoints alone.
    pub fn sign(text: &str, key: &NoteKey) -> Result<Self, NoteError> {
        let verifier = key.verifier();
        if verifier.kind() != KeyKind::Log {
            return Err(NoteError::Malformed("a witness's key signs checkpoints with their time, not notes"));
        }
        let bytes = key.sign(text.as_bytes()).to_vec();
        let signature = NoteSignature { name: verifier.name().to_owned(), id: verifier.id(), bytes };
        // What is written is what can be read.
        Self::parse(&Self { text: text.to_owned(), signatures: vec![signature] }.to_string())
    }

    /// The text. Nobody has signed it before [`Self::check`] says so.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds signatures, such as a witness's. One that is there already is not added again.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] if there would be too many.
    pub fn add(&mut self, signatures: impl IntoIterator<Item = NoteSignature>) -> Result<(), NoteError> {
        for signature in signatures {
            if self.signatures.contains(&signature) {
                continue;
            }
            if self.signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Malformed("it has too many signatures"));
            }
            self.signatures.push(signature);
        }
        Ok(())
    }

    /// Checks that a log's key signed the text, and that no signature in its name is false.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::Wrong`].
    pub fn check(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut signed = false;
        for signature in self.by(key) {
            match <&[u8; 64]>::try_from(signature.bytes.as_slice()) {
                Ok(bytes) if key.kind() == KeyKind::Log && key.verifies(self.text.as_bytes(), bytes) => {
                    signed = true;
                }
                _ => return Err(NoteError::Wrong(key.name().to_owned())),
            }
        }
        if signed { Ok(()) } else { Err(NoteError::Unsigned(key.name().to_owned())) }
    }

    /// The signatures that say they are this key's.
    pub(crate) fn by(&self, key: &VerifierKey) -> impl Iterator<Item = &NoteSignature> {
        self.signatures.iter().filter(|signature| signature.name == key.name() && signature.id == key.id())
    }
}

impl NoteSignature {
    /// Reads a line, without its end.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (!bytes.is_empty()).then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}
