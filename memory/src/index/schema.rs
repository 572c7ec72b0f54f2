//! The file's layout, and how to begin it anew.

use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Counts up with every change of the layout, and of how text is extracted and split: an older file is built again.
const VERSION: u32 = 2;
/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often, and after what pause, the journal mode is set again while another has the file locked.
const MODE_TRIES: u32 = 200;
const MODE_PAUSE: Duration = Duration::from_millis(10);
/// Largest file that is read through on opening; damage in a larger one shows when it is met.
const CHECKED_BYTES_MAX: u64 = 64 << 20;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (
        position INTEGER PRIMARY KEY, artifact TEXT NOT NULL, url_key TEXT NOT NULL, digest TEXT NOT NULL,
        record TEXT NOT NULL
    );
    CREATE INDEX records_by_url ON records (url_key);
    CREATE INDEX records_by_digest ON records (digest);
    CREATE INDEX records_by_artifact ON records (artifact);
    CREATE TABLE sources (
        id TEXT PRIMARY KEY, bought INTEGER NOT NULL, readable INTEGER NOT NULL, url TEXT NOT NULL,
        url_key TEXT NOT NULL, title TEXT NOT NULL, text TEXT
    ) WITHOUT ROWID;
    CREATE TABLE passages (
        rowid INTEGER PRIMARY KEY, source TEXT NOT NULL, number INTEGER NOT NULL, heading TEXT NOT NULL,
        text TEXT NOT NULL, UNIQUE (source, number)
    );
    CREATE VIRTUAL TABLE passage_index USING fts5 (
        title, heading, text, names,
        content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
    );";

/// Opens the file and sees to it that it has this version's layout.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    write_ahead(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // What is forgotten is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    if std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES_MAX) {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
        }
    }
    if version(&connection)? != VERSION {
        begin(&mut connection, path)?;
    }
    Ok(connection)
}

/// Sets the journal mode, which alone of all statements does not wait while another has the file locked.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..MODE_TRIES {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.code == rusqlite::ErrorCode::DatabaseBusy =>
            {
                std::thread::sleep(MODE_PAUSE);
            }
            other => return other,
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL")
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Drops what is there and makes empty tables, under the write lock: of two processes the second finds it done.
fn begin(connection: &mut Connection, path: &Path) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found == VERSION {
        return Ok(());
    }
    let tables: Vec<String> = transaction
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'records', 'sources', 'passages', 'passage_index')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if !tables.is_empty() {
        tracing::warn!(path = %path.display(), found, wanted = VERSION, "the library's index is of another version; it is built again");
    }
    for table in tables {
        transaction.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Removes the file and what SQLite keeps beside it. What cannot be removed shows when it is opened.
pub(super) fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        if let Err(error) = std::fs::remove_file(&name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "the library's index cannot be removed");
        }
    }
}
