//! The dispute file: everything that is known about a payment, for whoever decides about it elsewhere.

use super::join::Loaded;
use super::unavailable;
use crate::obligation::Obligation;
use crate::payment::Signed;
use bursar_ledger::{Entry, Ledger};
use bursar_types::FetchError;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

/// The form of the file; another number is another form.
const FORM: u32 = 1;

/// One event of the payment, as the journal has it: its leaf, so that it can be proven, and what it says.
#[derive(Debug, Serialize)]
struct Exhibit {
    sequence: u64,
    at: bursar_types::Timestamp,
    kind: String,
    leaf: Value,
    says: Value,
}

/// Writes the file as JSON. It holds no key and no signature: whoever holds the file can spend nothing.
pub(super) async fn file(
    ledger: &Ledger,
    loaded: &Loaded,
    signed: &Signed,
    obligation: &Obligation,
) -> Result<Bytes, FetchError> {
    let entries = ledger.stream(loaded.stream(), 0).await.map_err(unavailable)?;
    let mut exhibits = Vec::with_capacity(entries.len());
    for entry in entries {
        let says = ledger.event::<Value>(&entry).await.map_err(unavailable)?;
        let Entry { sequence, at, kind, body, .. } = entry;
        exhibits.push(Exhibit { sequence, at, kind, leaf: body, says });
    }
    let head = ledger.head().await.map_err(unavailable)?;
    let quote = &signed.held.offer.quote;
    let file = json!({
        "form": FORM,
        "ledger": ledger.id(),
        "journal": {"size": head.size, "root": head.root},
        "payment": signed.held.ask.payment,
        "bought": {"method": quote.method, "resource": quote.resource, "host": quote.host},
        "paid": {
            "amount": quote.price, "payee": quote.payee, "network": quote.network,
            "payer": signed.order.payer, "terms": signed.prepared.terms,
        },
        "offer": signed.held.offer.verbatim,
        "claim": obligation.claim,
        "came": obligation.record.as_ref().map(|record| &record.artifact),
        "exhibits": exhibits,
    });
    serde_json::to_vec_pretty(&file).map(Bytes::from).map_err(unavailable)
}
