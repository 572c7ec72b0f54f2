//! A check of a ledger with everything that was recorded in it.

use crate::error::BursarError;
use bursar_ledger::{Ledger, Verification};
use bursar_memory::{UsesVerified, verify_uses};
use bursar_payments::{ClockTurnedBack, Meaning};
use bursar_types::{AssetId, AssetRegistry};

/// How often it is read anew while another process writes.
const TRIES: usize = 3;

/// What a check of a ledger with everything that was recorded in it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The journal; what does not hold of its meaning and of the uses is among its problems.
    pub journal: Verification,
    /// The recorded uses, against the bytes that were bought.
    pub uses: UsesVerified,
    /// The decisions, taken again.
    pub decisions: DecisionsVerified,
    /// When the journal's time was turned back.
    pub turned_back: Vec<ClockTurnedBack>,
    /// Assets whose worth in dollars is not known here: that it was the same throughout is all that was compared.
    pub worth_not_known: Vec<AssetId>,
}

/// Decisions that rules took, taken again over the facts that were journaled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionsVerified {
    /// How many came out the same.
    pub again: u64,
    /// Why others are not re-checkable, with how many: nothing is known of them.
    pub not: Vec<(String, u64)>,
}

/// Reads a ledger again: whether its journal holds, whether what it tells could have happened, and whether the evidence of
/// recorded uses holds.
///
/// # Errors
/// [`BursarError::Ledger`] if it cannot be read; what does not agree is listed in the answer.
pub async fn verify(ledger: &Ledger) -> Result<Verified, BursarError> {
    verify_with(ledger, &AssetRegistry::pinned()).await
}

/// The same, where more assets are known than those that come with Bursar: what they are worth in dollars is checked then.
///
/// # Errors
/// As [`verify`].
pub async fn verify_with(ledger: &Ledger, assets: &AssetRegistry) -> Result<Verified, BursarError> {
    let mut journal = ledger.verify().await?;
    let (meaning, orphans) = meant(ledger, assets).await?;
    let uses = verify_uses(ledger).await?;
    journal.problems.extend(meaning.problems.iter().cloned());
    journal.problems.extend(orphans);
    journal.problems.extend(uses.problems.iter().cloned());
    let decisions = DecisionsVerified {
        again: meaning.decided_again,
        not: meaning.not_decided_again.into_iter().collect(),
    };
    let Meaning { turned_back, worth_not_known, .. } = meaning;
    Ok(Verified { journal, uses, decisions, turned_back, worth_not_known })
}

/// The meaning, and what is owed and in no list. Another process may write meanwhile: then it is read again, and what is in
/// no list only then because it was written in between is not told.
async fn meant(ledger: &Ledger, assets: &AssetRegistry) -> Result<(Meaning, Vec<String>), BursarError> {
    let mut always: Option<Vec<String>> = None;
    for _ in 0..TRIES {
        let before = ledger.head().await?;
        let found = Meaning::of_assets(ledger, assets.clone()).await?;
        let orphans = orphans(ledger, &found).await?;
        if orphans.is_empty() || ledger.head().await? == before {
            return Ok((found, orphans));
        }
        let seen = |orphan: &String| always.as_ref().is_none_or(|always| always.contains(orphan));
        always = Some(orphans.into_iter().filter(seen).collect());
    }
    // What was missing each time is not missing because something was written.
    Ok((Meaning::of_assets(ledger, assets.clone()).await?, always.unwrap_or_default()))
}

/// What is open, owed or bought, and not found where recovery or whoever buys again looks for it: nobody would look after it, or it
/// would be bought twice.
async fn orphans(ledger: &Ledger, meaning: &Meaning) -> Result<Vec<String>, BursarError> {
    let keys: Vec<String> = meaning.awaited.keys().cloned().collect();
    let found = ledger.link_values(&keys).await?;
    let lost =
        meaning.awaited.iter().zip(found).filter(|((_, payment), found)| *found != Some(payment.to_string()));
    let told = lost.map(|((key, payment), _)| {
        let list = key.split('/').next().unwrap_or_default();
        let end = match list {
            "open" | "bought" => "it may be paid for again",
            _ => "nobody looks after it",
        };
        format!("payment {payment} is {list} by its entries and is not in the list of what is: {end}")
    });
    Ok(told.collect())
}
