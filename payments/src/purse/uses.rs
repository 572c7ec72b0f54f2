//! Where budgets stand, and the conditions under which a decision may count on it.

use super::budgets::{GatePoints, Part, Purchase, Touched, count_budget, item_lines, touched};
use super::decide::denied;
use super::join::{Loaded, linked_payments};
use super::lineage::Lineage;
use super::{SessionPurse, unavailable};
use crate::payment::Payment;
use crate::plan::ItemTerms;
use crate::reasons;
use crate::session::{SessionState, phase};
use bursar_ledger::{AccountOp, Budget, BudgetState, Line, Require, Transaction};
use bursar_types::{
    Amount, BudgetStanding, FetchError, OpenItem, Phase, PlanItemId, Standing, Timestamp, UnsettledPayment,
    UnsettledState, WaitingQuestion,
};
use std::collections::BTreeMap;

/// The counts that decisions see are rounded up to this many basis points, so that a hold elsewhere forces a new decision
/// only where it could change one.
const STEP_BASIS_POINTS: u128 = 500;
/// A question that waits is told in so many characters.
const ABOUT_CHARS_MAX: usize = 600;

/// What a purchase sets aside.
pub(super) fn hold_lines(budgets: &[BudgetUse], item: PlanItemId, cost: &Amount) -> Vec<Line> {
    budgets.iter().map(|used| used.touched.line(cost)).chain(item_lines(item, cost)).collect()
}

/// A budget with what is used of it.
#[derive(Debug)]
pub(super) struct BudgetUse {
    pub(super) touched: Touched,
    pub(super) spent: Amount,
    pub(super) held: Amount,
}

impl BudgetUse {
    pub(super) const fn budget(&self) -> &Budget {
        &self.touched.budget
    }

    pub(super) fn used(&self) -> u128 {
        self.spent.atomic().saturating_add(self.held.atomic())
    }

    /// How full the budget would be with `more`, in basis points rounded up to a step, and the condition under which
    /// that stays true.
    fn with(&self, more: &Amount) -> (u64, Option<Require>) {
        let limit = self.budget().limit.atomic().max(1);
        let full = |used: u128| used.checked_mul(10_000).map_or(u128::MAX, |scaled| scaled.div_ceil(limit));
        let exact = full(self.used().saturating_add(more.atomic()));
        if exact > 10_000 {
            return (u64::try_from(exact).unwrap_or(u64::MAX), None);
        }
        let step = exact.div_ceil(STEP_BASIS_POINTS).saturating_mul(STEP_BASIS_POINTS).min(10_000);
        let most = step.saturating_mul(limit) / 10_000;
        let require = self.at_most(most.saturating_sub(more.atomic()));
        (u64::try_from(step).unwrap_or(u64::MAX), Some(require))
    }

    /// The condition that no more than this is spent and held.
    pub(super) fn at_most(&self, atomic: u128) -> Require {
        let used_max = Amount::from_atomic(self.budget().limit.asset().clone(), atomic);
        Require::UsedAtMost { budget: self.budget().id, used_max }
    }
}

/// How full the fullest cap would be with `more`, and the conditions under which that stays true.
pub(super) fn fullest(budgets: &[BudgetUse], more: &Amount) -> (u64, Vec<Require>) {
    let caps = budgets.iter().filter(|used| used.touched.part == Part::Cap);
    let each: Vec<_> = caps.map(|used| used.with(more)).collect();
    let fullest = each.iter().map(|(points, _)| *points).max().unwrap_or(0);
    (fullest, each.into_iter().filter_map(|(_, require)| require).collect())
}

impl SessionPurse {
    /// Every budget that a purchase touches, as it stands. Without a purchase, those that every purchase touches.
    pub(super) async fn budgets(
        &self,
        lineage: &Lineage,
        purchase: Option<&Purchase>,
    ) -> Result<Vec<BudgetUse>, FetchError> {
        let (mut all, mut new) = (Vec::new(), Vec::new());
        let touched = touched(lineage, purchase);
        let ids: Vec<_> = touched.iter().map(|touched| touched.budget.id).collect();
        let found = self.shared.ledger.budgets(&ids).await.map_err(unavailable)?;
        for (touched, found) in touched.into_iter().zip(found) {
            let zero = Amount::from_atomic(touched.budget.limit.asset().clone(), 0);
            let (spent, held) = match found {
                Some(known) if known.budget != touched.budget => {
                    return Err(FetchError::Denied(denied(reasons::budget_changed(&touched.budget.name))));
                }
                Some(BudgetState { spent, held, .. }) => (spent, held),
                None => {
                    new.push(AccountOp::Open(touched.budget.clone()));
                    (zero.clone(), zero)
                }
            };
            all.push(BudgetUse { touched, spent, held });
        }
        if !new.is_empty() {
            // A vendor's first purchase. Opened now, since conditions can be set only on what exists.
            let transaction = Transaction { accounts: new, ..Transaction::default() };
            self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        }
        Ok(all)
    }

    /// How often each item of a plan that may still be bought was captured, and is captured or held.
    pub(super) async fn counts(&self, state: &SessionState, now: Timestamp) -> Result<Counts, FetchError> {
        let mut counts = Counts::default();
        let items: Vec<_> = state.open_items(now).map(|(_, item)| item).collect();
        if items.is_empty() {
            return Ok(counts);
        }
        let ids: Vec<_> = items.iter().map(|item| count_budget(item.id)).collect();
        let found = self.shared.ledger.budgets(&ids).await.map_err(unavailable)?;
        for (item, found) in items.into_iter().zip(found) {
            let Some(budget) = found else {
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

    /// The session's phase.
    pub(super) async fn phase_now(&self) -> Result<Phase, FetchError> {
        let state = self.state().await?;
        let now = self.shared.clock.now();
        let counts = self.counts(&state, now).await?;
        Ok(phase(&state, &counts.bought, now))
    }

    /// Where the session stands.
    pub(super) async fn standing_now(&self) -> Result<Standing, FetchError> {
        self.use_given_plans().await?;
        let lineage = self.lineage().await?;
        let state = lineage.own();
        let now = self.shared.clock.now();
        let counts = self.counts(state, now).await?;
        let used = self.budgets(&lineage, None).await?;
        let levels = self.gate_levels(&used, now).await?;
        let budgets: Vec<BudgetStanding> = used
            .into_iter()
            .filter(|used| used.touched.part == Part::Cap)
            .map(|used| BudgetStanding {
                gate: levels.get(&used.budget().id).copied().unwrap_or_default(),
                left: Amount::from_atomic(
                    used.budget().limit.asset().clone(),
                    used.budget().limit.atomic().saturating_sub(used.used()),
                ),
                name: match used.touched.inherited {
                    true => format!("{} of the delegating session", used.budget().name),
                    false => used.budget().name.clone(),
                },
                limit: used.budget().limit.clone(),
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
        let waiting = state.pending.values().map(|waiting| &waiting.question);
        let waiting = waiting.filter(|question| question.expires_at > now).map(|question| WaitingQuestion {
            approval: question.id,
            about: question.shown(&self.shared.registry, &[]).chars().take(ABOUT_CHARS_MAX).collect(),
            until: question.expires_at,
        });
        let waiting = waiting.collect();
        // What is open holds money of the session's, so mostly one look at the budgets is enough.
        let unsettled = match budgets.iter().any(|budget| !budget.held.is_zero()) {
            true => self.unsettled().await?,
            false => Vec::new(),
        };
        Ok(Standing { phase: phase(state, &counts.bought, now), budgets, open_items, waiting, unsettled })
    }

    /// The session's payments that are in flight, or that nobody knows the end of.
    async fn unsettled(&self) -> Result<Vec<UnsettledPayment>, FetchError> {
        let mut unsettled = Vec::new();
        for id in linked_payments(&self.shared.ledger, &["open/"]).await? {
            let Some(payment) = Loaded::read(&self.shared.ledger, id).await?.payment else { continue };
            let state = match &payment {
                Payment::Held(_) | Payment::Signing(_) => UnsettledState::InFlight,
                Payment::Unknown { problem, .. } => UnsettledState::Unknown { problem: problem.clone() },
                Payment::Paid { .. } | Payment::NotPaid { .. } => continue,
            };
            if payment.ask().session == self.session() {
                unsettled.extend(payment.view().map(|payment| UnsettledPayment { payment, state }));
            }
        }
        Ok(unsettled)
    }
}

/// The gates of a budget with the budget that its first two count by.
pub(super) fn gated(budgets: &[BudgetUse]) -> impl Iterator<Item = (&BudgetUse, &GatePoints, &BudgetUse)> {
    budgets.iter().filter_map(|used| {
        let gates = used.touched.gates.as_ref()?;
        let meter = budgets.iter().find(|meter| meter.budget().id == gates.meter)?;
        Some((used, gates, meter))
    })
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
    use bursar_ledger::Window;
    use bursar_types::{AssetId, BudgetId};

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
        let touched = Touched { budget, part: Part::Cap, gates: None, inherited: false };
        BudgetUse { touched, spent: usd(spent), held: usd(held) }
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
