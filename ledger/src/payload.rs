//! Erasable bytes beside the journal.

use bursar_types::{Digest, Entropy};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A commitment to bytes, blinded by its own 128-bit salt: when bytes and salt are erased, the journal still verifies and
/// nobody can guess what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(Digest);

impl Commitment {
    /// Commits to `bytes` under `salt`.
    #[must_use]
    pub fn new(salt: &[u8; 16], bytes: &[u8]) -> Self {
        Self(Digest::of_parts("bursar/payload/v1", &[salt, bytes]))
    }

    /// Wraps a digest that was stored as a commitment.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest to put into an entry.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes to keep, with their salt and commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    commitment: Commitment,
    salt: [u8; 16],
    bytes: Bytes,
}

impl Payload {
    /// Seals bytes under a fresh salt.
    #[must_use]
    pub fn seal(bytes: Bytes, entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        Self { commitment: Commitment::new(&salt, &bytes), salt, bytes }
    }

    /// Bytes and salt as they were kept. The commitment follows from them.
    #[must_use]
    pub(crate) fn kept(salt: [u8; 16], bytes: Bytes) -> Self {
        Self { commitment: Commitment::new(&salt, &bytes), salt, bytes }
    }

    /// The commitment that entries name.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// The salt.
    #[must_use]
    pub const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
