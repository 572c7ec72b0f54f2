//! Why the library did not answer.

use bursar_ledger::StoreError;
use thiserror::Error;

/// Why the library did not answer. Nothing bought is lost: the ledger keeps it, and the index is built again from there.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// The index file cannot be read or written, and building it again did not help: look at the disk and the folder.
    #[error("index `{path}` is not usable")]
    Index {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The ledger cannot be read.
    #[error("ledger is not available")]
    Ledger(#[source] StoreError),
    /// The library's thread has ended.
    #[error("library is closed")]
    Closed,
}
