//! What happens to data files: lost, damaged, locked, newer, put back.

use crate::support::*;
use bursar_ledger::{
    AccountOp, Budget, CommitError, Ledger, SqliteStore, Store, StoreError, StreamId, Transaction, Window,
};
use rusqlite::Connection;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    data: PathBuf,
    mark: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder, &clock());
        Self { folder, data: options.path, mark: options.mark_path }
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        let mut options = options(&self.folder, &clock());
        options.busy_timeout_ms = 50;
        SqliteStore::open(options)
    }

    /// Opens, appends `count` entries, closes.
    async fn append(&self, count: u32) {
        let store = self.open().unwrap();
        for n in 0..count {
            store.commit(one_entry(n)).await.unwrap();
        }
        store.close().await.unwrap();
    }
}

fn one_entry(n: u32) -> Transaction {
    Transaction { entries: vec![entry("s", json!(n))], ..Transaction::default() }
}

#[tokio::test]
async fn a_ledger_reopens_as_it_was() {
    let place = Place::new();
    let store = place.open().unwrap();
    let id = store.id();
    store.commit(ops(vec![open(1, 100), hold(1, &[(1, 30)]), pin(1)])).await.unwrap();
    let head = store.head().await.unwrap();
    // Dropped, not closed.
    drop(store);
    let store = place.open().unwrap();
    assert!(!store.mark_was_missing());
    assert_eq!((store.id(), store.head().await.unwrap()), (id, head));
    store.commit(ops(vec![capture(1, None)])).await.unwrap();
    assert_eq!(store.budget(budget_id(1)).await.unwrap().unwrap().spent, usd(30));
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_close_everything_is_in_the_data_file_alone() {
    let place = Place::new();
    let store = place.open().unwrap();
    for n in 0..3 {
        store.commit(one_entry(n)).await.unwrap();
        store.head().await.unwrap();
        assert_eq!(store.stream(&StreamId::new("s").unwrap(), 0).await.unwrap().len(), n as usize + 1);
    }
    store.close().await.unwrap();
    // A copy of the one file is a backup.
    let copy = Place::new();
    fs::create_dir_all(copy.data.parent().unwrap()).unwrap();
    fs::copy(&place.data, &copy.data).unwrap();
    assert_eq!(copy.open().unwrap().head().await.unwrap().size, 3);
}

#[tokio::test]
async fn a_closed_ledger_has_let_its_files_go() {
    let place = Place::new();
    for n in 0..40 {
        let store = place.open().unwrap();
        store.commit(one_entry(n)).await.unwrap();
        // On each reader's connection.
        tokio::try_join!(store.head(), store.head()).unwrap();
        store.close().await.unwrap();
        for beside in ["-wal", "-shm"] {
            let path = PathBuf::from(format!("{}{beside}", place.data.display()));
            assert!(!path.exists(), "{} is left by round {n}", path.display());
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let store = place.open().unwrap();
    store.commit(one_entry(1)).await.unwrap();
    for name in [place.data.clone(), place.mark.clone(), place.data.with_extension("db-wal")] {
        let mode = fs::metadata(&name).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", name.display());
    }
}

#[tokio::test]
async fn a_file_that_was_put_back_is_refused() {
    let place = Place::new();
    place.append(3).await;
    let backup = fs::read(&place.data).unwrap();
    place.append(2).await;
    fs::write(&place.data, &backup).unwrap();
    let path = place.data.display().to_string();
    match place.open() {
        Err(StoreError::RolledBack { path: found_path, found: 3, seen: 5 }) => assert_eq!(found_path, path),
        other => panic!("{other:?}"),
    }
    // Without the mark there is no way to tell, and it is said.
    fs::remove_file(&place.mark).unwrap();
    let store = place.open().unwrap();
    assert!(store.mark_was_missing());
    store.close().await.unwrap();
    assert!(!place.open().unwrap().mark_was_missing());
}

#[tokio::test]
async fn a_file_put_back_and_continued_is_refused() {
    let place = Place::new();
    place.append(3).await;
    let (backup, mark) = (fs::read(&place.data).unwrap(), place.mark.with_extension("elsewhere"));
    place.append(2).await;
    fs::write(&place.data, &backup).unwrap();
    fs::rename(&place.mark, &mark).unwrap();
    let store = place.open().unwrap();
    for n in 100..104 {
        store.commit(one_entry(n)).await.unwrap();
    }
    store.close().await.unwrap();
    fs::rename(&mark, &place.mark).unwrap();
    match place.open() {
        Err(StoreError::Corrupt { problem, .. }) => {
            assert_eq!(problem, "its first 5 entries are not those seen before");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_or_emptied_file_is_refused_while_its_mark_remembers_it() {
    for emptied in [false, true] {
        let place = Place::new();
        place.append(2).await;
        match emptied {
            true => fs::write(&place.data, b"").unwrap(),
            false => fs::remove_file(&place.data).unwrap(),
        }
        assert!(matches!(place.open(), Err(StoreError::RolledBack { found: 0, seen: 2, .. })));
    }
}

#[tokio::test]
async fn the_mark_of_another_ledger_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    place.append(1).await;
    let mut options = options(&other.folder, &clock());
    options.entropy = Arc::new(bursar_types::SeededEntropy::new(77));
    SqliteStore::open(options).unwrap().commit(one_entry(0)).await.unwrap();
    fs::copy(&other.mark, &place.mark).unwrap();
    match place.open() {
        Err(StoreError::Corrupt { problem, .. }) => {
            assert!(problem.starts_with("its high-water mark belongs to ledger led_"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_torn_mark_counts_as_missing() {
    let place = Place::new();
    place.append(2).await;
    let whole = fs::read(&place.mark).unwrap();
    fs::write(&place.mark, &whole[..whole.len() / 2]).unwrap();
    assert!(place.open().unwrap().mark_was_missing());
    assert_eq!(fs::read(&place.mark).unwrap(), whole);
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_with_its_path() {
    let text = b"once upon a time ".repeat(400);
    let foreign = tempfile::tempdir().unwrap();
    let foreign = foreign.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    for (name, bytes) in [
        ("text", text),
        ("zeros", vec![0; 8_192]),
        ("short", b"x".to_vec()),
        ("another program's", fs::read(&foreign).unwrap()),
    ] {
        let place = Place::new();
        fs::create_dir_all(place.data.parent().unwrap()).unwrap();
        fs::write(&place.data, &bytes).unwrap();
        match place.open() {
            Err(StoreError::Corrupt { path, .. }) => assert_eq!(path, place.data.display().to_string()),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(fs::read(&place.data).unwrap(), bytes, "{name} was changed");
    }
}

#[tokio::test]
async fn damage_inside_the_file_is_corrupt() {
    let place = Place::new();
    place.append(200).await;
    let mut bytes = fs::read(&place.data).unwrap();
    for byte in bytes.iter_mut().skip(4_096) {
        *byte = 0x5a;
    }
    fs::write(&place.data, bytes).unwrap();
    match place.open() {
        Err(StoreError::Corrupt { path, .. }) => assert_eq!(path, place.data.display().to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_number() {
    let place = Place::new();
    place.append(1).await;
    Connection::open(&place.data).unwrap().pragma_update(None, "user_version", 7).unwrap();
    match place.open() {
        Err(StoreError::NewerSchema { path, found: 7, supported: 2 }) => {
            assert_eq!(path, place.data.display().to_string());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_another_holds_is_locked_and_comes_free_again() {
    let place = Place::new();
    let store = place.open().unwrap();
    store.commit(one_entry(0)).await.unwrap();
    let other = Connection::open(&place.data).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    match store.commit(one_entry(1)).await {
        Err(CommitError::Store(StoreError::Locked { path })) => {
            assert_eq!(path, place.data.display().to_string());
        }
        other => panic!("{other:?}"),
    }
    // Reads do not wait for whoever writes.
    assert_eq!(store.head().await.unwrap().size, 1);
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(one_entry(2)).await.unwrap();
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_commit_is_told_to_all_and_the_next_one_works() {
    let place = Place::new();
    let store = place.open().unwrap();
    store.commit(ops(vec![open(1, 100)])).await.unwrap();
    // A constraint that is checked when the transaction commits, and not before.
    let other = Connection::open(&place.data).unwrap();
    other
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             CREATE TABLE parent (id INTEGER PRIMARY KEY);
             ALTER TABLE entries ADD COLUMN fault INTEGER DEFAULT 1
                 REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED;",
        )
        .unwrap();
    let ledger = Ledger::new(Arc::new(store));
    let tasks: Vec<_> = (0..20)
        .map(|id| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.commit(ops(vec![hold(id, &[(1, 60)])])).await })
        })
        .collect();
    for task in tasks {
        let answer = task.await.unwrap();
        assert!(matches!(answer, Err(CommitError::Store(StoreError::Io(_)))), "{answer:?}");
    }
    assert_eq!(ledger.head().await.unwrap().size, 1);
    other.execute_batch("INSERT INTO parent VALUES (1)").unwrap();
    ledger.commit(ops(vec![hold(1, &[(1, 60)])])).await.unwrap();
    let budget = ledger.budget(budget_id(1)).await.unwrap().unwrap();
    assert_eq!((budget.held, budget.left), (usd(60), usd(40)));
    // What the fault left in the schema is told, and nothing else.
    let problems = ledger.verify().await.unwrap().problems;
    assert!(
        problems.iter().all(|problem| problem.starts_with("the file's schema is not ours")),
        "{problems:?}"
    );
}

/// An index on an expression that cannot be computed for some rows: whoever writes one of them fails.
fn failing_for(table: &str, rows: &str) -> String {
    format!("CREATE INDEX fault ON {table} (abs(CASE WHEN {rows} THEN -9223372036854775807 - 1 ELSE 0 END))")
}

#[tokio::test]
async fn a_request_that_cannot_be_written_fails_alone() {
    let place = Place::new();
    let store = place.open().unwrap();
    let other = Connection::open(&place.data).unwrap();
    other.execute_batch(&failing_for("entries", "stream = 'bad'")).unwrap();
    let ledger = Ledger::new(Arc::new(store));
    let tasks: Vec<_> = (0..20_u32)
        .map(|n| {
            let ledger = ledger.clone();
            let entries = match n % 4 {
                0 => vec![entry("good", json!(n)), entry("bad", json!(n))],
                _ => vec![entry("good", json!(n))],
            };
            tokio::spawn(
                async move { ledger.commit(Transaction { entries, ..Transaction::default() }).await },
            )
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().is_ok(), n % 4 != 0, "request {n}");
    }
    assert_eq!(ledger.head().await.unwrap().size, 15);
    other.execute_batch("DROP INDEX fault").unwrap();
    assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_group_of_which_a_part_is_lost_is_lost_whole() {
    let f = Fixture::sqlite();
    let day = AccountOp::Open(Budget { window: Window::Rolling { length_ms: 1_000 }, ..budget(2, 100) });
    f.commit(vec![open(1, 100), day, hold(9, &[(2, 5)]), capture(9, None)]).await.unwrap();
    f.clock.advance_ms(1_000);
    let other = Connection::open(f.folder.as_ref().unwrap().path().join("data/ledger.db")).unwrap();
    let id = hex::encode(hold_id(1).as_bytes());
    let fault = failing_for("holds", &format!("id = x'{id}'"));
    other.execute_batch(&format!("{fault}; BEGIN IMMEDIATE")).unwrap();
    // While another has the file, requests gather. The second hold wants a window brought up to date, for which what the
    // first changed is written, and is not.
    let before = (0..20).map(one_entry);
    let asked = before.chain([ops(vec![hold(1, &[(1, 60)])]), ops(vec![hold(2, &[(2, 60)])])]);
    let tasks: Vec<_> = asked
        .map(|transaction| {
            let ledger = f.ledger.clone();
            tokio::spawn(async move { ledger.commit(transaction).await })
        })
        .collect();
    let other =
        tokio::spawn(async move { other.execute_batch("ROLLBACK").map(|()| other) }).await.unwrap().unwrap();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let hold = f.ledger.hold(hold_id(1)).await.unwrap();
    assert_eq!(answers[20].is_ok(), hold.is_some(), "{:?}", answers[20]);
    other.execute_batch("DROP INDEX fault").unwrap();
    f.verify().await;
}
