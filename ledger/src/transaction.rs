//! What changes together.

use crate::account::{Budget, HoldState, Line};
use crate::entry::{NewEntry, StreamId, TreeHead};
use crate::payload::{Commitment, Payload};
use bursar_types::{Amount, BudgetId, HoldId, Timestamp};
use serde::{Deserialize, Serialize};

/// A condition that must hold under the write lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Require {
    /// The stream has exactly this many entries.
    StreamAt {
        /// The stream.
        stream: StreamId,
        /// How many entries the caller saw.
        length: u64,
    },
    /// The ledger's time is at most this much later: whoever decided by an older clock decides again.
    ClockWithin {
        /// The moment that the caller decided at.
        now: Timestamp,
        /// How much later the ledger's may be, in milliseconds.
        by_ms: u64,
    },
    /// The hold is pending and has not run out.
    HoldPending(HoldId),
    /// The hold is pending and pinned.
    HoldPinned(HoldId),
    /// Spent and held of the budget are together at most this.
    UsedAtMost {
        /// The budget.
        budget: BudgetId,
        /// The most, in the budget's unit.
        used_max: Amount,
    },
}

/// A change to accounts. Ids are the caller's, and immutable: a repeat under the same id gives the first answer, a repeat
/// with other parameters is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum AccountOp {
    /// Opens a budget.
    Open(Budget),
    /// Sets money aside in every budget of the lines and their ancestors, or in none.
    Hold {
        /// The hold.
        id: HoldId,
        /// What to set aside.
        lines: Vec<Line>,
        /// When it runs out unless pinned.
        expires_at: Timestamp,
    },
    /// Takes the expiry off a pending hold: a signature is about to exist.
    Pin {
        /// The hold.
        id: HoldId,
    },
    /// Spends a hold and gives the rest back.
    Capture {
        /// The hold.
        id: HoldId,
        /// What was spent, `None` for all of it. Budgets that are not named spent nothing.
        lines: Option<Vec<Line>>,
        /// The settlement was observed: booked whatever the cap or the hold says, as debt if need be.
        observed: bool,
    },
    /// Gives a hold back whole.
    Release {
        /// The hold.
        id: HoldId,
    },
    /// Credits what came back of a capture, in the window where it was spent. Gross budgets get nothing.
    Refund {
        /// The caller's name for this refund, unique for the hold.
        id: String,
        /// The captured hold.
        hold: HoldId,
        /// What came back.
        lines: Vec<Line>,
    },
}

/// Sets a named pointer, such as from a request's digest to the payment that is open for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkWrite {
    /// The name.
    pub key: String,
    /// The value the caller saw; the write is refused with [`crate::Refusal::LinkMoved`] if it is another.
    pub expected: Option<String>,
    /// The new value; `None` removes the link.
    pub value: Option<String>,
}

/// Changes that happen together or not at all, durable before the commit answers.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// Conditions, checked first under the write lock.
    pub require: Vec<Require>,
    /// Account changes, in order. They are journaled by the ledger itself as one entry of the stream `accounts`.
    pub accounts: Vec<AccountOp>,
    /// Pointers.
    pub links: Vec<LinkWrite>,
    /// Entries, in order.
    pub entries: Vec<NewEntry>,
    /// Payloads that the entries name.
    pub payloads: Vec<Payload>,
    /// Payloads to forget.
    pub erase: Option<Erasure>,
    /// Turns the ledger's time back to the store's clock, since it had once been wrong: a person's word, and nothing else may change
    /// with it. Holds and windows are brought up to the time before first, and what was spent later than now counts as spent now.
    /// The ledger itself journals it, in the stream `clock`.
    pub turn_back: bool,
}

/// Payloads to forget: their bytes and salts, for ever. Entries keep their commitments, and every proof still holds.
///
/// The ledger itself journals which, in the stream `erasures`, in the same transaction: what is gone without such an entry
/// was taken, and [`crate::Store::verify`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Which. One that is not there is journaled as erased all the same.
    pub payloads: Vec<Commitment>,
    /// Why, in a word that may be kept for ever: `asked`, `expired`.
    pub why: &'static str,
}

/// What one account change gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpOutcome {
    /// It was done now.
    Done,
    /// It had been done before under the same id and parameters; nothing changed.
    Repeated,
}

/// A committed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// When.
    pub at: Timestamp,
    /// One outcome per account change.
    pub outcomes: Vec<OpOutcome>,
    /// The holds touched, as they stand now, in the order of the account changes.
    pub holds: Vec<HoldState>,
    /// Positions of the entries in the journal.
    pub sequences: Vec<u64>,
    /// The tree after it.
    pub head: TreeHead,
}
