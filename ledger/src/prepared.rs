//! A transaction with its canonical bytes made, ready for the write lock.

use crate::entry::StreamId;
use crate::payload::{Commitment, Payload};
use crate::refusal::Refusal;
use crate::transaction::{AccountOp, LinkWrite, Require, Transaction};
use bursar_types::canonical_bytes;
use serde::{Deserialize, Serialize};

/// The kind of the entries into which the ledger journals account changes.
pub(crate) const ACCOUNTS_KIND: &str = "accounts.changed";
/// The kind of the entries into which the ledger journals what was erased.
pub(crate) const ERASED_KIND: &str = "payloads.erased";
/// The kind of the entries into which the ledger journals that its time was turned back.
pub(crate) const TURNED_KIND: &str = "clock.turned_back";
/// How many payloads one such entry names: a leaf has at most 65,535 bytes.
const ERASED_MAX: usize = 500;

/// A transaction that is well formed in itself. Making it is the slow part, and needs no lock.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) require: Vec<Require>,
    /// Each account change with its canonical JSON.
    pub(crate) accounts: Vec<(AccountOp, String)>,
    pub(crate) links: Vec<LinkWrite>,
    pub(crate) entries: Vec<PreparedEntry>,
    pub(crate) payloads: Vec<Payload>,
    /// Payloads to forget, and the bodies of the entries that say so.
    pub(crate) erase: Vec<Commitment>,
    pub(crate) erased: Vec<String>,
    /// Whether the time is turned back before it.
    pub(crate) turns_back: bool,
}

/// The body of an entry that says what was erased.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasedBody {
    pub(crate) payloads: Vec<Commitment>,
    pub(crate) why: String,
}

/// The body of an entry that says that the time was turned back: from when, in milliseconds since 1970. To when, its own time says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnedBody {
    pub(crate) from: u64,
}

/// An entry with canonical JSON in place of its body.
#[derive(Debug, Clone)]
pub(crate) struct PreparedEntry {
    pub(crate) stream: StreamId,
    pub(crate) kind: String,
    pub(crate) body: String,
}

impl Prepared {
    pub(crate) fn new(transaction: Transaction) -> Result<Self, Refusal> {
        let Transaction { require, accounts, links, entries, payloads, erase, turn_back } = transaction;
        let more = !(require.is_empty() && accounts.is_empty() && links.is_empty()) || erase.is_some();
        if turn_back && more {
            return Err(Refusal::BadTurn("nothing else may change with it"));
        }
        let (erase, why) = erase.map_or((Vec::new(), ""), |erasure| (erasure.payloads, erasure.why));
        let erased = erase
            .chunks(ERASED_MAX)
            .map(|payloads| canonical_text(&ErasedBody { payloads: payloads.to_vec(), why: why.to_owned() }));
        let erased = erased.collect::<Result<_, _>>()?;
        let mut prepared = Self {
            require,
            accounts: Vec::with_capacity(accounts.len()),
            links,
            entries: Vec::with_capacity(entries.len()),
            payloads,
            erase,
            erased,
            turns_back: turn_back,
        };
        for op in accounts {
            let json = canonical_text(&op)?;
            prepared.accounts.push((op, json));
        }
        for entry in entries {
            if [StreamId::accounts(), StreamId::erasures(), StreamId::clock()].contains(&entry.stream) {
                return Err(Refusal::ReservedStream(entry.stream));
            }
            let body = canonical_text(&entry.body)?;
            prepared.entries.push(PreparedEntry {
                stream: entry.stream,
                kind: entry.kind.into_owned(),
                body,
            });
        }
        Ok(prepared)
    }
}

/// Canonical JSON as text.
pub(crate) fn canonical_text<T: Serialize + ?Sized>(value: &T) -> Result<String, Refusal> {
    let bytes = canonical_bytes(value).map_err(|error| Refusal::NotCanonical(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Refusal::NotCanonical(error.to_string()))
}
