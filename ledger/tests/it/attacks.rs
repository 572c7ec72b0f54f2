//! Attacks on a journal of ten thousand entries by whoever owns the file: each is found, when it is opened or verified.

use crate::support::*;
use bursar_ledger::{Ledger, Payload, SqliteStore, Transaction};
use bursar_types::{ManualClock, SeededEntropy, Timestamp};
use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const ENTRIES: u64 = 10_000;

/// A folder with a closed ledger of this many entries: streams, account changes and payloads.
async fn log(entries: u64) -> TempDir {
    let f = Fixture::sqlite();
    f.commit(vec![open(1, 1_000_000)]).await.unwrap();
    for n in 0.. {
        let size = f.ledger.head().await.unwrap().size;
        if size >= entries {
            break;
        }
        let id = u32::try_from(n).unwrap();
        // An entry for the account changes, and up to 99 others, the first of which names a payload.
        let payload = Payload::seal(Bytes::from(format!("page {n}")), &SeededEntropy::new(n));
        let others = (entries - size - 1).min(99);
        let entry = |m: u64| match m {
            0 => entry("pages", json!({"detail": payload.commitment()})),
            m => entry(&format!("s/{}", m % 7), json!({"n": n, "m": m, "paid": "40"})),
        };
        let transaction = Transaction {
            accounts: vec![hold(id, &[(1, 40)]), capture(id, None)],
            entries: (0..others).map(entry).collect(),
            payloads: if others > 0 { vec![payload.clone()] } else { Vec::new() },
            ..Transaction::default()
        };
        f.ledger.commit(transaction).await.unwrap();
    }
    f.verify().await;
    assert_eq!(f.ledger.head().await.unwrap().size, entries);
    f.ledger.close().await.unwrap();
    f.folder.unwrap()
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("data/ledger.db")
}

/// What is wrong with it, by whoever opens and reads it; empty if nothing is found.
async fn found(folder: &TempDir) -> String {
    let store = match SqliteStore::open(options(folder, &clock())) {
        Ok(store) => store,
        Err(error) => return error.to_string(),
    };
    let ledger = Ledger::new(Arc::new(store));
    let told = match ledger.verify().await {
        Ok(found) => found.problems.join("\n"),
        Err(error) => error.to_string(),
    };
    ledger.close().await.unwrap();
    told
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let place = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &place),
            false => drop(std::fs::copy(file.path(), place).unwrap()),
        }
    }
}

fn copied(folder: &TempDir) -> TempDir {
    let other = tempfile::tempdir().unwrap();
    copy(folder.path(), other.path());
    other
}

/// Flips a bit of a column's value; the bit is taken modulo the value's length.
fn flip(connection: &Connection, column: &str, sequence: u32, bit: usize) -> Value {
    let read = format!("SELECT {column} FROM entries WHERE sequence = ?1");
    let old: Value = connection.query_row(&read, [sequence], |row| row.get(0)).unwrap();
    let flipped = |mut bytes: Vec<u8>| {
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    match &old {
        Value::Integer(number) => {
            let set = format!("UPDATE entries SET {column} = ?1 WHERE sequence = ?2");
            connection.execute(&set, (number ^ (1 << (20 + bit % 40)), sequence)).unwrap();
        }
        Value::Text(text) => {
            let set = format!("UPDATE entries SET {column} = CAST(?1 AS TEXT) WHERE sequence = ?2");
            connection.execute(&set, (flipped(text.clone().into_bytes()), sequence)).unwrap();
        }
        Value::Blob(bytes) => {
            let set = format!("UPDATE entries SET {column} = ?1 WHERE sequence = ?2");
            connection.execute(&set, (flipped(bytes.clone()), sequence)).unwrap();
        }
        Value::Null => {
            let set = format!("UPDATE entries SET {column} = ?1 WHERE sequence = ?2");
            connection.execute(&set, (1_i64 << (bit % 40), sequence)).unwrap();
        }
        Value::Real(_) => panic!("{column} holds a float"),
    }
    old
}

#[tokio::test]
async fn a_flipped_bit_of_any_column_is_found_wherever_it_is() {
    let folder = log(ENTRIES).await;
    for (column, sequence, bit) in [
        ("body", 0, 3),
        ("body", 4_999, 77),
        ("body", 9_999, 8),
        ("at", 1, 0),
        ("at", 9_998, 7),
        ("stream", 5_000, 1),
        ("stream_sequence", 5_001, 2),
        ("kind", 2, 9),
        ("kind", 9_997, 30),
        ("peak", 3, 255),
        ("peak", 9_999, 0),
        ("previous", 5_002, 4),
    ] {
        let connection = Connection::open(file(&folder)).unwrap();
        let old = flip(&connection, column, sequence, bit);
        drop(connection);
        let told = found(&folder).await;
        assert!(!told.is_empty(), "bit {bit} of {column} of entry {sequence} was flipped unseen");
        let connection = Connection::open(file(&folder)).unwrap();
        let set = format!("UPDATE entries SET {column} = ?1 WHERE sequence = ?2");
        connection.execute(&set, (old, sequence)).unwrap();
    }
    assert_eq!(found(&folder).await, "", "what was put back verifies");
}

#[tokio::test]
async fn every_single_bit_of_an_entry_is_held() {
    let folder = log(12).await;
    let mut flips = 0;
    for column in ["at", "stream", "stream_sequence", "kind", "body", "peak", "previous"] {
        let bits = match column {
            "at" | "stream_sequence" | "previous" => 40_i64,
            column => {
                let length =
                    format!("SELECT length(CAST({column} AS BLOB)) * 8 FROM entries WHERE sequence = 2");
                Connection::open(file(&folder))
                    .unwrap()
                    .query_row(&length, [], |row| row.get::<_, i64>(0))
                    .unwrap()
            }
        };
        for bit in 0..bits {
            let connection = Connection::open(file(&folder)).unwrap();
            let old = flip(&connection, column, 2, usize::try_from(bit).unwrap());
            drop(connection);
            assert!(!found(&folder).await.is_empty(), "bit {bit} of {column} was flipped unseen");
            let connection = Connection::open(file(&folder)).unwrap();
            let set = format!("UPDATE entries SET {column} = ?1 WHERE sequence = 2");
            connection.execute(&set, [old]).unwrap();
            flips += 1;
        }
    }
    assert!(flips > 500, "{flips}");
    assert_eq!(found(&folder).await, "");
}

#[tokio::test]
async fn entries_that_are_taken_put_in_or_moved_are_found() {
    let folder = log(ENTRIES).await;
    let shift = "UPDATE entries SET sequence = -1 - sequence WHERE sequence >= 5000;\
                 UPDATE entries SET sequence = -sequence WHERE sequence < 0;";
    let forged = "INSERT INTO entries SELECT 5000, at, 'forged', 0, kind, body, peak, NULL FROM entries WHERE sequence = 5001;\
                  INSERT INTO streams VALUES ('forged', 1, 5000); UPDATE ledger SET size = size + 1";
    let back = "UPDATE entries SET at = at - 86400000 WHERE sequence = 6000";
    let whole = "UPDATE ledger SET size = 9990; DELETE FROM entries WHERE sequence >= 9990;\
                 UPDATE streams SET length = (SELECT count(*) FROM entries WHERE stream = name)";
    for (name, sql, words) in [
        (
            "one deleted",
            "DELETE FROM entries WHERE sequence = 5000".to_owned(),
            "stands where entry 5000 belongs",
        ),
        ("the last deleted", "DELETE FROM entries WHERE sequence = 9999".to_owned(), "do not give the root"),
        ("one put in", format!("{shift}{forged}"), "do not give the root"),
        (
            "two that changed places",
            "UPDATE entries SET sequence = -1 WHERE sequence = 41;\
             UPDATE entries SET sequence = 41 WHERE sequence = 42;\
             UPDATE entries SET sequence = 42 WHERE sequence = -1"
                .to_owned(),
            "",
        ),
        ("a tail cut off, and the head with it", whole.to_owned(), ""),
        ("a clock set back", back.to_owned(), "is older than the one before it"),
        (
            "a payload under another's hash",
            "UPDATE payloads SET bytes = CAST('page X' AS BLOB) WHERE rowid = 3".to_owned(),
            "other bytes",
        ),
        ("a payload taken", "DELETE FROM payloads WHERE rowid = 3".to_owned(), "is gone, and no entry says"),
        ("a budget edited", "UPDATE budgets SET spent = '1'".to_owned(), "is stored with spent 1"),
        (
            "a hold edited",
            "UPDATE holds SET state = replace(state, 'captured', 'released') WHERE rowid = 9".to_owned(),
            "",
        ),
    ] {
        let attacked = copied(&folder);
        Connection::open(file(&attacked)).unwrap().execute_batch(&sql).unwrap();
        let told = found(&attacked).await;
        assert!(!told.is_empty() && told.contains(words), "{name}: `{told}`");
    }
}

#[tokio::test]
async fn an_old_copy_put_back_is_refused_by_the_mark_and_without_it_only_by_others() {
    let folder = log(ENTRIES - 500).await;
    let old = copied(&folder);
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options(&folder, &clock())).unwrap()));
    let entries = (0..500).map(|n| entry("later", json!({ "n": n }))).collect();
    ledger.commit(Transaction { entries, ..Transaction::default() }).await.unwrap();
    let head = ledger.head().await.unwrap();
    ledger.close().await.unwrap();
    std::fs::copy(file(&old), file(&folder)).unwrap();
    let told = found(&folder).await;
    assert!(told.contains("was rolled back: 9500 entries, but 10000 were seen before"), "{told}");
    // With the mark put back as well nothing on this machine knows better. Whoever kept the later head does: it is no
    // continuation of what is here. That is what witnesses, histories and anchors are for (crate `bursar-audit`).
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options(&old, &clock())).unwrap()));
    assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
    assert!(ledger.root_at(head.size).await.unwrap().is_none());
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_clock_set_back_while_it_runs_leaves_no_entry_out_of_order() {
    let f = Fixture::sqlite();
    let one = || Transaction { entries: vec![entry("s", json!(1))], ..Transaction::default() };
    let first = f.ledger.commit(one()).await.unwrap().at;
    let yesterday = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_MS - 86_400_000)));
    let folder = f.folder.as_ref().unwrap();
    let later = Ledger::new(Arc::new(SqliteStore::open(options(folder, &yesterday)).unwrap()));
    let second = later.commit(one()).await.unwrap().at;
    assert!(second >= first, "{second} is before {first}");
    f.verify().await;
}
