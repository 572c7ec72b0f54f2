//! The ledger as the journal of runs.

use crate::support::*;
use bursar_types::{Journal, JournalError, JournalRecord, RunId};
use bytes::Bytes;

fn record(kind: &str, content: &'static [u8]) -> JournalRecord {
    JournalRecord { kind: kind.to_owned(), payload: Bytes::from_static(content) }
}

async fn check(f: Fixture) {
    let run = RunId::derived(&[b"run"]);
    let journal: &dyn Journal = &f.ledger;
    assert_eq!(
        journal.append(run, 0, vec![record("asked", b"a"), record("replied", b"b")]).await.unwrap(),
        2
    );
    assert_eq!(journal.append(run, 2, vec![record("asked", b"a")]).await.unwrap(), 3);
    let fenced = journal.append(run, 2, vec![record("asked", b"x")]).await;
    assert!(matches!(fenced, Err(JournalError::Fenced { expected: 2, found: 3 })), "{fenced:?}");
    let records = journal.read(run, 1).await.unwrap();
    assert_eq!((records[0].sequence, records[0].kind.as_str()), (1, "replied"));
    assert_eq!(records[1].payload.as_deref(), Some(&b"a"[..]));
    assert_eq!(journal.read(RunId::derived(&[b"other"]), 0).await.unwrap(), []);
    // The same content twice has two salts, so nobody sees in the tree that it is the same.
    let entries = f.ledger.entries(0, 10).await.unwrap();
    assert_ne!(entries[0].body, entries[2].body);
    f.verify().await;
}

#[tokio::test]
async fn a_run_is_numbered_fenced_and_read_back_from_memory() {
    check(Fixture::memory()).await;
}

#[tokio::test]
async fn a_run_is_numbered_fenced_and_read_back_from_sqlite() {
    check(Fixture::sqlite()).await;
}
