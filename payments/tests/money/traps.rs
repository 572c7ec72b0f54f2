//! A purse whose wallet, rail, network and ledger stop, fail or die at a chosen step.

use async_trait::async_trait;
use bursar_ledger::{
    BudgetState, CommitError, Commitment, Committed, Entry, HoldState, Ledger, Payload, Store, StoreError,
    StreamId, Transaction, TreeHead, Verification,
};
use bursar_payments::{
    Authorization, AuthorizeError, Clearance, Exchange, Offer, OfferError, Order, Outcome, PaymentsParts,
    Prepared, Rail, Signable, Wallet, WalletError,
};
use bursar_proof::{Hash, Node};
use bursar_types::{
    Amount, BudgetId, Entropy, HoldId, HttpRequest, HttpResponse, LedgerId, Limits, Transport, TransportError,
};
use bytes::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Where a trap is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Before the rail fixes the terms. Cannot pause.
    Prepare,
    /// Before the wallet signs.
    Sign,
    /// Before a request with a payment leaves.
    Present,
    /// After a payment's answer came, before anyone has seen it.
    Answer,
    /// After the rail has read what became of an authorization.
    Recovered,
    /// Before an entry of this kind is committed.
    Commit(&'static str),
    /// Before a payload with this text is read.
    Payload(&'static str),
}

/// What happens there, once.
pub(crate) enum Spring {
    /// It fails as such a thing fails.
    Fail,
    /// The worker dies.
    Panic,
    /// The worker stands still until it is let go.
    Pause(Pause),
    /// Something else happens first.
    Run(Box<dyn FnOnce() + Send>),
}

/// A place where a worker stands still.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pause(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    go: Notify,
    fails: AtomicBool,
}

impl Pause {
    /// Waits until the worker is there.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets it go on.
    pub(crate) fn let_go(&self) {
        self.0.go.notify_one();
    }

    /// Lets it go on, and fail.
    pub(crate) fn fail(&self) {
        self.0.fails.store(true, Ordering::SeqCst);
        self.let_go();
    }
}

/// The traps of one process.
#[derive(Clone, Default)]
pub(crate) struct Traps {
    set: Arc<Mutex<Vec<(Step, Spring)>>>,
    paid: Arc<Mutex<Vec<String>>>,
}

impl fmt::Debug for Traps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traps")
    }
}

impl Traps {
    /// Puts traps around everything a purse is made of.
    pub(crate) fn around(parts: PaymentsParts) -> (PaymentsParts, Self) {
        let traps = Self::default();
        let rails = parts
            .rails
            .into_iter()
            .map(|inner| -> Arc<dyn Rail> { Arc::new(Trapped { inner, traps: traps.clone() }) });
        let parts = PaymentsParts {
            rails: rails.collect(),
            wallet: Arc::new(Trapped { inner: parts.wallet, traps: traps.clone() }),
            transport: Arc::new(Trapped { inner: parts.transport, traps: traps.clone() }),
            ledger: Ledger::new(Arc::new(Trapped { inner: parts.ledger, traps: traps.clone() })),
            ..parts
        };
        (parts, traps)
    }

    /// Sets a trap; it springs once.
    pub(crate) fn set(&self, step: Step, spring: Spring) {
        self.set.lock().unwrap().push((step, spring));
    }

    /// Sets a pause.
    pub(crate) fn pause(&self, step: Step) -> Pause {
        let pause = Pause::default();
        self.set(step, Spring::Pause(pause.clone()));
        pause
    }

    /// Where payments were presented.
    pub(crate) fn paid(&self) -> Vec<String> {
        self.paid.lock().unwrap().clone()
    }

    fn take(&self, here: impl Fn(Step) -> bool) -> Option<Spring> {
        let mut set = self.set.lock().unwrap();
        let index = set.iter().position(|(step, _)| here(*step))?;
        Some(set.remove(index).1)
    }

    /// Whether the step fails.
    async fn spring(&self, step: Step) -> bool {
        self.spring_at(|at| at == step).await
    }

    async fn spring_at(&self, here: impl Fn(Step) -> bool) -> bool {
        match self.take(here) {
            None => false,
            Some(Spring::Fail) => true,
            Some(Spring::Panic) => panic!("the worker dies here"),
            Some(Spring::Pause(pause)) => {
                pause.0.reached.notify_one();
                pause.0.go.notified().await;
                pause.0.fails.load(Ordering::SeqCst)
            }
            Some(Spring::Run(run)) => {
                run();
                false
            }
        }
    }
}

#[derive(Debug)]
struct Trapped<T> {
    inner: T,
    traps: Traps,
}

#[async_trait]
impl Wallet for Trapped<Arc<dyn Wallet>> {
    fn address(&self) -> &str {
        self.inner.address()
    }

    fn can_approve_as(&self, approver: &bursar_payments::PublicKey) -> bool {
        self.inner.can_approve_as(approver)
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        match self.traps.spring(Step::Sign).await {
            true => Err(WalletError::Signer("the signer is away".into())),
            false => self.inner.sign(signable).await,
        }
    }
}

#[async_trait]
impl Transport for Trapped<Arc<dyn Transport>> {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let pays =
            ["payment-signature", "x-payment"].iter().any(|name| request.headers().contains_key(*name));
        if !pays {
            return self.inner.send(request, limits).await;
        }
        self.traps.paid.lock().unwrap().push(request.uri().to_string());
        if self.traps.spring(Step::Present).await {
            return Err(TransportError::NotSent { host: "the vendor".to_owned(), source: "no line".into() });
        }
        let answer = self.inner.send(request, limits).await;
        match self.traps.spring(Step::Answer).await {
            true => Err(TransportError::NoAnswer { host: "the vendor".to_owned(), source: "cut".into() }),
            false => answer,
        }
    }
}

#[async_trait]
impl Rail for Trapped<Arc<dyn Rail>> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn offers(&self, exchange: &Exchange<'_>) -> Result<Vec<Offer>, OfferError> {
        self.inner.offers(exchange)
    }

    async fn funds(&self, offer: &Offer) -> Result<Option<Amount>, String> {
        self.inner.funds(offer).await
    }

    fn prepare(&self, order: &Order) -> Result<Prepared, OfferError> {
        match self.traps.take(|step| step == Step::Prepare) {
            None => {}
            Some(Spring::Run(run)) => run(),
            Some(Spring::Panic) => panic!("the worker dies here"),
            Some(Spring::Fail) => {
                return Err(OfferError::Unreadable(bursar_types::Reason::new(
                    "TEST",
                    "the terms are damaged",
                    "none",
                )));
            }
            Some(Spring::Pause(_)) => panic!("prepare cannot pause"),
        }
        self.inner.prepare(order)
    }

    async fn authorize(
        &self,
        clearance: Clearance,
        wallet: &dyn Wallet,
    ) -> Result<Authorization, AuthorizeError> {
        self.inner.authorize(clearance, wallet).await
    }

    fn outcome(&self, prepared: &Prepared, answer: Result<&HttpResponse, &TransportError>) -> Outcome {
        self.inner.outcome(prepared, answer)
    }

    async fn recover(&self, prepared: &Prepared) -> Outcome {
        let outcome = self.inner.recover(prepared).await;
        match self.traps.spring(Step::Recovered).await {
            true => Outcome::Unknown { problem: "the chain cannot be read".to_owned() },
            false => outcome,
        }
    }
}

#[async_trait]
impl Store for Trapped<Ledger> {
    fn id(&self) -> LedgerId {
        self.inner.id()
    }

    fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let kinds: Vec<_> = transaction.entries.iter().map(|entry| entry.kind.clone()).collect();
        let here = |step| matches!(step, Step::Commit(kind) if kinds.iter().any(|found| found == kind));
        match self.traps.spring_at(here).await {
            true => Err(CommitError::Store(StoreError::Io("the disk is full".into()))),
            false => self.inner.commit(transaction).await,
        }
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.inner.stream(stream, from).await
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(from, limit).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        self.inner.streams(prefix).await
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        self.inner.budget(id).await
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        self.inner.hold(id).await
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.inner.link(key).await
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.links(prefix).await
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        self.inner.sealed(commitment).await
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.inner.payload(commitment).await?;
        let text = bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let here = |step| matches!(step, Step::Payload(marker) if text.starts_with(marker));
        match self.traps.spring_at(here).await {
            true => Err(StoreError::Io("the disk cannot be read".into())),
            false => Ok(bytes),
        }
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
