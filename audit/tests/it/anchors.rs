//! Second places for checkpoints, and what they tell of the first.

use crate::support::*;
use bursar_audit::{Anchor, Concern, FileAnchor, HttpAnchor, Publisher};
use bursar_proof::{Checkpoint, KeyKind, NoteKey, SignedNote};
use std::path::Path;
use std::sync::Arc;

async fn places(folder: &Path) -> (Arc<Net>, Vec<Arc<dyn Anchor>>) {
    let net = Net::with(witness(folder, 7));
    let file = FileAnchor(folder.join("elsewhere/checkpoint"));
    let http = HttpAnchor { url: "http://kept.example/kept".parse().unwrap(), transport: net.clone() };
    (net, vec![Arc::new(file), Arc::new(http)])
}

fn anchored(publisher: Publisher, net: &Arc<Net>, anchors: &[Arc<dyn Anchor>]) -> Publisher {
    publisher.shown_to(net.clone(), Vec::new(), anchors.to_vec())
}

#[tokio::test]
async fn every_place_keeps_the_latest_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = memory();
    let (net, anchors) = places(folder.path()).await;
    let log = anchored(publisher(&ledger, folder.path()), &net, &anchors);
    for size in [4, 9] {
        grow(&ledger, size, "paid").await;
        assert!(log.publish().await.unwrap().concerns.is_empty());
        for anchor in &anchors {
            let kept = anchor.kept().await.unwrap().unwrap();
            assert_eq!(Checkpoint::check(&kept, &log.key()).unwrap().size, size, "{}", anchor.name());
        }
    }
}

#[tokio::test]
async fn a_place_that_knows_more_or_other_says_so_and_keeps_it() {
    let (folder, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = memory();
    grow(&ledger, 9, "paid").await;
    let (net, anchors) = places(folder.path()).await;
    anchored(publisher(&ledger, folder.path()), &net, &anchors).publish().await.unwrap();

    let (shorter, other) = (memory(), memory());
    grow(&shorter, 5, "paid").await;
    grow(&other, 12, "never paid").await;
    for forged in [shorter, other] {
        // Everything on this machine was put back or rewritten, with the log's own key.
        let _ = std::fs::remove_dir_all(later.path().join("log"));
        let published = anchored(publisher(&forged, later.path()), &net, &anchors).publish().await.unwrap();
        assert_eq!(published.concerns.len(), 2);
        for concern in &published.concerns {
            assert!(matches!(concern, Concern::Contradicted { size: 9, .. }), "{concern}");
            assert!(concern.is_alarm());
        }
        for anchor in &anchors {
            let kept = anchor.kept().await.unwrap().unwrap();
            assert_eq!(
                Checkpoint::check(&kept, &log_key().verifier()).unwrap().size,
                9,
                "the evidence stays"
            );
        }
    }
}

#[tokio::test]
async fn what_others_keep_there_is_not_replaced_and_what_is_no_note_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = memory();
    grow(&ledger, 3, "paid").await;
    let path = folder.path().join("checkpoint");
    let anchors: Vec<Arc<dyn Anchor>> = vec![Arc::new(FileAnchor(path.clone()))];
    let net = Net::with(witness(folder.path(), 7));
    let stranger = NoteKey::from_seed("other.example", KeyKind::Log, &[2; 32]).unwrap();
    let root = ledger.head().await.unwrap().hash();
    let strange = Checkpoint { origin: "other.example".to_owned(), size: 3, root }.sign(&stranger).unwrap();
    let plain = SignedNote::sign("just a note\n", &stranger).unwrap();
    for there in [strange.to_string(), plain.to_string(), "a letter".to_owned()] {
        std::fs::write(&path, &there).unwrap();
        let log = anchored(publisher(&ledger, folder.path()), &net, &anchors);
        let published = log.publish().await.unwrap();
        assert!(matches!(published.concerns.as_slice(), [Concern::Anchor { .. }]), "{published:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), there);
    }
}
