//! Keys that sign notes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// What a secret key's text begins with.
const SECRET: &str = "PRIVATE+KEY+";

/// What a key signs. The kind is part of the key's id, so that a signature of one kind is none of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Notes as they are; a log signs its checkpoints so.
    Log,
    /// Checkpoints of others, with the time they were seen; a witness signs so.
    Witness,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Log),
            0x04 => Some(Self::Witness),
            _ => None,
        }
    }
}

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, or has a space, a plus or a control character.
    #[error("a key's name is not empty and has no spaces, pluses or control characters")]
    Name,
    /// The text is no verifier key.
    #[error("a public key is `NAME+ID+KEY`: eight lower-case hex digits and base64")]
    Public,
    /// The id is not that of name and key: one of them was changed.
    #[error("the id in this key is not that of its name and bytes: one of them was changed")]
    Id,
    /// Another kind of signature than Ed25519 over notes (1) or checkpoints with their time (4).
    #[error("keys of kind {0} are not checked here; Ed25519 is")]
    Kind(u8),
    /// A point under which several keys verify.
    #[error("this public key is weak: more than one secret answers to it")]
    Weak,
    /// The text is no secret key. It is not repeated here.
    #[error("a secret key is `PRIVATE+KEY+NAME+ID+KEY`")]
    Secret,
}

/// Whether a name can stand in a note's signature line.
fn named(name: &str) -> Result<(), KeyError> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if !name.is_empty() && name.len() <= 255 && name.chars().all(plain) {
        Ok(())
    } else {
        Err(KeyError::Name)
    }
}

fn key_id(name: &str, kind: KeyKind, key: &[u8; 32]) -> [u8; 4] {
    let hash =
        Sha256::new().chain_update(name).chain_update([b'\n', kind.byte()]).chain_update(key).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    [a, b, c, d]
}

/// What checks signatures, written as a C2SP "vkey".
///
/// # Example
/// ```
/// use bursar_proof::VerifierKey;
/// let key = VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")?;
/// assert_eq!(key.name(), "example.com/foo");
/// # Ok::<(), bursar_proof::KeyError>(())
/// ```
///
/// # Source
/// C2SP signed-note, "Verifier keys".
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // Base64 has pluses, names have none.
        let (name, rest) = text.split_once('+').ok_or(KeyError::Public)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Public)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyError::Public)?;
        let (kind, bytes) = bytes.split_first().ok_or(KeyError::Public)?;
        let kind = KeyKind::of(*kind).ok_or(KeyError::Kind(*kind))?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Public)?;
        let key = Self::new(name, kind, &bytes)?;
        if key.hex_id() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    fn new(name: &str, kind: KeyKind, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        named(name)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Public)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self { name: name.to_owned(), kind, id: key_id(name, kind, bytes), key })
    }

    /// Whose key it is: a log's is named as its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The four bytes that stand before a signature of this key.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    fn hex_id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id))
    }

    /// Whether the signature is this key's over these bytes, by the strict rules.
    #[must_use]
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind.byte()];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.hex_id(), STANDARD.encode(bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// What signs. It is wiped when dropped, and printed only by [`Self::secret`].
pub struct NoteKey {
    secret: SigningKey,
    verifier: VerifierKey,
}

impl NoteKey {
    /// The key of a 32-byte secret.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, kind, secret.verifying_key().as_bytes())?;
        Ok(Self { secret, verifier })
    }

    /// Reads the form in which key files keep it.
    ///
    /// # Errors
    /// [`KeyError`]; what was read is not repeated in it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let rest = text.trim_end().strip_prefix(SECRET).ok_or(KeyError::Secret)?;
        let (name, rest) = rest.split_once('+').ok_or(KeyError::Secret)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Secret)?;
        let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| KeyError::Secret)?);
        let (kind, seed) = bytes.split_first().ok_or(KeyError::Secret)?;
        let kind = KeyKind::of(*kind).ok_or(KeyError::Kind(*kind))?;
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().map_err(|_| KeyError::Secret)?);
        let key = Self::from_seed(name, kind, &seed)?;
        if key.verifier.hex_id() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The form in which key files keep it, as Go's `note` package and its users write it.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![self.verifier.kind.byte()]);
        bytes.extend_from_slice(self.secret.as_bytes());
        let key = Zeroizing::new(STANDARD.encode(&*bytes));
        Zeroizing::new(format!("{SECRET}{}+{}+{}", self.verifier.name, self.verifier.hex_id(), *key))
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.verifier.clone()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({})", self.verifier)
    }
}
