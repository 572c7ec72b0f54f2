//! A log as simple as it can be: the hashes of all its complete subtrees, level by level.

use bursar_proof::{Hash, Node, Nodes, leaf_hash, node_hash, perfect_root};

pub(crate) struct Log {
    pub(crate) levels: Vec<Vec<Hash>>,
}

impl Log {
    pub(crate) fn of(size: u64) -> Self {
        Self::over((0..size).map(|n| leaf_hash(&entry(n))).collect())
    }

    pub(crate) fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            levels
                .push(below.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Self { levels }
    }

    pub(crate) fn leaf(&self, index: u64) -> Hash {
        self.levels[0][usize::try_from(index).unwrap()]
    }

    /// By the definition, and not by the way that is tested.
    pub(crate) fn root(&self, size: u64) -> Hash {
        perfect_root(&self.levels[0][..usize::try_from(size).unwrap()])
    }
}

pub(crate) fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

impl Nodes for Log {
    type Error = std::convert::Infallible;

    fn node(&mut self, node: Node) -> Result<Hash, Self::Error> {
        Ok(self.levels[usize::from(node.level)][usize::try_from(node.index).unwrap()])
    }
}
