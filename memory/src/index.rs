//! The index file: what can be thrown away and built again.

mod rank;
mod read;
mod schema;

pub(crate) use read::{Found, StoredRecord};

use crate::citation::SourceId;
use crate::passage::split;
use crate::text::{Document, clean_line};
use crate::words::names;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::PathBuf;

/// A connection to the index file.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    connection: Connection,
}

/// A source to keep: what was bought, or a free page.
#[derive(Debug)]
pub(crate) struct NewSource {
    pub(crate) id: SourceId,
    pub(crate) url: String,
    pub(crate) url_key: String,
    /// `None` if the bytes were erased: then it is known that it was bought, and nothing more.
    pub(crate) document: Option<Document>,
}

/// A record of the ledger's stream, as it is indexed.
#[derive(Debug)]
pub(crate) struct NewRecord {
    /// Position in the stream.
    pub(crate) position: u64,
    /// The record as JSON, the digest of the bytes, and what it speaks of; `None` for an entry that is no record.
    pub(crate) content: Option<(String, String, NewSource)>,
}

impl Index {
    /// Opens the file, and begins a new one where there is none, where it is damaged, or where it is of another version.
    pub(crate) fn open(path: PathBuf) -> rusqlite::Result<Self> {
        let connection = match schema::connect(&path) {
            Err(error) if is_damage(&error) => {
                tracing::warn!(path = %path.display(), %error, "the library's index is damaged; it is built again");
                schema::remove(&path);
                schema::connect(&path)?
            }
            other => other?,
        };
        Ok(Self { path, connection })
    }

    /// Begins a new file. Free pages are lost with the old one.
    pub(crate) fn start_over(&mut self) -> rusqlite::Result<()> {
        // The old connection must be gone before its file is.
        self.connection = Connection::open_in_memory()?;
        schema::remove(&self.path);
        self.connection = schema::connect(&self.path)?;
        Ok(())
    }

    /// Forgets everything that came from the ledger; free pages stay, since nothing else keeps them.
    pub(crate) fn forget_bought(&mut self) -> rusqlite::Result<()> {
        let transaction = self.write()?;
        transaction.execute_batch(
            "DELETE FROM passage_index WHERE rowid IN
                 (SELECT rowid FROM passages WHERE source IN (SELECT id FROM sources WHERE bought = 1));
             DELETE FROM passages WHERE source IN (SELECT id FROM sources WHERE bought = 1);
             DELETE FROM sources WHERE bought = 1;
             DELETE FROM records;
             DELETE FROM meta;",
        )?;
        transaction.commit()
    }

    /// The stream position to read next. An index of another ledger, or one that has seen more than the ledger has,
    /// forgets what it took from there.
    pub(crate) fn position(&mut self, ledger: &str, stream_length: u64) -> rusqlite::Result<u64> {
        if self.meta("ledger")?.is_some_and(|found| found != ledger) || self.seen()? > stream_length {
            tracing::warn!(path = %self.path.display(), "the library's index is not of this ledger; it is built again");
            self.forget_bought()?;
        }
        self.connection.execute(
            "INSERT INTO meta (key, value) VALUES ('ledger', ?1) ON CONFLICT (key) DO NOTHING",
            [ledger],
        )?;
        self.seen()
    }

    fn seen(&self) -> rusqlite::Result<u64> {
        Ok(self.meta("position")?.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    fn meta(&self, key: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        statement.query_row([key], |row| row.get(0)).optional()
    }

    /// Takes one record of the stream. A record taken before, by this process or another, changes nothing.
    pub(crate) fn add_record(&mut self, record: NewRecord) -> rusqlite::Result<()> {
        let transaction = self.write()?;
        if let Some((json, digest, source)) = record.content {
            transaction.execute(
                "INSERT INTO records (position, artifact, url_key, digest, record) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (position) DO NOTHING",
                params![
                    i64::try_from(record.position).unwrap_or(i64::MAX),
                    source.id.to_string(),
                    source.url_key,
                    digest,
                    json
                ],
            )?;
            insert_source(&transaction, &source)?;
        }
        transaction.execute(
            "INSERT INTO meta (key, value) VALUES ('position', ?1)
             ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
            [record.position.saturating_add(1).to_string()],
        )?;
        transaction.commit()
    }

    /// Forgets the text of one source and everything found in it. That something was bought stays known; of a free page
    /// nothing stays.
    pub(crate) fn forget(&mut self, source: &str) -> rusqlite::Result<()> {
        let transaction = self.write()?;
        transaction.execute(
            "DELETE FROM passage_index WHERE rowid IN (SELECT rowid FROM passages WHERE source = ?1)",
            [source],
        )?;
        transaction.execute("DELETE FROM passages WHERE source = ?1", [source])?;
        transaction.execute("DELETE FROM sources WHERE id = ?1 AND bought = 0", [source])?;
        transaction
            .execute("UPDATE sources SET text = NULL, title = '', readable = 0 WHERE id = ?1", [source])?;
        // Without this the index only remembers that the passages are gone, and keeps their words.
        transaction.execute("INSERT INTO passage_index (passage_index) VALUES ('optimize')", [])?;
        transaction.commit()?;
        self.checkpoint()
    }

    /// Forgets records with all that was found in them, the texts of some sources, and every free page.
    pub(crate) fn forget_all(&mut self, records: &[u64], texts: &[String]) -> rusqlite::Result<()> {
        let transaction = self.write()?;
        for position in records {
            let position = i64::try_from(*position).unwrap_or(i64::MAX);
            transaction.execute("DELETE FROM records WHERE position = ?1", [position])?;
        }
        for text in texts {
            transaction
                .execute("UPDATE sources SET text = NULL, title = '', readable = 0 WHERE id = ?1", [text])?;
        }
        // What was bought stays as long as a record speaks of it, with its passages as long as it has its text.
        transaction.execute_batch(
            "DELETE FROM sources WHERE bought = 0 OR id NOT IN (SELECT artifact FROM records);
             DELETE FROM passage_index WHERE rowid IN
                 (SELECT rowid FROM passages WHERE source NOT IN (SELECT id FROM sources WHERE readable = 1));
             DELETE FROM passages WHERE source NOT IN (SELECT id FROM sources WHERE readable = 1);
             INSERT INTO passage_index (passage_index) VALUES ('optimize');",
        )?;
        transaction.commit()?;
        self.checkpoint()
    }

    /// Moves everything into the one file, so that nothing erased stays in the log beside it. Another process that reads
    /// puts it off.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Takes a free page and gives its title. A page taken before changes nothing.
    pub(crate) fn add_page(&mut self, page: &NewSource) -> rusqlite::Result<String> {
        let transaction = self.write()?;
        insert_source(&transaction, page)?;
        let title = transaction.query_row(
            "SELECT title FROM sources WHERE id = ?1",
            [page.id.to_string()],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        Ok(title)
    }

    fn write(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// Whether the file itself is bad, so that only a new one helps.
///
/// Our statements never change, so one that is not understood means that the tables are not ours.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let (rusqlite::Error::SqliteFailure(code, _) | rusqlite::Error::SqlInputError { error: code, .. }) =
        error
    else {
        return false;
    };
    matches!(code.code, DatabaseCorrupt | NotADatabase) || code.extended_code == rusqlite::ffi::SQLITE_ERROR
}

fn insert_source(transaction: &Transaction<'_>, source: &NewSource) -> rusqlite::Result<()> {
    let id = source.id.to_string();
    let known: Option<bool> = transaction
        .query_row("SELECT readable FROM sources WHERE id = ?1", [&id], |row| row.get(0))
        .optional()?;
    let readable = source.document.is_some();
    if known.is_some_and(|was_readable| was_readable || !readable) {
        return Ok(());
    }
    let title = source
        .document
        .as_ref()
        .and_then(|document| document.title.clone())
        .unwrap_or_else(|| title_of_url(&source.url));
    transaction.execute(
        "INSERT OR REPLACE INTO sources (id, bought, readable, url, url_key, title, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            source.id.artifact().is_some(),
            readable,
            source.url,
            source.url_key,
            title,
            source.document.as_ref().map(Document::text)
        ],
    )?;
    let Some(document) = &source.document else { return Ok(()) };
    let mut passage = transaction
        .prepare_cached("INSERT INTO passages (source, number, heading, text) VALUES (?1, ?2, ?3, ?4)")?;
    let mut entry = transaction.prepare_cached(
        "INSERT INTO passage_index (rowid, title, heading, text, names) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for piece in split(document) {
        let heading = piece.heading.join(" > ");
        let named = names(&[&title, &heading, &piece.text].map(String::as_str).join("\n"));
        passage.execute(params![id, piece.number, heading, piece.text])?;
        entry.execute(params![transaction.last_insert_rowid(), title, heading, piece.text, named])?;
    }
    Ok(())
}

/// The last part of the path, for texts that have no title of their own.
fn title_of_url(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    clean_line(path.rsplit('/').next().unwrap_or(path), 200)
}
