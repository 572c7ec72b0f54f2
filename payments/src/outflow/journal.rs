//! What the journal knows of what may have left the wallet: every attempt of every payment, from the leaves alone, so that it
//! can still be told when the payloads were erased.

use crate::payment::PaymentEvent;
use crate::rail::Outcome;
use bursar_ledger::{Entry, EventError, Ledger, StoreError, StreamId};
use bursar_types::{Amount, AssetId, PaymentId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where it is kept up to where everything was matched: a stream for each asset, and what persons took in.
pub(crate) const OUTFLOW: &str = "outflow";

/// Up to where everything of an asset was matched. The wallet's address is no part of a leaf.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchedUpTo {
    pub(crate) rail: String,
    pub(crate) asset: AssetId,
    pub(crate) wallet: String,
    pub(crate) upto: u64,
}

/// The wallets that the journal names: those whose outflow was compared, and those that payments were signed for. In lower case.
///
/// # Errors
/// [`StoreError`] if the journal cannot be read.
pub async fn wallets(ledger: &Ledger) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for (stream, length) in ledger.streams("outflow/").await? {
        let last = ledger.stream(&stream, length.saturating_sub(1)).await?;
        let Some(entry) = last.first().filter(|entry| entry.kind == "outflow.matched") else { continue };
        match ledger.event::<MatchedUpTo>(entry).await {
            Ok(matched) => found.extend([matched.wallet.to_ascii_lowercase()]),
            Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => {}
            Err(EventError::Store(error)) => return Err(error),
        }
    }
    for (stream, _) in ledger.streams("payment/").await? {
        for entry in ledger.stream(&stream, 0).await?.iter().filter(|entry| entry.kind == "payment.signing") {
            match ledger.event::<PaymentEvent>(entry).await {
                Ok(PaymentEvent::Signing { order, .. }) => found.extend([order.payer.to_ascii_lowercase()]),
                Ok(_) | Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => {}
                Err(EventError::Store(error)) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// The networks that the journal names: those on which outflow was compared, and those of payments.
///
/// # Errors
/// [`StoreError`] if the journal cannot be read.
pub async fn networks(ledger: &Ledger) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for prefix in ["outflow/", "payment/"] {
        for (stream, _) in ledger.streams(prefix).await? {
            let entries = ledger.stream(&stream, 0).await?;
            let assets =
                entries.iter().filter_map(|entry| AssetId::parse(entry.body.get("asset")?.as_str()?).ok());
            found.extend(assets.map(|asset| asset.network().to_owned()));
        }
    }
    Ok(found)
}

/// How an attempt stands, as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "stand", rename_all = "snake_case")]
pub enum Stand {
    /// Money was set aside; nothing was signed.
    Unsigned,
    /// A signature may exist, and nobody can say yet whether it moved money.
    Undecided,
    /// Money moved, or counts as moved.
    Paid {
        /// Whether the chain itself was seen to say so.
        observed: bool,
    },
    /// It was signed, and proven that no money moved.
    Disproved,
}

impl Stand {
    /// Whether money may have left.
    #[must_use]
    pub const fn may_have_moved(self) -> bool {
        matches!(self, Self::Undecided | Self::Paid { .. })
    }
}

/// One attempt of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The payment.
    pub payment: PaymentId,
    /// Which attempt, from 0.
    pub attempt: u32,
    /// The session that pays.
    pub session: Option<SessionId>,
    /// When it was set aside.
    pub at: Timestamp,
    /// How much, in the asset, which names its network.
    pub amount: Amount,
    /// Who is paid.
    pub payee: String,
    /// The transaction or charge, if anyone named one and it was not erased.
    pub reference: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub stand: Stand,
}

/// Every attempt of every payment, oldest first.
///
/// # Errors
/// [`StoreError`] if the journal cannot be read.
pub async fn attempts(ledger: &Ledger) -> Result<Vec<Attempt>, StoreError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("payment/").await? {
        let id = stream.as_str().strip_prefix("payment/").map(PaymentId::parse);
        if let Some(Ok(id)) = id {
            all.extend(attempts_of(ledger, id).await?);
        }
    }
    all.sort_by_key(|attempt| (attempt.at, attempt.payment, attempt.attempt));
    Ok(all)
}

/// Every attempt of one payment.
pub(crate) async fn attempts_of(ledger: &Ledger, id: PaymentId) -> Result<Vec<Attempt>, StoreError> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for entry in ledger.stream(&StreamId::of("payment", id), 0).await? {
        let Some(read) = attempt_in(&entry, id) else { continue };
        if attempts.last().is_none_or(|last| last.attempt != read.attempt) {
            attempts.push(read);
        }
        let Some(last) = attempts.last_mut() else { continue };
        last.stand = after(last.stand, &entry);
        if entry.body.get("moved").and_then(serde_json::Value::as_str) == Some("yes") {
            last.reference = reference(ledger, &entry).await?.or(last.reference.take());
        }
    }
    Ok(attempts)
}

/// The attempt that an entry of a payment is about. `None` if its leaf does not say.
fn attempt_in(entry: &Entry, payment: PaymentId) -> Option<Attempt> {
    let text = |field: &str| entry.body.get(field)?.as_str();
    let asset = AssetId::parse(text("asset")?).ok()?;
    Some(Attempt {
        payment,
        attempt: u32::try_from(entry.body.get("attempt")?.as_u64()?).ok()?,
        session: text("session").and_then(|id| SessionId::parse(id).ok()),
        at: entry.at,
        amount: Amount::parse_atomic(asset, text("atomic")?).ok()?,
        payee: text("payee")?.to_owned(),
        reference: None,
        stand: Stand::Unsigned,
    })
}

/// How an attempt stands after an entry.
fn after(before: Stand, entry: &Entry) -> Stand {
    let moved = entry.body.get("moved").and_then(serde_json::Value::as_str);
    match (entry.kind.as_str(), before, moved) {
        ("payment.signing", _, _) => Stand::Undecided,
        // What the chain was seen to say stands.
        (_, Stand::Paid { observed: true }, _) => before,
        ("payment.let_go", _, _) => Stand::Unsigned,
        ("payment.observed", _, Some("yes")) => Stand::Paid { observed: true },
        // The rail may have observed it when it was asked about the answer, and is asked again until it says so.
        (_, _, Some("yes")) => Stand::Paid { observed: false },
        (_, _, Some("no")) => Stand::Disproved,
        _ => before,
    }
}

async fn reference(ledger: &Ledger, entry: &Entry) -> Result<Option<String>, StoreError> {
    match ledger.event::<PaymentEvent>(entry).await {
        Ok(
            PaymentEvent::Answered { outcome: Outcome::Moved { reference, .. }, .. }
            | PaymentEvent::Observed { outcome: Outcome::Moved { reference, .. } },
        ) => Ok(Some(reference)),
        Ok(_) | Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => Ok(None),
        Err(EventError::Store(error)) => Err(error),
    }
}
