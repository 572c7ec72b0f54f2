//! Reads, on threads and connections of their own, so that they do not wait behind writes.

use super::connection::store_error;
use super::rows;
use crate::account::{BudgetState, HoldState};
use crate::books::HoldRow;
use crate::entry::{Entry, StreamId};
use crate::payload::{Commitment, Payload};
use crate::refusal::StoreError;
use crate::state::StreamEnd;
use bursar_types::{BudgetId, HoldId, Timestamp};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// How many reads run at once.
const THREADS: usize = 2;

/// What a reader thread is told.
pub(super) enum Job {
    /// Something to read.
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// The thread that takes it ends.
    End,
}

/// Resolve when a reader thread has closed its connection.
pub(super) type Ends = Vec<oneshot::Receiver<()>>;

/// Starts the threads; they end when they are told, or when the sender is gone.
pub(super) fn start(path: &Path, busy_timeout_ms: u64) -> Result<(Sender<Job>, Ends), StoreError> {
    let (sender, receiver) = channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    let mut ends = Vec::with_capacity(THREADS);
    for _ in 0..THREADS {
        let (end, ended) = oneshot::channel();
        ends.push(ended);
        let connection = super::connection::open_reader(path, busy_timeout_ms)
            .map_err(|error| store_error(path, error))?;
        let receiver = Arc::clone(&receiver);
        let work = move || {
            while let Some(Job::Read(job)) = next(&receiver) {
                job(&connection);
            }
            drop(connection);
            let _ = end.send(());
        };
        std::thread::Builder::new()
            .name("bursar-ledger-read".to_owned())
            .spawn(work)
            .map_err(|error| StoreError::Io(Box::new(error)))?;
    }
    Ok((sender, ends))
}

/// Ends the threads, and waits until the last connection is closed: the file is nobody's here after that.
pub(super) async fn close(jobs: &Sender<Job>, ends: Ends) {
    for _ in 0..THREADS {
        // A thread that is gone needs no telling.
        let _ = jobs.send(Job::End);
    }
    for ended in ends {
        let _ = ended.await;
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Runs `read` on a reader thread, in one snapshot of the file.
pub(super) async fn read<T: Send + 'static>(
    jobs: &Sender<Job>,
    path: PathBuf,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, answered) = oneshot::channel();
    let job = move |connection: &Connection| {
        let _ = answer.send(in_snapshot(connection, read).map_err(|error| store_error(&path, error)));
    };
    jobs.send(Job::Read(Box::new(job))).map_err(|_| StoreError::Closed)?;
    answered.await.map_err(|_| StoreError::Closed)?
}

fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let found = read(connection);
    connection.prepare_cached("ROLLBACK")?.execute([])?;
    found
}

/// Walks a stream from its end back to the entry numbered `from`, and gives it in order.
pub(super) fn stream(connection: &Connection, of: &StreamId, from: u64) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(&format!("{} WHERE sequence = ?1", rows::ENTRY))?;
    let StreamEnd { mut length, last: mut place } = rows::stream_end(connection, of)?;
    let mut entries =
        Vec::with_capacity(usize::try_from(length.saturating_sub(from)).unwrap_or(0).min(4_096));
    while length > from {
        length = length.saturating_sub(1);
        let row = match place {
            Some(place) => statement.query_row([rows::int(place)?], rows::entry).optional()?,
            None => None,
        };
        let row = row.filter(|(entry, _)| entry.stream == *of && entry.stream_sequence == length);
        let Some((entry, beside)) = row else { return Err(unlinked(of, length)) };
        place = beside.previous;
        entries.push(entry);
    }
    entries.reverse();
    Ok(entries)
}

/// A stream's chain leads elsewhere: somebody has written into the file.
fn unlinked(stream: &StreamId, number: u64) -> rusqlite::Error {
    let problem = format!("entry {number} of stream `{stream}` is not where the entries after it say");
    rusqlite::Error::FromSqlConversionFailure(7, rusqlite::types::Type::Integer, problem.into())
}

pub(super) fn stream_with_payloads(
    connection: &Connection,
    of: &StreamId,
    from: u64,
) -> rusqlite::Result<Vec<(Entry, Option<Bytes>)>> {
    let with_payload = |entry: Entry| {
        let bytes = entry.detail().map(|detail| payload(connection, detail)).transpose()?.flatten();
        Ok((entry, bytes))
    };
    stream(connection, of, from)?.into_iter().map(with_payload).collect()
}

pub(super) fn entries(connection: &Connection, from: u64, limit: u32) -> rusqlite::Result<Vec<Entry>> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let sql = format!("{} WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2", rows::ENTRY);
    let mut statement = connection.prepare_cached(&sql)?;
    let entries = statement.query_map([from, i64::from(limit)], rows::entry)?;
    entries.map(|row| row.map(|(entry, _)| entry)).collect()
}

/// A budget at `clock`, or at the last commit if that is later.
pub(super) fn budgets(
    connection: &Connection,
    ids: &[BudgetId],
    clock: Timestamp,
) -> rusqlite::Result<Vec<Option<BudgetState>>> {
    let (_, last_at) = rows::head(connection)?;
    let now = clock.max(last_at);
    let due = rows::due_holds(connection, now)?;
    ids.iter().map(|id| budget(connection, *id, now, &due)).collect()
}

fn budget(
    connection: &Connection,
    id: BudgetId,
    now: Timestamp,
    due: &[HoldRow],
) -> rusqlite::Result<Option<BudgetState>> {
    let Some(row) = rows::budget(connection, id)? else { return Ok(None) };
    let mut left: u128 = 0;
    if let Some(until) = row.left_window_by(now) {
        for (_, _, amount) in rows::window_until(connection, id, until)? {
            left = left.checked_add(amount).ok_or_else(sums)?;
        }
    }
    let mut expired: u128 = 0;
    for hold in due {
        expired = expired.checked_add(hold.held_in(id)).ok_or_else(sums)?;
    }
    row.state(left, expired).map(Some).map_err(|_| sums())
}

/// The sums of a budget contradict its rows.
fn sums() -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(1, i64::MAX)
}

pub(super) fn hold(
    connection: &Connection,
    id: HoldId,
    clock: Timestamp,
) -> rusqlite::Result<Option<HoldState>> {
    let Some(row) = rows::hold(connection, id)? else { return Ok(None) };
    let (_, last_at) = rows::head(connection)?;
    Ok(Some(row.state(clock.max(last_at))))
}

pub(super) fn sealed(connection: &Connection, commitment: Commitment) -> rusqlite::Result<Option<Payload>> {
    let mut statement = connection.prepare_cached(&format!("SELECT salt, bytes {}", rows::OF_COMMITMENT))?;
    let digest = commitment.digest();
    let kept =
        |row: &rusqlite::Row<'_>| Ok(Payload::kept(row.get(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?)));
    statement.query_row([digest.as_bytes()], kept).optional()
}

pub(super) fn payload(connection: &Connection, commitment: Commitment) -> rusqlite::Result<Option<Bytes>> {
    let mut statement = connection.prepare_cached(&format!("SELECT bytes {}", rows::OF_COMMITMENT))?;
    let digest = commitment.digest();
    let bytes: Option<Vec<u8>> = statement.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
    Ok(bytes.map(Bytes::from))
}
