//! The accounts, counted again: a model of budgets and holds that shares nothing with the ledger's.

use bursar_ledger::{AccountOp, Budget, Line, OpOutcome, Window};
use bursar_types::{BudgetId, HoldId, Timestamp};
use std::collections::BTreeMap;

/// Where a hold is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Set aside until then; `None` once pinned.
    Pending(Option<Timestamp>),
    /// Spent at that time, with what was credited again for each budget.
    Captured { at: Timestamp, lines: Vec<Line>, credited: BTreeMap<BudgetId, u128> },
    /// Given back.
    Released,
    /// Ran out.
    Expired,
}

/// A hold with what it sets aside.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    lines: Vec<Line>,
    pub(crate) phase: Phase,
}

/// All budgets and holds.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) budgets: BTreeMap<BudgetId, Budget>,
    holds: BTreeMap<HoldId, Hold>,
    /// Budgets over whose cap an observed settlement may have gone.
    indebted: bool,
}

impl Accounts {
    /// Applies what a commit did at `at`. Says what cannot be.
    pub(crate) fn apply(&mut self, at: Timestamp, ops: &[AccountOp], outcomes: &[OpOutcome]) -> Vec<String> {
        let mut problems = Vec::new();
        for hold in self.holds.values_mut() {
            if matches!(hold.phase, Phase::Pending(Some(until)) if until <= at) {
                hold.phase = Phase::Expired;
            }
        }
        if ops.len() != outcomes.len() {
            problems.push(format!("{} account changes have {} outcomes", ops.len(), outcomes.len()));
        }
        for (op, outcome) in ops.iter().zip(outcomes) {
            if *outcome == OpOutcome::Repeated {
                continue;
            }
            if let Err(problem) = self.change(at, op) {
                problems.push(problem);
            }
        }
        if !ops.is_empty() {
            problems.extend(self.over_the_cap(at));
        }
        problems
    }

    fn change(&mut self, at: Timestamp, op: &AccountOp) -> Result<(), String> {
        match op {
            AccountOp::Open(budget) => match self.budgets.insert(budget.id, budget.clone()) {
                Some(before) if before != *budget => Err(format!("budget {} was opened anew", budget.id)),
                _ => Ok(()),
            },
            AccountOp::Hold { id, lines, expires_at } => {
                let hold = Hold { lines: lines.clone(), phase: Phase::Pending(Some(*expires_at)) };
                match self.holds.insert(*id, hold) {
                    Some(_) => Err(format!("hold {id} was made twice")),
                    None => Ok(()),
                }
            }
            AccountOp::Pin { id } => self.resolve(*id, "pinned", |_| Phase::Pending(None)),
            AccountOp::Release { id } => self.resolve(*id, "released", |_| Phase::Released),
            AccountOp::Capture { id, lines, observed } => {
                if *observed {
                    self.indebted |= !matches!(self.phase(*id), Some(Phase::Pending(_)));
                }
                self.resolve(*id, "captured", |hold| Phase::Captured {
                    at,
                    lines: lines.clone().unwrap_or_else(|| hold.lines.clone()),
                    credited: BTreeMap::new(),
                })
            }
            AccountOp::Refund { hold, lines, .. } => self.credit(*hold, lines),
        }
    }

    fn resolve(&mut self, id: HoldId, how: &str, next: impl FnOnce(&Hold) -> Phase) -> Result<(), String> {
        let Some(hold) = self.holds.get_mut(&id) else { return Err(format!("{id} was {how}, and is none")) };
        let Phase::Pending(_) = hold.phase else {
            return Err(format!("{id} was {how} when it was {:?}", hold.phase));
        };
        hold.phase = next(hold);
        Ok(())
    }

    fn credit(&mut self, id: HoldId, lines: &[Line]) -> Result<(), String> {
        let Some(Hold { phase: Phase::Captured { lines: spent, credited, .. }, .. }) =
            self.holds.get_mut(&id)
        else {
            return Err(format!("{id} was credited and never captured"));
        };
        for line in lines {
            let sum = credited.entry(line.budget).or_default();
            *sum = sum.saturating_add(line.amount.atomic());
            if *sum > in_lines(spent, line.budget) {
                return Err(format!("more came back for {id} than was captured"));
            }
        }
        Ok(())
    }

    /// Where a hold is.
    pub(crate) fn phase(&self, id: HoldId) -> Option<&Phase> {
        self.holds.get(&id).map(|hold| &hold.phase)
    }

    /// Whether everything of a captured hold was credited again.
    pub(crate) fn is_credited(&self, id: HoldId) -> bool {
        let Some(Phase::Captured { lines, credited, .. }) = self.phase(id) else { return false };
        lines.iter().all(|line| credited.get(&line.budget) == Some(&line.amount.atomic()))
    }

    /// What of a budget is spent and held.
    pub(crate) fn used(&self, budget: &Budget, now: Timestamp) -> (u128, u128) {
        let counts = |at: Timestamp| match budget.window {
            Window::Life => true,
            Window::Open => false,
            Window::Rolling { length_ms } => at.plus_ms(length_ms) > now,
        };
        let (mut spent, mut held) = (0_u128, 0_u128);
        for hold in self.holds.values() {
            match &hold.phase {
                Phase::Pending(until) if until.is_none_or(|until| until > now) => {
                    held = held.saturating_add(in_lines(&hold.lines, budget.id));
                }
                Phase::Captured { at, lines, credited } if counts(*at) => {
                    let back = if budget.gross { 0 } else { credited.get(&budget.id).copied().unwrap_or(0) };
                    spent = spent.saturating_add(in_lines(lines, budget.id).saturating_sub(back));
                }
                _ => {}
            }
        }
        (spent, held)
    }

    fn over_the_cap(&self, now: Timestamp) -> Vec<String> {
        if self.indebted {
            return Vec::new();
        }
        let over = self.budgets.values().filter_map(|budget| {
            let (spent, held) = self.used(budget, now);
            let limit = budget.limit.atomic();
            (spent.saturating_add(held) > limit)
                .then(|| format!("budget `{}` of {limit} has {spent} spent and {held} held", budget.name))
        });
        over.collect()
    }
}

fn in_lines(lines: &[Line], budget: BudgetId) -> u128 {
    lines.iter().find(|line| line.budget == budget).map_or(0, |line| line.amount.atomic())
}
