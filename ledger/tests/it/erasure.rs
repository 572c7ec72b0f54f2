//! What is erased is gone from the file, the journal says so, and every proof still holds.

use crate::support::*;
use bursar_ledger::{Commitment, Erasure, EventError, Ledger, Refusal, SealedEvent, StreamId, Transaction};
use bursar_proof::leaf_hash;
use bursar_types::SeededEntropy;
use rusqlite::Connection;
use serde_json::json;

/// Text that stands nowhere but in one payload.
const SECRET: &str = "the-client-is-Erika-Mustermann";

fn stream() -> StreamId {
    StreamId::new("orders").unwrap()
}

/// A ledger with some events, of which the fifth holds the text. Answers its commitment.
async fn with_events(ledger: &Ledger) -> Commitment {
    let mut named = None;
    for n in 0..20_u64 {
        let text = if n == 5 { SECRET.repeat(400) } else { format!("order {n}") };
        let sealed =
            SealedEvent::new(stream(), "order", [("n", json!(n))], &text, &SeededEntropy::new(n)).unwrap();
        if n == 5 {
            named = Some(sealed.payload.commitment());
        }
        let mut transaction = Transaction::default();
        sealed.add_to(&mut transaction);
        ledger.commit(transaction).await.unwrap();
    }
    named.unwrap()
}

fn erase(payloads: Vec<Commitment>) -> Transaction {
    Transaction { erase: Some(Erasure { payloads, why: "asked" }), ..Transaction::default() }
}

#[tokio::test]
async fn an_erased_payload_is_gone_and_the_journal_says_which_and_still_verifies() {
    for f in [Fixture::memory(), Fixture::sqlite()] {
        let named = with_events(&f.ledger).await;
        let before = f.ledger.head().await.unwrap();
        assert!(f.ledger.payload(named).await.unwrap().is_some());
        f.ledger.commit(erase(vec![named])).await.unwrap();
        // Again: nothing is there any more, and that it was asked twice is kept too.
        f.ledger.commit(erase(vec![named])).await.unwrap();

        assert_eq!(f.ledger.payload(named).await.unwrap(), None);
        let unread = f.ledger.events::<String>(&stream(), 0).await.unwrap_err();
        assert!(matches!(unread, EventError::Erased { sequence: 5, .. }), "{unread}");
        let erasures = f.ledger.stream(&StreamId::erasures(), 0).await.unwrap();
        assert_eq!(erasures[0].body, json!({"payloads": [named], "why": "asked"}));
        let found = f.ledger.verify().await.unwrap();
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!((found.payloads_checked, found.payloads_erased), (19, 1));

        // What was proven before is proven still: the entry's place, and that the journal only grew.
        let proof = f.ledger.prove_inclusion(5, before.size).await.unwrap().unwrap();
        proof.inclusion.check(&leaf_hash(&proof.leaf), before.size, &before.hash()).unwrap();
        let now = f.ledger.head().await.unwrap();
        let grown = f.ledger.prove_consistency(before.size, now.size).await.unwrap().unwrap();
        grown.check((before.size, &before.hash()), (now.size, &now.hash())).unwrap();
    }
}

#[tokio::test]
async fn no_byte_of_what_was_erased_is_left_in_the_files() {
    let f = Fixture::sqlite();
    let named = with_events(&f.ledger).await;
    let folder = f.folder.as_ref().unwrap().path();
    assert!(holds(folder, SECRET), "it lies somewhere before, or this test shows nothing");
    f.ledger.commit(erase(vec![named])).await.unwrap();
    assert!(!holds(folder, SECRET), "while the ledger is open");
    f.ledger.close().await.unwrap();
    assert!(!holds(folder, SECRET), "after it was closed");
}

/// Whether any file under the folder has this text.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|found| {
        let path = found.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()),
        }
    })
}

#[tokio::test]
async fn a_payload_that_is_gone_without_an_entry_is_found_and_so_is_one_that_came_back() {
    let f = Fixture::sqlite();
    let named = with_events(&f.ledger).await;
    let file = f.folder.as_ref().unwrap().path().join("data/ledger.db");
    let connection = Connection::open(file).unwrap();
    let bytes = named.digest();
    let row: (Vec<u8>, Vec<u8>) = connection
        .query_row("SELECT salt, bytes FROM payloads WHERE commitment = ?1", [bytes.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    connection.execute("DELETE FROM payloads WHERE commitment = ?1", [bytes.as_bytes()]).unwrap();
    let problems = f.ledger.verify().await.unwrap().problems;
    assert_eq!(
        problems,
        [format!("payload {named} of entry 5 is gone, and no entry says that it was erased")]
    );

    f.ledger.commit(erase(vec![named])).await.unwrap();
    f.verify().await;
    let sql = "INSERT INTO payloads (commitment, salt, bytes) VALUES (?1, ?2, ?3)";
    connection.execute(sql, rusqlite::params![bytes.as_bytes(), row.0, row.1]).unwrap();
    let problems = f.ledger.verify().await.unwrap().problems;
    assert_eq!(problems, [format!("payload {named} is recorded as erased, and is still there")]);
}

#[tokio::test]
async fn many_are_erased_at_once_and_only_the_ledger_says_so() {
    for f in [Fixture::memory(), Fixture::sqlite()] {
        let many: Vec<_> = (0..1_100_u32).map(|n| Commitment::new(&[0; 16], &n.to_be_bytes())).collect();
        let committed = f.ledger.commit(erase(many)).await.unwrap();
        assert_eq!(committed.head.size, 3);
        f.verify().await;
        let forged = entry("erasures", json!({"payloads": [], "why": "asked"}));
        let forged = Transaction { entries: vec![forged], ..Transaction::default() };
        assert!(matches!(f.refused(forged).await, Refusal::ReservedStream(_)));
    }
}
