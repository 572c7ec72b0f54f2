//! The pure state machine of budgets and holds.
//!
//! Nothing here does I/O. [`Books`] holds the rows known so far; a decision that meets a row it does not have stops with
//! a [`Need`], its driver fetches that row and asks again. Both stores and the replay of [`crate::Store::verify`] drive
//! the same decisions, so they cannot disagree about money.

mod decide;
mod draft;
mod lines;

pub(crate) use draft::{Draft, DraftChanges};

use crate::account::{Budget, BudgetState, HoldPhase, HoldState, Line, Window};
use crate::entry::StreamId;
use crate::refusal::Refusal;
use bursar_types::{Amount, BudgetId, HoldId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A row that a decision needs and that has not been fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    Budget(BudgetId),
    Hold(HoldId),
    /// The entries that have left this budget's rolling window.
    Window(BudgetId),
    Stream(StreamId),
    Link(String),
}

/// Why a decision stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused(Refusal),
    Needs(Need),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A budget with its running sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BudgetRow {
    pub(crate) budget: Arc<Budget>,
    // INVARIANT: for a rolling budget, the sum of its window rows that have not been dropped yet.
    pub(crate) spent: u128,
    pub(crate) held: u128,
    /// No window row is older; `None` if there is none.
    pub(crate) oldest: Option<Timestamp>,
}

/// One refund of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundRow {
    pub(crate) id: String,
    /// What came back, the ancestors' share included.
    pub(crate) lines: Vec<Line>,
}

/// A hold with what is needed to recognise repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoldRow {
    pub(crate) id: HoldId,
    /// What was set aside, the debits of ancestors included.
    pub(crate) lines: Vec<Line>,
    pub(crate) held_at: Timestamp,
    /// As asked for; the phase forgets it.
    pub(crate) expires_at: Timestamp,
    pub(crate) phase: HoldPhase,
    /// Whether the capture rests on an observed settlement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) observed: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refunds: Vec<RefundRow>,
}

/// Where one capture counts in one rolling window.
pub(crate) type WindowKey = (BudgetId, Timestamp, HoldId);

/// Rows that changed since they were last written.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) budgets: Vec<BudgetRow>,
    pub(crate) holds: Vec<HoldRow>,
    /// What each capture counts; `None` once it has left the window.
    pub(crate) windows: BTreeMap<WindowKey, Option<u128>>,
}

/// The rows known so far.
#[derive(Debug)]
pub(crate) struct Books {
    /// Whether a row that is not here does not exist.
    complete: bool,
    budgets: HashMap<BudgetId, Option<BudgetRow>>,
    holds: HashMap<HoldId, Option<HoldRow>>,
    /// Every hold that can still run out, whether its row is here or not.
    expiries: BTreeSet<(Timestamp, HoldId)>,
    dirty_budgets: BTreeSet<BudgetId>,
    dirty_holds: BTreeSet<HoldId>,
    dirty_windows: BTreeMap<WindowKey, Option<u128>>,
}

impl Books {
    /// Empty books that know everything.
    pub(crate) fn complete() -> Self {
        Self { complete: true, ..Self::partial(BTreeSet::new()) }
    }

    /// Books that know only which holds can still run out.
    pub(crate) fn partial(expiries: BTreeSet<(Timestamp, HoldId)>) -> Self {
        Self {
            complete: false,
            budgets: HashMap::new(),
            holds: HashMap::new(),
            expiries,
            dirty_budgets: BTreeSet::new(),
            dirty_holds: BTreeSet::new(),
            dirty_windows: BTreeMap::new(),
        }
    }

    /// Books read back whole.
    pub(crate) fn restored(budgets: Vec<BudgetRow>, holds: Vec<HoldRow>) -> Self {
        let expiry = |row: &HoldRow| match row.phase {
            HoldPhase::Pending { expires_at: Some(at) } => Some((at, row.id)),
            _ => None,
        };
        Self {
            expiries: holds.iter().filter_map(expiry).collect(),
            budgets: budgets.into_iter().map(|row| (row.budget.id, Some(row))).collect(),
            holds: holds.into_iter().map(|row| (row.id, Some(row))).collect(),
            ..Self::complete()
        }
    }

    pub(crate) fn budget(&self, id: BudgetId) -> Result<Option<&BudgetRow>, Stop> {
        match self.budgets.get(&id) {
            Some(row) => Ok(row.as_ref()),
            None if self.complete => Ok(None),
            None => Err(Stop::Needs(Need::Budget(id))),
        }
    }

    pub(crate) fn hold(&self, id: HoldId) -> Result<Option<&HoldRow>, Stop> {
        match self.holds.get(&id) {
            Some(row) => Ok(row.as_ref()),
            None if self.complete => Ok(None),
            None => Err(Stop::Needs(Need::Hold(id))),
        }
    }

    /// Answers [`Need::Budget`].
    pub(crate) fn learn_budget(&mut self, id: BudgetId, row: Option<BudgetRow>) {
        self.budgets.insert(id, row);
    }

    /// Answers [`Need::Hold`].
    pub(crate) fn learn_hold(&mut self, id: HoldId, row: Option<HoldRow>) {
        self.holds.insert(id, row);
    }

    /// Answers [`Need::Window`]: these rows have left the budget's window, and `oldest` is the first that has not.
    pub(crate) fn drop_from_window(
        &mut self,
        budget: BudgetId,
        left: &[(Timestamp, HoldId, u128)],
        oldest: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let Some(Some(row)) = self.budgets.get_mut(&budget) else {
            return Err(Refusal::UnknownBudget(budget));
        };
        let mut spent = row.spent;
        for (_, _, amount) in left {
            spent = spent.checked_sub(*amount).ok_or(Refusal::OutOfRange)?;
        }
        row.spent = spent;
        row.oldest = oldest;
        self.dirty_budgets.insert(budget);
        for (at, hold, _) in left {
            self.dirty_windows.insert((budget, *at, *hold), None);
        }
        Ok(())
    }

    /// Expires every hold that has run out. It follows from the time alone, so it stands whatever is decided next.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Result<(), Stop> {
        while let Some((expires_at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            let Some(hold) = self.hold(id)? else {
                return Err(Refusal::UnknownHold(id).into());
            };
            let mut hold = hold.clone();
            let mut budgets = Vec::with_capacity(hold.lines.len());
            for line in &hold.lines {
                let row = self.budget(line.budget)?.ok_or(Refusal::UnknownBudget(line.budget))?;
                let held = row.held.checked_sub(line.amount.atomic()).ok_or(Refusal::OutOfRange)?;
                budgets.push(BudgetRow { held, ..row.clone() });
            }
            hold.phase = HoldPhase::Expired;
            self.expiries.remove(&(expires_at, id));
            self.put_hold(hold);
            for row in budgets {
                self.put_budget(row);
            }
        }
        Ok(())
    }

    /// What was captured later than `to` counts as captured then.
    pub(crate) fn redate(&mut self, to: Timestamp) {
        for row in self.budgets.values_mut().flatten() {
            row.oldest = row.oldest.map(|oldest| oldest.min(to));
        }
        for row in self.holds.values_mut().flatten() {
            if let HoldPhase::Captured { at, .. } = &mut row.phase {
                *at = (*at).min(to);
            }
        }
    }

    /// Takes over what a draft decided.
    pub(crate) fn adopt(&mut self, changes: DraftChanges) {
        for row in changes.budgets {
            self.put_budget(row);
        }
        for row in changes.holds {
            self.expiries.remove(&(row.expires_at, row.id));
            if let HoldPhase::Pending { expires_at: Some(at) } = row.phase {
                self.expiries.insert((at, row.id));
            }
            self.put_hold(row);
        }
        self.dirty_windows.extend(changes.windows.into_iter().map(|(key, amount)| (key, Some(amount))));
    }

    fn put_budget(&mut self, row: BudgetRow) {
        self.dirty_budgets.insert(row.budget.id);
        self.budgets.insert(row.budget.id, Some(row));
    }

    fn put_hold(&mut self, row: HoldRow) {
        self.dirty_holds.insert(row.id);
        self.holds.insert(row.id, Some(row));
    }

    /// Rows that changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        let budgets = std::mem::take(&mut self.dirty_budgets);
        let holds = std::mem::take(&mut self.dirty_holds);
        Dirty {
            budgets: budgets.iter().filter_map(|id| self.budgets.get(id).cloned().flatten()).collect(),
            holds: holds.iter().filter_map(|id| self.holds.get(id).cloned().flatten()).collect(),
            windows: std::mem::take(&mut self.dirty_windows),
        }
    }

    /// Forgets rows that can be fetched again, so that memory stays bounded. Only after [`Self::take_dirty`].
    pub(crate) fn trim(&mut self, rows_max: usize) {
        if !self.complete && self.holds.len() > rows_max {
            self.holds.clear();
        }
        if !self.complete && self.budgets.len() > rows_max {
            self.budgets.clear();
        }
    }

    /// Every budget here, by id.
    pub(crate) fn budgets(&self) -> BTreeMap<BudgetId, &BudgetRow> {
        self.budgets.iter().filter_map(|(id, row)| Some((*id, row.as_ref()?))).collect()
    }

    /// Every hold here, by id.
    pub(crate) fn holds(&self) -> BTreeMap<HoldId, &HoldRow> {
        self.holds.iter().filter_map(|(id, row)| Some((*id, row.as_ref()?))).collect()
    }

    /// Holds that have run out by `now` and are still counted.
    pub(crate) fn due_holds(&self, now: Timestamp) -> impl Iterator<Item = HoldId> {
        self.expiries.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| *id)
    }
}

impl BudgetRow {
    /// A budget on which nothing was spent.
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget: Arc::new(budget), spent: 0, held: 0, oldest: None }
    }

    /// The last moment that has left a rolling window by `now`; `None` if nothing ever leaves.
    pub(crate) fn left_window_by(&self, now: Timestamp) -> Option<Timestamp> {
        match self.budget.window {
            Window::Life | Window::Open => None,
            Window::Rolling { length_ms } => {
                now.unix_ms().checked_sub(length_ms).map(Timestamp::from_unix_ms)
            }
        }
    }

    /// Whether a capture at `at` counts at `now`.
    pub(crate) fn counts(&self, at: Timestamp, now: Timestamp) -> bool {
        match self.budget.window {
            Window::Life => true,
            Window::Rolling { .. } => self.left_window_by(now).is_none_or(|left| at > left),
            Window::Open => false,
        }
    }

    /// Whether rows of its window must be dropped before its sums are right at `now`.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.oldest.is_some_and(|oldest| !self.counts(oldest, now))
    }

    /// The budget as it stands, once `left` has gone from its window and `expired` from its holds.
    pub(crate) fn state(&self, left: u128, expired: u128) -> Result<BudgetState, Refusal> {
        let spent = self.spent.checked_sub(left).ok_or(Refusal::OutOfRange)?;
        let held = self.held.checked_sub(expired).ok_or(Refusal::OutOfRange)?;
        let used = spent.checked_add(held).ok_or(Refusal::OutOfRange)?;
        let amount = |atomic| Amount::from_atomic(self.budget.limit.asset().clone(), atomic);
        Ok(BudgetState {
            budget: Budget::clone(&self.budget),
            spent: amount(spent),
            held: amount(held),
            left: amount(self.budget.limit.atomic().saturating_sub(used)),
        })
    }
}

impl HoldRow {
    /// The phase at `now`: a hold that ran out is expired before anyone wrote so.
    pub(crate) fn phase_at(&self, now: Timestamp) -> HoldPhase {
        match &self.phase {
            HoldPhase::Pending { expires_at: Some(at) } if *at <= now => HoldPhase::Expired,
            phase => phase.clone(),
        }
    }

    /// What it set aside in one budget.
    pub(crate) fn held_in(&self, budget: BudgetId) -> u128 {
        amount_in(&self.lines, budget)
    }

    /// The hold as it stands at `now`.
    pub(crate) fn state(&self, now: Timestamp) -> HoldState {
        HoldState { id: self.id, lines: self.lines.clone(), held_at: self.held_at, phase: self.phase_at(now) }
    }
}

/// What the lines say for one budget; zero if they do not name it.
pub(crate) fn amount_in(lines: &[Line], budget: BudgetId) -> u128 {
    lines.iter().find(|line| line.budget == budget).map_or(0, |line| line.amount.atomic())
}

#[cfg(test)]
mod tests;
