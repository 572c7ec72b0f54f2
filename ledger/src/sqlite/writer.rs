//! The one thread that writes: group commit over a cache.

use super::connection::{corrupt, open_writer, store_error};
use super::mark::{Mark, Recorded};
use super::rows;
use crate::books::{Books, Need, Stop};
use crate::entry::TreeHead;
use crate::prepared::Prepared;
use crate::refusal::{CommitError, Refusal, StoreError};
use crate::state::{Ruling, State};
use crate::transaction::Committed;
use bursar_types::{Clock, LedgerId, Timestamp};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many requests one commit takes in.
const GROUP_MAX: usize = 512;
/// How long to wait for one more caller of the last group; a lone caller never waits.
const GATHER: Duration = Duration::from_micros(100);
/// How many rows of a kind stay in memory between groups.
const ROWS_MAX: usize = 50_000;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    Commit(Box<Prepared>, oneshot::Sender<Result<Committed, CommitError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

type Waiter = (Box<Prepared>, oneshot::Sender<Result<Committed, CommitError>>);
type Answer = (oneshot::Sender<Result<Committed, CommitError>>, Result<Committed, CommitError>);

/// The writer's own things; they live on its thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) busy_timeout_ms: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) id: LedgerId,
    pub(super) mark: Mark,
    /// `None` after a failure, until the next group opens another.
    pub(super) connection: Option<Connection>,
    pub(super) cache: Option<Cache>,
}

/// What is known of the file, as of one value of `PRAGMA data_version`.
#[derive(Debug)]
pub(super) struct Cache {
    state: State,
    data_version: i64,
}

/// Why a group did not commit.
enum Failure {
    /// The connection is as it was.
    Unharmed(StoreError),
    /// Connection and cache are in an unknown state.
    Broken(StoreError),
}

impl Writer {
    /// Works until every sender is gone or a request closes it.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let mut closing = None;
        let mut last_len = 1;
        while closing.is_none() {
            let Ok(first) = requests.recv() else { break };
            let mut group = Vec::with_capacity(last_len);
            let mut next = Some(first);
            while let Some(request) = next.take() {
                match request {
                    Request::Commit(prepared, waiter) => group.push((prepared, waiter)),
                    Request::Close(waiter) => {
                        closing = Some(waiter);
                        break;
                    }
                }
                if group.len() < GROUP_MAX {
                    next = take_next(requests, group.len() < last_len);
                }
            }
            if !group.is_empty() {
                last_len = group.len();
                self.commit_group(group);
            }
        }
        let closed = self.mark.sync().map_err(|error| StoreError::Io(Box::new(error)));
        drop(self.connection.take());
        if let Some(waiter) = closing {
            let _ = waiter.send(closed);
        }
    }

    fn commit_group(&mut self, group: Vec<Waiter>) {
        let mut waiting = group;
        let mut answers = Vec::with_capacity(waiting.len());
        match self.try_group(&mut waiting, &mut answers) {
            Ok(()) => {
                for (waiter, answer) in answers {
                    let _ = waiter.send(answer);
                }
            }
            Err(failure) => {
                let error = match failure {
                    Failure::Unharmed(error) => error,
                    Failure::Broken(error) => {
                        self.connection = None;
                        self.cache = None;
                        error
                    }
                };
                tracing::warn!(path = %self.path.display(), %error, "a group of commits failed");
                let error = Arc::new(error);
                // A refusal was decided on books that are in doubt now, so it is not passed on.
                let waiters = answers.into_iter().map(|(waiter, _)| waiter);
                for waiter in waiters.chain(waiting.into_iter().map(|(_, waiter)| waiter)) {
                    let _ = waiter.send(Err(CommitError::Store(copy(&error))));
                }
            }
        }
    }

    /// Runs a group in one transaction of the file. Requests move from `waiting` to `answers` one by one, in order.
    fn try_group(&mut self, waiting: &mut Vec<Waiter>, answers: &mut Vec<Answer>) -> Result<(), Failure> {
        let (path, clock) = (self.path.clone(), Arc::clone(&self.clock));
        let fail = |error| store_error(&path, error);
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_writer(&path, self.busy_timeout_ms).map_err(|e| Failure::Broken(fail(e)))?,
        };
        let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        if let Err(error) = begun {
            self.connection = Some(connection);
            return Err(Failure::Unharmed(fail(error)));
        }
        let broken = |error| Failure::Broken(fail(error));
        let mut cache = refresh(&connection, self.cache.take()).map_err(|problem| match problem {
            Unread::Sql(error) => broken(error),
            Unread::Disagrees(problem) => Failure::Broken(corrupt(&path, problem)),
        })?;
        let before = cache.state.head();
        let mut group =
            Group { connection: &connection, state: &mut cache.state, wrote: false, in_savepoint: false };
        for (prepared, waiter) in std::mem::take(waiting) {
            let now = group.state.now(clock.now());
            let answer = match group.commit(&prepared, now) {
                Ok(committed) => Ok(committed),
                Err(Problem::Refused(refusal)) => Err(CommitError::Refused(refusal)),
                // The group goes on without this request, unless SQLite has given up the whole transaction.
                Err(Problem::Sql(error)) if !connection.is_autocommit() => {
                    group.roll_back_one().map_err(broken)?;
                    Err(CommitError::Store(fail(error)))
                }
                Err(Problem::Sql(error)) => {
                    waiting.push((prepared, waiter));
                    return Err(broken(error));
                }
            };
            answers.push((waiter, answer));
        }
        if !group.wrote {
            connection.prepare_cached("ROLLBACK").and_then(|mut s| s.execute([])).map_err(broken)?;
        } else {
            group.flush().map_err(broken)?;
            let (head, last_at) = (cache.state.head(), cache.state.last_at);
            rows::write_head(&connection, head, last_at).map_err(broken)?;
            connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([])).map_err(broken)?;
            cache.state.trim(ROWS_MAX);
        }
        let head = cache.state.head();
        self.connection = Some(connection);
        self.cache = Some(cache);
        if head != before { self.raise_mark(head).map_err(Failure::Unharmed) } else { Ok(()) }
    }

    fn raise_mark(&mut self, head: TreeHead) -> Result<(), StoreError> {
        let recorded = Recorded { ledger: self.id, head };
        self.mark.raise(recorded).map_err(|error| StoreError::Io(Box::new(error)))
    }
}

/// The next request that is queued. While the group is smaller than the last one, those who were just answered may be
/// about to ask again: it pays to wait a moment for them, where a commit would make them wait for a whole sync.
fn take_next(requests: &Receiver<Request>, wait: bool) -> Option<Request> {
    match wait {
        true => requests.recv_timeout(GATHER).ok(),
        false => requests.try_recv().ok(),
    }
}

/// Why the cache could not be filled.
enum Unread {
    Sql(rusqlite::Error),
    Disagrees(String),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The cache, made anew if another connection has written since.
fn refresh(connection: &Connection, cache: Option<Cache>) -> Result<Cache, Unread> {
    let data_version =
        connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get::<_, i64>(0))?;
    if let Some(cache) = cache.filter(|cache| cache.data_version == data_version) {
        return Ok(cache);
    }
    let (head, last_at) = rows::head(connection)?;
    let tree = rows::tree_at(connection, head.size)?.filter(|tree| tree.root() == head.root);
    let Some(tree) = tree else {
        return Err(Unread::Disagrees("its entries do not give the root it names".to_owned()));
    };
    let books = Books::partial(rows::expiries(connection)?);
    Ok(Cache { state: State::partial(books, tree, last_at), data_version })
}

/// One transaction of the file while it runs.
struct Group<'a> {
    connection: &'a Connection,
    state: &'a mut State,
    /// Whether anything was written, so that there is something to commit.
    wrote: bool,
    in_savepoint: bool,
}

/// Why one request did not commit.
enum Problem {
    Refused(Refusal),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Group<'_> {
    fn commit(&mut self, prepared: &Prepared, now: Timestamp) -> Result<Committed, Problem> {
        let ruling = loop {
            match self.state.rule(prepared, now) {
                Ok(ruling) => break ruling,
                Err(Stop::Refused(refusal)) => return Err(Problem::Refused(refusal)),
                Err(Stop::Needs(need)) => self.fetch(need, now)?,
            }
        };
        if ruling.writes() {
            self.write(&ruling, prepared)?;
        }
        Ok(self.state.adopt(ruling))
    }

    /// Writes what only this request writes. Accounts, stream lengths and head follow once for the group.
    fn write(&mut self, ruling: &Ruling, prepared: &Prepared) -> rusqlite::Result<()> {
        let connection = self.connection;
        connection.prepare_cached("SAVEPOINT request")?.execute([])?;
        (self.wrote, self.in_savepoint) = (true, true);
        for payload in &prepared.payloads {
            rows::write_payload(connection, payload)?;
        }
        for (key, value) in ruling.links() {
            rows::write_link(connection, key, value.as_deref())?;
        }
        for leaf in &ruling.leaves {
            rows::write_leaf(connection, leaf)?;
        }
        connection.prepare_cached("RELEASE request")?.execute([])?;
        self.in_savepoint = false;
        Ok(())
    }

    /// Takes back what a failed request wrote, if it came as far as writing.
    fn roll_back_one(&mut self) -> rusqlite::Result<()> {
        if std::mem::take(&mut self.in_savepoint) {
            self.connection.execute_batch("ROLLBACK TO request; RELEASE request")?;
        }
        Ok(())
    }

    fn fetch(&mut self, need: Need, now: Timestamp) -> Result<(), Problem> {
        match need {
            Need::Budget(id) => self.state.books.learn_budget(id, rows::budget(self.connection, id)?),
            Need::Hold(id) => self.state.books.learn_hold(id, rows::hold(self.connection, id)?),
            Need::Stream(stream) => {
                let length = rows::stream_length(self.connection, &stream)?;
                self.state.learn_stream(stream, length);
            }
            Need::Link(key) => {
                let value = rows::link(self.connection, &key)?;
                self.state.learn_link(key, value);
            }
            Need::Window(id) => {
                // The rows must be in the file before they are read from it.
                self.flush()?;
                let left = self.state.books.budget(id).ok().flatten().and_then(|row| row.left_window_by(now));
                let Some(left) = left else { return Err(Problem::Refused(Refusal::UnknownBudget(id))) };
                let gone = rows::window_until(self.connection, id, left)?;
                let oldest = rows::window_oldest(self.connection, id, left)?;
                self.state.books.drop_from_window(id, &gone, oldest).map_err(Problem::Refused)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> rusqlite::Result<()> {
        let (dirty, streams) = self.state.take_dirty();
        self.wrote = true;
        rows::write_dirty(self.connection, &dirty, &streams)
    }
}

/// The same error for another waiter.
fn copy(error: &Arc<StoreError>) -> StoreError {
    match &**error {
        StoreError::Locked { path } => StoreError::Locked { path: path.clone() },
        StoreError::Corrupt { path, problem } => {
            StoreError::Corrupt { path: path.clone(), problem: problem.clone() }
        }
        StoreError::Closed => StoreError::Closed,
        _ => StoreError::Io(Box::new(Shared(Arc::clone(error)))),
    }
}

/// An error that several waiters were told.
#[derive(Debug, thiserror::Error)]
#[error("a commit shared with others failed")]
struct Shared(#[source] Arc<StoreError>);
