//! Whoever edits the file is found by `verify`.

use crate::support::*;
use bursar_ledger::{AccountOp, Budget, LinkWrite, Payload, StoreError, StreamId, Transaction, Window};
use bursar_types::SeededEntropy;
use bytes::Bytes;
use rusqlite::Connection;
use serde_json::json;

/// A ledger with something of everything.
async fn fixture() -> Fixture {
    let f = Fixture::sqlite();
    let window = Window::Rolling { length_ms: 86_400_000 };
    let day = AccountOp::Open(Budget { window, ..budget(2, 500) });
    f.commit(vec![open(1, 100), day]).await.unwrap();
    f.commit(vec![hold(1, &[(1, 40), (2, 40)]), capture(1, None)]).await.unwrap();
    f.commit(vec![refund("r", 1, &[(1, 5)]), hold(2, &[(1, 10)])]).await.unwrap();
    let payload = Payload::seal(Bytes::from_static(b"page"), &SeededEntropy::new(3));
    let entries = vec![entry("s", json!({"paid": "40", "payload": payload.commitment()}))];
    f.ledger
        .commit(Transaction { entries, payloads: vec![payload], ..Transaction::default() })
        .await
        .unwrap();
    f.verify().await;
    f
}

#[tokio::test]
async fn a_stream_whose_chain_leads_elsewhere_is_not_read() {
    for edit in [
        "UPDATE streams SET last = 0 WHERE name = 'accounts'",
        "UPDATE streams SET last = 99 WHERE name = 'accounts'",
        "UPDATE streams SET length = 9 WHERE name = 'accounts'",
        "UPDATE entries SET previous = NULL WHERE stream = 'accounts' AND stream_sequence = 2",
        "UPDATE entries SET previous = 3 WHERE stream = 'accounts' AND stream_sequence = 2",
        "DELETE FROM entries WHERE stream = 'accounts' AND stream_sequence = 1",
    ] {
        let f = fixture().await;
        let path = f.folder.as_ref().unwrap().path().join("data/ledger.db");
        assert_eq!(f.ledger.stream(&StreamId::accounts(), 0).await.unwrap().len(), 3);
        assert_eq!(Connection::open(path).unwrap().execute(edit, []).unwrap(), 1, "`{edit}`");
        let read = f.ledger.stream(&StreamId::accounts(), 0).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "`{edit}` gave {read:?}");
    }
}

#[tokio::test]
async fn every_edit_is_found() {
    for (edit, words) in [
        ("UPDATE entries SET body = replace(body, '40', '41') WHERE stream = 's'", "does not hash"),
        (
            "UPDATE entries SET body = replace(body, '{', '{ ') WHERE sequence = 0",
            "in other bytes than were hashed",
        ),
        ("UPDATE entries SET kind = 'x' WHERE sequence = 3", "does not hash"),
        ("UPDATE entries SET at = at + 1 WHERE sequence = 3", "give the root"),
        ("DELETE FROM entries WHERE sequence = 3", "entries were found"),
        ("DELETE FROM entries WHERE sequence = 1", "stands where entry 1 belongs"),
        ("UPDATE ledger SET root = zeroblob(32)", "give the root"),
        ("UPDATE entries SET peak = zeroblob(32) WHERE sequence = 0", "does not hash"),
        ("UPDATE entries SET body = replace(body, '\"atomic\":\"40\"', '\"atomic\":\"4\"')", "give the root"),
        ("UPDATE budgets SET spent = '0'", "is stored with spent 0"),
        ("UPDATE budgets SET terms = replace(terms, '100', '900')", "other terms"),
        ("DELETE FROM budgets", "is not stored"),
        ("UPDATE holds SET state = replace(state, '\"captured\"', '\"released\"')", "another state"),
        ("UPDATE holds SET expires_at = NULL", "another expiry"),
        ("DELETE FROM holds", "is not stored"),
        ("UPDATE windows SET amount = '1'", "rolling windows"),
        ("DELETE FROM windows", "rolling windows"),
        ("UPDATE payloads SET bytes = CAST('pagE' AS BLOB)", "is stored with other bytes"),
        ("UPDATE payloads SET salt = zeroblob(16)", "is stored with other bytes"),
        ("UPDATE streams SET length = length + 1", "is stored with"),
        ("UPDATE streams SET last = last - 1", "another last entry"),
        ("UPDATE entries SET previous = NULL WHERE previous IS NOT NULL", "names another entry"),
        ("UPDATE entries SET previous = sequence WHERE stream_sequence = 0", "names another entry"),
        ("DELETE FROM streams", "is not listed"),
    ] {
        let f = fixture().await;
        let path = f.folder.as_ref().unwrap().path().join("data/ledger.db");
        let changed = Connection::open(path).unwrap().execute(edit, []).unwrap();
        assert!(changed > 0, "`{edit}` changed nothing");
        let problems = f.ledger.verify().await.unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(words)), "`{edit}` gave {problems:#?}");
    }
}

#[tokio::test]
async fn what_was_put_into_the_schema_runs_nothing_and_is_found() {
    let f = fixture().await;
    let path = f.folder.as_ref().unwrap().path().join("data/ledger.db");
    let forgets =
        "CREATE TRIGGER forgets AFTER INSERT ON links BEGIN DELETE FROM links WHERE key = NEW.key; END";
    Connection::open(path).unwrap().execute(forgets, []).unwrap();
    let link = LinkWrite { key: "bought/1".to_owned(), expected: None, value: Some("pay_1".to_owned()) };
    f.ledger.commit(Transaction { links: vec![link], ..Transaction::default() }).await.unwrap();
    assert_eq!(f.ledger.link("bought/1").await.unwrap().as_deref(), Some("pay_1"));
    let problems = f.ledger.verify().await.unwrap().problems;
    assert_eq!(problems, ["the file's schema is not ours: trigger `forgets`"]);
}

#[tokio::test]
async fn a_rewritten_history_does_not_match_the_mark() {
    let f = fixture().await;
    let folder = f.folder.as_ref().unwrap();
    let mark = folder.path().join("marks/ledger.mark");
    // Another history of the same length, consistent in itself, under the same id.
    let kept = std::fs::read(&mark).unwrap();
    let other = Fixture::sqlite();
    for n in 0..4 {
        let entries = vec![entry("s", json!(n))];
        other.ledger.commit(Transaction { entries, ..Transaction::default() }).await.unwrap();
    }
    std::fs::write(other.folder.as_ref().unwrap().path().join("marks/ledger.mark"), kept).unwrap();
    let problems = other.ledger.verify().await.unwrap().problems;
    assert_eq!(problems, ["the first 4 entries are not those seen before"]);
}
