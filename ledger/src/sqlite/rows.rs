//! Rows of the tables, read and written.

use crate::account::{Budget, HoldPhase, Window};
use crate::audit::Beside;
use crate::books::{Books, BudgetRow, Dirty, HoldRow, WindowKey};
use crate::entry::{Entry, StreamId, TreeHead};
use crate::payload::{Commitment, Payload};
use crate::state::{Leaf, StreamEnd};
use crate::tree::{Frontier, Leaves, entry_hash, peak_leaves};
use crate::turn_back::turned_back;
use bursar_types::{BudgetId, Digest, HoldId, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::{BTreeMap, BTreeSet};

/// The columns [`entry`] reads.
pub(super) const ENTRY: &str =
    "SELECT sequence, at, stream, stream_sequence, kind, body, peak, previous FROM entries";
/// Finds the rows of a commitment, which is `?1`.
pub(super) const OF_COMMITMENT: &str =
    "FROM payloads WHERE substr(commitment, 1, 6) = substr(?1, 1, 6) AND commitment = ?1";

pub(super) fn int(value: u64) -> rusqlite::Result<i64> {
    i64::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_unix_ms(uint(row, column)?))
}

fn bad(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

pub(super) fn amount(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| bad(column, error))
}

fn stream_name(row: &Row<'_>, column: usize) -> rusqlite::Result<StreamId> {
    StreamId::new(row.get::<_, String>(column)?).map_err(|error| bad(column, error))
}

/// A row that [`ENTRY`] selects.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<(Entry, Beside)> {
    let entry = Entry {
        sequence: uint(row, 0)?,
        at: moment(row, 1)?,
        stream: stream_name(row, 2)?,
        stream_sequence: uint(row, 3)?,
        kind: row.get(4)?,
        body: serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|error| bad(5, error))?,
    };
    Ok((entry, Beside { peak: Digest::from_bytes(row.get(6)?), previous: place(row, 7)? }))
}

/// A place in the journal, where there is one.
fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => uint(row, column).map(Some),
    }
}

/// The stored head, and when the last transaction committed.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<(TreeHead, Timestamp)> {
    let mut statement = connection.prepare_cached("SELECT size, root, last_at FROM ledger")?;
    statement.query_row([], |row| {
        let head = TreeHead { size: uint(row, 0)?, root: Digest::from_bytes(row.get(1)?) };
        Ok((head, moment(row, 2)?))
    })
}

/// The tree's leaves as rows.
pub(super) struct LeafRows<'a>(pub(super) &'a Connection);

impl Leaves for LeafRows<'_> {
    type Error = rusqlite::Error;

    fn peak(&mut self, at: u64) -> rusqlite::Result<Option<Digest>> {
        let mut statement = self.0.prepare_cached("SELECT peak FROM entries WHERE sequence = ?1")?;
        let Ok(at) = i64::try_from(at) else { return Ok(None) };
        Ok(statement.query_row([at], |row| row.get(0)).optional()?.map(Digest::from_bytes))
    }

    fn leaf(&mut self, at: u64) -> rusqlite::Result<Option<Digest>> {
        let mut statement = self.0.prepare_cached(&format!("{ENTRY} WHERE sequence = ?1"))?;
        let Ok(at) = i64::try_from(at) else { return Ok(None) };
        let Some((entry, _)) = statement.query_row([at], entry).optional()? else { return Ok(None) };
        entry_hash(&entry).map(Some).map_err(|error| bad(5, error))
    }
}

/// The tree as it was at `size`; `None` if the entries do not reach that far.
pub(super) fn tree_at(connection: &Connection, size: u64) -> rusqlite::Result<Option<Frontier>> {
    let mut statement = connection.prepare_cached("SELECT peak FROM entries WHERE sequence = ?1")?;
    let mut peaks = Vec::new();
    for leaf in peak_leaves(size) {
        let peak = statement.query_row([int(leaf)?], |row| row.get(0)).optional()?;
        let Some(peak) = peak else { return Ok(None) };
        peaks.push(Digest::from_bytes(peak));
    }
    Ok(Frontier::from_peaks(size, peaks))
}

/// Every hold that can still run out.
pub(super) fn expiries(connection: &Connection) -> rusqlite::Result<BTreeSet<(Timestamp, HoldId)>> {
    let mut statement =
        connection.prepare_cached("SELECT expires_at, id FROM holds WHERE expires_at IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((moment(row, 0)?, HoldId::from_bytes(row.get(1)?))))?;
    rows.collect()
}

pub(super) fn budget(connection: &Connection, id: BudgetId) -> rusqlite::Result<Option<BudgetRow>> {
    let sql = "SELECT terms, spent, held FROM budgets WHERE id = ?1";
    let row = connection.prepare_cached(sql)?.query_row([id.as_bytes()], budget_row).optional()?;
    let Some(mut row) = row else { return Ok(None) };
    if matches!(row.budget.window, Window::Rolling { .. }) {
        let sql = "SELECT min(at) FROM windows WHERE budget = ?1";
        let oldest: Option<i64> =
            connection.prepare_cached(sql)?.query_row([id.as_bytes()], |row| row.get(0))?;
        row.oldest = oldest.and_then(|at| u64::try_from(at).ok()).map(Timestamp::from_unix_ms);
    }
    Ok(Some(row))
}

fn budget_row(row: &Row<'_>) -> rusqlite::Result<BudgetRow> {
    let terms: Budget = serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| bad(0, error))?;
    Ok(BudgetRow { spent: amount(row, 1)?, held: amount(row, 2)?, ..BudgetRow::new(terms) })
}

fn hold_row(row: &Row<'_>) -> rusqlite::Result<HoldRow> {
    serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| bad(0, error))
}

pub(super) fn hold(connection: &Connection, id: HoldId) -> rusqlite::Result<Option<HoldRow>> {
    let mut statement = connection.prepare_cached("SELECT state FROM holds WHERE id = ?1")?;
    statement.query_row([id.as_bytes()], hold_row).optional()
}

/// Holds that have run out by `now` and are not written as expired.
pub(super) fn due_holds(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<HoldRow>> {
    let mut statement = connection.prepare_cached("SELECT state FROM holds WHERE expires_at <= ?1")?;
    let now = i64::try_from(now.unix_ms()).unwrap_or(i64::MAX);
    let rows = statement.query_map([now], hold_row)?;
    rows.collect()
}

/// The rows of a window up to and including the moment `to`.
pub(super) fn window_until(
    connection: &Connection,
    budget: BudgetId,
    to: Timestamp,
) -> rusqlite::Result<Vec<(Timestamp, HoldId, u128)>> {
    let sql = "SELECT at, hold, amount FROM windows WHERE budget = ?1 AND at <= ?2 ORDER BY at, hold";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![budget.as_bytes(), int(to.unix_ms())?], |row| {
        Ok((moment(row, 0)?, HoldId::from_bytes(row.get(1)?), amount(row, 2)?))
    })?;
    rows.collect()
}

/// The first moment of a window after `left`.
pub(super) fn window_oldest(
    connection: &Connection,
    budget: BudgetId,
    left: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT at FROM windows WHERE budget = ?1 AND at > ?2 ORDER BY at LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![budget.as_bytes(), int(left.unix_ms())?], |row| moment(row, 0)).optional()
}

pub(super) fn stream_end(connection: &Connection, stream: &StreamId) -> rusqlite::Result<StreamEnd> {
    let mut statement = connection.prepare_cached("SELECT length, last FROM streams WHERE name = ?1")?;
    let end = |row: &Row<'_>| Ok(StreamEnd { length: uint(row, 0)?, last: place(row, 1)? });
    Ok(statement.query_row([stream.as_str()], end).optional()?.unwrap_or_default())
}

pub(super) fn streams_from(
    connection: &Connection,
    prefix: &str,
) -> rusqlite::Result<Vec<(StreamId, StreamEnd)>> {
    let mut statement =
        connection.prepare_cached("SELECT name, length, last FROM streams WHERE name >= ?1 ORDER BY name")?;
    let rows = statement.query_map([prefix], |row| {
        Ok((stream_name(row, 0)?, StreamEnd { length: uint(row, 1)?, last: place(row, 2)? }))
    })?;
    let of_prefix = |row: &rusqlite::Result<(StreamId, StreamEnd)>| match row {
        Ok((stream, _)) => stream.as_str().starts_with(prefix),
        Err(_) => true,
    };
    rows.take_while(of_prefix).collect()
}

pub(super) fn link(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM links WHERE key = ?1")?;
    statement.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn links_from(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT key, value FROM links WHERE key >= ?1 ORDER BY key")?;
    let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let of_prefix = |row: &rusqlite::Result<(String, String)>| match row {
        Ok((key, _)) => key.starts_with(prefix),
        Err(_) => true,
    };
    rows.take_while(of_prefix).collect()
}

/// Everything in the account tables.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) budgets: Vec<BudgetRow>,
    pub(super) holds: Vec<HoldRow>,
    pub(super) windows: BTreeMap<WindowKey, u128>,
    /// Columns that do not say what their row says.
    pub(super) problems: Vec<String>,
}

pub(super) fn accounts(connection: &Connection) -> rusqlite::Result<Accounts> {
    let mut problems = Vec::new();
    let mut statement = connection.prepare("SELECT budget, at, hold, amount FROM windows")?;
    let rows = statement.query_map([], |row| {
        let (budget, hold) = (BudgetId::from_bytes(row.get(0)?), HoldId::from_bytes(row.get(2)?));
        Ok(((budget, moment(row, 1)?, hold), amount(row, 3)?))
    })?;
    let windows: BTreeMap<WindowKey, u128> = rows.collect::<rusqlite::Result<_>>()?;
    let mut oldest: BTreeMap<BudgetId, Timestamp> = BTreeMap::new();
    for (budget, at, _) in windows.keys() {
        oldest.entry(*budget).or_insert(*at);
    }
    let mut statement = connection.prepare("SELECT terms, spent, held, id FROM budgets")?;
    let rows = statement.query_map([], |row| Ok((budget_row(row)?, row.get(3)?)))?;
    let mut budgets = Vec::new();
    for row in rows {
        let (row, id): (BudgetRow, [u8; 16]) = row?;
        if row.budget.id != BudgetId::from_bytes(id) {
            problems.push(format!("budget {} is stored under another id", row.budget.id));
        }
        budgets.push(BudgetRow { oldest: oldest.get(&row.budget.id).copied(), ..row });
    }
    let mut statement = connection.prepare("SELECT state, expires_at, id FROM holds")?;
    let rows = statement.query_map([], |row| Ok((hold_row(row)?, row.get(1)?, row.get(2)?)))?;
    let mut holds = Vec::new();
    for row in rows {
        let (row, expires_at, id): (HoldRow, Option<i64>, [u8; 16]) = row?;
        if row.id != HoldId::from_bytes(id) {
            problems.push(format!("hold {} is stored under another id", row.id));
        }
        if expiry(&row)? != expires_at {
            problems.push(format!("hold {} is listed with another expiry than its own", row.id));
        }
        holds.push(row);
    }
    Ok(Accounts { budgets, holds, windows, problems })
}

/// Turns all accounts back, as [`turned_back`] says; answers which holds can still run out.
pub(super) fn turn_back(
    connection: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<BTreeSet<(Timestamp, HoldId)>> {
    let Accounts { budgets, holds, mut windows, .. } = accounts(connection)?;
    let mut books = Books::restored(budgets, holds);
    // What cannot be brought up to a moment cannot be turned back: nothing is written then.
    turned_back(&mut books, &mut windows, from, to).map_err(rusqlite::Error::InvalidParameterName)?;
    connection.execute("DELETE FROM windows", [])?;
    let dirty = Dirty {
        budgets: books.budgets().into_values().cloned().collect(),
        holds: books.holds().into_values().cloned().collect(),
        windows: windows.into_iter().map(|(key, amount)| (key, Some(amount))).collect(),
    };
    write_dirty(connection, &dirty, &BTreeMap::new())?;
    expiries(connection)
}

/// When a hold runs out, if it still can.
fn expiry(row: &HoldRow) -> rusqlite::Result<Option<i64>> {
    match row.phase {
        HoldPhase::Pending { expires_at: Some(at) } => int(at.unix_ms()).map(Some),
        _ => Ok(None),
    }
}

pub(super) fn write_leaf(connection: &Connection, leaf: &Leaf) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entries (sequence, at, stream, stream_sequence, kind, body, peak, previous)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.execute(params![
        int(leaf.sequence)?,
        int(leaf.at.unix_ms())?,
        leaf.stream.as_str(),
        int(leaf.stream_sequence)?,
        leaf.kind,
        leaf.body,
        leaf.peak.as_bytes(),
        leaf.previous.map(int).transpose()?,
    ])?;
    Ok(())
}

pub(super) fn write_link(connection: &Connection, key: &str, value: Option<&str>) -> rusqlite::Result<()> {
    match value {
        Some(value) => {
            let sql = "INSERT INTO links (key, value) VALUES (?1, ?2)
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            connection.prepare_cached(sql)?.execute([key, value])?;
        }
        None => {
            connection.prepare_cached("DELETE FROM links WHERE key = ?1")?.execute([key])?;
        }
    }
    Ok(())
}

pub(super) fn write_payload(connection: &Connection, payload: &Payload) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO payloads (commitment, salt, bytes) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 {OF_COMMITMENT})"
    );
    let commitment = payload.commitment().digest();
    connection.prepare_cached(&sql)?.execute(params![
        commitment.as_bytes(),
        payload.salt(),
        payload.bytes().as_ref()
    ])?;
    Ok(())
}

pub(super) fn erase_payload(connection: &Connection, commitment: Commitment) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!("DELETE {OF_COMMITMENT}"))?;
    statement.execute([commitment.digest().as_bytes()])?;
    Ok(())
}

/// Writes changed account rows and stream lengths.
pub(super) fn write_dirty(
    connection: &Connection,
    dirty: &Dirty,
    streams: &BTreeMap<StreamId, StreamEnd>,
) -> rusqlite::Result<()> {
    for row in &dirty.budgets {
        write_budget(connection, row)?;
    }
    for row in &dirty.holds {
        write_hold(connection, row)?;
    }
    for ((budget, at, hold), amount) in &dirty.windows {
        let at = int(at.unix_ms())?;
        match amount {
            Some(amount) => {
                let sql = "INSERT INTO windows (budget, at, hold, amount) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (budget, at, hold) DO UPDATE SET amount = excluded.amount";
                let amount = amount.to_string();
                let values = params![budget.as_bytes(), at, hold.as_bytes(), amount];
                connection.prepare_cached(sql)?.execute(values)?;
            }
            None => {
                let sql = "DELETE FROM windows WHERE budget = ?1 AND at = ?2 AND hold = ?3";
                let values = params![budget.as_bytes(), at, hold.as_bytes()];
                connection.prepare_cached(sql)?.execute(values)?;
            }
        }
    }
    for (stream, end) in streams {
        let sql = "INSERT INTO streams (name, length, last) VALUES (?1, ?2, ?3)
                   ON CONFLICT (name) DO UPDATE SET length = excluded.length, last = excluded.last";
        let last = end.last.map(int).transpose()?;
        connection.prepare_cached(sql)?.execute(params![stream.as_str(), int(end.length)?, last])?;
    }
    Ok(())
}

fn write_budget(connection: &Connection, row: &BudgetRow) -> rusqlite::Result<()> {
    let (id, spent, held) = (row.budget.id, row.spent.to_string(), row.held.to_string());
    let sql = "UPDATE budgets SET spent = ?2, held = ?3 WHERE id = ?1";
    if connection.prepare_cached(sql)?.execute(params![id.as_bytes(), spent, held])? == 0 {
        let sql = "INSERT INTO budgets (id, terms, spent, held) VALUES (?1, ?2, ?3, ?4)";
        let terms = text(&*row.budget)?;
        connection.prepare_cached(sql)?.execute(params![id.as_bytes(), terms, spent, held])?;
    }
    Ok(())
}

fn write_hold(connection: &Connection, row: &HoldRow) -> rusqlite::Result<()> {
    let expires_at = expiry(row)?;
    let sql = "INSERT INTO holds (id, expires_at, state) VALUES (?1, ?2, ?3)
               ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, state = excluded.state";
    connection.prepare_cached(sql)?.execute(params![row.id.as_bytes(), expires_at, text(row)?])?;
    Ok(())
}

fn text<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn write_head(
    connection: &Connection,
    head: TreeHead,
    last_at: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "UPDATE ledger SET size = ?1, root = ?2, last_at = ?3";
    let values = params![int(head.size)?, head.root.as_bytes(), int(last_at.unix_ms())?];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
