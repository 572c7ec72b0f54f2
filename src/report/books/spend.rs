//! Spending by group: one row for each group and asset, since amounts of different assets have no sum.

use super::{AdoptedOutflow, GroupValue, Moved, Purchase, SpendKey};
use bursar_types::AssetId;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Sums of one asset, in atomic units.
///
/// `paid = used + unused + undelivered + refunded`, but for what [`uncounted`](Self::uncounted) leaves out. What nobody knows is in
/// [`unknown`](Self::unknown), and in no other column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many payments moved money.
    pub payments: u64,
    /// What they moved, by the payees' word at least.
    #[serde(serialize_with = "atomic")]
    pub paid: u128,
    /// Of `paid`: what only the payee says; the rail has not confirmed it.
    #[serde(serialize_with = "atomic")]
    pub claimed: u128,
    /// Of `paid`: the goods came, a use of them is recorded, and the money did not come back.
    #[serde(serialize_with = "atomic")]
    pub used: u128,
    /// Of `paid`: the goods came, no use of them is recorded, and the money did not come back.
    #[serde(serialize_with = "atomic")]
    pub unused: u128,
    /// Of `paid`: no goods came, and the money did not come back.
    #[serde(serialize_with = "atomic")]
    pub undelivered: u128,
    /// Of `paid`: what was seen to come back.
    #[serde(serialize_with = "atomic")]
    pub refunded: u128,
    /// Of `undelivered`: what a person gave up.
    #[serde(serialize_with = "atomic")]
    pub written_off: u128,
    /// Set aside: nothing was signed.
    #[serde(serialize_with = "atomic")]
    pub held: u128,
    /// What may have moved, and nobody can say: signed and not resolved, or presumed.
    #[serde(serialize_with = "atomic")]
    pub unknown: u128,
    /// Of `unknown`: what budgets count as spent after it was not known for long.
    #[serde(serialize_with = "atomic")]
    pub presumed: u128,
    /// How many payees still owe goods or money.
    pub obligations: u64,
    /// Of `paid`: what these obligations are about, less what came back.
    #[serde(serialize_with = "atomic")]
    pub owed: u128,
    /// What left the wallet without the journal, and a person took into it: beside `paid`, and in no other column.
    #[serde(serialize_with = "atomic")]
    pub adopted: u128,
    /// How many payments have an amount that is not known, and is in none of the columns.
    pub uncounted: u64,
}

fn atomic<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// One group's spending in one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpendRow {
    /// What the group has in common, in the order that was asked for.
    #[serde(serialize_with = "as_map")]
    pub by: Vec<(SpendKey, GroupValue)>,
    /// The asset; `None` for payments of which not even that is known.
    pub asset: Option<AssetId>,
    /// The sums.
    #[serde(flatten)]
    pub sums: Sums,
}

fn as_map<S: Serializer>(by: &[(SpendKey, GroupValue)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(by.iter().map(|(key, value)| (key.as_str(), value)))
}

/// Spending by these keys, in their order; by none of them, one row for each asset. Payments that moved nothing and may move
/// nothing any more are in no row.
#[must_use]
pub fn spend_by<'a>(purchases: impl IntoIterator<Item = &'a Purchase>, keys: &[SpendKey]) -> Vec<SpendRow> {
    spend_with(purchases, [], keys)
}

/// The same with what left the wallet without the journal: what is paid and adopted together is all that is known to have left.
#[must_use]
pub fn spend_with<'a>(
    purchases: impl IntoIterator<Item = &'a Purchase>,
    adopted: impl IntoIterator<Item = &'a AdoptedOutflow>,
    keys: &[SpendKey],
) -> Vec<SpendRow> {
    let mut rows: BTreeMap<(Vec<GroupValue>, Option<AssetId>), Sums> = BTreeMap::new();
    for purchase in purchases {
        if purchase.moved == Moved::No {
            continue;
        }
        let group = keys.iter().map(|key| key.of(purchase)).collect();
        let asset = purchase.payment.amount.as_ref().map(|amount| amount.asset().clone());
        let sums = rows.entry((group, asset)).or_default();
        match sums.with(purchase) {
            Some(next) => *sums = next,
            None => sums.uncounted = sums.uncounted.saturating_add(1),
        }
    }
    for adopted in adopted {
        let group = keys.iter().map(|key| key.of_adopted(adopted)).collect();
        let sums = rows.entry((group, Some(adopted.amount.asset().clone()))).or_default();
        match sums.adopted.checked_add(adopted.amount.atomic()) {
            Some(next) => sums.adopted = next,
            None => sums.uncounted = sums.uncounted.saturating_add(1),
        }
    }
    let row = |((group, asset), sums): ((Vec<GroupValue>, _), _)| SpendRow {
        by: keys.iter().copied().zip(group).collect(),
        asset,
        sums,
    };
    rows.into_iter().map(row).collect()
}

impl Sums {
    /// These with one purchase more; `None` if an amount of it is not known, or a sum does not fit.
    fn with(mut self, purchase: &Purchase) -> Option<Self> {
        let price = purchase.payment.amount.as_ref()?.atomic();
        let add = |sum: &mut u128, amount: u128| sum.checked_add(amount).map(|next| *sum = next);
        match purchase.moved {
            Moved::No => {}
            Moved::Held => add(&mut self.held, price)?,
            Moved::Unknown | Moved::Presumed => {
                add(&mut self.unknown, price)?;
                if purchase.moved == Moved::Presumed {
                    add(&mut self.presumed, price)?;
                }
            }
            Moved::Claimed | Moved::Observed => {
                let refunded = purchase.refunded.as_ref()?.atomic();
                let kept = price.checked_sub(refunded)?;
                self.payments = self.payments.checked_add(1)?;
                add(&mut self.paid, price)?;
                add(&mut self.refunded, refunded)?;
                if purchase.moved == Moved::Claimed {
                    add(&mut self.claimed, price)?;
                }
                match (purchase.goods, purchase.used) {
                    (_, true) => add(&mut self.used, kept)?,
                    (true, false) => add(&mut self.unused, kept)?,
                    (false, false) => add(&mut self.undelivered, kept)?,
                }
                if purchase.written_off && !purchase.goods {
                    add(&mut self.written_off, kept)?;
                }
                if purchase.owed {
                    self.obligations = self.obligations.checked_add(1)?;
                    add(&mut self.owed, kept)?;
                }
            }
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{PaymentReport, PaymentState};
    use bursar_types::{Amount, PaymentId, Timestamp};

    fn usdc() -> AssetId {
        AssetId::erc20(8_453, &format!("0x{:040}", 1))
    }

    fn purchase(moved: Moved, asset: Option<AssetId>, atomic: u128, back: Option<u128>) -> Purchase {
        let amount = asset.map(|asset| Amount::from_atomic(asset, atomic));
        let refunded = amount.as_ref().zip(back);
        let refunded = refunded.map(|(amount, back)| Amount::from_atomic(amount.asset().clone(), back));
        let payment = PaymentReport {
            id: PaymentId::derived(&[b"p"]),
            session: None,
            at: Timestamp::from_unix_ms(0),
            state: PaymentState::Delivered,
            amount,
            micro_usd: None,
            host: "a.test".to_owned(),
            payee: "0xaa".to_owned(),
            method: String::new(),
            resource: String::new(),
            description: None,
            receipt: None,
            artifact: None,
            rules: Vec::new(),
            item: None,
            uses: Vec::new(),
        };
        Purchase {
            payment,
            whose: None,
            category: None,
            rail: None,
            network: None,
            payer: None,
            moved,
            paid_at: None,
            refunded,
            goods: false,
            used: false,
            owed: false,
            written_off: false,
        }
    }

    fn paid(atomic: u128, back: u128, change: impl FnOnce(&mut Purchase)) -> Purchase {
        let mut purchase = purchase(Moved::Observed, Some(usdc()), atomic, Some(back));
        change(&mut purchase);
        purchase
    }

    #[test]
    fn what_was_paid_is_used_or_wasted_or_came_back() {
        let all = [
            paid(100, 0, |one| (one.goods, one.used) = (true, true)),
            paid(100, 30, |one| one.goods = true),
            paid(100, 100, |_| {}),
            paid(100, 40, |one| one.owed = true),
            paid(100, 0, |one| one.written_off = true),
            paid(100, 0, |one| one.moved = Moved::Claimed),
        ];
        let rows = spend_by(&all, &[]);
        assert_eq!(rows.len(), 1);
        let wanted = Sums {
            payments: 6,
            paid: 600,
            claimed: 100,
            used: 100,
            unused: 70,
            undelivered: 260,
            refunded: 170,
            written_off: 100,
            obligations: 1,
            owed: 60,
            ..Sums::default()
        };
        assert_eq!(rows[0].sums, wanted);
    }

    #[test]
    fn what_nobody_knows_is_never_counted_as_nothing() {
        let all = [
            purchase(Moved::No, Some(usdc()), 1, Some(0)),
            purchase(Moved::Held, Some(usdc()), 2, Some(0)),
            purchase(Moved::Unknown, Some(usdc()), 4, Some(0)),
            purchase(Moved::Presumed, Some(usdc()), 8, Some(0)),
            // Nobody knows how much came back, or how much it was.
            purchase(Moved::Observed, Some(usdc()), 16, None),
            purchase(Moved::Unknown, None, 0, None),
            // More came back than was paid: something is wrong with it.
            purchase(Moved::Observed, Some(usdc()), 32, Some(33)),
            purchase(Moved::Unknown, Some(usdc()), u128::MAX, Some(0)),
        ];
        let rows = spend_by(&all, &[SpendKey::Client]);
        let sums = Sums { held: 2, unknown: 12, presumed: 8, uncounted: 3, ..Sums::default() };
        let nothing_known = Sums { uncounted: 1, ..Sums::default() };
        let by = vec![(SpendKey::Client, GroupValue::Erased)];
        let wanted = [
            SpendRow { by: by.clone(), asset: None, sums: nothing_known },
            SpendRow { by, asset: Some(usdc()), sums },
        ];
        assert_eq!(rows, wanted);
        let json = serde_json::to_value(&rows[1]).unwrap();
        assert_eq!((&json["unknown"], &json["by"]["client"]["erased"]), (&"12".into(), &true.into()));
    }

    #[test]
    fn amounts_of_different_assets_have_no_sum() {
        let other = AssetId::erc20(1, &format!("0x{:040}", 1));
        let all = [
            purchase(Moved::Observed, Some(usdc()), 1, Some(0)),
            purchase(Moved::Observed, Some(other.clone()), 2, Some(0)),
        ];
        let rows = spend_by(&all, &[]);
        let paid: Vec<_> = rows.iter().map(|row| (row.asset.clone(), row.sums.paid)).collect();
        assert_eq!(paid, [(Some(other), 2), (Some(usdc()), 1)]);
    }
}
