//! What happened at a seller, and what a buyer did that it must not do.

use crate::primitives::{Address, Uint, Word};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap, HashSet};

/// One request, as the seller saw it and as it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The status sent; `None` if the connection was dropped instead.
    pub status: Option<u16>,
    /// The nonce of the payment, if there was one.
    pub nonce: Option<Word>,
    /// The payer, as the payment claims.
    pub payer: Option<Address>,
    /// The transaction, if this request settled.
    pub transaction: Option<String>,
    /// The faults that struck.
    pub faults: Vec<String>,
    /// Answered from the cache of a payment identifier.
    pub cached: bool,
}

/// Everything so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SellerLog {
    /// Every request, oldest first.
    pub entries: Vec<LogEntry>,
    /// How many 402s were sent.
    pub quotes: usize,
    /// How many requests carried a payment.
    pub paid_requests: usize,
    /// The different nonces those payments had.
    pub nonces: BTreeSet<Word>,
    /// How many settlements the seller knows of.
    pub settlements: usize,
}

/// What a buyer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A second authorization for the same document, while the first was settled or could still be.
    PaidTwice,
    /// A payment with a method, URL or body that no 402 was sent for.
    NotWhatWasQuoted,
    /// A payment whose `resource` is another URL than the one requested.
    OtherResource,
    /// One authorization for two different requests.
    NonceForTwoRequests,
    /// A payment that cannot be read.
    UnreadablePayment,
    /// One payment identifier for two different payments.
    IdentifierReused,
    /// A refund claim that cannot be read.
    UnreadableClaim,
    /// One id for two different refund claims.
    RefundIdReused,
    /// A second refund claim, under another id, for one settlement.
    RefundClaimedTwice,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What kind.
    pub kind: ViolationKind,
    /// In words.
    pub detail: String,
    /// Path and query of the request.
    pub target: String,
    /// The nonce of the payment, if it could be read.
    pub nonce: Option<Word>,
    /// The payer, as the payment claims.
    pub payer: Option<Address>,
}

/// What was asked for: method, path with query, and a hash of the body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Word,
}

/// An authorization that the seller has been shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    nonce: Word,
    valid_before: Uint,
}

/// The seller's memory.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) log: SellerLog,
    pub(super) violations: Vec<Violation>,
    quoted: HashSet<RequestKey>,
    requests: HashMap<(Address, Word), RequestKey>,
    shown: HashMap<(Address, String), Vec<Shown>>,
}

impl Record {
    pub(super) fn quoted(&mut self, key: RequestKey) {
        self.log.quotes += 1;
        self.quoted.insert(key);
    }

    pub(super) fn was_quoted(&self, key: &RequestKey) -> bool {
        self.quoted.contains(key)
    }

    /// Binds an authorization to the first request it was shown with; false if this is another one.
    pub(super) fn bind(&mut self, payer: Address, nonce: Word, key: &RequestKey) -> bool {
        self.requests.entry((payer, nonce)).or_insert_with(|| key.clone()) == key
    }

    /// The path and query of the request that an authorization was first shown with.
    pub(super) fn bound(&self, payer: Address, nonce: Word) -> Option<String> {
        self.requests.get(&(payer, nonce)).map(|key| key.target.clone())
    }

    /// Remembers an authorization for a document. Returns an earlier one that `is_open` says was settled or
    /// can still be.
    pub(super) fn show(
        &mut self,
        payer: Address,
        document: &str,
        nonce: Word,
        valid_before: Uint,
        is_open: impl Fn(Word, Uint) -> bool,
    ) -> Option<Word> {
        let shown = self.shown.entry((payer, document.to_owned())).or_default();
        if shown.iter().any(|earlier| earlier.nonce == nonce) {
            return None;
        }
        let open = shown.iter().find(|earlier| is_open(earlier.nonce, earlier.valid_before)).copied();
        shown.push(Shown { nonce, valid_before });
        open.map(|earlier| earlier.nonce)
    }
}
