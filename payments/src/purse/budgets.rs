//! Which budgets a purchase touches, and where they stand.

use super::SessionPurse;
use super::decide::denied;
use super::unavailable;
use crate::mandate::{BudgetRule, Mandate, Scope};
use crate::plan::ItemTerms;
use crate::reasons;
use crate::session::{SessionState, phase};
use bursar_ledger::{AccountOp, Budget, BudgetState, Line, Require, Transaction, Window};
use bursar_types::{
    Amount, AssetId, BudgetId, BudgetStanding, FetchError, OpenItem, PlanItemId, SessionId, Standing,
    Timestamp,
};
use std::collections::BTreeMap;

/// The counts that decisions see are rounded up to this many basis points, so that a hold elsewhere forces a new decision
/// only where it could change one.
const STEP_BASIS_POINTS: u128 = 500;

/// A mandate's cap as a budget of the ledger.
///
/// The id leaves the limit out: a user's daily budget stays the same budget when another session names another limit, and
/// the ledger refuses the other limit.
pub(super) fn budget(
    rule: &BudgetRule,
    mandate: &Mandate,
    session: SessionId,
    host: Option<&str>,
) -> Option<Budget> {
    let (scope, key) = match rule.scope {
        Scope::Session => ("session", session.to_string()),
        Scope::User => ("user", mandate.user.clone()),
        Scope::Project => ("project", mandate.project.clone()),
        Scope::Vendor => ("vendor", format!("{}\n{}", mandate.user, host?)),
        Scope::All => ("all", String::new()),
    };
    let (window, length_ms) = match rule.window {
        Window::Life => (String::new(), 0),
        Window::Rolling { length_ms } => (format!(" per {}", window_name(length_ms)), length_ms),
    };
    // The journal keeps the name for ever, so no host is in it.
    let name = format!("{scope}{window}");
    Some(Budget {
        id: BudgetId::derived(&[scope.as_bytes(), key.as_bytes(), &length_ms.to_be_bytes()]),
        name,
        limit: rule.limit.clone(),
        window: rule.window,
        gross: false,
        parent: None,
    })
}

fn window_name(length_ms: u64) -> String {
    match length_ms {
        3_600_000 => "hour".to_owned(),
        86_400_000 => "day".to_owned(),
        2_592_000_000 => "30 days".to_owned(),
        other => format!("{} s", other / 1_000),
    }
}

/// The two budgets of a plan's item: how often, and how much in all.
pub(super) fn item_budgets(item: &ItemTerms) -> Result<[Budget; 2], bursar_types::AmountError> {
    let total = item.ceiling_micro_usd.checked_mul(u64::from(item.count))?;
    let one = |id, name: &str, limit| Budget {
        id,
        name: format!("{name} of plan item {}", item.id),
        limit,
        window: Window::Life,
        gross: true,
        parent: None,
    };
    Ok([
        one(count_budget(item.id), "count", Amount::from_atomic(AssetId::count(), u128::from(item.count))),
        one(total_budget(item.id), "total", total),
    ])
}

fn count_budget(item: PlanItemId) -> BudgetId {
    BudgetId::derived(&[b"item-count", item.as_bytes()])
}

fn total_budget(item: PlanItemId) -> BudgetId {
    BudgetId::derived(&[b"item-total", item.as_bytes()])
}

/// What a purchase sets aside.
pub(super) fn hold_lines(budgets: &[BudgetUse], item: PlanItemId, cost: &Amount) -> Vec<Line> {
    let money = budgets.iter().map(|used| Line { budget: used.budget.id, amount: cost.clone() });
    let one = Amount::from_atomic(AssetId::count(), 1);
    money
        .chain([
            Line { budget: count_budget(item), amount: one },
            Line { budget: total_budget(item), amount: cost.clone() },
        ])
        .collect()
}

/// A budget with what is used of it.
#[derive(Debug)]
pub(super) struct BudgetUse {
    pub(super) budget: Budget,
    pub(super) spent: Amount,
    pub(super) held: Amount,
}

impl BudgetUse {
    pub(super) fn used(&self) -> u128 {
        self.spent.atomic().saturating_add(self.held.atomic())
    }

    /// How full the budget would be with `more`, in basis points rounded up to a step, and the condition under which
    /// that stays true.
    fn with(&self, more: &Amount) -> (u64, Option<Require>) {
        let limit = self.budget.limit.atomic().max(1);
        let full = |used: u128| used.checked_mul(10_000).map_or(u128::MAX, |scaled| scaled.div_ceil(limit));
        let exact = full(self.used().saturating_add(more.atomic()));
        if exact > 10_000 {
            return (u64::try_from(exact).unwrap_or(u64::MAX), None);
        }
        let step = exact.div_ceil(STEP_BASIS_POINTS).saturating_mul(STEP_BASIS_POINTS).min(10_000);
        let most = step.saturating_mul(limit) / 10_000;
        let used_max =
            Amount::from_atomic(self.budget.limit.asset().clone(), most.saturating_sub(more.atomic()));
        let require = Require::UsedAtMost { budget: self.budget.id, used_max };
        (u64::try_from(step).unwrap_or(u64::MAX), Some(require))
    }
}

/// How full the fullest budget would be with `more`, and the conditions under which that stays true.
pub(super) fn fullest(budgets: &[BudgetUse], more: &Amount) -> (u64, Vec<Require>) {
    let each: Vec<_> = budgets.iter().map(|used| used.with(more)).collect();
    let fullest = each.iter().map(|(points, _)| *points).max().unwrap_or(0);
    (fullest, each.into_iter().filter_map(|(_, require)| require).collect())
}

impl SessionPurse {
    /// The budgets of the mandate for a purchase from `host`, as they stand.
    pub(super) async fn budgets(
        &self,
        state: &SessionState,
        host: Option<&str>,
    ) -> Result<Vec<BudgetUse>, FetchError> {
        let mut all = Vec::with_capacity(state.mandate.budgets.len());
        for rule in &state.mandate.budgets {
            let Some(budget) = budget(rule, &state.mandate, self.session, host) else { continue };
            let zero = Amount::from_atomic(AssetId::micro_usd(), 0);
            let (spent, held) = match self.shared.ledger.budget(budget.id).await.map_err(unavailable)? {
                Some(known) if known.budget != budget => {
                    return Err(FetchError::Denied(denied(reasons::budget_changed(&budget.name))));
                }
                Some(BudgetState { spent, held, .. }) => (spent, held),
                // A vendor's first purchase. Opened now, since conditions can be set only on what exists.
                None => {
                    let open = vec![AccountOp::Open(budget.clone())];
                    let transaction = Transaction { accounts: open, ..Transaction::default() };
                    self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
                    (zero.clone(), zero)
                }
            };
            all.push(BudgetUse { budget, spent, held });
        }
        Ok(all)
    }

    /// How often each item of a plan that may still be bought was captured, and is captured or held.
    pub(super) async fn counts(&self, state: &SessionState, now: Timestamp) -> Result<Counts, FetchError> {
        let mut counts = Counts::default();
        for (_, item) in state.open_items(now) {
            let Some(budget) = self.shared.ledger.budget(count_budget(item.id)).await.map_err(unavailable)?
            else {
                // Opened with the plan; without it nobody can say what is left, so nothing is.
                counts.used.insert(item.id, u64::MAX);
                continue;
            };
            let bought = u64::try_from(budget.spent.atomic()).unwrap_or(u64::MAX);
            let held = u64::try_from(budget.held.atomic()).unwrap_or(u64::MAX);
            counts.bought.insert(item.id, bought);
            counts.used.insert(item.id, bought.saturating_add(held));
        }
        Ok(counts)
    }

    /// Where the session stands.
    pub(super) async fn standing_now(&self) -> Result<Standing, FetchError> {
        let state = self.state().await?;
        let now = self.shared.clock.now();
        let counts = self.counts(&state, now).await?;
        let budgets = self
            .budgets(&state, None)
            .await?
            .into_iter()
            .map(|used| BudgetStanding {
                left: Amount::from_atomic(
                    used.budget.limit.asset().clone(),
                    used.budget.limit.atomic().saturating_sub(used.used()),
                ),
                name: used.budget.name,
                limit: used.budget.limit,
                spent: used.spent,
                held: used.held,
            })
            .collect();
        let open_items = state
            .open_items(now)
            .map(|(plan, item)| OpenItem {
                plan: plan.id,
                item: item.id,
                resource: item.resource.clone(),
                left: counts.left(item),
            })
            .filter(|item| item.left > 0)
            .collect();
        Ok(Standing { phase: phase(&state, &counts.bought, now), budgets, open_items })
    }
}

/// How often items were bought.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bought: BTreeMap<PlanItemId, u64>,
    used: BTreeMap<PlanItemId, u64>,
}

impl Counts {
    /// How often the item can still be bought, what is in flight taken off.
    pub(super) fn left(&self, item: &ItemTerms) -> u64 {
        u64::from(item.count).saturating_sub(self.used.get(&item.id).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(limit: u128, spent: u128, held: u128) -> BudgetUse {
        let usd = |atomic| Amount::from_atomic(AssetId::micro_usd(), atomic);
        let budget = Budget {
            id: BudgetId::derived(&[b"b"]),
            name: "b".to_owned(),
            limit: usd(limit),
            window: Window::Life,
            gross: false,
            parent: None,
        };
        BudgetUse { budget, spent: usd(spent), held: usd(held) }
    }

    #[test]
    fn how_full_a_budget_is_never_understates() {
        let more = Amount::from_atomic(AssetId::micro_usd(), 10);
        for (limit, spent, held, points, used_max) in [
            (1_000, 0, 0, 500, Some(40)),
            (1_000, 40, 0, 500, Some(40)),
            (1_000, 41, 0, 1_000, Some(90)),
            (1_000, 900, 90, 10_000, Some(990)),
            (1_000, 900, 91, 10_010, None),
            (7, 0, 0, 14_286, None),
        ] {
            let (found, require) = used(limit, spent, held).with(&more);
            assert_eq!(found, points, "{limit} {spent} {held}");
            let found_max = require.map(|require| match require {
                Require::UsedAtMost { used_max, .. } => used_max.atomic(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found_max, used_max, "{limit} {spent} {held}");
        }
    }
}
