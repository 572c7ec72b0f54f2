//! Money that left the wallet without the journal, and that a person took into it: spent, and nobody knows for whom.

use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger};
use bursar_types::{Amount, AssetId, PaymentId, Timestamp};
use serde::Serialize;

/// Where it is kept, and as what.
const STREAM: &str = "outflow/adopted";
const KIND: &str = "outflow.adopted";

/// One transfer that was taken in with `bursar reconcile --accept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedOutflow {
    /// When it was taken in.
    pub at: Timestamp,
    /// Position of the entry that says so.
    pub entry: u64,
    /// How much left that the journal did not know.
    pub amount: Amount,
    /// The same in micro-USD, as budgets count it.
    pub micro_usd: Option<Amount>,
    /// Who got it, as the chain says.
    pub payee: String,
    /// The transfer.
    pub transaction: String,
    /// The payment that it has to do with, if the journal knows one.
    pub payment: Option<PaymentId>,
}

/// Everything that was taken in, oldest first; with a moment, what had been by then. From the leaves, which nothing erases.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn adopted_outflow(
    ledger: &Ledger,
    until: Option<Timestamp>,
) -> Result<Vec<AdoptedOutflow>, BursarError> {
    let entries = super::entries(ledger, STREAM, until).await?;
    Ok(entries.iter().filter(|entry| entry.kind == KIND).filter_map(read).collect())
}

fn read(entry: &Entry) -> Option<AdoptedOutflow> {
    let text = |field| super::text(entry, field);
    let amount = Amount::parse_atomic(AssetId::parse(&text("asset")?).ok()?, &text("atomic")?).ok()?;
    let micro_usd = text("micro_usd").and_then(|text| Amount::parse_atomic(AssetId::micro_usd(), &text).ok());
    Some(AdoptedOutflow {
        at: entry.at,
        entry: entry.sequence,
        amount,
        micro_usd,
        payee: text("payee").unwrap_or_default(),
        transaction: text("transaction").unwrap_or_default(),
        payment: text("payment").and_then(|id| PaymentId::parse(&id).ok()),
    })
}
