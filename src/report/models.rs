//! What models cost, as the journal tells it.

use super::SpendFilter;
use crate::error::BursarError;
use bursar_ledger::Ledger;
use bursar_payments::{MODEL, MODEL_HELD, MODEL_SETTLED};
use bursar_types::{Amount, AssetId, SessionId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the model of one session's runs cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelSpend {
    /// The session.
    pub session: SessionId,
    /// How many tries of turns were settled.
    pub tries: u64,
    /// What they cost, in micro-USD.
    pub spent: Amount,
    /// Of these, how many have a cost that nobody reported: all that was set aside for them counts.
    pub unreported: u64,
    /// What is set aside for tries that were not settled: they are under way, or their process died and the run has to go on.
    pub held: Amount,
}

/// What models cost, by session. Sessions without any are left out, and so is what the filter does not mean by session and time;
/// what it asks of payments alone, such as a vendor, no model has.
///
/// # Errors
/// [`BursarError`] if the ledger cannot be read.
pub async fn model_spend(ledger: &Ledger, filter: &SpendFilter) -> Result<Vec<ModelSpend>, BursarError> {
    let mut all = Vec::new();
    if !filter.only.is_empty() {
        return Ok(all);
    }
    for (stream, _) in ledger.streams(&format!("{MODEL}/")).await? {
        let id = stream.as_str().split_once('/').and_then(|(_, id)| SessionId::parse(id).ok());
        let Some(session) = id.filter(|id| filter.session.is_none_or(|wanted| wanted == *id)) else {
            continue;
        };
        let (mut held, mut sums) = (BTreeMap::new(), (0_u64, 0_u128, 0_u64));
        let mut seen = BTreeSet::new();
        for entry in ledger.stream(&stream, 0).await? {
            let text = |name: &str| entry.body.get(name).and_then(serde_json::Value::as_str);
            let (Some(hold), Some(amount)) = (
                text("hold").map(str::to_owned),
                text("micro_usd").and_then(|amount| amount.parse::<u128>().ok()),
            ) else {
                continue;
            };
            let meant = filter.from.is_none_or(|from| entry.at >= from)
                && filter.until.is_none_or(|until| entry.at < until);
            match entry.kind.as_str() {
                MODEL_HELD if meant => drop(held.insert(hold, amount)),
                MODEL_SETTLED => {
                    held.remove(&hold);
                    if meant && seen.insert(hold) {
                        let unreported = entry.body.get("known") == Some(&serde_json::Value::Bool(false));
                        sums.0 = sums.0.saturating_add(1);
                        sums.1 = sums.1.saturating_add(amount);
                        sums.2 = sums.2.saturating_add(u64::from(unreported));
                    }
                }
                _ => {}
            }
        }
        let usd = |micro: u128| Amount::from_atomic(AssetId::micro_usd(), micro);
        let waiting = held.values().fold(0_u128, |sum, amount| sum.saturating_add(*amount));
        if sums.0 > 0 || waiting > 0 {
            let (tries, spent, unreported) = (sums.0, usd(sums.1), sums.2);
            all.push(ModelSpend { session, tries, spent, unreported, held: usd(waiting) });
        }
    }
    Ok(all)
}
