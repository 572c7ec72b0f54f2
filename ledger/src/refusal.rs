//! Why a transaction did not commit.

use crate::entry::StreamId;
use bursar_types::{Amount, BudgetId, HoldId};
use thiserror::Error;

/// The transaction was understood and refused; nothing of it was written. Deterministic: the same books refuse it again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A budget has not enough left.
    #[error("budget `{name}` is exceeded")]
    OverLimit {
        /// The budget.
        budget: BudgetId,
        /// Its name.
        name: String,
        /// The cap.
        limit: Amount,
        /// Captured in the window.
        spent: Amount,
        /// Held.
        held: Amount,
        /// Asked for now.
        asked: Amount,
    },
    /// No such budget.
    #[error("no budget {0}")]
    UnknownBudget(BudgetId),
    /// No such hold.
    #[error("no hold {0}")]
    UnknownHold(HoldId),
    /// The id was used before with other parameters.
    #[error("{id} was used before with other parameters")]
    DifferentParameters {
        /// The id.
        id: String,
    },
    /// The hold was resolved in another way.
    #[error("hold {hold} was already {how}")]
    AlreadyResolved {
        /// The hold.
        hold: HoldId,
        /// `captured`, `released` or `expired`.
        how: &'static str,
    },
    /// The hold is not pending any more, or was never pinned where that is needed.
    #[error("hold {hold} is {found}, not {needed}")]
    HoldNot {
        /// The hold.
        hold: HoldId,
        /// What was needed: `pending`, `pinned` or `captured`.
        needed: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A capture above what was held, without being an observed settlement.
    #[error("capture is above hold {0}")]
    AboveHold(HoldId),
    /// A refund above what was captured.
    #[error("refund is above the capture of hold {0}")]
    AboveCapture(HoldId),
    /// An amount is in another unit than its budget.
    #[error("amount for budget {0} is in another unit")]
    WrongUnit(BudgetId),
    /// A hold has no lines, or one budget twice.
    #[error("hold {0} needs at least one line and each budget once")]
    BadLines(HoldId),
    /// A sum does not fit.
    #[error("amount out of range")]
    OutOfRange,
    /// A budget's limit is zero, or its parents form a circle.
    #[error("budget {0} is not well formed")]
    BadBudget(BudgetId),
    /// A stream is not where the caller saw it: decide again on what happened since.
    #[error("stream `{stream}` has {found} entries, not {expected}")]
    StreamMoved {
        /// The stream.
        stream: StreamId,
        /// How many entries the caller saw.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A link does not have the value the caller saw.
    #[error("link `{key}` has changed")]
    LinkMoved {
        /// The link.
        key: String,
        /// Its value now.
        found: Option<String>,
    },
    /// A budget is used more than the decision assumed.
    #[error("budget {budget} is used more than the decision assumed")]
    UsedMore {
        /// The budget.
        budget: BudgetId,
        /// Spent and held now.
        used: Amount,
    },
    /// The ledger's time is later than the caller's clock: whatever had expired by it must not count again.
    #[error("the ledger's time is {later_ms} milliseconds later than the clock by which it was decided")]
    ClockBehind {
        /// How much later.
        later_ms: u64,
    },
    /// The ledger's time cannot be turned back so.
    #[error("the ledger's time is not turned back: {0}")]
    BadTurn(&'static str),
    /// Only the ledger appends to this stream.
    #[error("stream `{0}` is written by the ledger alone")]
    ReservedStream(StreamId),
    /// An entry is too large to be served as a leaf: what is long belongs into a payload.
    #[error("entry `{kind}` has {bytes} bytes; 65,535 are the most, and the rest belongs into a payload")]
    EntryTooLarge {
        /// Its kind.
        kind: String,
        /// Its canonical bytes.
        bytes: usize,
    },
    /// An entry's body has no canonical bytes.
    #[error("entry has no canonical form: {0}")]
    NotCanonical(String),
}

/// The store itself failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process holds the file longer than we waited.
    #[error("data file `{path}` is locked by another process")]
    Locked {
        /// The file.
        path: String,
    },
    /// The file is not a Bursar data file, or is damaged.
    #[error("data file `{path}` is damaged or not a Bursar data file: {problem}")]
    Corrupt {
        /// The file.
        path: String,
        /// What was found.
        problem: String,
    },
    /// A newer Bursar wrote the file.
    #[error("data file `{path}` has schema {found}; this Bursar reads up to {supported}")]
    NewerSchema {
        /// The file.
        path: String,
        /// Its schema.
        found: u32,
        /// The newest this build knows.
        supported: u32,
    },
    /// The file is older than what was already seen: a restored backup would forget spending.
    #[error("data file `{path}` was rolled back: {found} entries, but {seen} were seen before")]
    RolledBack {
        /// The file.
        path: String,
        /// Entries in the file.
        found: u64,
        /// Entries seen before.
        seen: u64,
    },
    /// The file lies on a network filesystem, where locks and syncs cannot be trusted.
    #[error("data file `{path}` lies on a network filesystem ({kind})")]
    NetworkFilesystem {
        /// The file.
        path: String,
        /// Which.
        kind: &'static str,
    },
    /// Reading or writing failed.
    #[error("data file failed")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ledger was closed.
    #[error("ledger is closed")]
    Closed,
}

/// Why a commit did not happen.
#[derive(Debug, Error)]
pub enum CommitError {
    /// It was refused; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; whether it was written is found by reading again.
    #[error(transparent)]
    Store(#[from] StoreError),
}
