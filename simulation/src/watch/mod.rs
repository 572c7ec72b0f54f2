//! The watch: sees every write, signature, request and answer, and says at once what must not be.
//!
//! It keeps its own account of everything, from what passes it. Where the purse has the same thing, the two must agree.

mod accounts;
mod calls;
mod chain;
mod payments;
mod signing;

pub(crate) use accounts::Phase;
pub(crate) use payments::state_name;

use crate::clock::START_S;
use crate::stage::{Life, Stage};
use accounts::Accounts;
use bursar_ledger::{Committed, StreamId, Transaction};
use bursar_market::{Address, Market};
use bursar_types::{Digest, PaymentId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::Id as TaskId;

/// Something that must never happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// What happened.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)
    }
}

/// Sees everything.
#[derive(Debug)]
pub(crate) struct Watch {
    stage: Arc<Stage>,
    market: Arc<Market>,
    payer: Address,
    seen: Mutex<Seen>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) violations: Vec<Violation>,
    pub(crate) payments: BTreeMap<PaymentId, payments::Known>,
    pub(crate) links: BTreeMap<String, String>,
    pub(crate) accounts: Accounts,
    /// How many commits there were.
    commits: u64,
    /// For each session that is frozen, the commit that froze it.
    frozen: BTreeMap<String, u64>,
    /// By digest to be signed.
    by_digest: BTreeMap<Digest, (PaymentId, u32)>,
    /// By nonce.
    by_nonce: BTreeMap<String, (PaymentId, u32)>,
    /// Digests of authorizations being taken back.
    voids: BTreeSet<Digest>,
    /// Digests for which a signature exists.
    signed: BTreeSet<Digest>,
    /// The bytes in which each nonce was on the wire.
    wire: BTreeMap<String, String>,
    /// When each task last read a session.
    read: HashMap<(Life, Option<TaskId>, String), u64>,
    settled: usize,
    /// How many complaints of each seller were looked at.
    complaints: BTreeMap<usize, usize>,
    calls: calls::Calls,
}

impl Seen {
    /// Notes a violation.
    pub(crate) fn violated(&mut self, invariant: &'static str, message: impl Into<String>) {
        self.violations.push(Violation { invariant, message: message.into() });
    }
}

impl Watch {
    pub(crate) fn new(stage: Arc<Stage>, market: Arc<Market>, payer: Address) -> Arc<Self> {
        Arc::new(Self { stage, market, payer, seen: Mutex::default() })
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The violations so far.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.seen().violations.clone()
    }

    /// The true time, in seconds.
    fn now_s(&self) -> u64 {
        START_S.saturating_add(self.stage.clock.elapsed_ms() / 1_000)
    }

    /// A stream was read.
    pub(crate) fn read(&self, life: Life, stream: &StreamId) {
        if let Some(session) = stream.as_str().strip_prefix("session/") {
            let mut seen = self.seen();
            let commits = seen.commits;
            seen.read.insert((life, tokio::task::try_id(), session.to_owned()), commits);
        }
    }

    /// A transaction is durable.
    pub(crate) fn committed(&self, life: Life, transaction: &Transaction, committed: &Committed) {
        let mut seen = self.seen();
        let seen = &mut *seen;
        seen.commits = seen.commits.saturating_add(1);
        for write in &transaction.links {
            let before = match &write.value {
                Some(value) => seen.links.insert(write.key.clone(), value.clone()),
                None => seen.links.remove(&write.key),
            };
            if before != write.expected {
                let key = &write.key;
                seen.violated("links-are-fenced", format!("{key} was {before:?} and not as expected"));
            }
        }
        for problem in seen.accounts.apply(committed.at, &transaction.accounts, &committed.outcomes) {
            seen.violated("accounts-add-up", problem);
        }
        self.entries(seen, life, transaction);
    }
}
