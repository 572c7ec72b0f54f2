//! Questions to the index.

use super::Index;
use crate::citation::Citation;
use rusqlite::{OptionalExtension, Row};

/// A record with the title of what it speaks of.
#[derive(Debug)]
pub(crate) struct StoredRecord {
    pub(crate) record: String,
    pub(crate) title: String,
}

/// A passage as stored.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) source: String,
    pub(crate) number: u32,
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) heading: String,
    pub(crate) text: String,
    pub(crate) score_milli: i64,
}

impl Found {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            source: row.get(0)?,
            number: row.get(1)?,
            title: row.get(2)?,
            url: row.get(3)?,
            heading: row.get(4)?,
            text: row.get(5)?,
            score_milli: row.get(6)?,
        })
    }
}

impl Index {
    /// The newest record of an address.
    pub(crate) fn find(&self, url_key: &str) -> rusqlite::Result<Option<StoredRecord>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT record, title FROM records JOIN sources ON sources.id = records.artifact
             WHERE records.url_key = ?1 ORDER BY position DESC LIMIT 1",
        )?;
        statement
            .query_row([url_key], |row| Ok(StoredRecord { record: row.get(0)?, title: row.get(1)? }))
            .optional()
    }

    /// The newest record of something with these bytes.
    pub(crate) fn find_content(&self, digest: &str) -> rusqlite::Result<Option<StoredRecord>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT record, title FROM records JOIN sources ON sources.id = records.artifact
             WHERE digest = ?1 ORDER BY position DESC LIMIT 1",
        )?;
        statement
            .query_row([digest], |row| Ok(StoredRecord { record: row.get(0)?, title: row.get(1)? }))
            .optional()
    }

    /// Every record of an artifact, oldest first.
    pub(crate) fn records_of(&self, artifact: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT record FROM records WHERE artifact = ?1 ORDER BY position")?;
        let rows = statement.query_map([artifact], |row| row.get(0))?;
        rows.collect()
    }

    /// The first record of every artifact, oldest first.
    pub(crate) fn list(&self) -> rusqlite::Result<Vec<StoredRecord>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT record, title FROM records JOIN sources ON sources.id = records.artifact
             WHERE position IN (SELECT min(position) FROM records GROUP BY artifact) ORDER BY position",
        )?;
        let rows =
            statement.query_map([], |row| Ok(StoredRecord { record: row.get(0)?, title: row.get(1)? }))?;
        rows.collect()
    }

    /// One passage.
    pub(crate) fn passage(&self, citation: Citation) -> rusqlite::Result<Option<Found>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT passages.source, number, title, url, heading, passages.text, 0
             FROM passages JOIN sources ON sources.id = passages.source WHERE source = ?1 AND number = ?2",
        )?;
        statement.query_row((citation.source.to_string(), citation.number), Found::read).optional()
    }

    /// The whole text of a source; `None` if there is none or it cannot be read.
    pub(crate) fn text(&self, source: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = self.connection.prepare_cached("SELECT text FROM sources WHERE id = ?1")?;
        let text: Option<Option<String>> = statement.query_row([source], |row| row.get(0)).optional()?;
        Ok(text.flatten())
    }

    /// The title of a source; `None` if there is none such.
    pub(crate) fn title(&self, source: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = self.connection.prepare_cached("SELECT title FROM sources WHERE id = ?1")?;
        statement.query_row([source], |row| row.get(0)).optional()
    }
}
