//! The ledger as its users hold it.

use crate::account::{BudgetState, HoldState};
use crate::entry::{Entry, StreamId, TreeHead};
use crate::payload::{Commitment, Payload};
use crate::refusal::{CommitError, StoreError};
use crate::transaction::{Committed, Transaction};
use async_trait::async_trait;
use bursar_proof::{Hash, Node};
use bursar_types::{BudgetId, Entropy, HoldId, LedgerId};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// What a check of the whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The tree over the entries as read.
    pub head: TreeHead,
    /// Payloads whose bytes match their commitment.
    pub payloads_checked: u64,
    /// Payloads that the journal says were erased: what they were cannot be checked again.
    pub payloads_erased: u64,
    /// Every disagreement found, in words; empty means that the ledger verifies.
    pub problems: Vec<String>,
}

/// What keeps a ledger. Memory and SQLite come with this crate; one conformance suite holds for all.
///
/// # What implementers guarantee
/// A commit is all or nothing, serial with every other commit of any process, and durable before it answers.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The ledger's id, made when the store was created.
    fn id(&self) -> LedgerId;

    /// The randomness it was opened with, to seal payloads with.
    fn entropy(&self) -> &dyn Entropy;

    /// Commits a transaction.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// Entries of one stream from a position.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError>;

    /// Entries of the journal from a position, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Streams whose name starts with `prefix`, with their lengths, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError>;

    /// A budget as it stands.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError>;

    /// Several budgets, in the order of `ids`, as they stand at one moment where the store can tell.
    ///
    /// A decision reads every budget that a purchase touches. What this does by default is a read for each; a store that can
    /// read all of it at once should.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn budgets(&self, ids: &[BudgetId]) -> Result<Vec<Option<BudgetState>>, StoreError> {
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            states.push(self.budget(*id).await?);
        }
        Ok(states)
    }

    /// A hold as it stands.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError>;

    /// A link's value.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn link(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Links whose key starts with `prefix`, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// A payload's bytes; `None` once erased or never kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError>;

    /// A payload with its salt, to show to somebody who holds only the entry; `None` once erased or never kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError>;

    /// Entries of one stream from a position, each with the payload that its [`Entry::detail`] names; `None` for an entry
    /// that names none, and for a payload that was erased or never kept.
    ///
    /// A recovery reads thousands of short streams. What this does by default is a read for each payload; a store that
    /// can read all of it at once should.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn stream_with_payloads(
        &self,
        stream: &StreamId,
        from: u64,
    ) -> Result<Vec<(Entry, Option<Bytes>)>, StoreError> {
        let mut found = Vec::new();
        for entry in self.stream(stream, from).await? {
            let payload = match entry.detail() {
                Some(detail) => self.payload(detail).await?,
                None => None,
            };
            found.push((entry, payload));
        }
        Ok(found)
    }

    /// The values of several links, in the order of `keys`, as they stand at one moment where the store can tell.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn link_values(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.link(key).await?);
        }
        Ok(values)
    }

    /// Size and root of the tree.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn head(&self) -> Result<TreeHead, StoreError>;

    /// The hashes of complete subtrees of the tree, as they stand at one moment; `None` for one that is not complete.
    ///
    /// Proofs and tiles are made of them: [`Ledger::prove_inclusion`], [`Ledger::tile`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError>;

    /// Reads everything again: leaves and root, stream numbers, accounts replayed from the journal, payloads against
    /// their commitments, and the high-water mark.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read; what does not agree is listed in the answer.
    async fn verify(&self) -> Result<Verification, StoreError>;

    /// Finishes what was accepted and closes. Later calls give [`StoreError::Closed`]. A store in a file has closed it by then:
    /// it may be copied or moved.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn close(&self) -> Result<(), StoreError>;
}

/// A handle on a ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<dyn Store>);

impl Ledger {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl std::ops::Deref for Ledger {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
