//! A ledger in one SQLite file.
//!
//! One thread writes. It takes whatever requests are queued, runs them in one transaction of the file, commits once and
//! only then answers: whoever waits while a commit runs shares the next one. It decides on rows cached in
//! memory, which it forgets when `PRAGMA data_version` says that another process has written. Reads have their own
//! threads and connections and see every commit that was acknowledged before them.

mod connection;
mod filesystem;
mod mark;
mod queue;
mod reader;
mod rows;
mod verify;
mod writer;

use crate::account::{BudgetState, HoldState};
use crate::entry::{Entry, StreamId, TreeHead};
use crate::ledger::{Store, Verification};
use crate::payload::{Commitment, Payload};
use crate::prepared::Prepared;
use crate::refusal::{CommitError, StoreError};
use crate::transaction::{Committed, Transaction};
use crate::tree;
use async_trait::async_trait;
use bursar_proof::{Hash, Node};
use bursar_types::{BudgetId, Clock, Entropy, HoldId, LedgerId};
use bytes::Bytes;
use connection::{corrupt, store_error};
use filesystem::Content;
use mark::{Mark, Recorded};
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use writer::{Request, Writer};

/// Where a ledger's file lies, and what is handed in.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The data file; made with its folder if missing, readable by its owner alone.
    pub path: PathBuf,
    /// The high-water mark; it belongs outside the folder of the data file, so that a restored backup does not restore
    /// the mark with it.
    pub mark_path: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and salts.
    pub entropy: Arc<dyn Entropy>,
    /// How long to wait while another process holds the file.
    pub busy_timeout_ms: u64,
}

impl SqliteOptions {
    /// Options with a wait of 5 s for other processes.
    #[must_use]
    pub fn new(
        path: impl Into<PathBuf>,
        mark_path: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { path: path.into(), mark_path: mark_path.into(), clock, entropy, busy_timeout_ms: 5_000 }
    }
}

/// Keeps a ledger in one SQLite file; other processes may have it open too.
#[derive(Debug)]
pub struct SqliteStore {
    id: LedgerId,
    options: SqliteOptions,
    mark_was_missing: bool,
    // INVARIANT: `None` after `close`.
    threads: Mutex<Option<Threads>>,
    readers_end: Mutex<reader::Ends>,
}

#[derive(Debug, Clone)]
struct Threads {
    writer: Sender<Request>,
    readers: Sender<reader::Job>,
}

impl SqliteStore {
    /// Opens a ledger, made if the file is missing or empty.
    ///
    /// The file's tree must contain the tree that the high-water mark names. A mark that is missing beside a file with
    /// entries, as after a restore onto a new machine, is made anew and told by [`Self::mark_was_missing`]: refusing
    /// would leave no way back, so whoever composes the program decides what to check before it pays again.
    ///
    /// # Errors
    /// [`StoreError`]: `Locked`, `Corrupt`, `NewerSchema`, `NetworkFilesystem` and `Io` as named; `RolledBack` if the
    /// file has fewer entries than the mark saw, an empty file included; `Corrupt` too if its entries are others than
    /// those the mark saw, or the mark is another ledger's.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let path = options.path.as_path();
        // The mark comes first: it is written after the commit it names, so the file read later cannot be behind it.
        // Holding it keeps two processes from making the same file at once.
        let mut mark = Mark::open(&options.mark_path).map_err(io_error)?;
        mark.hold().map_err(io_error)?;
        let recorded = mark.read_locked().map_err(io_error)?;
        let content = filesystem::content(path).map_err(io_error)?;
        let seen = recorded.map_or(0, |recorded| recorded.head.size);
        if content == Content::Other {
            return Err(corrupt(path, "it is not an SQLite file".to_owned()));
        }
        if content == Content::Empty && seen > 0 {
            return Err(StoreError::RolledBack { path: path.display().to_string(), found: 0, seen });
        }
        let file = filesystem::open_private(path).map_err(io_error)?;
        filesystem::refuse_network(path, &file)?;
        drop(file);
        let fail = |error| store_error(path, error);
        let mut connection = connection::open_unchecked(path, options.busy_timeout_ms).map_err(fail)?;
        let (id, is_new) = connection::prepare_schema(&mut connection, path, &*options.entropy)?;
        connection::make_durable(&connection).map_err(fail)?;
        let head = check_mark(&connection, path, id, recorded)?;
        let mark_was_missing = recorded.is_none() && !is_new && head.size > 0;
        if mark_was_missing {
            let mark = options.mark_path.display();
            tracing::warn!(path = %path.display(), %mark, "the high-water mark was missing and is made anew");
        }
        mark.raise_locked(Recorded { ledger: id, head }).map_err(io_error)?;
        mark.release().map_err(io_error)?;
        let (readers, readers_end) = reader::start(path, options.busy_timeout_ms)?;
        let (writer, requests) = channel();
        let worker = Writer {
            path: options.path.clone(),
            busy_timeout_ms: options.busy_timeout_ms,
            clock: Arc::clone(&options.clock),
            id,
            mark,
            connection: Some(connection),
            cache: None,
            unscrubbed: false,
        };
        std::thread::Builder::new()
            .name("bursar-ledger-write".to_owned())
            .spawn(move || queue::serve(worker, requests))
            .map_err(io_error)?;
        let (threads, readers_end) = (Mutex::new(Some(Threads { writer, readers })), Mutex::new(readers_end));
        Ok(Self { id, options, mark_was_missing, threads, readers_end })
    }

    /// Whether the high-water mark was missing, or unreadable, beside a file that has entries: a rollback before this
    /// moment cannot be told.
    #[must_use]
    pub const fn mark_was_missing(&self) -> bool {
        self.mark_was_missing
    }

    fn threads(&self) -> Result<Threads, StoreError> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        reader::read(&self.threads()?.readers, self.options.path.clone(), read).await
    }
}

/// Compares the file with the mark, and answers the file's head.
fn check_mark(
    connection: &Connection,
    path: &Path,
    id: LedgerId,
    recorded: Option<Recorded>,
) -> Result<TreeHead, StoreError> {
    let fail = |error| store_error(path, error);
    let snapshot = connection.unchecked_transaction().map_err(fail)?;
    let (head, _) = rows::head(&snapshot).map_err(fail)?;
    let damaged = || corrupt(path, "its entries do not give the root it names".to_owned());
    let tree = rows::tree_at(&snapshot, head.size).map_err(fail)?.ok_or_else(damaged)?;
    if tree.root() != head.root {
        return Err(damaged());
    }
    let Some(recorded) = recorded.filter(|recorded| recorded.head.size > 0) else { return Ok(head) };
    if recorded.ledger != id {
        let other = recorded.ledger;
        return Err(corrupt(
            path,
            format!("its high-water mark belongs to ledger {other}, the file is {id}"),
        ));
    }
    if recorded.head.size > head.size {
        let (found, seen) = (head.size, recorded.head.size);
        return Err(StoreError::RolledBack { path: path.display().to_string(), found, seen });
    }
    let before = rows::tree_at(&snapshot, recorded.head.size).map_err(fail)?.ok_or_else(damaged)?;
    if before.root() != recorded.head.root {
        let seen = recorded.head.size;
        return Err(corrupt(path, format!("its first {seen} entries are not those seen before")));
    }
    Ok(head)
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(Box::new(error))
}

#[async_trait]
impl Store for SqliteStore {
    fn id(&self) -> LedgerId {
        self.id
    }

    fn entropy(&self) -> &dyn Entropy {
        &*self.options.entropy
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let prepared = Box::new(Prepared::new(transaction)?);
        queue::ask(&self.threads()?.writer, prepared).await?
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        let stream = stream.clone();
        self.read(move |connection| reader::stream(connection, &stream, from)).await
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.read(move |connection| reader::entries(connection, from, limit)).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        let prefix = prefix.to_owned();
        let streams = self.read(move |connection| rows::streams_from(connection, &prefix)).await?;
        Ok(streams.into_iter().map(|(stream, end)| (stream, end.length)).collect())
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        let now = self.options.clock.now();
        self.read(move |connection| Ok(reader::budgets(connection, &[id], now)?.pop().flatten())).await
    }

    async fn budgets(&self, ids: &[BudgetId]) -> Result<Vec<Option<BudgetState>>, StoreError> {
        let (now, ids) = (self.options.clock.now(), ids.to_vec());
        self.read(move |connection| reader::budgets(connection, &ids, now)).await
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        let now = self.options.clock.now();
        self.read(move |connection| reader::hold(connection, id, now)).await
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.read(move |connection| rows::link(connection, &key)).await
    }

    async fn link_values(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |connection| keys.iter().map(|key| rows::link(connection, key)).collect()).await
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |connection| rows::links_from(connection, &prefix)).await
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        self.read(move |connection| reader::payload(connection, commitment)).await
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        self.read(move |connection| reader::sealed(connection, commitment)).await
    }

    async fn stream_with_payloads(
        &self,
        stream: &StreamId,
        from: u64,
    ) -> Result<Vec<(Entry, Option<Bytes>)>, StoreError> {
        let stream = stream.clone();
        self.read(move |connection| reader::stream_with_payloads(connection, &stream, from)).await
    }

    async fn head(&self) -> Result<TreeHead, StoreError> {
        self.read(|connection| Ok(rows::head(connection)?.0)).await
    }

    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError> {
        let nodes = nodes.to_vec();
        self.read(move |connection| {
            nodes.iter().map(|node| tree::node(&mut rows::LeafRows(connection), *node)).collect()
        })
        .await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.threads()?;
        let (options, id) = (self.options.clone(), self.id);
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let _ = answer.send(verify_file(&options, id));
        };
        // It may take long, so it has a thread of its own.
        std::thread::Builder::new().name("bursar-ledger-verify".to_owned()).spawn(work).map_err(io_error)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn close(&self) -> Result<(), StoreError> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = threads.ok_or(StoreError::Closed)?;
        let ends = std::mem::take(&mut *self.readers_end.lock().unwrap_or_else(PoisonError::into_inner));
        reader::close(&threads.readers, ends).await;
        queue::close(&threads.writer).await
    }
}

fn verify_file(options: &SqliteOptions, id: LedgerId) -> Result<Verification, StoreError> {
    let path = options.path.as_path();
    let recorded = Mark::open(&options.mark_path).and_then(|mut mark| mark.read()).map_err(io_error)?;
    let fail = |error| store_error(path, error);
    let connection = connection::open_reader(path, options.busy_timeout_ms).map_err(fail)?;
    verify::verify(&connection, id, recorded).map_err(fail)
}
