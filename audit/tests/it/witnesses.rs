//! Witnesses, and what a log can show them.

use crate::support::*;
use bursar_audit::{Concern, Publisher, WitnessError, WitnessProblem};
use bursar_proof::{Checkpoint, Cosignature, KeyKind, NoteKey, SignedNote};
use std::sync::Arc;

fn shown(publisher: Publisher, net: &Arc<Net>) -> Publisher {
    publisher.shown_to(net.clone(), vec![net.at()], Vec::new())
}

fn problem(concerns: &[Concern]) -> &WitnessProblem {
    match concerns {
        [Concern::Witness { problem, .. }] => problem,
        other => panic!("one witness says one thing: {other:?}"),
    }
}

#[tokio::test]
async fn a_witness_cosigns_a_log_that_grows_also_after_both_were_away() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = sqlite(folder.path());
    let net = Net::with(witness(folder.path(), 7));
    let log = shown(publisher(&ledger, folder.path()), &net);
    for size in [3, 4, 200] {
        grow(&ledger, size, "paid").await;
        let published = log.publish().await.unwrap();
        assert_eq!(
            (published.cosigned.as_slice(), published.concerns.len()),
            (&["witness.example".to_owned()][..], 0)
        );
        let kept = log.folder().checkpoint().unwrap().unwrap();
        assert_eq!(Cosignature::check(&kept, &net.at().key).unwrap().at, 1_795_264_200);
    }
    assert_eq!(*net.asked.lock().unwrap(), 3, "it is asked once each time");
    log.publish().await.unwrap();
    assert_eq!(*net.asked.lock().unwrap(), 3, "what is cosigned is not asked about again");

    // The witness is away: it is published all the same, and cosigned later.
    let at = net.at();
    let away = net.witness.lock().unwrap().take();
    grow(&ledger, 201, "paid").await;
    let log = publisher(&ledger, folder.path()).shown_to(net.clone(), vec![at], Vec::new());
    let published = log.publish().await.unwrap();
    assert!(published.fresh && matches!(problem(&published.concerns), WitnessProblem::Transport(_)));
    assert!(!published.concerns[0].is_alarm());
    *net.witness.lock().unwrap() = away;
    let published = log.publish().await.unwrap();
    assert!(!published.fresh && published.cosigned.len() == 1);

    // Both begin anew from their files, and what we noted of the witness is gone.
    std::fs::remove_dir_all(folder.path().join("log/witnesses")).unwrap();
    *net.witness.lock().unwrap() = Some(witness(folder.path(), 7));
    grow(&ledger, 300, "paid").await;
    let log = shown(publisher(&ledger, folder.path()), &net);
    assert_eq!(log.publish().await.unwrap().cosigned.len(), 1);
}

#[tokio::test]
async fn a_fork_under_the_logs_own_key_is_not_cosigned() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::with(witness(one.path(), 7));
    let (shown_here, shown_there) = (memory(), memory());
    grow(&shown_here, 20, "paid").await;
    shown(publisher(&shown_here, one.path()), &net).publish().await.unwrap();
    for size in [20, 25] {
        grow(&shown_there, size, "never paid").await;
        let published = shown(publisher(&shown_there, other.path()), &net).publish().await.unwrap();
        assert!(
            matches!(problem(&published.concerns), WitnessProblem::SawAnother { seen: 20 }),
            "{:?}",
            published.concerns
        );
        assert!(published.concerns[0].is_alarm() && published.cosigned.is_empty());
    }
    // An auditor who asks the witness gets the one that it saw.
    let origin = bursar_types::Digest::of(ORIGIN.as_bytes()).to_string();
    let answer = net.witness.lock().unwrap().as_ref().unwrap().latest(&origin).unwrap();
    let note = SignedNote::parse(&answer.body).unwrap();
    let seen = Checkpoint::check(&note, &log_key().verifier()).unwrap();
    assert_eq!(seen.root, shown_here.head().await.unwrap().hash());
}

#[tokio::test]
async fn an_old_copy_of_everything_is_told_by_the_witness() {
    let (now, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::with(witness(now.path(), 7));
    let (ledger, copy) = (memory(), memory());
    grow(&copy, 12, "paid").await;
    grow(&ledger, 20, "paid").await;
    shown(publisher(&ledger, now.path()), &net).publish().await.unwrap();
    // Journal, log and history are those of twelve entries: nothing on this machine knows better.
    publisher(&copy, before.path()).publish().await.unwrap();
    let published = shown(publisher(&copy, before.path()), &net).publish().await.unwrap();
    let told = problem(&published.concerns);
    assert!(matches!(told, WitnessProblem::SawMore { seen: 20, found: 12 }), "{told}");

    // The copy was taken when the witness had cosigned it: only who asks hears of it.
    let (ledger, copy, folder) = (memory(), memory(), tempfile::tempdir().unwrap());
    let net = Net::with(witness(folder.path(), 7));
    grow(&copy, 12, "paid").await;
    grow(&ledger, 12, "paid").await;
    let old = shown(publisher(&copy, before.path()), &net);
    assert_eq!(old.publish_and_ask().await.unwrap().cosigned.len(), 1);
    assert!(old.publish_and_ask().await.unwrap().concerns.is_empty());
    assert_eq!(old.folder().checkpoint().unwrap().unwrap().signatures().len(), 2);
    grow(&ledger, 20, "paid").await;
    shown(publisher(&ledger, folder.path()), &net).publish().await.unwrap();
    assert!(old.publish().await.unwrap().concerns.is_empty());
    let published = old.publish_and_ask().await.unwrap();
    let told = problem(&published.concerns);
    assert!(matches!(told, WitnessProblem::SawMore { seen: 20, found: 12 }), "{told}");
}

#[tokio::test]
async fn whatever_a_false_witness_answers_is_no_cosignature() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = memory();
    grow(&ledger, 5, "paid").await;
    let net = Net::with(witness(folder.path(), 7));
    let log = shown(publisher(&ledger, folder.path()), &net);
    let signed = log.publish().await.unwrap().checkpoint.unwrap().1;
    grow(&ledger, 6, "paid").await;

    let stranger = NoteKey::from_seed("witness.example", KeyKind::Witness, &[8; 32]).unwrap();
    let strange = Cosignature::sign(signed.text(), 1, &stranger).unwrap().to_string();
    let stale = signed.signatures()[1].to_string();
    for (status, body) in [
        (200, String::new()),
        (200, strange),
        // Its own line, over the checkpoint before.
        (200, stale),
        (200, "x".repeat(5_000)),
        (409, "no number".to_owned()),
        (409, "3\n".to_owned()),
        // It says that it saw more, or others, and what it can show is what the journal continues.
        (409, "7\n".to_owned()),
        (422, String::new()),
        (403, String::new()),
        (404, String::new()),
        (500, String::new()),
        (302, String::new()),
    ] {
        *net.instead.lock().unwrap() = Some((status, body.clone()));
        let published = log.publish().await.unwrap();
        let [concern] = published.concerns.as_slice() else { panic!("{status} {body}: {published:?}") };
        assert!(!concern.is_alarm(), "nobody's word alone stops spending: {status} {body}: {concern}");
        let kept = log.folder().checkpoint().unwrap().unwrap();
        assert_eq!(kept.signatures().len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn a_witness_whose_memory_is_damaged_cosigns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = memory();
    grow(&ledger, 5, "paid").await;
    let net = Net::with(witness(folder.path(), 7));
    shown(publisher(&ledger, folder.path()), &net).publish().await.unwrap();
    let file = folder.path().join("witness").join(bursar_types::Digest::of(ORIGIN.as_bytes()).to_string());
    let good = std::fs::read_to_string(&file).unwrap();
    // Truncated, empty, and one that somebody else wrote.
    let unsigned = good.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
    for damaged in ["", "exam", unsigned.as_str()] {
        std::fs::write(&file, damaged).unwrap();
        let body = bursar_proof::Submission {
            old_size: 0,
            proof: bursar_proof::Consistency { hashes: vec![] },
            note: SignedNote::parse(&good).unwrap(),
        };
        let answer = witness(folder.path(), 7).add_checkpoint(&body.to_string());
        assert!(matches!(answer, Err(WitnessError::Damaged(_))), "{damaged:?}: {answer:?}");
    }
    assert_eq!(witness(folder.path(), 7).add_checkpoint("nonsense").unwrap().status, 400);
    assert_eq!(witness(folder.path(), 7).latest("../../etc/passwd").unwrap().status, 404);
}
