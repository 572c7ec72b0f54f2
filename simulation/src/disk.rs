//! The disk: one store for all processes, which survives them, and the handle that each of them has on it.
//!
//! A write that its process did not see to its end is there as a whole or not at all, and which of the two is left to
//! chance: the store promises that much and no more.

use crate::clock::SimClock;
use crate::stage::{Life, Seam, Stage, Verdict};
use crate::watch::Watch;
use async_trait::async_trait;
use bursar_ledger::{
    BudgetState, CommitError, Commitment, Committed, Entry, HoldState, MemoryStore, Payload, Store,
    StoreError, StreamId, Transaction, TreeHead, Verification,
};
use bursar_proof::{Hash, Node};
use bursar_types::{BudgetId, Entropy, HoldId, LedgerId, SeededEntropy};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What survives.
#[derive(Debug)]
pub(crate) struct Disk {
    store: MemoryStore,
    /// The store's clock: that of the process which uses it at the moment, as with a file.
    clock: Arc<SimClock>,
    stage: Arc<Stage>,
    watch: Arc<Watch>,
    /// Writes that were begun and not yet made.
    begun: Mutex<BTreeMap<u64, (Life, Transaction)>>,
}

impl Disk {
    pub(crate) fn new(seed: u64, clock: Arc<SimClock>, stage: Arc<Stage>, watch: Arc<Watch>) -> Arc<Self> {
        let store = MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(seed)));
        Arc::new(Self { store, clock, stage, watch, begun: Mutex::default() })
    }

    fn begun(&self) -> MutexGuard<'_, BTreeMap<u64, (Life, Transaction)>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes that nobody waits for any more: their process died, or gave up, in the middle.
    pub(crate) fn torn(&self) -> Vec<u64> {
        self.begun().keys().copied().filter(|ticket| !self.stage.is_parked(*ticket)).collect()
    }

    /// Settles what became of a torn write.
    pub(crate) async fn settle(&self, ticket: u64, written: bool) {
        let Some((life, transaction)) = self.begun().remove(&ticket) else { return };
        let label = label(&transaction);
        self.stage.count(format!("torn {} {label}", if written { "whole" } else { "gone" }));
        if written {
            let result = self.apply(life, transaction).await;
            let done = if result.is_ok() { "is there" } else { "would have been refused" };
            self.stage.note(format_args!("torn write of {life} {done}: {label}"));
        } else {
            self.stage.note(format_args!("torn write of {life} is gone: {label}"));
        }
    }

    /// Commits, and tells the watch.
    async fn apply(&self, life: Life, transaction: Transaction) -> Result<Committed, CommitError> {
        let result = self.store.commit(transaction.clone()).await;
        match &result {
            Ok(committed) => self.watch.committed(life, &transaction, committed),
            Err(CommitError::Refused(refusal)) => {
                let name = format!("{refusal:?}");
                let name = name.split([' ', '(']).next().unwrap_or_default().to_owned();
                self.stage.count(format!("refused {name}"));
            }
            Err(CommitError::Store(_)) => self.stage.count("store failed"),
        }
        result
    }

    /// Checks everything that is written.
    pub(crate) async fn verify(&self) -> Vec<String> {
        match self.store.verify().await {
            Ok(verification) => verification.problems,
            Err(error) => vec![error.to_string()],
        }
    }
}

/// What a transaction writes, in a word. What only says why is left out beside what was done.
pub(crate) fn label(transaction: &Transaction) -> String {
    let why = |kind: &&str| kind.starts_with("decision.") || kind.starts_with("gate.");
    let mut kinds: Vec<&str> = transaction.entries.iter().map(|entry| entry.kind.as_ref()).collect();
    if !kinds.iter().all(why) {
        kinds.retain(|kind| !why(kind));
    }
    match kinds.as_slice() {
        [] => "accounts".to_owned(),
        [one] => (*one).to_owned(),
        [first, .., last] if first == last => (*first).to_owned(),
        [first, second, ..] => format!("{first}+{second}"),
    }
}

/// One life's handle on the disk.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) disk: Arc<Disk>,
    pub(crate) life: Life,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
}

impl Handle {
    async fn reading(&self, what: &'static str) -> Result<&MemoryStore, StoreError> {
        match self.disk.stage.pass_often(self.life, Seam::Read(what)).await {
            Verdict::Fail => Err(StoreError::Io("the disk cannot be read".into())),
            _ => Ok(self.store()),
        }
    }

    fn store(&self) -> &MemoryStore {
        self.disk.clock.set_skew_ms(self.clock.skew_ms());
        &self.disk.store
    }
}

#[async_trait]
impl Store for Handle {
    fn id(&self) -> LedgerId {
        self.disk.store.id()
    }

    fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (stage, label) = (&self.disk.stage, label(&transaction));
        stage.alive(self.life).await;
        let ticket = stage.ticket();
        self.disk.begun().insert(ticket, (self.life, transaction));
        let verdict = stage.pass(self.life, ticket, Seam::Commit(label.clone())).await;
        let begun = self.disk.begun().remove(&ticket);
        let (Some((_, transaction)), Verdict::Go) = (begun, verdict) else {
            return Err(StoreError::Io("the disk is full".into()).into());
        };
        self.store();
        let committed = self.disk.apply(self.life, transaction).await?;
        match stage.pass_often(self.life, Seam::Committed(label)).await {
            Verdict::Fail => Err(StoreError::Io("the disk went away while it was written".into()).into()),
            _ => Ok(committed),
        }
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        let store = self.reading("stream").await?;
        let entries = store.stream(stream, from).await?;
        self.disk.watch.read(self.life, stream);
        Ok(entries)
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.reading("entries").await?.entries(from, limit).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        self.reading("streams").await?.streams(prefix).await
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        self.reading("budget").await?.budget(id).await
    }

    async fn budgets(&self, ids: &[BudgetId]) -> Result<Vec<Option<BudgetState>>, StoreError> {
        self.reading("budgets").await?.budgets(ids).await
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        self.reading("hold").await?.hold(id).await
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.reading("link").await?.link(key).await
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.reading("links").await?.links(prefix).await
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        self.reading("sealed").await?.sealed(commitment).await
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        self.reading("payload").await?.payload(commitment).await
    }

    async fn head(&self) -> Result<TreeHead, StoreError> {
        self.reading("head").await?.head().await
    }

    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError> {
        self.reading("nodes").await?.nodes(nodes).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.reading("everything").await?.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
