//! What is left of a payment whose payloads were erased: what its leaves say.

use super::{PaymentReport, PaymentState};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger};
use bursar_types::{Amount, AssetId, PaymentId, SessionId};

/// The report of a payment of which no payload is left; `None` if one is.
pub(super) async fn erased(
    ledger: &Ledger,
    id: PaymentId,
    entries: &[Entry],
) -> Result<Option<PaymentReport>, BursarError> {
    let Some(first) = entries.first() else { return Ok(None) };
    for detail in entries.iter().filter_map(Entry::detail) {
        if ledger.payload(detail).await?.is_some() {
            return Ok(None);
        }
    }
    // Later entries count: another attempt may have had another price.
    let text = |field: &str| entries.iter().rev().find_map(|entry| entry.body.get(field)?.as_str());
    let atomic = |field: &str| text(field).and_then(|text| text.parse::<u128>().ok());
    let asset = text("asset").and_then(|asset| AssetId::parse(asset).ok());
    let rules = entries.iter().rev().find_map(|entry| entry.body.get("rules")?.as_array());
    Ok(Some(PaymentReport {
        id,
        session: text("session").and_then(|session| SessionId::parse(session).ok()),
        at: first.at,
        state: PaymentState::Erased { paid: text("moved") == Some("yes") },
        amount: atomic("atomic").zip(asset).map(|(atomic, asset)| Amount::from_atomic(asset, atomic)),
        micro_usd: atomic("micro_usd").map(|atomic| Amount::from_atomic(AssetId::micro_usd(), atomic)),
        host: String::new(),
        payee: text("payee").unwrap_or_default().to_owned(),
        method: String::new(),
        resource: String::new(),
        description: None,
        receipt: None,
        artifact: None,
        rules: rules.into_iter().flatten().filter_map(|rule| rule.as_str().map(str::to_owned)).collect(),
        item: None,
        uses: Vec::new(),
    }))
}
