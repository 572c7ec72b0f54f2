//! Connections to the data file, its schema and its errors.

use crate::refusal::StoreError;
use bursar_types::{Entropy, LedgerId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// `BRSR`, so that file(1) and we can tell the file from another program's.
const APPLICATION_ID: i32 = 0x4252_5352;
/// The schema this build reads and writes.
const SCHEMA: u32 = 2;
/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 64;

/// Amounts are decimal text, since they may need 128 bits; ids, digests and salts are blobs; moments are milliseconds.
///
/// What every entry writes is only ever appended: a page that is changed is written whole, so an index with a random key costs a
/// page an entry, which is more than all the rest. A stream is a chain from its last entry back, and has no index. Payloads are
/// found by the first bytes of their commitments: few enough to lie close together, and enough to leave one row to compare.
const TABLES: &str = "
    CREATE TABLE ledger (
        only INTEGER PRIMARY KEY CHECK (only = 0), id BLOB NOT NULL,
        size INTEGER NOT NULL, root BLOB NOT NULL, last_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entries (
        sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, stream TEXT NOT NULL, stream_sequence INTEGER NOT NULL,
        kind TEXT NOT NULL, body TEXT NOT NULL, peak BLOB NOT NULL, previous INTEGER
    ) STRICT;
    CREATE TABLE streams (name TEXT PRIMARY KEY, length INTEGER NOT NULL, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE budgets (
        id BLOB PRIMARY KEY, terms TEXT NOT NULL, spent TEXT NOT NULL, held TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE holds (id BLOB NOT NULL UNIQUE, expires_at INTEGER, state TEXT NOT NULL) STRICT;
    CREATE INDEX holds_by_expiry ON holds (expires_at, id) WHERE expires_at IS NOT NULL;
    CREATE TABLE windows (
        budget BLOB NOT NULL, at INTEGER NOT NULL, hold BLOB NOT NULL, amount TEXT NOT NULL,
        PRIMARY KEY (budget, at, hold)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE links (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE payloads (commitment BLOB NOT NULL, salt BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
    CREATE INDEX payloads_by_commitment ON payloads (substr(commitment, 1, 6));
";

/// Opens a connection that writes, once the file is known to be ours.
pub(super) fn open_writer(path: &Path, busy_timeout_ms: u64) -> rusqlite::Result<Connection> {
    let connection = open_unchecked(path, busy_timeout_ms)?;
    make_durable(&connection)?;
    Ok(connection)
}

/// Opens a connection to a file that may be another program's: nothing of it is changed.
pub(super) fn open_unchecked(path: &Path, busy_timeout_ms: u64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | common_flags())?;
    configure(&connection, busy_timeout_ms)?;
    Ok(connection)
}

/// Sets what makes a commit last.
pub(super) fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", cfg!(target_vendor = "apple"))?;
    connection.pragma_update(None, "checkpoint_fullfsync", cfg!(target_vendor = "apple"))?;
    connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
    connection.pragma_update(None, "journal_size_limit", 128 << 20)?;
    // What is erased is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -32_768)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path, busy_timeout_ms: u64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | common_flags())?;
    configure(&connection, busy_timeout_ms)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn common_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn configure(connection: &Connection, busy_timeout_ms: u64) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(busy_timeout_ms))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A plan does not depend on what is bound, or each range query would be planned again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What somebody else put into the schema runs nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Makes the tables of a new file, or checks that an old one is ours. Answers the ledger's id and whether it is new.
pub(super) fn prepare_schema(
    connection: &mut Connection,
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<(LedgerId, bool), StoreError> {
    let fail = |error| store_error(path, error);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fail)?;
    let pragma =
        |name: &str| transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, schema) =
        (pragma("application_id").map_err(fail)?, pragma("user_version").map_err(fail)?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
    if tables == 0 && application == 0 && schema == 0 {
        let id = LedgerId::random(entropy);
        create(&transaction, id).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        return Ok((id, true));
    }
    if application != i64::from(APPLICATION_ID) {
        return Err(corrupt(path, "it is the SQLite database of another program".to_owned()));
    }
    let found = u32::try_from(schema).unwrap_or(u32::MAX);
    if found > SCHEMA {
        return Err(StoreError::NewerSchema { path: path.display().to_string(), found, supported: SCHEMA });
    }
    if found != SCHEMA {
        return Err(corrupt(path, format!("its schema {schema} was never published")));
    }
    let id =
        transaction.query_row("SELECT id FROM ledger", [], |row| row.get::<_, [u8; 16]>(0)).map_err(fail)?;
    Ok((LedgerId::from_bytes(id), false))
}

fn create(connection: &Connection, id: LedgerId) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    let root = *bursar_types::Digest::of(b"").as_bytes();
    connection.execute("INSERT INTO ledger VALUES (0, ?1, 0, ?2, 0)", params![id.as_bytes(), root])?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA)
}

/// What is in the file beside our tables and indexes, and which of them are others.
pub(super) fn foreign_schema(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let ours = Connection::open_in_memory()?;
    ours.execute_batch(TABLES)?;
    let (ours, found) = (schema_of(&ours)?, schema_of(connection)?);
    Ok(ours.symmetric_difference(&found).map(|(kind, name, _)| format!("{kind} `{name}`")).collect())
}

fn schema_of(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// What an SQLite error means to whoever uses the ledger.
pub(super) fn store_error(path: &Path, error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error_code();
    match (code, &error) {
        (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => {
            StoreError::Locked { path: path.display().to_string() }
        }
        (Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt), _)
        | (
            _,
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows,
        ) => corrupt(path, error.to_string()),
        _ => StoreError::Io(Box::new(error)),
    }
}

pub(super) fn corrupt(path: &Path, problem: String) -> StoreError {
    StoreError::Corrupt { path: path.display().to_string(), problem }
}
