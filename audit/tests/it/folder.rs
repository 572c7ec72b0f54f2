//! The folder: what others read in it, and what it does not let its owner do.

use crate::support::*;
use bursar_audit::{History, LogFolder, PublishError};
use bursar_proof::{Checkpoint, leaf_hash};
use signed_note::{Note, StandardVerifier, VerifierList};
use std::path::Path;
use tlog_tiles::{TileHashReader, TileReader};

/// Reads tiles from the folder as a web server would hand them out.
struct Served(std::path::PathBuf);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            std::fs::read(self.0.join(tile.path().replacen("tile/8/", "tile/", 1))).unwrap()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Reads the whole log with tools that this project did not write: checkpoint, signature, every entry with its proof.
fn read_by_others(folder: &Path, size: u64) {
    let text = std::fs::read(folder.join("log/checkpoint")).unwrap();
    let note = Note::from_bytes(&text).unwrap();
    let verifier = StandardVerifier::new(&log_key().verifier().to_string()).unwrap();
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, size));
    let served = Served(folder.join("log"));
    let reader = TileHashReader::new(size, *checkpoint.hash(), &served);
    for bundle in 0..size.div_ceil(256) {
        let width = (size - bundle * 256).min(256);
        let part = if width == 256 { String::new() } else { format!(".p/{width}") };
        let bytes = std::fs::read(folder.join(format!("log/tile/entries/{bundle:03}{part}"))).unwrap();
        let mut rest = bytes.as_slice();
        for at in 0..width {
            let (length, after) = rest.split_at(2);
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
            rest = after;
            // Each with a proof of its own would take long; the first and last of a bundle do.
            if [0, width - 1].contains(&at) {
                let index = bundle * 256 + at;
                let proof = tlog_tiles::prove_record(size, index, &reader).unwrap();
                let hash = tlog_tiles::record_hash(entry);
                tlog_tiles::check_record(&proof, size, *checkpoint.hash(), index, hash).unwrap();
            }
        }
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn others_read_the_published_log_with_their_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = sqlite(folder.path());
    let publisher = publisher(&ledger, folder.path());
    assert!(publisher.publish().await.unwrap().checkpoint.is_none(), "an empty journal has no checkpoint");
    for size in [1, 2, 255, 256, 257, 700] {
        grow(&ledger, size, "paid").await;
        let published = publisher.publish().await.unwrap();
        assert!(published.fresh);
        read_by_others(folder.path(), size);
        assert!(!publisher.publish().await.unwrap().fresh, "nothing happened since");
    }
    // What was a part has become whole, and its parts are gone.
    assert!(!folder.path().join("log/tile/0/000.p").exists());
    assert!(!folder.path().join("log/tile/entries/001.p").exists());
    let (signed, others) = History::of(publisher.folder().clone()).signed_by(&publisher.key()).unwrap();
    assert_eq!(
        signed.iter().map(|checkpoint| checkpoint.size).collect::<Vec<_>>(),
        [1, 2, 255, 256, 257, 700]
    );
    assert_eq!(others, 0);
}

#[tokio::test]
async fn a_crash_at_any_file_leaves_a_log_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = sqlite(folder.path());
    let log = folder.path().join("log");
    grow(&ledger, 300, "paid").await;
    publisher(&ledger, folder.path()).publish().await.unwrap();
    let checkpoint = std::fs::read(log.join("checkpoint")).unwrap();
    grow(&ledger, 600, "paid").await;
    publisher(&ledger, folder.path()).publish().await.unwrap();

    // Tiles and history are further than the checkpoint, whose successor lies half written beside it, and a line is torn.
    std::fs::write(log.join("checkpoint"), checkpoint).unwrap();
    std::fs::write(log.join("checkpoint.new"), "example.com/led").unwrap();
    let history = std::fs::read(log.join("history")).unwrap();
    std::fs::write(log.join("history"), &history[..history.len() - 40]).unwrap();
    read_by_others_at(folder.path(), 300);
    let published = publisher(&ledger, folder.path()).publish().await.unwrap();
    assert_eq!(published.checkpoint.unwrap().0.size, 600);
    read_by_others(folder.path(), 600);
    let (signed, _) = History::of(LogFolder::new(&log)).signed_by(&log_key().verifier()).unwrap();
    assert_eq!(signed.iter().map(|checkpoint| checkpoint.size).collect::<Vec<_>>(), [300, 600]);
}

/// The checkpoint alone: parts of it may have been replaced by whole tiles, which readers fall back to.
fn read_by_others_at(folder: &Path, size: u64) {
    let note = LogFolder::new(folder.join("log")).checkpoint().unwrap().unwrap();
    assert_eq!(Checkpoint::check(&note, &log_key().verifier()).unwrap().size, size);
}

#[tokio::test]
async fn publishers_of_two_processes_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (sqlite(folder.path()), sqlite(folder.path()));
    let publishers = [publisher(&one, folder.path()), publisher(&other, folder.path())];
    for round in 1..=10 {
        grow(&one, round * 60, "paid").await;
        let (a, b) = tokio::join!(publishers[0].publish(), publishers[1].publish());
        let fresh = [a.unwrap(), b.unwrap()].iter().filter(|published| published.fresh).count();
        assert_eq!(fresh, 1, "one of them signs, the other finds it signed");
    }
    read_by_others(folder.path(), 600);
}

#[tokio::test]
async fn writers_go_on_while_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = sqlite(folder.path());
    let publisher = publisher(&ledger, folder.path());
    let writing = async {
        for n in 0..300 {
            ledger.commit(entries(n, 1, "paid")).await.unwrap();
        }
    };
    let publishing = async {
        for _ in 0..20 {
            publisher.publish().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, publishing);
    let last = publisher.publish().await.unwrap().checkpoint.unwrap().0;
    assert_eq!(last.size, 300);
    read_by_others(folder.path(), 300);
}

#[tokio::test]
async fn a_journal_that_does_not_continue_what_was_signed_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = memory();
    grow(&ledger, 20, "paid").await;
    publisher(&ledger, folder.path()).publish().await.unwrap();

    let shorter = memory();
    grow(&shorter, 12, "paid").await;
    let error = publisher(&shorter, folder.path()).publish().await.unwrap_err();
    assert!(matches!(error, PublishError::RolledBack { found: 12, signed: 20 }), "{error}");
    assert!(error.is_alarm());

    let other = memory();
    grow(&other, 30, "never paid").await;
    let error = publisher(&other, folder.path()).publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Rewritten { signed: 20 }), "{error}");

    // The checkpoint put away does not help: the history knows.
    std::fs::remove_file(folder.path().join("log/checkpoint")).unwrap();
    let error = publisher(&other, folder.path()).publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Rewritten { signed: 20 }), "{error}");
    // Nor does another's in its place.
    std::fs::write(folder.path().join("log/checkpoint"), "other\n1\nno\n\n\u{2014} other AAAAAAAA\n")
        .unwrap();
    let error = publisher(&ledger, folder.path()).publish().await.unwrap_err();
    assert!(matches!(error, PublishError::NotOurs { .. }), "{error}");
}

#[tokio::test]
async fn an_entry_is_proven_to_whoever_has_the_log_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = sqlite(folder.path());
    grow(&ledger, 400, "paid").await;
    let (checkpoint, note) = publisher(&ledger, folder.path()).publish().await.unwrap().checkpoint.unwrap();
    let proven = ledger.prove_inclusion(123, checkpoint.size).await.unwrap().unwrap();
    let file = bursar_proof::ProofFile {
        extra: Some(proven.leaf.clone()),
        inclusion: proven.inclusion,
        checkpoint: note,
    };
    let carried = bursar_proof::ProofFile::parse(&file.to_string()).unwrap();
    let leaf = leaf_hash(carried.extra.as_deref().unwrap());
    assert_eq!(carried.check(&leaf, &log_key().verifier()).unwrap(), checkpoint);
    assert!(carried.check(&leaf_hash(b"another"), &log_key().verifier()).is_err());
}
