//! Which passages fit a question best.
//!
//! BM25 as FTS5 computes it takes a term that half of all passages have for worth nothing. Libraries are small and about one
//! subject, so that would leave nothing to rank by. Here every term is looked up alone, its weight is replaced by one
//! that stays above zero, and a passage that has more of what was asked comes before one that repeats a part of it.

use super::Index;
use super::read::Found;
use rusqlite::Connection;
use std::collections::HashMap;

/// Most passages that one term brings in.
const CANDIDATES_MAX: u32 = 2_000;
/// The weight FTS5 gives to a term that half of all passages have.
const FLOOR: f64 = 1e-6;

impl Index {
    /// The passages that fit the terms best. Equal scores are in the order of their citations, so that an index built
    /// again answers the same.
    pub(crate) fn recall(&self, terms: &[String], limit: usize) -> rusqlite::Result<Vec<Found>> {
        let all = count(&self.connection, "SELECT count(*) FROM passages", [])?;
        let mut scores: HashMap<i64, Score> = HashMap::new();
        let mut asked = 0.0;
        for term in terms {
            let with = count(
                &self.connection,
                "SELECT count(*) FROM passage_index WHERE passage_index MATCH ?1",
                [term],
            )?;
            if with > 0.0 {
                let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
                let given = ((all - with + 0.5) / (with + 0.5)).ln();
                asked += weight;
                self.add(term, weight, if given > 0.0 { given } else { FLOOR }, &mut scores)?;
            }
        }
        let mut ranked: Vec<(i64, i64)> =
            scores.into_iter().map(|(rowid, score)| (score.milli(asked), rowid)).collect();
        ranked.sort_by_key(|(milli, _)| std::cmp::Reverse(*milli));
        // All that tie with the last, so that the order among them can be settled by citation.
        let last = ranked.get(limit.saturating_sub(1)).map_or(i64::MIN, |(milli, _)| *milli);
        ranked.retain(|(milli, _)| *milli >= last);
        let mut found =
            ranked.into_iter().map(|ranked| self.load(ranked)).collect::<rusqlite::Result<Vec<_>>>()?;
        found.sort_by(|a, b| {
            let by_score = b.score_milli.cmp(&a.score_milli);
            by_score.then_with(|| (&a.source, a.number).cmp(&(&b.source, b.number)))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// Adds what one term is worth in each passage that has it.
    fn add(
        &self,
        term: &str,
        weight: f64,
        given: f64,
        scores: &mut HashMap<i64, Score>,
    ) -> rusqlite::Result<()> {
        // Title and headings say what a passage is about, names are what was meant exactly.
        let mut statement = self.connection.prepare_cached(
            "SELECT rowid, -bm25(passage_index, 5.0, 3.0, 1.0, 2.0) AS fit FROM passage_index
             WHERE passage_index MATCH ?1 ORDER BY fit DESC, rowid LIMIT ?2",
        )?;
        let mut rows = statement.query((term, CANDIDATES_MAX))?;
        while let Some(row) = rows.next()? {
            let fit: f64 = row.get(1)?;
            let score = scores.entry(row.get(0)?).or_default();
            score.sum += fit / given * weight;
            score.covered += weight;
        }
        Ok(())
    }

    fn load(&self, (milli, rowid): (i64, i64)) -> rusqlite::Result<Found> {
        let mut statement = self.connection.prepare_cached(
            "SELECT source, number, title, url, heading, passages.text, ?2
             FROM passages JOIN sources ON sources.id = passages.source WHERE rowid = ?1",
        )?;
        statement.query_row((rowid, milli), Found::read)
    }
}

/// What a passage is worth so far.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    sum: f64,
    covered: f64,
}

impl Score {
    #[expect(clippy::cast_possible_truncation, reason = "a score is finite and far below 2^53")]
    fn milli(self, asked: f64) -> i64 {
        let coverage = if asked > 0.0 { self.covered / asked } else { 0.0 };
        (self.sum * (0.5 + coverage) * 1_000.0).round() as i64
    }
}

fn count(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<f64> {
    let count: u32 = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(f64::from(count))
}
