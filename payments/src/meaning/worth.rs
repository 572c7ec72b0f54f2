//! What amounts are worth in dollars: the number that budgets count has to be the one that left the wallet.

use bursar_types::{Amount, AssetId, AssetRegistry};
use std::collections::{BTreeMap, BTreeSet};

/// More decimals than any token has.
const DECIMALS_MAX: u8 = 36;

/// Assets with their worth. One that is not known here is worth its count of units over some power of ten, and the same
/// throughout a journal: which one, only whoever knows its decimals can tell.
#[derive(Debug)]
pub(super) struct Worth {
    registry: AssetRegistry,
    unknown: BTreeMap<AssetId, BTreeSet<u8>>,
}

impl Default for Worth {
    fn default() -> Self {
        Self::of(AssetRegistry::pinned())
    }
}

impl Worth {
    pub(super) const fn of(registry: AssetRegistry) -> Self {
        Self { registry, unknown: BTreeMap::new() }
    }

    /// Why an amount cannot count as so many micro-USD.
    pub(super) fn wrong(&mut self, amount: &Amount, micro_usd: u128) -> Option<String> {
        let (asset, atomic) = (amount.asset(), amount.atomic());
        if self.registry.get(asset).is_ok() {
            let worth = self.registry.to_micro_usd(amount).map(|worth| worth.atomic());
            let problem = match worth {
                Some(worth) => {
                    format!("{atomic} of {asset} are {worth} micro-USD, and {micro_usd} are counted")
                }
                None => format!("{asset} has no worth in dollars, and {micro_usd} micro-USD are counted"),
            };
            return (worth != Some(micro_usd)).then_some(problem);
        }
        let possible = self.unknown.entry(asset.clone()).or_insert_with(|| (0..=DECIMALS_MAX).collect());
        let fits: BTreeSet<u8> = possible
            .iter()
            .copied()
            .filter(|decimals| in_micro_usd(atomic, *decimals) == Some(micro_usd))
            .collect();
        if fits.is_empty() {
            return Some(format!(
                "{micro_usd} micro-USD are counted for {atomic} of {asset}, which was worth something else before"
            ));
        }
        *possible = fits;
        None
    }

    /// Assets whose worth could only be compared within the journal.
    pub(super) fn not_known(&self) -> impl Iterator<Item = &AssetId> {
        self.unknown.keys()
    }
}

/// As the registry counts it: rounded up.
fn in_micro_usd(atomic: u128, decimals: u8) -> Option<u128> {
    let power = |shift: u8| 10_u128.checked_pow(u32::from(shift));
    match decimals.checked_sub(6) {
        Some(shift) => Some(atomic.div_ceil(power(shift)?)),
        None => atomic.checked_mul(power(6_u8.checked_sub(decimals)?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_the_amount_is_worth() {
        let mut worth = Worth::default();
        let usdc =
            AssetRegistry::pinned().iter().find(|asset| asset.symbol() == "USDC").unwrap().id().clone();
        let other = AssetId::erc20(84_532, &format!("0x{:040}", 7));
        for (asset, atomic, micro_usd, wrong) in [
            (&usdc, 1_000, 1_000, false),
            (&usdc, 1_000, 1, true),
            // As long as anything is possible, nothing is wrong; what was told stays told.
            (&other, 5_000, 5_000, false),
            (&other, 1, 1, false),
            (&other, 5_000, 1, true),
            (&other, 5_000, 5_001, true),
            (&other, 7_000, 7_000, false),
        ] {
            let found = worth.wrong(&Amount::from_atomic(asset.clone(), atomic), micro_usd);
            assert_eq!(found.is_some(), wrong, "{atomic} {micro_usd}: {found:?}");
        }
        assert_eq!(worth.not_known().collect::<Vec<_>>(), vec![&other]);
    }
}
