//! Changes under decision, seen by the decisions that follow and dropped on a refusal.

use super::{Books, BudgetRow, HoldRow, Stop, WindowKey};
use crate::refusal::Refusal;
use bursar_types::{BudgetId, HoldId, Timestamp};
use std::collections::BTreeMap;

/// Books with changes on top.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    books: &'a Books,
    pub(super) now: Timestamp,
    budgets: BTreeMap<BudgetId, BudgetRow>,
    holds: BTreeMap<HoldId, HoldRow>,
    windows: BTreeMap<WindowKey, u128>,
}

/// The rows a draft changed.
#[derive(Debug, Default)]
pub(crate) struct DraftChanges {
    pub(crate) budgets: Vec<BudgetRow>,
    pub(crate) holds: Vec<HoldRow>,
    /// What each capture counts now.
    pub(crate) windows: BTreeMap<WindowKey, u128>,
}

impl<'a> Draft<'a> {
    /// Starts on `books`, whose holds were expired up to `now`.
    pub(crate) fn new(books: &'a Books, now: Timestamp) -> Self {
        Self { books, now, budgets: BTreeMap::new(), holds: BTreeMap::new(), windows: BTreeMap::new() }
    }

    pub(crate) fn budget(&self, id: BudgetId) -> Result<Option<&BudgetRow>, Stop> {
        match self.budgets.get(&id) {
            Some(row) => Ok(Some(row)),
            None => self.books.budget(id),
        }
    }

    pub(crate) fn hold(&self, id: HoldId) -> Result<Option<&HoldRow>, Stop> {
        match self.holds.get(&id) {
            Some(row) => Ok(Some(row)),
            None => self.books.hold(id),
        }
    }

    /// A hold that must exist.
    pub(super) fn known_hold(&self, id: HoldId) -> Result<&HoldRow, Stop> {
        Ok(self.hold(id)?.ok_or(Refusal::UnknownHold(id))?)
    }

    pub(super) fn put_budget(&mut self, row: BudgetRow) {
        self.budgets.insert(row.budget.id, row);
    }

    pub(super) fn put_hold(&mut self, row: HoldRow) {
        self.holds.insert(row.id, row);
    }

    pub(super) fn put_window(&mut self, key: WindowKey, amount: u128) {
        self.windows.insert(key, amount);
    }

    /// The changes, for [`Books::adopt`].
    pub(crate) fn into_changes(self) -> DraftChanges {
        DraftChanges {
            budgets: self.budgets.into_values().collect(),
            holds: self.holds.into_values().collect(),
            windows: self.windows,
        }
    }
}
