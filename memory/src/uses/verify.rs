//! A second look at what was recorded.

use super::check::{Holding, Shelf};
use super::{UseRecord, check, stream};
use bursar_ledger::{Entry, Ledger, StoreError};
use bursar_types::ArtifactId;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;

/// What a second look at a recorded use finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum UseCheck {
    /// All of its evidence holds.
    Holds,
    /// The bytes of the artifact are gone. Whether it was used cannot be said any more, and this is no yes.
    Erased,
    /// It does not hold.
    Fails(String),
}

impl fmt::Display for UseCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Erased => f.write_str("erased, not re-checkable"),
            Self::Fails(problem) => write!(f, "does not hold: {problem}"),
        }
    }
}

/// What a check of all recorded uses found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsesVerified {
    /// Records whose evidence was checked and holds.
    pub held: u64,
    /// Records that cannot be checked any more: they were erased, or what they speak of was. They count for nothing.
    pub erased: u64,
    /// Records that do not hold, in words; empty means that none fails.
    pub problems: Vec<String>,
}

/// Every recorded use of a ledger, oldest first. A record that was erased is left out.
///
/// # Errors
/// [`StoreError`].
pub async fn read_uses(ledger: &Ledger) -> Result<Vec<UseRecord>, StoreError> {
    let found = ledger.stream_with_payloads(&stream(), 0).await?;
    let records = found.iter().filter(|(entry, _)| entry.kind == UseRecord::KIND);
    Ok(records.filter_map(|(_, payload)| serde_json::from_slice(payload.as_deref()?).ok()).collect())
}

/// Looks again at every recorded use of a ledger, as [`Library::check_use`](crate::Library::check_use) does, and whether each leaf says what its record
/// says. It needs the ledger alone, and no index.
///
/// # Errors
/// [`StoreError`] if the ledger cannot be read; what does not hold is listed in the answer.
pub async fn verify_uses(ledger: &Ledger) -> Result<UsesVerified, StoreError> {
    let mut verified = UsesVerified::default();
    let mut records: BTreeMap<ArtifactId, Vec<(u64, UseRecord)>> = BTreeMap::new();
    for (entry, payload) in ledger.stream_with_payloads(&stream(), 0).await? {
        let sequence = entry.sequence;
        match payload.map(|payload| serde_json::from_slice::<UseRecord>(&payload)) {
            _ if entry.kind != UseRecord::KIND => {}
            None if entry.detail().is_none() => {
                verified.problems.push(format!("use in entry {sequence} names no record"));
            }
            None => verified.erased = verified.erased.saturating_add(1),
            Some(Ok(record)) if says_the_same(&entry, &record) => {
                records.entry(record.artifact).or_default().push((sequence, record));
            }
            Some(Ok(_)) => {
                verified.problems.push(format!("use in entry {sequence}: its leaf says something else"));
            }
            Some(Err(error)) => {
                verified.problems.push(format!("use in entry {sequence} cannot be read: {error}"));
            }
        }
    }
    if records.is_empty() {
        return Ok(verified);
    }
    let shelf = Shelf::read(ledger).await?;
    for (artifact, records) in records {
        // One artifact at a time, so that only its bytes are in memory.
        let holding = shelf.holding(artifact).await?;
        for (sequence, record) in records {
            match check_again(&record, &holding) {
                UseCheck::Holds => verified.held = verified.held.saturating_add(1),
                UseCheck::Erased => verified.erased = verified.erased.saturating_add(1),
                UseCheck::Fails(problem) => {
                    verified.problems.push(format!("use of {artifact} in entry {sequence}: {problem}"));
                }
            }
        }
    }
    Ok(verified)
}

fn says_the_same(entry: &Entry, record: &UseRecord) -> bool {
    entry.body.get("artifact") == Some(&json!(record.artifact))
        && entry.body.get("evidence") == Some(&json!(record.kinds()))
}

/// What a second look at one record finds.
pub(super) fn check_again(used: &UseRecord, holding: &Holding) -> UseCheck {
    match holding {
        Holding::Here(goods) => match check(used, goods) {
            Ok(()) => UseCheck::Holds,
            Err(problem) => UseCheck::Fails(problem.to_string()),
        },
        Holding::Erased => UseCheck::Erased,
        Holding::Damaged => UseCheck::Fails("the bytes kept are not those that were bought".to_owned()),
        Holding::Nothing => UseCheck::Fails("nothing such was bought".to_owned()),
    }
}
