//! Proofs and tiles over the journal.

use crate::entry::{Entry, TreeHead};
use crate::ledger::Ledger;
use crate::refusal::StoreError;
use bursar_proof::{
    Consistency, Hash, Inclusion, Node, Nodes, Tile, prove_consistency, prove_inclusion, root_of,
};
use bursar_types::{Digest, canonical_bytes};
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

/// An entry with the proof that it is in a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryProof {
    /// The entry.
    pub entry: Entry,
    /// Its canonical bytes: the leaf. Their [`bursar_proof::leaf_hash`] is what the proof is about.
    pub leaf: Vec<u8>,
    /// The proof.
    pub inclusion: Inclusion,
}

/// Notes which nodes are asked for.
struct Wanted(BTreeSet<Node>);

impl Nodes for Wanted {
    type Error = Infallible;

    fn node(&mut self, node: Node) -> Result<Hash, Infallible> {
        self.0.insert(node);
        Ok(Hash([0; 32]))
    }
}

/// Gives the nodes that were read.
struct Read(HashMap<Node, Hash>);

/// A node that is not complete: the tree is smaller than what was asked about.
struct Incomplete;

impl Nodes for Read {
    type Error = Incomplete;

    fn node(&mut self, node: Node) -> Result<Hash, Incomplete> {
        self.0.get(&node).copied().ok_or(Incomplete)
    }
}

/// Something that is made of nodes: made once to learn which, and again with their hashes.
trait Recipe<T> {
    fn make<N: Nodes>(&self, nodes: &mut N) -> Result<T, N::Error>;
}

struct RootOf(u64);
struct InclusionOf(u64, u64);
struct ConsistencyOf(u64, u64);
struct TileOf(Tile);

impl Recipe<Hash> for RootOf {
    fn make<N: Nodes>(&self, nodes: &mut N) -> Result<Hash, N::Error> {
        root_of(nodes, self.0)
    }
}

impl Recipe<Option<Inclusion>> for InclusionOf {
    fn make<N: Nodes>(&self, nodes: &mut N) -> Result<Option<Inclusion>, N::Error> {
        prove_inclusion(nodes, self.0, self.1)
    }
}

impl Recipe<Option<Consistency>> for ConsistencyOf {
    fn make<N: Nodes>(&self, nodes: &mut N) -> Result<Option<Consistency>, N::Error> {
        prove_consistency(nodes, self.0, self.1)
    }
}

impl Recipe<Vec<u8>> for TileOf {
    fn make<N: Nodes>(&self, nodes: &mut N) -> Result<Vec<u8>, N::Error> {
        self.0.bytes(nodes)
    }
}

impl Ledger {
    /// The root of the tree over the first `size` entries; `None` if there are fewer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn root_at(&self, size: u64) -> Result<Option<Digest>, StoreError> {
        Ok(self.make(RootOf(size)).await?.map(|root| Digest::from_bytes(root.0)))
    }

    /// Proves that an entry is in the tree of `size` entries; `None` if there is no such entry or no such tree.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove_inclusion(&self, sequence: u64, size: u64) -> Result<Option<EntryProof>, StoreError> {
        let Some(inclusion) = self.make(InclusionOf(sequence, size)).await?.flatten() else {
            return Ok(None);
        };
        let Some(entry) = self.entries(sequence, 1).await?.into_iter().next() else { return Ok(None) };
        let leaf = leaf(&entry)?;
        Ok(Some(EntryProof { entry, leaf, inclusion }))
    }

    /// Proves that the tree of `old` entries is the beginning of the tree of `new` entries; `None` if there is no such tree, or
    /// it is the smaller one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prove_consistency(&self, old: u64, new: u64) -> Result<Option<Consistency>, StoreError> {
        Ok(self.make(ConsistencyOf(old, new)).await?.flatten())
    }

    /// The bytes of a tile, hashes or a bundle of entries; `None` if the journal does not reach that far yet.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Source
    /// C2SP tlog-tiles.
    pub async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, StoreError> {
        if tile.level.is_some() {
            return self.make(TileOf(tile)).await;
        }
        let Some(first) = tile.nodes().next().and_then(Node::first_leaf) else { return Ok(None) };
        let entries = self.entries(first, u32::from(tile.width)).await?;
        if entries.len() != usize::from(tile.width) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for entry in &entries {
            let leaf = leaf(entry)?;
            // Entries are kept this small: see `Refusal::EntryTooLarge`.
            let length = u16::try_from(leaf.len()).map_err(|error| StoreError::Io(Box::new(error)))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&leaf);
        }
        Ok(Some(bytes))
    }

    async fn make<T>(&self, recipe: impl Recipe<T>) -> Result<Option<T>, StoreError> {
        let mut wanted = Wanted(BTreeSet::new());
        let Ok(_) = recipe.make(&mut wanted);
        let wanted: Vec<Node> = wanted.0.into_iter().collect();
        let hashes = self.nodes(&wanted).await?;
        let known = wanted.into_iter().zip(hashes).filter_map(|(node, hash)| Some((node, hash?))).collect();
        Ok(recipe.make(&mut Read(known)).ok())
    }
}

impl TreeHead {
    /// The root as proofs write it.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        Hash(*self.root.as_bytes())
    }
}

fn leaf(entry: &Entry) -> Result<Vec<u8>, StoreError> {
    canonical_bytes(entry).map_err(|error| StoreError::Io(Box::new(error)))
}
