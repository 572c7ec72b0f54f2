//! What rules see of spending before: sums and gates, from the budgets as they stand.

use super::budgets::BudgetUse;
use crate::mandate::Mandate;
use crate::policy::{GateState, Sums, Thresholds};
use bursar_ledger::Require;
use bursar_types::{Amount, AssetId};

/// What was spent and is held with `more`, never less than it is and may become while `conditions` hold.
///
/// Where no budget counts a sum on its own, the fullest budget of all stands in for it, which counts more.
pub(super) fn sums(budgets: &[BudgetUse], conditions: &[Require], more: &Amount) -> Sums {
    let money = || budgets.iter().filter(|used| used.budget.limit.asset() == &AssetId::micro_usd());
    let with = |used: &BudgetUse| at_most(used, conditions).saturating_add(more.atomic());
    let fullest = money().map(with).max().unwrap_or(u128::MAX);
    let of = |name: &str| money().filter(|used| used.budget.name == name).map(with).max().unwrap_or(fullest);
    let vendor_day_micro_usd = of("vendor per day");
    Sums {
        session_micro_usd: of("session"),
        vendor_day_micro_usd,
        family_day_micro_usd: vendor_day_micro_usd,
    }
}

/// How much of a budget can be used before a condition fails.
fn at_most(used: &BudgetUse, conditions: &[Require]) -> u128 {
    let condition = conditions.iter().find_map(|condition| match condition {
        Require::UsedAtMost { budget, used_max } if *budget == used.budget.id => Some(used_max.atomic()),
        _ => None,
    });
    condition.map_or_else(|| used.used(), |used_max| used_max.max(used.used()))
}

/// How far the fullest budget has come.
pub(super) fn gate(budgets: &[BudgetUse]) -> GateState {
    let gates = budgets.iter().map(|used| {
        let scaled = used.used().checked_mul(100);
        match scaled.and_then(|scaled| scaled.checked_div(used.budget.limit.atomic())).unwrap_or(u128::MAX) {
            0..50 => GateState::None,
            50..75 => GateState::Notified,
            75..100 => GateState::Tightened,
            _ => GateState::Stopped,
        }
    });
    gates.max().unwrap_or(GateState::None)
}

/// What the mandate says about single purchases.
pub(super) fn thresholds(mandate: &Mandate) -> Thresholds {
    Thresholds {
        payment_max_micro_usd: mandate.payment_max.as_ref().map(Amount::atomic),
        review_above_micro_usd: mandate.review_above.as_ref().map(Amount::atomic),
    }
}

/// What the mandate says a host sells; it says nothing yet.
pub(super) fn category(_mandate: &Mandate, _host: &str) -> String {
    "other".to_owned()
}
