//! A market, a purse and a data file, with one clock that moves when told to.

use bursar_ledger::{Ledger, SqliteOptions, SqliteStore, StreamId};
use bursar_market::{ManualClock as MarketClock, Market, SellerConfig, SourceDocument, TimeSource};
use bursar_payments::x402::{Finality, NetworkReader, X402, X402Options};
use bursar_payments::{
    Approver, Egress, HttpTransport, LocalWallet, Mandate, Meaning, MeteredItem, MoneyEvent, Observer,
    Payments, PaymentsParts, Policy, Rail, RecoveryRules, SessionHooks, SessionPurse, Wallet,
};
use bursar_types::{
    Amount, Asset, AssetId, AssetRegistry, Clock, Fetched, HttpRequest, Limits, ManualClock, PlanItem,
    PlanOutcome, PlanProposal, Provenance, PurchaseKey, Purse, Quote, QuoteOutcome, SeededEntropy, Timestamp,
    Untrusted,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The buyer's key; worth nothing anywhere.
pub(crate) const KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
const START_S: u64 = 1_795_000_000;

/// Keeps what the purse tells.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<MoneyEvent>>);

impl Observer for Kept {
    fn event(&self, event: &MoneyEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Kept {
    pub(crate) fn all(&self) -> Vec<MoneyEvent> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) market: Market,
    pub(crate) payments: Payments,
    pub(crate) ledger: Ledger,
    pub(crate) seen: Arc<Kept>,
    pub(crate) usdc: AssetId,
    wallet: Arc<LocalWallet>,
    clock: Arc<ManualClock>,
    market_clock: MarketClock,
    data: TempDir,
}

/// What a world is made with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) funds: u128,
    pub(crate) seller: SellerConfig,
    pub(crate) readable: bool,
    pub(crate) documents: Vec<SourceDocument>,
    /// How many more sellers there are, each at a host and with a payee of its own.
    pub(crate) others: usize,
}

impl Default for Setup {
    fn default() -> Self {
        let seller = SellerConfig::new("Docs").pricing(bursar_market::Pricing::flat(1_000));
        let documents = ["alpha", "beta", "gamma"]
            .map(|name| SourceDocument::new(format!("{name}.md"), format!("# {name}\n\nText of {name}.\n")));
        Self { funds: 1_000_000, seller, readable: true, documents: documents.to_vec(), others: 0 }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let wallet = Arc::new(LocalWallet::from_private_key(KEY).unwrap());
        let market_clock = MarketClock::new(START_S);
        let other = |n| {
            let seller = SellerConfig::new(format!("Other {n}"));
            seller.pricing(bursar_market::Pricing::flat(1_000)).documents(setup.documents.clone())
        };
        let builder = Market::builder().add_seller(setup.seller.documents(setup.documents.clone()));
        let market = (0..setup.others)
            .fold(builder, |builder, n| builder.add_seller(other(n)))
            .buyer_funds(address(wallet.address()), setup.funds)
            .clock(TimeSource::Manual(market_clock.clone()))
            .start()
            .await
            .unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_S * 1_000)));
        let data = tempfile::tempdir().unwrap();
        let parts = parts(&Place::of(&market, &data, setup.readable), &clock, &wallet, 1);
        let ledger = parts.ledger.clone();
        let usdc = parts
            .registry
            .iter()
            .find(|asset| asset.id().network() == market.network())
            .unwrap()
            .id()
            .clone();
        Self {
            market,
            payments: Payments::new(parts),
            ledger,
            seen: Arc::new(Kept::default()),
            usdc,
            wallet,
            clock,
            market_clock,
            data,
        }
    }

    /// The same data file, opened again by another process.
    pub(crate) fn reopened(&self, seed: u64) -> Payments {
        Payments::new(self.parts(seed))
    }

    /// What another process over the same data file is made of.
    pub(crate) fn parts(&self, seed: u64) -> PaymentsParts {
        parts(&Place::of(&self.market, &self.data, true), &self.clock, &self.wallet, seed)
    }

    /// The same over another data folder.
    pub(crate) fn parts_in(&self, folder: &std::path::Path, seed: u64) -> PaymentsParts {
        let place = Place { data: folder.to_owned(), ..Place::of(&self.market, &self.data, true) };
        parts(&place, &self.clock, &self.wallet, seed)
    }

    /// What another process has to know; it is as patient as a machine with many of them needs.
    pub(crate) fn place(&self) -> Place {
        let now_ms = self.now().unix_ms();
        Place { now_ms, timeout_ms: 60_000, ..Place::of(&self.market, &self.data, true) }
    }

    /// The same, where the market's token is said to be worth something.
    pub(crate) fn live_parts(&self, seed: u64) -> PaymentsParts {
        let token = self.market.token();
        let mut registry = AssetRegistry::pinned();
        let address = token.address.to_string();
        let domain = (token.name.as_str(), token.version.as_str());
        registry.insert(Asset::stablecoin(token.chain_id, &address, "USDC", token.decimals, domain, true));
        PaymentsParts { registry: Arc::new(registry), ..self.parts(seed) }
    }

    /// Whose money it is.
    pub(crate) fn payer(&self) -> &str {
        self.wallet.address()
    }

    /// The buyer's clock alone, which need not be right.
    pub(crate) fn clock(&self) -> Arc<ManualClock> {
        self.clock.clone()
    }

    pub(crate) fn mandate(&self) -> Mandate {
        Mandate::new("tests", "ada").session_budget(usd("0.50")).asset(self.usdc.clone())
    }

    /// A standing purchase of two things below a path of the seller, at most 0.0015 each.
    pub(crate) fn metered(&self, path: &str) -> MeteredItem {
        let seller = self.market.seller(0).unwrap();
        MeteredItem {
            name: "docs".to_owned(),
            resource: format!("{}{path}", seller.url()),
            method: "GET".to_owned(),
            payee: seller.pay_to().to_string(),
            asset: self.usdc.clone(),
            ceiling: Amount::from_atomic(self.usdc.clone(), 1_500),
            count: 2,
        }
    }

    pub(crate) async fn session(&self) -> Arc<SessionPurse> {
        self.session_under(self.mandate(), None).await
    }

    pub(crate) async fn session_under(
        &self,
        mandate: Mandate,
        approver: Option<Arc<dyn Approver>>,
    ) -> Arc<SessionPurse> {
        let hooks = SessionHooks { approver, observer: self.seen.clone(), ..SessionHooks::default() };
        self.payments.open_session(mandate, hooks).await.unwrap()
    }

    pub(crate) fn url(&self, document: &str) -> String {
        self.market.seller(0).unwrap().document_url(document)
    }

    pub(crate) fn advance_s(&self, seconds: u64) {
        self.clock.advance_ms(seconds * 1_000);
        self.market_clock.advance_s(seconds);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What left the wallet, as the chain says.
    pub(crate) fn outflow(&self) -> u128 {
        let from = address(self.wallet.address());
        self.market
            .chain()
            .transfers()
            .iter()
            .filter(|transfer| transfer.from == from)
            .map(|transfer| transfer.value)
            .sum()
    }

    /// What the ledger says was captured and held in a session.
    pub(crate) async fn books(&self, purse: &Purse) -> (u128, u128) {
        let standing = purse.standing().await.unwrap();
        (standing.budgets[0].spent.atomic(), standing.budgets[0].held.atomic())
    }

    /// What the budgets of its session show as spent for a payment and all others.
    pub(crate) async fn spent_by(&self, payment: bursar_types::PaymentId) -> u128 {
        let session = self.payments.obligation(payment).await.unwrap().unwrap().session;
        let purse = self.payments.resume_session(session, SessionHooks::default()).await.unwrap().handle();
        self.books(&purse).await.0
    }

    /// How many different authorizations the seller was shown.
    pub(crate) fn authorizations(&self) -> usize {
        self.market.seller(0).unwrap().log().nonces.len()
    }

    /// The payment's life, as kinds of journal entries.
    pub(crate) async fn life(&self, payment: bursar_types::PaymentId) -> Vec<String> {
        let entries = self.ledger.stream(&StreamId::of("payment", payment), 0).await.unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }

    pub(crate) async fn verify(&self) {
        assert_eq!(self.ledger.verify().await.unwrap().problems, Vec::<String>::new());
        assert_eq!(Meaning::of(&self.ledger).await.unwrap().problems, Vec::<String>::new());
    }
}

/// What another process has to know to pay in this world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    chain_id: u64,
    token: String,
    decimals: u8,
    name: String,
    version: String,
    network: String,
    rpc_url: String,
    data: PathBuf,
    now_ms: u64,
    readable: bool,
    timeout_ms: u64,
}

impl Place {
    fn of(market: &Market, data: &TempDir, readable: bool) -> Self {
        let token = market.token();
        Self {
            chain_id: token.chain_id,
            token: token.address.to_string(),
            decimals: token.decimals,
            name: token.name.clone(),
            version: token.version.clone(),
            network: market.network(),
            rpc_url: market.rpc_url().to_owned(),
            data: data.path().to_owned(),
            now_ms: START_S * 1_000,
            readable,
            timeout_ms: 2_000,
        }
    }

    /// What payments are made of here, with a clock that stands still.
    pub(crate) fn parts(&self, seed: u64) -> PaymentsParts {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(self.now_ms)));
        let wallet = Arc::new(LocalWallet::from_private_key(KEY).unwrap());
        parts(self, &clock, &wallet, seed)
    }
}

fn parts(place: &Place, clock: &Arc<ManualClock>, wallet: &Arc<LocalWallet>, seed: u64) -> PaymentsParts {
    let mut registry = AssetRegistry::pinned();
    registry.insert(Asset::stablecoin(
        place.chain_id,
        &place.token,
        "USDC",
        place.decimals,
        (&place.name, &place.version),
        false,
    ));
    let registry = Arc::new(registry);
    let entropy = Arc::new(SeededEntropy::new(seed));
    let clock: Arc<dyn Clock> = clock.clone();
    let options = SqliteOptions::new(
        place.data.join("ledger.sqlite"),
        place.data.join("mark"),
        clock.clone(),
        entropy.clone(),
    );
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options).unwrap()));
    let egress = Egress::internet().and_loopback();
    let transport = Arc::new(HttpTransport::guarded(egress).unwrap());
    let reader = NetworkReader {
        network: place.network.clone(),
        rpc_urls: vec![place.rpc_url.clone()],
        finality: Finality::Latest,
    };
    let rail: Arc<dyn Rail> = Arc::new(X402::new(X402Options {
        assets: registry.clone(),
        networks: if place.readable { vec![reader] } else { vec![] },
        transport: transport.clone(),
        payer: wallet.address().to_owned(),
        quote_ttl_ms: 600_000,
    }));
    PaymentsParts {
        ledger,
        policy: Arc::new(Policy::shipped().unwrap()),
        rails: vec![rail],
        wallet: wallet.clone(),
        transport,
        egress,
        registry,
        clock,
        entropy,
        limits: Limits { timeout_ms: place.timeout_ms, ..Limits::default() },
        recovery: RecoveryRules::default(),
        traces: Arc::new(bursar_types::telemetry::Untraced),
    }
}

pub(crate) fn usd(text: &str) -> Amount {
    Amount::parse_decimal(&Asset::micro_usd(), text).unwrap()
}

fn address(text: &str) -> bursar_market::Address {
    text.parse().unwrap()
}

pub(crate) fn get(url: &str) -> HttpRequest {
    http::Request::get(url).body(Bytes::new()).unwrap()
}

pub(crate) fn key(name: &str) -> PurchaseKey {
    PurchaseKey::new(name).unwrap()
}

pub(crate) async fn quotes(purse: &Purse, url: &str) -> Vec<Quote> {
    match purse.quote(get(url)).await.unwrap() {
        QuoteOutcome::Quotes(quotes) => quotes,
        QuoteOutcome::Free(response) => panic!("{url} is free: {}", response.status()),
    }
}

pub(crate) async fn propose(purse: &Purse, quotes: &[&Quote], count: u32) -> PlanOutcome {
    purse.propose(proposal(quotes, count)).await.unwrap()
}

/// What an agent would propose.
pub(crate) fn proposal(quotes: &[&Quote], count: u32) -> PlanProposal {
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let items =
        quotes.iter().map(|quote| PlanItem { quote: quote.id, count, purpose: says("to read") }).collect();
    PlanProposal::new(says("tests"), items)
}

/// Quotes, plans and buys one document.
pub(crate) async fn buy(world: &World, purse: &Purse, document: &str) -> Fetched {
    plan(world, purse, document).await;
    purse.fetch(get(&world.url(document)), key(document)).await.unwrap()
}

pub(crate) async fn plan(world: &World, purse: &Purse, document: &str) {
    let quotes = quotes(purse, &world.url(document)).await;
    let outcome = propose(purse, &[&quotes[0]], 1).await;
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
}
