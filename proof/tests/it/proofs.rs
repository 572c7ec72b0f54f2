//! Every proof of every small tree, and every way to spoil one.

use crate::log::Log;
use bursar_proof::{Consistency, Hash, Inclusion, ProofError, prove_consistency, prove_inclusion, root_of};

/// Large enough for every shape of a right edge that five levels have.
const SIZE: u64 = 40;

#[test]
fn every_entry_of_every_small_tree_is_proven_and_no_other_hash_passes() {
    let mut log = Log::of(SIZE);
    for size in 1..=SIZE {
        let root = root_of(&mut log, size).unwrap();
        assert_eq!(root, log.root(size));
        for index in 0..size {
            let leaf = log.leaf(index);
            let proof = prove_inclusion(&mut log, index, size).unwrap().unwrap();
            assert_eq!(proof.check(&leaf, size, &root), Ok(()), "{index} in {size}");
            for wrong in spoilt(&proof.hashes) {
                let wrong = Inclusion { index, hashes: wrong };
                assert!(wrong.check(&leaf, size, &root).is_err(), "{index} in {size}");
            }
            assert_eq!(proof.check(&flipped(leaf, 77), size, &root), Err(ProofError::Root));
            for other in (0..size).filter(|other| *other != index) {
                let moved = Inclusion { index: other, hashes: proof.hashes.clone() };
                assert!(moved.check(&leaf, size, &root).is_err(), "{index} as {other} in {size}");
            }
        }
        assert_eq!(prove_inclusion(&mut log, size, size).unwrap(), None);
    }
}

#[test]
fn every_small_tree_is_proven_to_continue_every_earlier_one_and_no_other() {
    let mut log = Log::of(SIZE);
    for new in 0..=SIZE {
        let new_root = log.root(new);
        for old in 0..=new {
            let old_root = log.root(old);
            let proof = prove_consistency(&mut log, old, new).unwrap().unwrap();
            assert_eq!(proof.check((old, &old_root), (new, &new_root)), Ok(()), "{old} to {new}");
            for wrong in spoilt(&proof.hashes) {
                let wrong = Consistency { hashes: wrong };
                assert!(wrong.check((old, &old_root), (new, &new_root)).is_err(), "{old} to {new}");
            }
            // A fork: one bit of either root.
            assert!(proof.check((old, &flipped(old_root, 3)), (new, &new_root)).is_err(), "{old} to {new}");
            let forked = proof.check((old, &old_root), (new, &flipped(new_root, 3)));
            // Everything continues nothing, so from the empty tree any root does.
            assert_eq!(forked.is_ok(), old == 0 && new > 0, "{old} to {new}");
        }
        assert_eq!(prove_consistency(&mut log, new + 1, new).unwrap(), None);
        let shrunk = Consistency { hashes: vec![] }.check((new + 1, &new_root), (new, &new_root));
        assert_eq!(shrunk, Err(ProofError::Shrunk { old: new + 1, new }));
    }
}

#[test]
fn positions_beyond_any_log_are_refused_and_overflow_nothing() {
    let root = Log::of(1).root(1);
    for size in [u64::MAX, 1 << 63, (1 << 62) + 1] {
        let inclusion = Inclusion { index: size - 1, hashes: vec![root; 62] };
        assert_eq!(inclusion.check(&root, size, &root), Err(ProofError::TooLarge(size)));
        let consistency = Consistency { hashes: vec![root; 63] };
        assert_eq!(consistency.check((1, &root), (size, &root)), Err(ProofError::TooLarge(size)));
    }
    let largest = Inclusion { index: (1 << 62) - 1, hashes: vec![root; 62] };
    assert_eq!(largest.check(&root, 1 << 62, &root), Err(ProofError::Root));
}

/// A list of hashes with one bit turned, one missing, one doubled, two exchanged, or one too many.
fn spoilt(hashes: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..hashes.len() {
        for bit in [0, 100, 255] {
            let mut copy = hashes.to_vec();
            copy[at] = flipped(copy[at], bit);
            all.push(copy);
        }
        let mut missing = hashes.to_vec();
        missing.remove(at);
        all.push(missing);
        let mut doubled = hashes.to_vec();
        doubled.insert(at, hashes[at]);
        all.push(doubled);
        if at > 0 {
            let mut exchanged = hashes.to_vec();
            exchanged.swap(at - 1, at);
            all.push(exchanged);
        }
    }
    let mut longer = hashes.to_vec();
    longer.push(Hash([0; 32]));
    all.push(longer);
    all
}

fn flipped(mut hash: Hash, bit: usize) -> Hash {
    hash.0[bit / 8] ^= 1 << (bit % 8);
    hash
}
