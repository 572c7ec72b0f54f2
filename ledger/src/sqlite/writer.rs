//! What the one thread that writes does: group commit over a cache.

use super::connection::{corrupt, open_writer, store_error};
use super::mark::{Mark, Recorded};
use super::queue::{self, Work};
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
use std::time::Duration;

/// How many rows of a kind stay in memory between groups.
const ROWS_MAX: usize = 50_000;

/// A transaction that is asked for.
pub(super) type Job = Box<Prepared>;
/// What became of it.
pub(super) type Answer = Result<Committed, CommitError>;
/// What the writer is asked.
pub(super) type Request = queue::Request<Job, Answer>;

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
    /// Whether what was erased may still lie in the write-ahead log.
    pub(super) unscrubbed: bool,
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
    /// One request could not be written; without it the others may well be.
    One(StoreError),
}

/// What a request that cannot be written takes with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Apart {
    /// The group, which is then tried again: savepoints cost, and such requests are rare.
    No,
    /// Nothing, since each request has a savepoint of its own.
    Yes,
}

impl Work for Writer {
    type Job = Job;
    type Answer = Answer;

    fn group(&mut self, jobs: Vec<Job>) -> Vec<Answer> {
        let mut done = self.try_group(&jobs, Apart::No);
        if let Err(Failure::One(_)) = done {
            self.forget();
            done = self.try_group(&jobs, Apart::Yes);
        }
        let error = match done {
            Ok(answers) => return answers,
            Err(Failure::Unharmed(error)) => error,
            Err(Failure::Broken(error) | Failure::One(error)) => {
                self.forget();
                error
            }
        };
        tracing::warn!(path = %self.path.display(), %error, "a group of commits failed");
        let error = Arc::new(error);
        // A refusal was decided on books that are in doubt now, so it is not passed on.
        jobs.iter().map(|_| Err(CommitError::Store(copy(&error)))).collect()
    }

    fn close(mut self) -> Result<(), StoreError> {
        let closed = self.mark.sync().map_err(|error| StoreError::Io(Box::new(error)));
        // The data file alone is then the ledger, unless others are at it: SQLite would do this only for the last to close,
        // which our own readers may be. Nothing is lost where it fails.
        let folded = self.connection.take().map(|connection| {
            connection.busy_timeout(Duration::ZERO)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        });
        if let Some(Err(error)) = folded {
            tracing::debug!(path = %self.path.display(), %error, "the log was not folded into the data file");
        }
        closed
    }
}

impl Writer {
    /// Gives up the connection, and with it whatever was not committed, and what was known through it.
    fn forget(&mut self) {
        self.connection = None;
        self.cache = None;
    }

    /// Runs a group in one transaction of the file.
    fn try_group(&mut self, jobs: &[Job], apart: Apart) -> Result<Vec<Answer>, Failure> {
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
        let mut group = Group { connection: &connection, state: &mut cache.state, wrote: false, apart };
        let mut answers = Vec::with_capacity(jobs.len());
        for prepared in jobs {
            let answer = match group.commit(prepared, clock.now()) {
                Ok(committed) => Ok(committed),
                Err(Problem::Refused(refusal)) => Err(CommitError::Refused(refusal)),
                // SQLite has given up the whole transaction, or it lacks what others were told.
                Err(Problem::Unread(error) | Problem::Unwritten(error)) if connection.is_autocommit() => {
                    return Err(broken(error));
                }
                Err(Problem::Torn(error)) => return Err(broken(error)),
                Err(Problem::Unwritten(error)) if apart == Apart::No => {
                    return Err(Failure::One(fail(error)));
                }
                Err(Problem::Unwritten(error)) => {
                    group.roll_back_one().map_err(broken)?;
                    Err(CommitError::Store(fail(error)))
                }
                Err(Problem::Unread(error)) => Err(CommitError::Store(fail(error))),
            };
            answers.push(answer);
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
        self.unscrubbed |= jobs.iter().any(|job| !job.erase.is_empty());
        if self.unscrubbed {
            self.unscrubbed = !scrubbed(&connection);
        }
        self.connection = Some(connection);
        self.cache = Some(cache);
        if head != before {
            self.raise_mark(head).map_err(Failure::Unharmed)?;
        }
        Ok(answers)
    }

    fn raise_mark(&mut self, head: TreeHead) -> Result<(), StoreError> {
        let recorded = Recorded { ledger: self.id, head };
        self.mark.raise(recorded).map_err(|error| StoreError::Io(Box::new(error)))
    }
}

/// Empties the write-ahead log, which keeps the pages of what was erased until then; answers whether it is empty. Readers of
/// an older state keep it from being so, and it is tried again with the next group.
fn scrubbed(connection: &Connection) -> bool {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match busy {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(%error, "what was erased may still lie in the log");
            false
        }
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
    apart: Apart,
}

/// Why one request did not commit.
enum Problem {
    Refused(Refusal),
    /// What it needs could not be read; nothing was written.
    Unread(rusqlite::Error),
    /// What it alone writes was written in part or not at all.
    Unwritten(rusqlite::Error),
    /// What requests before it change was written in part.
    Torn(rusqlite::Error),
}

impl Group<'_> {
    fn commit(&mut self, prepared: &Prepared, clock: Timestamp) -> Result<Committed, Problem> {
        if prepared.turns_back {
            self.turn_back(clock)?;
        }
        let now = self.state.now(clock);
        let ruling = loop {
            match self.state.rule(prepared, now) {
                Ok(ruling) => break ruling,
                // The books are turned back already, and must not stay so without an entry.
                Err(Stop::Refused(_)) if prepared.turns_back => {
                    return Err(Problem::Torn(rusqlite::Error::InvalidQuery));
                }
                Err(Stop::Refused(refusal)) => return Err(Problem::Refused(refusal)),
                Err(Stop::Needs(need)) => self.fetch(need, now)?,
            }
        };
        if ruling.writes() {
            self.write(&ruling, prepared).map_err(Problem::Unwritten)?;
        }
        Ok(self.state.adopt(ruling))
    }

    /// Turns the time back, with all accounts.
    fn turn_back(&mut self, to: Timestamp) -> Result<(), Problem> {
        let from = self.state.turns_back_from(to).map_err(Problem::Refused)?;
        self.flush().map_err(Problem::Torn)?;
        let expiries = rows::turn_back(self.connection, from, to).map_err(Problem::Torn)?;
        self.state.turn_back(Books::partial(expiries), to);
        Ok(())
    }

    /// Writes what only this request writes. Accounts, stream lengths and head follow once for the group.
    fn write(&mut self, ruling: &Ruling, prepared: &Prepared) -> rusqlite::Result<()> {
        let connection = self.connection;
        self.wrote = true;
        if self.apart == Apart::Yes {
            connection.prepare_cached("SAVEPOINT request")?.execute([])?;
        }
        for payload in &prepared.payloads {
            rows::write_payload(connection, payload)?;
        }
        for commitment in &prepared.erase {
            rows::erase_payload(connection, *commitment)?;
        }
        for (key, value) in ruling.links() {
            rows::write_link(connection, key, value.as_deref())?;
        }
        for leaf in &ruling.leaves {
            rows::write_leaf(connection, leaf)?;
        }
        if self.apart == Apart::Yes {
            connection.prepare_cached("RELEASE request")?.execute([])?;
        }
        Ok(())
    }

    /// Takes back what a failed request wrote.
    fn roll_back_one(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("ROLLBACK TO request; RELEASE request")
    }

    fn fetch(&mut self, need: Need, now: Timestamp) -> Result<(), Problem> {
        match need {
            Need::Budget(id) => {
                let row = rows::budget(self.connection, id).map_err(Problem::Unread)?;
                self.state.books.learn_budget(id, row);
            }
            Need::Hold(id) => {
                let row = rows::hold(self.connection, id).map_err(Problem::Unread)?;
                self.state.books.learn_hold(id, row);
            }
            Need::Stream(stream) => {
                let end = rows::stream_end(self.connection, &stream).map_err(Problem::Unread)?;
                self.state.learn_stream(stream, end);
            }
            Need::Link(key) => {
                let value = rows::link(self.connection, &key).map_err(Problem::Unread)?;
                self.state.learn_link(key, value);
            }
            Need::Window(id) => {
                // The rows must be in the file before they are read from it.
                self.flush().map_err(Problem::Torn)?;
                let left = self.state.books.budget(id).ok().flatten().and_then(|row| row.left_window_by(now));
                let Some(left) = left else { return Err(Problem::Refused(Refusal::UnknownBudget(id))) };
                let gone = rows::window_until(self.connection, id, left).map_err(Problem::Unread)?;
                let oldest = rows::window_oldest(self.connection, id, left).map_err(Problem::Unread)?;
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
