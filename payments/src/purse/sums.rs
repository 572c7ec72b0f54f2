//! What rules see of spending before: the sums that the ledger counts beside the caps.

use super::budgets::{Part, Purchase, day_meters};
use super::uses::BudgetUse;
use super::{SessionPurse, unavailable};
use crate::mandate::Mandate;
use crate::plan::Plan;
use crate::policy::{Sums, Thresholds};
use bursar_ledger::Require;
use bursar_types::{Amount, BudgetId, FetchError};
use std::collections::BTreeMap;

/// What was spent and is held with a payment of `more`, and the conditions under which that stays true. Exact, since a
/// threshold can lie between any two payments.
pub(super) fn of_payment(budgets: &[BudgetUse], more: &Amount) -> (Sums, Vec<Require>) {
    let mut conditions = Vec::new();
    let mut sum = |parts: &[Part]| {
        let mut most = None;
        for used in budgets.iter().filter(|used| parts.contains(&used.touched.part)) {
            conditions.push(used.at_most(used.used()));
            most = most.max(Some(used.used().saturating_add(more.atomic())));
        }
        // What nobody counted is not zero.
        most.unwrap_or(u128::MAX)
    };
    let sums = Sums {
        session_micro_usd: sum(&[Part::SessionSum]),
        vendor_day_micro_usd: sum(&[Part::VendorDay, Part::PayeeDay]),
        family_day_micro_usd: sum(&[Part::FamilyDay]),
    };
    (sums, conditions)
}

/// What the mandate says about single purchases.
pub(super) fn thresholds(mandate: &Mandate) -> Thresholds {
    Thresholds {
        payment_max_micro_usd: mandate.payment_max.as_ref().map(Amount::atomic),
        review_above_micro_usd: mandate.review_above.as_ref().map(Amount::atomic),
    }
}

/// What the mandate says a host sells.
pub(super) fn category(mandate: &Mandate, host: &str) -> String {
    mandate.category_of(host).to_owned()
}

impl SessionPurse {
    /// What will have been spent and held once a plan is bought whole: for the session, and for the vendor and the family of
    /// things in it with the most.
    pub(super) async fn sums_of_plan(&self, budgets: &[BudgetUse], plan: &Plan) -> Result<Sums, FetchError> {
        let mut sums = of_payment(budgets, &plan.total).0;
        let mut added: BTreeMap<BudgetId, (Part, u128)> = BTreeMap::new();
        let user = self.shared.pseudonym_of_user(&self.actor.user).await.map_err(unavailable)?;
        for item in &plan.items {
            let cost = item.ceiling_micro_usd.checked_mul(u64::from(item.count)).map_err(unavailable)?;
            let purchase = Purchase::of(&item.host, &item.payee, "", &item.resource);
            for (part, meter) in day_meters(&user, &purchase) {
                let (_, sum) = added.entry(meter.id).or_insert((part, 0));
                *sum = sum.saturating_add(cost.atomic());
            }
        }
        (sums.vendor_day_micro_usd, sums.family_day_micro_usd) = (0, 0);
        let meters: Vec<_> = added.keys().copied().collect();
        let known = self.shared.ledger.budgets(&meters).await.map_err(unavailable)?;
        for ((part, cost), known) in added.into_values().zip(known) {
            let used = known.map_or(0, |known| known.spent.atomic().saturating_add(known.held.atomic()));
            let sum = match part {
                Part::FamilyDay => &mut sums.family_day_micro_usd,
                _ => &mut sums.vendor_day_micro_usd,
            };
            *sum = (*sum).max(used.saturating_add(cost));
        }
        Ok(sums)
    }
}
