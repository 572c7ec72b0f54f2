//! Why a checkpoint was not signed.

use bursar_ledger::StoreError;
use bursar_proof::{CheckpointError, NoteError};
use std::path::PathBuf;
use thiserror::Error;

/// Why a checkpoint was not signed. Nothing was published, or less than was asked for; publishing again goes on from there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The ledger could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the log could not be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What lies there as the log's checkpoint is none of ours.
    #[error("`{}` holds no checkpoint of this ledger: {source}; move it away once you know how it came there", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The journal has fewer entries than were signed: an old copy of the data file was put back.
    #[error(
        "the journal has {found} entries, and {signed} were signed: an old copy of the data file was put back. Do not pay: bring the current file back, and check it with `bursar audit verify`"
    )]
    RolledBack {
        /// How many entries there are.
        found: u64,
        /// How many were signed.
        signed: u64,
    },
    /// The journal's first entries are others than those that were signed.
    #[error(
        "the first {signed} entries of the journal are not those that were signed: somebody rewrote it. Keep all of it, and run `bursar audit verify`"
    )]
    Rewritten {
        /// How many entries were signed.
        signed: u64,
    },
    /// The checkpoint could not be made.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key is not this log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl PublishError {
    /// Whether somebody has to look at it: what was signed and what is there contradict each other.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Rewritten { .. } | Self::NotOurs { .. })
    }

    /// A name for the alarm that it is: the same however often it is found, and another for another contradiction.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        match self {
            Self::RolledBack { signed, .. } => Some(format!("rolled back from {signed}")),
            Self::Rewritten { signed } => Some(format!("rewritten before {signed}")),
            Self::NotOurs { .. } => Some("not ours".to_owned()),
            Self::Store(_) | Self::File { .. } | Self::Note(_) | Self::Checkpoint(_) => None,
        }
    }
}
