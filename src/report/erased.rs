//! What is left of a payment whose payloads were erased: what its leaves say.

use super::{PaymentReport, PaymentState};
use bursar_ledger::Entry;
use bursar_types::{Amount, AssetId, PaymentId, SessionId, Timestamp};

/// What the leaves of a payment say, of which no payload is left.
pub(super) fn erased_report(id: PaymentId, at: Timestamp, entries: &[&Entry]) -> PaymentReport {
    // Later entries count: another attempt may have had another price.
    let text = |field: &str| entries.iter().rev().find_map(|entry| entry.body.get(field)?.as_str());
    let atomic = |field: &str| text(field).and_then(|text| text.parse::<u128>().ok());
    let asset = text("asset").and_then(|asset| AssetId::parse(asset).ok());
    let rules = entries.iter().rev().find_map(|entry| entry.body.get("rules")?.as_array());
    PaymentReport {
        id,
        session: text("session").and_then(|session| SessionId::parse(session).ok()),
        at,
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
    }
}
