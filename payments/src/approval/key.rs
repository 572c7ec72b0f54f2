//! Keys of persons: Ed25519.

use bursar_types::Entropy;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const PREFIX: &str = "ed25519:";

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no public key.
    #[error("a public key is `ed25519:` and 64 lower-case hex digits")]
    Public,
    /// A point under which several keys verify.
    #[error("this public key is weak: more than one secret answers to it")]
    Weak,
    /// The text is no secret key. It is not repeated here.
    #[error("a secret key is 64 hex digits")]
    Secret,
    /// The text is no signature.
    #[error("a signature is 128 hex digits")]
    Signature,
}

/// A person's public key, written `ed25519:` and 64 hex digits. Weak points are none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

/// A signature, written as 128 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(ed25519_dalek::Signature);

/// A public key with the name of whose it is, as the mandate pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedKey {
    /// Whose key it is, for screens and the journal.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

/// A person's secret key. It is wiped when dropped, and never printed.
pub struct ApproverKey(SigningKey);

impl PublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError::Public`], or [`KeyError::Weak`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix(PREFIX).ok_or(KeyError::Public)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(KeyError::Public);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| KeyError::Public)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Public)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }

    /// Whether the signature is this key's over these bytes, by the strict rules: one message, one signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(message, &signature.0).is_ok()
    }

    /// Whether these 32 secret bytes are this key's secret: then what holds them can answer in its name.
    #[must_use]
    pub fn is_of(&self, secret: &[u8; 32]) -> bool {
        SigningKey::from_bytes(secret).verifying_key() == self.0
    }
}

impl Signature {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Signature)?;
        Ok(Self(ed25519_dalek::Signature::from_bytes(&bytes)))
    }
}

impl ApproverKey {
    /// Makes a key of randomness that its caller vouches for.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice());
        Self(SigningKey::from_bytes(&secret))
    }

    /// Wraps 32 secret bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// [`KeyError::Secret`]. The text is not repeated.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), secret.as_mut_slice()).map_err(|_| KeyError::Secret)?;
        Ok(Self::from_secret(&secret))
    }

    /// Its public key, for the mandate.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs bytes that begin with the name of what they are.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message))
    }

    /// The secret, to be written where its owner wants it.
    pub(super) fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for ApproverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApproverKey({})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.to_bytes()))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let (ada, bob) = (ApproverKey::from_secret(&[1; 32]), ApproverKey::from_secret(&[2; 32]));
        let signature = ada.sign(b"one");
        assert!(ada.public().verifies(b"one", &signature));
        assert!(!ada.public().verifies(b"two", &signature));
        assert!(!bob.public().verifies(b"one", &signature));
        assert!(ada.public().is_of(&[1; 32]) && !ada.public().is_of(&[2; 32]));
        assert_eq!(Signature::parse(&signature.to_string()), Ok(signature));
    }

    #[test]
    fn a_public_key_reads_back_and_what_is_none_is_refused() {
        let key = ApproverKey::from_secret(&[1; 32]).public();
        assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
        let identity = format!("ed25519:01{}", "00".repeat(31));
        assert_eq!(PublicKey::parse(&identity), Err(KeyError::Weak));
        for text in
            ["", "ed25519:", &key.to_string().to_uppercase(), key.to_string().trim_start_matches(PREFIX)]
        {
            assert_eq!(PublicKey::parse(text), Err(KeyError::Public), "{text}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = ApproverKey::from_secret(&[7; 32]);
        assert!(!format!("{key:?}").contains("0707"), "{key:?}");
    }
}
