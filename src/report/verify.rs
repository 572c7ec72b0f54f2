//! A check of a ledger with everything that was recorded in it.

use crate::error::BursarError;
use bursar_ledger::{Ledger, Verification};
use bursar_memory::{UsesVerified, verify_uses};
use bursar_payments::Meaning;
use std::collections::BTreeSet;

/// How often it is read anew while another process writes.
const TRIES: usize = 3;

/// What a check of a ledger with everything that was recorded in it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The journal; what does not hold of its meaning and of the uses is among its problems.
    pub journal: Verification,
    /// The recorded uses, against the bytes that were bought.
    pub uses: UsesVerified,
}

/// Reads a ledger again: whether its journal holds, whether what it tells could have happened, and whether the evidence of
/// recorded uses holds.
///
/// # Errors
/// [`BursarError::Ledger`] if it cannot be read; what does not agree is listed in the answer.
pub async fn verify(ledger: &Ledger) -> Result<Verified, BursarError> {
    let mut journal = ledger.verify().await?;
    let (meaning, orphans) = meant(ledger).await?;
    let uses = verify_uses(ledger).await?;
    journal.problems.extend(meaning.problems.iter().cloned());
    journal.problems.extend(orphans);
    journal.problems.extend(uses.problems.iter().cloned());
    Ok(Verified { journal, uses })
}

/// The meaning, and what is owed and in no list. Another process may write meanwhile: then it is read again, and what is in
/// no list only then because it was written in between is not told.
async fn meant(ledger: &Ledger) -> Result<(Meaning, Vec<String>), BursarError> {
    for _ in 0..TRIES {
        let before = ledger.head().await?;
        let found = Meaning::of(ledger).await?;
        let orphans = orphans(ledger, &found).await?;
        if orphans.is_empty() || ledger.head().await? == before {
            return Ok((found, orphans));
        }
    }
    Ok((Meaning::of(ledger).await?, Vec::new()))
}

/// What is owed, and in none of the lists that recovery goes by: nobody would look after it.
async fn orphans(ledger: &Ledger, meaning: &Meaning) -> Result<Vec<String>, BursarError> {
    let mut listed = BTreeSet::new();
    for list in ["claimed/", "owed/"] {
        listed.extend(ledger.links(list).await?.into_iter().map(|(key, _)| key));
    }
    let lost = meaning.awaited.iter().filter(|(key, _)| !listed.contains(*key));
    Ok(lost
        .map(|(key, payment)| {
            let list = key.split('/').next().unwrap_or_default();
            format!("payment {payment} is {list} by its entries and is not in the list of what is: nobody looks after it")
        })
        .collect())
}
