//! Processes that die: from a named point on, nothing of a life goes on, and nothing it waits for ever comes.

use crate::scenario::Point;
use async_trait::async_trait;
use bursar::ledger::{
    BudgetState, CommitError, Commitment, Committed, Entry, HoldState, Ledger, Payload, Store, StoreError,
    StreamId, Transaction, TreeHead, Verification,
};
use bursar::payments::{Signable, Wallet, WalletError};
use bursar::proof::{Hash, Node};
use bursar::types::{
    BudgetId, Entropy, HoldId, HttpRequest, HttpResponse, LedgerId, Limits, Transport, TransportError,
};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One life of a process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    dead: AtomicBool,
    died: Notify,
    points: Mutex<Vec<Point>>,
}

impl Life {
    /// From now on it dies at this point.
    pub(crate) fn arm(&self, point: Point) {
        self.points.lock().unwrap_or_else(PoisonError::into_inner).push(point);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Waits until it is dead.
    pub(crate) async fn over(&self) {
        let died = self.died.notified();
        if !self.is_over() {
            died.await;
        }
    }

    /// Goes on if it lives; else never.
    async fn alive(&self) {
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    async fn pass(&self, here: impl Fn(&Point) -> bool) {
        self.alive().await;
        let found = self.points.lock().unwrap_or_else(PoisonError::into_inner).iter().any(here);
        if found {
            self.dead.store(true, Ordering::SeqCst);
            self.died.notify_waiters();
            std::future::pending::<()>().await;
        }
    }
}

/// Digests that the wallet has signed, in all lives.
#[derive(Debug, Default)]
pub(crate) struct Signed(Mutex<BTreeSet<[u8; 32]>>);

impl Signed {
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A wallet of a life.
#[derive(Debug)]
pub(crate) struct MortalWallet {
    pub(crate) inner: Arc<dyn Wallet>,
    pub(crate) life: Arc<Life>,
    pub(crate) signed: Arc<Signed>,
}

#[async_trait]
impl Wallet for MortalWallet {
    fn address(&self) -> &str {
        self.inner.address()
    }

    fn can_approve_as(&self, approver: &bursar::payments::PublicKey) -> bool {
        self.inner.can_approve_as(approver)
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        self.life.pass(|point| *point == Point::BeforeSign).await;
        let digest = *signable.digest().as_bytes();
        let signature = self.inner.sign(signable).await?;
        self.signed.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        self.life.pass(|point| *point == Point::AfterSign).await;
        Ok(signature)
    }
}

/// A network of a life.
#[derive(Debug)]
pub(crate) struct MortalTransport<T> {
    pub(crate) inner: T,
    pub(crate) life: Arc<Life>,
}

#[async_trait]
impl<T: Transport> Transport for MortalTransport<T> {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        self.life.alive().await;
        let paid =
            ["payment-signature", "x-payment"].iter().any(|name| request.headers().contains_key(*name));
        if paid {
            self.life.pass(|point| *point == Point::BeforePresent).await;
        }
        let answer = self.inner.send(request, limits).await;
        if paid {
            self.life.pass(|point| *point == Point::AfterAnswer).await;
        }
        self.life.alive().await;
        answer
    }
}

/// A ledger of a life.
#[derive(Debug)]
pub(crate) struct MortalLedger {
    pub(crate) inner: Ledger,
    pub(crate) life: Arc<Life>,
}

#[async_trait]
impl Store for MortalLedger {
    fn id(&self) -> LedgerId {
        self.inner.id()
    }

    fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let kinds: Vec<_> = transaction.entries.iter().map(|entry| entry.kind.clone()).collect();
        let writes = |kind: &str| kinds.iter().any(|written| written == kind);
        self.life.pass(|point| matches!(point, Point::BeforeCommit(kind) if writes(kind))).await;
        let committed = self.inner.commit(transaction).await;
        // What was refused was not written.
        if committed.is_ok() {
            self.life.pass(|point| matches!(point, Point::AfterCommit(kind) if writes(kind))).await;
        }
        committed
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.life.alive().await;
        self.inner.stream(stream, from).await
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.life.alive().await;
        self.inner.entries(from, limit).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        self.life.alive().await;
        self.inner.streams(prefix).await
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        self.life.alive().await;
        self.inner.budget(id).await
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        self.life.alive().await;
        self.inner.hold(id).await
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.life.alive().await;
        self.inner.link(key).await
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.life.alive().await;
        self.inner.links(prefix).await
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        self.life.alive().await;
        self.inner.sealed(commitment).await
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        self.life.alive().await;
        self.inner.payload(commitment).await
    }

    async fn stream_with_payloads(
        &self,
        stream: &StreamId,
        from: u64,
    ) -> Result<Vec<(Entry, Option<Bytes>)>, StoreError> {
        self.life.alive().await;
        self.inner.stream_with_payloads(stream, from).await
    }

    async fn link_values(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        self.life.alive().await;
        self.inner.link_values(keys).await
    }

    async fn head(&self) -> Result<TreeHead, StoreError> {
        self.inner.head().await
    }

    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError> {
        self.inner.nodes(nodes).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.inner.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
