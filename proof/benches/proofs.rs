//! How large the proof of an entry is in a large log, and how long it takes to check, beside one hash of the same length.
//!
//! The tree is held in memory, level by level. Nothing is asserted but that each proof proves.
//!
//! `cargo bench -p bursar-proof --bench proofs`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use bursar_proof::{Hash, Inclusion, Node, Nodes, leaf_hash, node_hash, prove_inclusion, root_of};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Every complete subtree's hash, by level.
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn of(size: u64) -> Self {
        let mut levels = vec![(0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect::<Vec<_>>()];
        while levels.last().unwrap().len() > 1 {
            let below = levels.last().unwrap();
            levels.push(below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Self(levels)
    }
}

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&mut self, node: Node) -> Result<Hash, Infallible> {
        Ok(self.0[usize::from(node.level)][usize::try_from(node.index).unwrap()])
    }
}

fn main() {
    // `cargo test --benches` runs this too, only to see that it still works.
    let full = std::env::args().any(|argument| argument == "--bench");
    for size in if full { vec![10_000, 1_000_000, 10_000_000] } else { vec![1_000] } {
        let mut tree = Tree::of(size);
        let root = root_of(&mut tree, size).unwrap();
        let count = if full { 20_000 } else { 20 };
        let proofs: Vec<(Hash, Inclusion)> = (0..count)
            .map(|at| {
                // A large odd step goes everywhere in the log.
                let index = (at * 7_919_999) % size;
                (
                    tree.0[0][usize::try_from(index).unwrap()],
                    prove_inclusion(&mut tree, index, size).unwrap().unwrap(),
                )
            })
            .collect();
        let largest = proofs.iter().map(|(_, proof)| proof.hashes.len() * 32).max().unwrap();
        let mut times = timed(&proofs, |(leaf, proof)| proof.check(leaf, size, &root).unwrap());
        times.sort();
        let text = [7_u8; 768];
        let mut bare = timed(&proofs, |_| {
            std::hint::black_box(leaf_hash(std::hint::black_box(&text)));
        });
        bare.sort();
        let at = |times: &[Duration], of: usize| times[times.len() * of / 100].as_nanos();
        println!(
            "{size:>9} entries: at most {largest} bytes; checked in p50 {} ns, p99 {} ns; hashing 768 bytes p50 {} ns",
            at(&times, 50),
            at(&times, 99),
            at(&bare, 50)
        );
    }
}

fn timed<T>(items: &[T], mut work: impl FnMut(&T)) -> Vec<Duration> {
    let time = |item| {
        let started = Instant::now();
        work(item);
        started.elapsed()
    };
    items.iter().map(time).collect()
}
