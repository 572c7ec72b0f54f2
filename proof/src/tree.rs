//! Which nodes a root or a proof is made of, and how they are put together.

use crate::hash::{Hash, empty_root, node_hash};
use crate::proof::{Consistency, Inclusion};

/// The largest tree spoken of here, so that no arithmetic on positions can overflow.
pub const SIZE_MAX: u64 = 1 << 62;

/// A complete subtree: 2^`level` leaves, the `index`-th of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The height; 0 is a leaf.
    pub level: u8,
    /// Its position among the nodes of its level, from 0.
    pub index: u64,
}

impl Node {
    /// The first leaf under it; `None` if no tree is that large.
    #[must_use]
    pub fn first_leaf(self) -> Option<u64> {
        let span = 1_u64.checked_shl(u32::from(self.level))?;
        self.index.checked_mul(span)
    }

    /// The last leaf under it, the one that completes it; `None` if no tree is that large.
    #[must_use]
    pub fn last_leaf(self) -> Option<u64> {
        let span = 1_u64.checked_shl(u32::from(self.level))?;
        self.first_leaf()?.checked_add(span - 1)
    }

    /// The two nodes under it; `None` for a leaf.
    #[must_use]
    pub const fn children(self) -> Option<(Self, Self)> {
        match self.level.checked_sub(1) {
            None => None,
            Some(level) => {
                Some((Self { level, index: self.index << 1 }, Self { level, index: (self.index << 1) | 1 }))
            }
        }
    }
}

/// Whoever knows the hashes of complete subtrees: a store, a folder of tiles, a list.
pub trait Nodes {
    /// Why one could not be had.
    type Error;

    /// The hash of a complete subtree of the log.
    ///
    /// # Errors
    /// Whatever keeps it from being known; a proof is then not made.
    fn node(&mut self, node: Node) -> Result<Hash, Self::Error>;
}

/// The complete subtrees that the leaves from `first` up to `end` are made of, left to right. `first` is where a complete
/// subtree begins that is not smaller than the rest, as it is in every range that RFC 6962 speaks of.
fn parts(first: u64, end: u64) -> Vec<Node> {
    let mut parts = Vec::new();
    let mut at = first;
    while at < end {
        // 63 minus the leading zeros is the exponent of the largest power of two that fits.
        let level = u8::try_from(63 - (end - at).leading_zeros()).unwrap_or(0);
        parts.push(Node { level, index: at >> level });
        at += 1 << level;
    }
    parts
}

fn range<N: Nodes>(nodes: &mut N, first: u64, end: u64) -> Result<Hash, N::Error> {
    let mut hash = None;
    for part in parts(first, end).into_iter().rev() {
        let left = nodes.node(part)?;
        hash = Some(match hash {
            None => left,
            Some(right) => node_hash(&left, &right),
        });
    }
    Ok(hash.unwrap_or_else(empty_root))
}

/// The largest power of two that is smaller than `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// The root of the tree over the first `size` entries.
///
/// # Errors
/// As [`Nodes::node`].
pub fn root_of<N: Nodes>(nodes: &mut N, size: u64) -> Result<Hash, N::Error> {
    range(nodes, 0, size)
}

/// Proves that the entry at `index` is in the tree of `size` entries; `None` if there is no such entry in it.
///
/// # Errors
/// As [`Nodes::node`].
///
/// # Source
/// RFC 6962, section 2.1.1.
pub fn prove_inclusion<N: Nodes>(
    nodes: &mut N,
    index: u64,
    size: u64,
) -> Result<Option<Inclusion>, N::Error> {
    if index >= size || size > SIZE_MAX {
        return Ok(None);
    }
    let (mut first, mut end) = (0, size);
    let mut siblings = Vec::new();
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((first, middle));
            first = middle;
        }
    }
    siblings.reverse();
    let hashes =
        siblings.into_iter().map(|(first, end)| range(nodes, first, end)).collect::<Result<_, _>>()?;
    Ok(Some(Inclusion { index, hashes }))
}

/// Proves that the tree of `old` entries is the beginning of the tree of `new` entries; `None` if it is the larger one.
///
/// # Errors
/// As [`Nodes::node`].
///
/// # Source
/// RFC 6962, section 2.1.2. From the empty tree, and from a tree to itself, the proof is empty.
pub fn prove_consistency<N: Nodes>(
    nodes: &mut N,
    old: u64,
    new: u64,
) -> Result<Option<Consistency>, N::Error> {
    if old > new || new > SIZE_MAX {
        return Ok(None);
    }
    if old == 0 || old == new {
        return Ok(Some(Consistency { hashes: Vec::new() }));
    }
    let (mut first, mut end) = (0, new);
    let mut ranges = Vec::new();
    // Down to the subtree that ends with the old tree; its hash is left out where it is the whole old tree.
    while end != old {
        let middle = first + split(end - first);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((first, middle));
            first = middle;
        }
    }
    if first > 0 {
        ranges.push((first, end));
    }
    ranges.reverse();
    let hashes = ranges.into_iter().map(|(first, end)| range(nodes, first, end)).collect::<Result<_, _>>()?;
    Ok(Some(Consistency { hashes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_complete_subtrees_largest_first() {
        let node = |level, index| Node { level, index };
        assert_eq!(parts(0, 7), [node(2, 0), node(1, 2), node(0, 6)]);
        assert_eq!(parts(4, 7), [node(1, 2), node(0, 6)]);
        assert_eq!(parts(0, 0), []);
        assert_eq!(parts(0, SIZE_MAX), [node(62, 0)]);
    }

    #[test]
    fn a_node_knows_its_leaves() {
        let node = Node { level: 3, index: 2 };
        assert_eq!((node.first_leaf(), node.last_leaf()), (Some(16), Some(23)));
        assert_eq!(node.children(), Some((Node { level: 2, index: 4 }, Node { level: 2, index: 5 })));
        assert_eq!(Node { level: 0, index: 5 }.children(), None);
        for beyond in [Node { level: 64, index: 0 }, Node { level: 63, index: 2 }] {
            assert_eq!((beyond.first_leaf(), beyond.last_leaf()), (None, None));
        }
    }
}
