//! What a witness agrees to.

use crate::log::Log;
use bursar_proof::{
    Checkpoint, Consistency, KeyKind, NoteKey, ProofError, SignedNote, Submission, Turned, VerifierKey,
    leaf_hash, prove_consistency,
};

fn key(seed: u8) -> NoteKey {
    NoteKey::from_seed("example.com/log", KeyKind::Log, &[seed; 32]).unwrap()
}

fn checkpoint(log: &Log, size: u64) -> Checkpoint {
    Checkpoint { origin: "example.com/log".to_owned(), size, root: log.root(size) }
}

fn submission(log: &mut Log, old: u64, new: u64) -> Submission {
    let proof = prove_consistency(log, old, new).unwrap().unwrap_or(Consistency { hashes: vec![] });
    Submission { old_size: old, proof, note: checkpoint(log, new).sign(&key(1)).unwrap() }
}

fn known() -> Vec<VerifierKey> {
    vec![key(1).verifier()]
}

#[test]
fn a_log_that_grows_is_cosigned_from_its_first_checkpoint_on() {
    let mut log = Log::of(50);
    let mut seen = None;
    for (old, new) in [(0, 7), (7, 7), (7, 8), (8, 50)] {
        let asked = submission(&mut log, old, new);
        let asked = Submission::parse(&asked.to_string()).unwrap();
        seen = Some(asked.judge(seen.as_ref(), &known()).unwrap());
        assert_eq!(seen, Some(checkpoint(&log, new)));
    }
}

#[test]
fn a_fork_a_shrink_and_a_gap_are_turned_away() {
    let mut log = Log::of(50);
    let seen = checkpoint(&log, 20);

    // One entry of the past is another: the log shows two histories.
    let mut leaves = Log::of(50).levels.remove(0);
    leaves[10] = leaf_hash(b"another");
    let mut forked = Log::over(leaves);
    for new in [20, 21, 50] {
        let turned = submission(&mut forked, 20, new).judge(Some(&seen), &known()).unwrap_err();
        assert!(matches!(turned, Turned::Inconsistent(_)), "{turned}");
        assert_eq!(turned.status(), 422);
    }
    // A log that was rolled back, and says it starts from where it is.
    let turned = submission(&mut log, 15, 18).judge(Some(&seen), &known());
    assert_eq!(turned, Err(Turned::Conflict { seen: 20 }));
    let turned = submission(&mut log, 20, 18).judge(Some(&seen), &known());
    assert_eq!(turned, Err(Turned::Shrunk));
    // Who saw nothing is told so, and the proof from nothing is empty.
    assert_eq!(submission(&mut log, 20, 30).judge(None, &known()), Err(Turned::Conflict { seen: 0 }));
    let mut stuffed = submission(&mut log, 0, 30);
    stuffed.proof.hashes.push(log.root(1));
    let turned = stuffed.judge(None, &known());
    assert_eq!(turned, Err(Turned::Inconsistent(ProofError::Length { found: 1 })));
}

#[test]
fn only_a_known_log_by_its_own_key_is_cosigned() {
    let mut log = Log::of(5);
    let asked = submission(&mut log, 0, 5);
    assert_eq!(asked.judge(None, &[]), Err(Turned::UnknownOrigin));
    let other = NoteKey::from_seed("other.example", KeyKind::Log, &[1; 32]).unwrap();
    assert_eq!(asked.judge(None, &[other.verifier()]), Err(Turned::UnknownOrigin));
    assert_eq!(asked.judge(None, &[key(2).verifier()]), Err(Turned::NotSigned));
    // A rotated key: either is enough.
    assert!(asked.judge(None, &[key(2).verifier(), key(1).verifier()]).is_ok());
    let mut forged = asked.note.to_string();
    forged = forged.replacen("\n5\n", "\n4\n", 1);
    let forged = Submission { note: SignedNote::parse(&forged).unwrap(), ..asked };
    assert_eq!(forged.judge(None, &known()), Err(Turned::NotSigned));
}

#[test]
fn requests_that_are_none_are_refused() {
    let mut log = Log::of(5);
    let good = submission(&mut log, 3, 5).to_string();
    for bad in [
        good.replacen("old 3", "old 03", 1),
        good.replacen("old 3", "new 3", 1),
        good.replacen("old 3", "old -3", 1),
        good.replacen("old 3\n", "old 3\nno hash\n", 1),
        good.replacen("old 3\n", &format!("old 3\n{}", format!("{}\n", log.root(1)).repeat(64)), 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen("example.com/log\n5", "example.com/log\nfive", 1),
        String::new(),
    ] {
        assert!(Submission::parse(&bad).is_err(), "{bad:?}");
    }
}
