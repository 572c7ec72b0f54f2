//! The Merkle tree over the journal, as it grows.
//!
//! # Source
//! RFC 6962, section 2.1.

use crate::entry::Entry;
use bursar_proof::{Hash, Node};
use bursar_types::{CanonicalError, Digest, canonical_bytes};

/// The complete subtrees that a tree of some size is made of, largest first.
///
/// Appending needs nothing else. The subtree that a leaf completes (its peak) is kept beside the entry; the peaks of the
/// leaves at [`peak_leaves`] are then the frontier of any earlier tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

/// The hash of a leaf.
pub(crate) fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::from_bytes(bursar_proof::leaf_hash(leaf).0)
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let (left, right) = (Hash(*left.as_bytes()), Hash(*right.as_bytes()));
    Digest::from_bytes(bursar_proof::node_hash(&left, &right).0)
}

/// The hash of the leaf that an entry is.
pub(crate) fn entry_hash(entry: &Entry) -> Result<Digest, CanonicalError> {
    Ok(leaf_hash(&canonical_bytes(entry)?))
}

/// What a store keeps of its leaves.
pub(crate) trait Leaves {
    type Error;

    /// The peak stored beside a leaf; `None` beyond the end.
    fn peak(&mut self, at: u64) -> Result<Option<Digest>, Self::Error>;

    /// The hash of the leaf itself; `None` beyond the end.
    fn leaf(&mut self, at: u64) -> Result<Option<Digest>, Self::Error>;
}

/// The hash of a complete subtree; `None` if the tree does not reach that far.
///
/// It is the peak of its last leaf, or else it is put together from that leaf upwards: whatever stands left of that way is the
/// peak of a leaf.
pub(crate) fn node<L: Leaves>(leaves: &mut L, node: Node) -> Result<Option<Hash>, L::Error> {
    let Some(last) = node.last_leaf() else { return Ok(None) };
    if last.trailing_ones() == u32::from(node.level) {
        return Ok(leaves.peak(last)?.map(|peak| Hash(*peak.as_bytes())));
    }
    let Some(mut hash) = leaves.leaf(last)? else { return Ok(None) };
    for level in 0..node.level {
        // Clears the bit of the level: the leaf that ends the left neighbour.
        let left = last & !(1_u64 << level);
        let Some(left) = leaves.peak(left)? else { return Ok(None) };
        hash = node_hash(&left, &hash);
    }
    Ok(Some(Hash(*hash.as_bytes())))
}

/// The leaves whose peaks make up the tree of `size` leaves, in order.
pub(crate) fn peak_leaves(size: u64) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut end = size;
    while end > 0 {
        ends.push(end.saturating_sub(1));
        // Clears the lowest bit: the last subtree is as large as that bit says.
        end &= end.saturating_sub(1);
    }
    ends.reverse();
    ends
}

impl Frontier {
    /// The frontier of a tree of `size` leaves; `None` if there are not as many peaks as that takes.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (u32::try_from(peaks.len()) == Ok(size.count_ones())).then_some(Self { size, peaks })
    }

    /// How many leaves.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and answers its peak: the hash of the largest complete subtree that ends with it.
    pub(crate) fn append(&mut self, leaf: Digest) -> Digest {
        let mut peak = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                peak = node_hash(&left, &peak);
            }
        }
        self.peaks.push(peak);
        self.size = self.size.saturating_add(1);
        peak
    }

    /// The root.
    pub(crate) fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Digest::of(b""),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The inputs of the certificate-transparency reference implementation.
    const INPUTS: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    /// Its roots at sizes 0 to 8.
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// RFC 6962 section 2.1, word for word.
    fn root_by_definition(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [leaf] => leaf_hash(leaf),
            leaves => {
                // The largest power of two below the count.
                let half = leaves.len().div_ceil(2).next_power_of_two();
                node_hash(&root_by_definition(&leaves[..half]), &root_by_definition(&leaves[half..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_reference_implementation() {
        let mut tree = Frontier::default();
        assert_eq!(tree.root().to_string(), ROOTS[0]);
        for (input, root) in INPUTS.iter().zip(&ROOTS[1..]) {
            tree.append(leaf_hash(&hex::decode(input).unwrap()));
            assert_eq!(tree.root().to_string(), *root, "size {}", tree.size());
        }
    }

    #[test]
    fn a_frontier_with_missing_peaks_is_refused() {
        assert_eq!(Frontier::from_peaks(3, vec![Digest::of(b"")]), None);
        assert_eq!(Frontier::from_peaks(0, vec![]), Some(Frontier::default()));
    }

    struct Kept {
        leaves: Vec<Digest>,
        peaks: Vec<Digest>,
    }

    impl Leaves for Kept {
        type Error = std::convert::Infallible;

        fn peak(&mut self, at: u64) -> Result<Option<Digest>, Self::Error> {
            Ok(self.peaks.get(usize::try_from(at).unwrap()).copied())
        }

        fn leaf(&mut self, at: u64) -> Result<Option<Digest>, Self::Error> {
            Ok(self.leaves.get(usize::try_from(at).unwrap()).copied())
        }
    }

    #[test]
    fn every_node_of_a_tree_is_found_from_its_leaves_and_peaks() {
        let leaves: Vec<Digest> = (0..70_u8).map(|n| leaf_hash(&[n])).collect();
        let mut tree = Frontier::default();
        let peaks = leaves.iter().map(|leaf| tree.append(*leaf)).collect();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| Hash(*leaf.as_bytes())).collect();
        let mut kept = Kept { leaves, peaks };
        for level in 0..7_u8 {
            let width = 1_usize << level;
            for (index, under) in hashes.chunks(width).enumerate() {
                let found = node(&mut kept, Node { level, index: index as u64 }).unwrap();
                let whole = under.len() == width;
                assert_eq!(found, whole.then(|| bursar_proof::perfect_root(under)), "{level}/{index}");
            }
        }
        assert_eq!(node(&mut kept, Node { level: 64, index: 0 }), Ok(None));
    }

    proptest! {
        #[test]
        fn every_root_is_that_of_the_definition_and_is_found_again_from_the_peaks(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..70)
        ) {
            let mut tree = Frontier::default();
            let mut peaks = Vec::new();
            for (index, leaf) in leaves.iter().enumerate() {
                peaks.push(tree.append(leaf_hash(leaf)));
                prop_assert_eq!(tree.root(), root_by_definition(&leaves[..=index]));
            }
            for size in 0..=leaves.len() {
                let at = peak_leaves(size as u64);
                let frontier = at.iter().map(|leaf| peaks[usize::try_from(*leaf).unwrap()]).collect();
                let frontier = Frontier::from_peaks(size as u64, frontier).unwrap();
                prop_assert_eq!(frontier.root(), root_by_definition(&leaves[..size]));
            }
        }
    }
}
