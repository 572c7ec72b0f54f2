//! Helpers: a session that may buy three things without asking, a compensator that counts, and a payee that pays back.

use crate::world::{Setup, World};
use async_trait::async_trait;
use bursar_ledger::StreamId;
use bursar_market::{Address, Chain};
use bursar_payments::{
    Authorization, AuthorizeError, ChainEvent, Clearance, CompensationId, Compensator, Compensators,
    Exchange, Inflow, InflowQuery, Offer, OfferError, Order, Outcome, Payments, Prepared, Rail, RefundAnswer,
    RefundRequest, RemedyError, SagaEvent, SagaId, SagaOptions, SessionPurse, Transfer, Wallet,
};
use bursar_types::{Amount, HttpResponse, Timestamp, TransportError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts what it takes back, and fails as often as it is told to.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    name: &'static str,
    failures: Mutex<u32>,
    refuses: bool,
    stuck: bool,
    panics: bool,
    reached: tokio::sync::Notify,
    asked: Mutex<Vec<(Value, CompensationId)>>,
    done: Mutex<BTreeMap<CompensationId, u32>>,
}

impl Counting {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, ..Self::default() })
    }

    pub(crate) fn failing(name: &'static str, times: u32) -> Arc<Self> {
        Arc::new(Self { name, failures: Mutex::new(times), ..Self::default() })
    }

    pub(crate) fn refusing(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, refuses: true, ..Self::default() })
    }

    /// One that never ends.
    pub(crate) fn stuck(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, stuck: true, ..Self::default() })
    }

    /// One with a mistake in it.
    pub(crate) fn panicking(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, panics: true, ..Self::default() })
    }

    /// Waits until one that never ends has begun.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What it was told, in order.
    pub(crate) fn arguments(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(arguments, _)| arguments.clone()).collect()
    }

    /// How many different things it took back: the same id counts once.
    pub(crate) fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }
}

#[async_trait]
impl Compensator for Counting {
    fn name(&self) -> &str {
        self.name
    }

    async fn compensate(&self, arguments: &Value, id: CompensationId) -> Result<String, RemedyError> {
        self.asked.lock().unwrap().push((arguments.clone(), id));
        assert!(!self.panics, "a mistake in a user's own code");
        if self.stuck {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        if self.refuses {
            return Err(RemedyError::Refused("it is gone for good".to_owned()));
        }
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(RemedyError::Failed("the store is away".to_owned()));
        }
        *self.done.lock().unwrap().entry(id).or_default() += 1;
        Ok("deleted".to_owned())
    }
}

pub(crate) fn with(compensators: &[&Arc<Counting>]) -> SagaOptions {
    let known = Compensators::default();
    for compensator in compensators {
        known.register((*compensator).clone());
    }
    SagaOptions { compensators: known, ..SagaOptions::default() }
}

/// A session that may buy each document up to three times without asking.
pub(crate) async fn session(world: &World) -> Arc<SessionPurse> {
    let mut item = world.metered("/documents/*");
    item.count = 6;
    world.session_under(world.mandate().metered(item), None).await
}

/// The same session in another process over the same data file.
pub(crate) async fn taken_up(payments: &Payments, session: &SessionPurse) -> Arc<SessionPurse> {
    payments.resume_session(session.session(), Default::default()).await.unwrap()
}

/// A saga's events, from the journal.
pub(crate) async fn events(world: &World, saga: SagaId) -> Vec<SagaEvent> {
    world.ledger.events(&StreamId::of("saga", saga), 0).await.unwrap()
}

/// The steps in the order in which they began to be taken back, each try.
pub(crate) async fn undone(world: &World, saga: SagaId) -> Vec<String> {
    let began = |event| match event {
        SagaEvent::UndoStarted { step, .. } => Some(step),
        _ => None,
    };
    events(world, saga).await.into_iter().filter_map(began).collect()
}

/// The kinds of entries of all payments, with the number of the payment in `of`, in the order of the journal.
pub(crate) async fn claims(world: &World) -> Vec<String> {
    let entries = world.ledger.entries(0, 10_000).await.unwrap();
    let claimed = entries.into_iter().filter(|entry| entry.kind == "obligation.claim_opened");
    claimed.map(|entry| entry.stream.to_string()).collect()
}

/// A world whose payee gives back what it is asked for, and the payments of a process that reads that from the chain.
pub(crate) async fn generous(setup: Setup) -> (World, Payments) {
    let world = World::with(setup).await;
    let payments = refunding(&world, 7);
    (world, payments)
}

/// Another process of such a world.
pub(crate) fn refunding(world: &World, seed: u64) -> Payments {
    let mut parts = world.parts(seed);
    let to: Address = parts.wallet.address().parse().unwrap();
    parts.rails = parts
        .rails
        .into_iter()
        .map(|inner| -> Arc<dyn Rail> {
            let (chain, payee) = (world.market.chain().clone(), world.market.seller(0).unwrap().pay_to());
            Arc::new(Refunding { inner, chain, payee, to, kept: Mutex::default() })
        })
        .collect();
    Payments::new(parts)
}

/// A rail on which payees give back what they are asked for, as plain transfers on the chain.
#[derive(Debug)]
struct Refunding {
    inner: Arc<dyn Rail>,
    chain: Chain,
    payee: Address,
    to: Address,
    kept: Mutex<Vec<String>>,
}

#[async_trait]
impl Rail for Refunding {
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
        self.inner.recover(prepared).await
    }

    async fn request_refund(&self, request: &RefundRequest) -> Result<RefundAnswer, RemedyError> {
        let mut kept = self.kept.lock().unwrap();
        if !kept.contains(&request.id) {
            kept.push(request.id.clone());
            self.chain.transfer(self.payee, self.to, request.amount.atomic()).unwrap();
        }
        Ok(RefundAnswer::Accepted { amount: Some(request.amount.clone()) })
    }

    async fn inflow(&self, query: &InflowQuery) -> Result<Inflow, RemedyError> {
        let from = query.from.as_ref().map_or(0, |from| from.parse().unwrap());
        let all = self.chain.plain_transfers();
        let came = all.iter().enumerate().skip(from).filter(|(_, transfer)| transfer.to == self.to);
        let transfers = came.map(|(index, transfer)| Transfer {
            event: ChainEvent {
                network: query.asset.network().to_owned(),
                transaction: transfer.transaction.to_string(),
                index: u64::try_from(index).unwrap(),
            },
            from: transfer.from.to_string(),
            amount: Amount::from_atomic(query.asset.clone(), transfer.value),
            at: Timestamp::from_unix_ms(transfer.timestamp_s * 1_000),
        });
        Ok(Inflow { transfers: transfers.collect(), upto: all.len().to_string() })
    }
}
