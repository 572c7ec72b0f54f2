//! The buyers: agents that work through their scripts, and after a crash go on where they were.

use crate::scenario::Op;
use crate::stage::{Life, Seam};
use crate::world::World;
use bursar_payments::{Payments, SessionHooks, SessionPurse};
use bursar_types::{
    FetchError, Fetched, HttpRequest, PlanItem, PlanOutcome, PlanProposal, Provenance, PurchaseKey, Purse,
    Quote, QuoteOutcome, Untrusted,
};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait before a process tries again to get at its session.
const WAIT_MS_MAX: u64 = 500;

/// How often a process looks after what is open before it leaves that to others.
const ROUNDS: u32 = 60;

/// A life of a process, from its start.
pub(crate) async fn live(world: Arc<World>, life: Life) {
    let payments = Payments::new(world.parts(life));
    let begins = Seam::Step("start".to_owned());
    world.stage.pass(life, world.stage.ticket(), begins).await;
    if world.scenario.recovers_first && life.number > 1 {
        let _ = recover(&world, life, &payments).await;
    }
    let session = session(&world, life, &payments).await;
    if let Some(every_ms) = world.scenario.watches_ms {
        tokio::spawn(look_after(world.clone(), life, payments.clone(), Duration::from_millis(every_ms)));
    }
    for lane in 0..world.lanes(life.process) {
        let (world, payments, session) = (world.clone(), payments.clone(), session.clone());
        tokio::spawn(async move {
            let buyer = Buyer { purse: session.handle(), world, life, payments, session };
            buyer.work(lane).await;
        });
    }
}

/// Opens the session of this process, or takes up the one there is.
async fn session(world: &World, life: Life, payments: &Payments) -> Arc<SessionPurse> {
    let slot = world.slot(life.process);
    let mut wait_ms = 5_u64;
    loop {
        world.stage.alive(life).await;
        let opened = match world.session(slot) {
            Some(session) => payments.resume_session(session, SessionHooks::default()).await,
            None => payments.open_session(world.mandate(), SessionHooks::default()).await,
        };
        world.stage.alive(life).await;
        match opened {
            Ok(session) => {
                world.keep_session(slot, session.session());
                return session;
            }
            Err(error) => {
                world.stage.count("session not opened");
                world.stage.note(format_args!("{life} has no session yet: {error}"));
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                wait_ms = wait_ms.saturating_mul(2).min(WAIT_MS_MAX);
            }
        }
    }
}

/// Takes up what is open every now and then, until the process dies or the storm is over.
async fn look_after(world: Arc<World>, life: Life, payments: Payments, every: Duration) {
    let stage = world.stage.clone();
    let watching = payments.watch(every, move |found| {
        stage.count(if found.is_ok() { "looked after" } else { "looking after failed" });
    });
    // Days may pass in a seed; nothing new is looked at after so many rounds.
    for _ in 0..ROUNDS {
        if world.stage.is_calm() || world.stage.is_dead(life) {
            break;
        }
        tokio::time::sleep(every).await;
    }
    drop(watching);
}

/// Takes up what is open.
async fn recover(world: &World, life: Life, payments: &Payments) -> Result<(), FetchError> {
    let found = payments.recover().await;
    world.stage.alive(life).await;
    world.stage.note(format_args!("{life} recovers: {found:?}"));
    world.stage.count(if found.is_ok() { "recovered" } else { "recovery failed" });
    found.map(|_| ())
}

/// An agent with its purse.
struct Buyer {
    world: Arc<World>,
    life: Life,
    payments: Payments,
    session: Arc<SessionPurse>,
    purse: Purse,
}

impl Buyer {
    async fn work(&self, lane: usize) {
        let (stage, process) = (&self.world.stage, self.life.process);
        while let Some(op) = self.world.next_op(process, lane) {
            stage.pass(self.life, stage.ticket(), Seam::Step(format!("{op:?}"))).await;
            self.perform(&op).await;
            stage.alive(self.life).await;
            self.world.done_op(process, lane);
        }
    }

    async fn perform(&self, op: &Op) {
        match op {
            Op::Quote(document) => drop(self.quotes(*document).await),
            Op::Plan(document, count) => {
                let quotes = self.quotes(*document).await;
                self.plan(&quotes, *count).await;
            }
            Op::Fetch(document, key) => self.fetch(*document, *key).await,
            Op::Again(document, key, times) => {
                for _ in 0..*times {
                    self.fetch(*document, *key).await;
                }
            }
            Op::AtOnce(document, key, times) => self.at_once(*document, *key, *times).await,
            Op::Impatient(document, key, wait_ms) => self.impatient(*document, *key, *wait_ms).await,
            Op::Freeze => {
                let frozen = self.session.freeze("somebody said so").await;
                self.world.stage.note(format_args!("{} freezes: {}", self.life, frozen.is_ok()));
            }
            Op::Thaw => {
                // A session that stays frozen by mistake buys nothing more.
                while self.session.thaw("somebody").await.is_err() {
                    self.world.stage.alive(self.life).await;
                }
            }
            Op::Standing => drop(self.purse.standing().await),
            Op::Recover => drop(recover(&self.world, self.life, &self.payments).await),
            Op::Pause(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        }
    }

    /// Fetches a document; where it costs money and nothing covers it, plans to buy it and fetches again.
    async fn fetch(&self, document: usize, key: u8) {
        let told = self.fetch_once(document, key).await;
        if let Some(Fetched::Quotes { quotes, .. }) = told
            && self.plan(&quotes, 1).await
        {
            drop(self.fetch_once(document, key).await);
        }
    }

    async fn fetch_once(&self, document: usize, key: u8) -> Option<Fetched> {
        let url = self.world.url(document);
        let name = format!("{document}-{key}");
        let call = self.world.watch.asks(self.life, &url, &name);
        let told = self.purse.fetch(get(&url), purchase_key(&name)?).await;
        self.world.stage.alive(self.life).await;
        self.world.watch.told(call, &told);
        told.ok()
    }

    async fn at_once(&self, document: usize, key: u8, times: u8) {
        let mut tasks = Vec::new();
        for _ in 0..times {
            let (world, life, purse) = (self.world.clone(), self.life, self.purse.clone());
            tasks.push(tokio::spawn(async move {
                let (url, name) = (world.url(document), format!("{document}-{key}"));
                let Some(key) = purchase_key(&name) else { return };
                let call = world.watch.asks(life, &url, &name);
                let told = purse.fetch(get(&url), key).await;
                world.stage.alive(life).await;
                world.watch.told(call, &told);
            }));
        }
        for task in tasks {
            drop(task.await);
        }
    }

    /// Drops the future half way. What it began goes on without it.
    async fn impatient(&self, document: usize, key: u8, wait_ms: u64) {
        let url = self.world.url(document);
        let name = format!("{document}-{key}");
        let Some(key) = purchase_key(&name) else { return };
        let call = self.world.watch.asks(self.life, &url, &name);
        let wait = Duration::from_millis(wait_ms);
        match tokio::time::timeout(wait, self.purse.fetch(get(&url), key)).await {
            Ok(told) => {
                self.world.stage.alive(self.life).await;
                self.world.watch.told(call, &told);
            }
            Err(_) => self.world.stage.count("fetch dropped half way"),
        }
    }

    async fn quotes(&self, document: usize) -> Vec<Quote> {
        let asked = self.purse.quote(get(&self.world.url(document))).await;
        match asked {
            Ok(QuoteOutcome::Quotes(quotes)) => quotes,
            Ok(QuoteOutcome::Free(_)) | Err(_) => Vec::new(),
        }
    }

    /// Plans to buy the first quote that can be paid. Whether it was approved.
    async fn plan(&self, quotes: &[Quote], count: u32) -> bool {
        let Some(quote) = quotes.iter().find(|quote| quote.blocked.is_none()) else { return false };
        let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
        let items = vec![PlanItem { quote: quote.id, count, purpose: says("to read") }];
        let outcome = self.purse.propose(PlanProposal::new(says("simulation"), items)).await;
        self.world.stage.count(match &outcome {
            Ok(PlanOutcome::Approved { .. }) => "plan approved",
            Ok(PlanOutcome::AwaitingApproval { .. }) => "plan waits",
            Ok(PlanOutcome::Refused { .. }) => "plan refused",
            Err(_) => "plan failed",
        });
        matches!(outcome, Ok(PlanOutcome::Approved { .. }))
    }
}

fn get(url: &str) -> HttpRequest {
    let mut request = http::Request::new(Bytes::new());
    if let Ok(uri) = url.parse() {
        *request.uri_mut() = uri;
    }
    request
}

fn purchase_key(name: &str) -> Option<PurchaseKey> {
    PurchaseKey::new(name).ok()
}
