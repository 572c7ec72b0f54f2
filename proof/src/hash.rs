//! Hashes of leaves and nodes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use thiserror::Error;

/// A SHA-256 hash in a tree. Notes and proofs write it as base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// The text is not the base64 of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a hash is 44 characters of base64")]
pub struct HashError;

impl Hash {
    /// Reads base64, in its one canonical form.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; 33];
        match STANDARD.decode_slice(text, &mut bytes) {
            Ok(32) => {}
            _ => return Err(HashError),
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(bytes.first_chunk::<32>().ok_or(HashError)?);
        Ok(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of an entry: SHA-256(0x00 || entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash over two subtrees: SHA-256(0x01 || left || right). The first byte keeps a node from being shown as an entry.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of a tree without entries: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root of the tree over these leaf hashes, by the definition of RFC 6962.
///
/// It takes all of them, so it is for small trees and for whoever does not believe the clever ways.
#[must_use]
pub fn perfect_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        leaves => {
            // The largest power of two below the count.
            let half = leaves.len().div_ceil(2).next_power_of_two();
            let (left, right) = leaves.split_at(half);
            node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_base64_of_thirty_two_bytes_is_a_hash() {
        let text = empty_root().to_string();
        assert_eq!(text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(Hash::parse(&text), Ok(empty_root()));
        // The last character's spare bits, a missing pad, another alphabet, more bytes, nothing.
        for wrong in [
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            text.trim_end_matches('='),
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
            "",
        ] {
            assert_eq!(Hash::parse(wrong), Err(HashError), "{wrong}");
        }
    }
}
