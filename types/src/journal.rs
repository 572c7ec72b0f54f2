//! Where a run's records are kept.

use crate::id::RunId;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use thiserror::Error;

/// One record to append: its kind in the clear, its content as a payload that can be erased without breaking proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Short name of the kind, such as `model_replied`; in the leaf.
    pub kind: String,
    /// The content; the leaf holds only a salted commitment to it.
    pub payload: Bytes,
}

/// One record as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Position in the run, from 0.
    pub sequence: u64,
    /// Short name of the kind.
    pub kind: String,
    /// The content; `None` once erased.
    pub payload: Option<Bytes>,
}

/// Why records were not appended or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another worker appended first; this worker is fenced off and must stop.
    #[error("run has {found} records where {expected} were expected; another worker continues it")]
    Fenced {
        /// How many the caller expected.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The store failed. Nothing was appended, or it cannot be told; read again before appending.
    #[error("journal is not available")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The durable record of runs.
///
/// # What implementers guarantee
/// An append is all or nothing and durable before it answers; records of a run are numbered from 0 without gaps.
#[async_trait]
pub trait Journal: Send + Sync + fmt::Debug {
    /// Appends records if the run has exactly `expected` of them.
    ///
    /// # Errors
    /// [`JournalError`].
    ///
    /// # Cancellation
    /// Dropping the future may leave the records appended; read again.
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError>;

    /// Reads a run's records from position `from`.
    ///
    /// # Errors
    /// [`JournalError::Store`].
    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError>;
}
