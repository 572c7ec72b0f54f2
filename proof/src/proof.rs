//! What proofs prove. This file and `hash.rs` are the whole of what has to be believed about the tree.

use crate::hash::{Hash, empty_root, node_hash};
use crate::tree::SIZE_MAX;
use thiserror::Error;

/// Proof that an entry is in a tree: the hashes beside its way up to the root, from below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry's position, from 0.
    pub index: u64,
    /// At most 62, one for each level.
    pub hashes: Vec<Hash>,
}

/// Proof that a tree is the beginning of a larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// At most 63.
    pub hashes: Vec<Hash>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no such entry in a tree of this size.
    #[error("entry {index} is not in a tree of {size} entries")]
    Beyond {
        /// The position.
        index: u64,
        /// The size.
        size: u64,
    },
    /// The tree that is called older is larger.
    #[error("a tree of {old} entries cannot be the beginning of one of {new}")]
    Shrunk {
        /// The size that came first.
        old: u64,
        /// The size that came later.
        new: u64,
    },
    /// More or fewer hashes than positions and sizes ask for.
    #[error("the proof has {found} hashes, which is not what these sizes ask for")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// The hashes do not lead to the root: the entry is another one, or the tree is.
    #[error("the proof leads to another root")]
    Root,
    /// The hashes do not lead to the older tree's root: it was rewritten.
    #[error("the proof leads to another root of the older tree")]
    OldRoot,
    /// Nobody has a tree of this size.
    #[error("a tree of {0} entries is beyond what is checked here")]
    TooLarge(u64),
}

impl Inclusion {
    /// Checks that the entry with this leaf hash is in the tree with this size and root.
    ///
    /// # Errors
    /// [`ProofError`]: nothing is proven. That is no proof of the contrary either.
    ///
    /// # Source
    /// RFC 9162, section 2.1.3.2.
    pub fn check(&self, leaf: &Hash, size: u64, root: &Hash) -> Result<(), ProofError> {
        if size > SIZE_MAX {
            return Err(ProofError::TooLarge(size));
        }
        if self.index >= size {
            return Err(ProofError::Beyond { index: self.index, size });
        }
        let length = ProofError::Length { found: self.hashes.len() };
        // Where the way up stands, and where the tree's right edge does, level by level.
        let (mut at, mut edge) = (self.index, size - 1);
        let mut hash = *leaf;
        for beside in &self.hashes {
            if edge == 0 {
                return Err(length);
            }
            if at & 1 == 1 || at == edge {
                hash = node_hash(beside, &hash);
                // A right edge without a sibling is the same hash some levels up.
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    edge >>= 1;
                }
            } else {
                hash = node_hash(&hash, beside);
            }
            at >>= 1;
            edge >>= 1;
        }
        match edge {
            0 if hash == *root => Ok(()),
            0 => Err(ProofError::Root),
            _ => Err(length),
        }
    }
}

impl Consistency {
    /// Checks that the tree `old` (its size and root) is the beginning of the tree `new`.
    ///
    /// Nothing is proven about an empty old tree but that its root is that of an empty tree: every log begins so.
    ///
    /// # Errors
    /// [`ProofError`].
    ///
    /// # Source
    /// RFC 9162, section 2.1.4.2.
    pub fn check(&self, old: (u64, &Hash), new: (u64, &Hash)) -> Result<(), ProofError> {
        let ((old, old_root), (new, new_root)) = (old, new);
        let length = ProofError::Length { found: self.hashes.len() };
        if new > SIZE_MAX {
            return Err(ProofError::TooLarge(new));
        }
        if old > new {
            return Err(ProofError::Shrunk { old, new });
        }
        if old == 0 && *old_root != empty_root() {
            return Err(ProofError::OldRoot);
        }
        if new == 0 && *new_root != empty_root() {
            return Err(ProofError::Root);
        }
        if old == 0 || old == new {
            return match self.hashes.is_empty() {
                false => Err(length),
                true if old == new && old_root != new_root => Err(ProofError::Root),
                true => Ok(()),
            };
        }
        // Where the old tree is one complete subtree, its root is the first hash and is not repeated.
        let whole = old.is_power_of_two().then_some(*old_root);
        let mut hashes = whole.iter().chain(&self.hashes);
        let Some(first) = hashes.next() else { return Err(length) };
        let (mut at, mut edge) = (old - 1, new - 1);
        while at & 1 == 1 {
            at >>= 1;
            edge >>= 1;
        }
        let (mut old_hash, mut new_hash) = (*first, *first);
        for beside in hashes {
            if edge == 0 {
                return Err(length);
            }
            if at & 1 == 1 || at == edge {
                old_hash = node_hash(beside, &old_hash);
                new_hash = node_hash(beside, &new_hash);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    edge >>= 1;
                }
            } else {
                new_hash = node_hash(&new_hash, beside);
            }
            at >>= 1;
            edge >>= 1;
        }
        match edge {
            0 if old_hash != *old_root => Err(ProofError::OldRoot),
            0 if new_hash != *new_root => Err(ProofError::Root),
            0 => Ok(()),
            _ => Err(length),
        }
    }
}
