//! Proofs and tiles over a journal, judged by what was proven and by what was not.

use crate::support::*;
use bursar_ledger::{Ledger, Refusal, Transaction};
use bursar_proof::{Tile, leaf_hash, perfect_root, tiles_between};
use bursar_types::canonical_bytes;
use serde_json::json;

const SIZE: u64 = 600;

async fn filled(f: &Fixture) {
    for chunk in 0..SIZE / 100 {
        let entries = (0..100).map(|n| entry("s", json!({ "n": chunk * 100 + n }))).collect();
        f.ledger.commit(Transaction { entries, ..Transaction::default() }).await.unwrap();
    }
}

async fn leaves(ledger: &Ledger) -> Vec<Vec<u8>> {
    let entries = ledger.entries(0, 10_000).await.unwrap();
    entries.iter().map(|entry| canonical_bytes(entry).unwrap()).collect()
}

#[tokio::test]
async fn every_entry_is_proven_and_every_earlier_tree_is_continued() {
    for f in [Fixture::memory(), Fixture::sqlite()] {
        filled(&f).await;
        let ledger = &f.ledger;
        let hashes: Vec<_> = leaves(ledger).await.iter().map(|leaf| leaf_hash(leaf)).collect();
        let head = ledger.head().await.unwrap();
        assert_eq!((head.size, head.hash()), (SIZE, perfect_root(&hashes)));
        for sequence in [0, 1, 2, 255, 256, 511, 512, 598, 599] {
            let proof = ledger.prove_inclusion(sequence, SIZE).await.unwrap().unwrap();
            assert_eq!(proof.entry.sequence, sequence);
            proof.inclusion.check(&leaf_hash(&proof.leaf), head.size, &head.hash()).unwrap();
        }
        for old in [0, 1, 2, 255, 256, 257, 512, 599, 600] {
            let root = ledger.root_at(old).await.unwrap().unwrap();
            let root = bursar_proof::Hash(*root.as_bytes());
            assert_eq!(root, perfect_root(&hashes[..usize::try_from(old).unwrap()]));
            let proof = ledger.prove_consistency(old, SIZE).await.unwrap().unwrap();
            proof.check((old, &root), (SIZE, &head.hash())).unwrap();
        }
        assert_eq!(ledger.root_at(SIZE + 1).await.unwrap(), None);
        assert_eq!(ledger.prove_inclusion(SIZE, SIZE).await.unwrap(), None);
        assert_eq!(ledger.prove_inclusion(3, SIZE + 1).await.unwrap(), None);
        assert_eq!(ledger.prove_consistency(3, SIZE + 1).await.unwrap(), None);
        assert_eq!(ledger.prove_inclusion(u64::MAX, u64::MAX).await.unwrap(), None);
    }
}

#[tokio::test]
async fn tiles_are_the_hashes_and_entries_that_the_tree_is_made_of() {
    for f in [Fixture::memory(), Fixture::sqlite()] {
        filled(&f).await;
        let leaves = leaves(&f.ledger).await;
        for tile in tiles_between(0, SIZE) {
            let bytes = f.ledger.tile(tile).await.unwrap().unwrap();
            let first = usize::try_from(tile.index * 256).unwrap();
            let under = |at: usize, count: usize| -> Vec<_> {
                leaves[at..at + count].iter().map(|leaf| leaf_hash(leaf)).collect()
            };
            match tile.level {
                None => {
                    let mut rest = bytes.as_slice();
                    for leaf in &leaves[first..first + usize::from(tile.width)] {
                        let (length, after) = rest.split_at(2);
                        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                        let (entry, after) = after.split_at(length);
                        assert_eq!(entry, leaf);
                        rest = after;
                    }
                    assert!(rest.is_empty());
                }
                Some(0) => {
                    assert_eq!(tile.read(&bytes).unwrap(), under(first, usize::from(tile.width)), "{tile}");
                }
                Some(1) => {
                    let hashes: Vec<_> = (0..usize::from(tile.width))
                        .map(|at| perfect_root(&under((first + at) * 256, 256)))
                        .collect();
                    assert_eq!(tile.read(&bytes).unwrap(), hashes, "{tile}");
                }
                Some(level) => panic!("a tree of {SIZE} has no level {level}"),
            }
        }
        assert_eq!(f.ledger.tile(Tile::hashes(0, 2, 256)).await.unwrap(), None);
        assert_eq!(f.ledger.tile(Tile::entries(2, 256)).await.unwrap(), None);
        assert_eq!(f.ledger.tile(Tile::entries(u64::MAX, 256)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_entry_that_no_bundle_could_hold_is_refused() {
    for f in [Fixture::memory(), Fixture::sqlite()] {
        let entries = vec![entry("s", json!("x".repeat(65_400)))];
        f.ledger.commit(Transaction { entries, ..Transaction::default() }).await.unwrap();
        let entries = vec![entry("s", json!("x".repeat(65_536)))];
        let refusal = f.refused(Transaction { entries, ..Transaction::default() }).await;
        assert!(matches!(refusal, Refusal::EntryTooLarge { bytes: 65_537.., .. }), "{refusal}");
        f.verify().await;
    }
}
