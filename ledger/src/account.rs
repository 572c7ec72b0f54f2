//! Budgets and holds.

use bursar_types::{Amount, BudgetId, HoldId, Timestamp};
use serde::{Deserialize, Serialize};

/// Over which time a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "window")]
pub enum Window {
    /// For ever.
    Life,
    /// The last `length_ms`, rolling, so that midnight doubles nothing.
    Rolling {
        /// Length in milliseconds.
        length_ms: u64,
    },
    /// Only while it is held: what was captured or given back counts no longer. Caps how much may be under way at once.
    Open,
}

/// A cap on one scope over one window.
///
/// To the ledger a scope is a name: who or what it stands for is the caller's business. Anything that is limited is a
/// budget: money in micro-USD, how often an item may be bought in [`bursar_types::AssetId::count`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its id, chosen by the caller.
    pub id: BudgetId,
    /// What it caps, for people: `session`, `host api.example`.
    pub name: String,
    /// The cap. Its asset is the unit the budget counts in.
    pub limit: Amount,
    /// Over which time it counts.
    pub window: Window,
    /// Whether a refund gives nothing back, as for counts and plan units.
    pub gross: bool,
    /// A budget that is debited with this one.
    pub parent: Option<BudgetId>,
}

/// One budget's part in a hold, a capture or a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The budget.
    pub budget: BudgetId,
    /// How much, in the budget's unit.
    pub amount: Amount,
}

/// A budget as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetState {
    /// The budget.
    pub budget: Budget,
    /// Captured within the window, refunds taken off where the budget is not gross.
    pub spent: Amount,
    /// Held and not resolved, whatever its age.
    pub held: Amount,
    /// What is left below the cap; zero also when spending passed it.
    pub left: Amount,
}

/// Where a hold is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum HoldPhase {
    /// Set aside. It expires at the given moment, unless pinned.
    Pending {
        /// `None` once pinned: a signature may exist, so only an answer resolves it.
        expires_at: Option<Timestamp>,
    },
    /// Spent, in full or in part; the rest went back.
    Captured {
        /// What each budget was debited.
        lines: Vec<Line>,
        /// When; the windows count it from here.
        at: Timestamp,
    },
    /// Given back whole.
    Released,
    /// Ran out before anything was signed; given back whole.
    Expired,
}

/// A hold as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldState {
    /// Its id, chosen by the caller.
    pub id: HoldId,
    /// What was set aside, the debits of ancestors included.
    pub lines: Vec<Line>,
    /// When.
    pub held_at: Timestamp,
    /// Where it is in its life.
    pub phase: HoldPhase,
}
