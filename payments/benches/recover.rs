//! How long a start takes after a crash that left many payments open. `cargo bench -p bursar-payments --bench recover`
//!
//! The design names 10,000 in under 2 s. The ledger is a real SQLite file; the payments are real records of one purchase,
//! multiplied; the chain is asked through the real rail and answers at once, so that what is measured is ours. Nothing is
//! asserted about time, everything about money.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot start stops")]

use async_trait::async_trait;
use bursar_ledger::{
    AccountOp, Ledger, LinkWrite, SealedEvent, SqliteOptions, SqliteStore, StreamId, Transaction,
};
use bursar_market::{Market, Pricing, SellerConfig, SourceDocument, TimeSource};
use bursar_payments::x402::{X402, X402Options};
use bursar_payments::{
    Held, HttpTransport, LocalWallet, Mandate, MeteredItem, PaymentEvent, Payments, PaymentsParts, Policy,
    RecoveryRules, SessionHooks, Wallet,
};
use bursar_types::{
    Amount, Asset, AssetId, AssetRegistry, Clock, Digest, Entropy, Fetched, HoldId, HttpRequest,
    HttpResponse, Limits, ManualClock, PaymentId, PurchaseKey, SeededEntropy, Timestamp, Transport,
    TransportError,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
const START_S: u64 = 1_795_000_000;
/// How many payments a crash left open; few under `cargo test`, which only looks whether it runs.
const OPEN: u64 = 10_000;

fn main() {
    let open = if std::env::args().any(|argument| argument == "--bench") { OPEN } else { 50 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(open));
}

/// The market, and later a chain that has seen every window end with nothing used.
#[derive(Debug)]
struct Network {
    http: HttpTransport,
    market: Market,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let chain = request.uri().to_string().starts_with(self.market.rpc_url());
        if !chain || self.clock.now().unix_s() == START_S {
            return self.http.send(request, limits).await;
        }
        let asked: Value = serde_json::from_slice(request.body()).expect("JSON-RPC");
        let answer = match asked.as_array() {
            Some(all) => all.iter().map(|one| self.unused(one)).collect(),
            None => self.unused(&asked),
        };
        Ok(http::Response::new(Bytes::from(answer.to_string())))
    }
}

impl Network {
    fn unused(&self, asked: &Value) -> Value {
        let result = match asked.get("method").and_then(Value::as_str) {
            Some("eth_chainId") => json!("0x7a69"),
            Some("eth_getBlockByNumber") => {
                json!({"number": "0x64", "timestamp": format!("{:#x}", self.clock.now().unix_s())})
            }
            Some("eth_getLogs") => json!([]),
            _ => json!(format!("0x{}", "0".repeat(64))),
        };
        json!({"jsonrpc": "2.0", "id": asked.get("id"), "result": result})
    }
}

struct World {
    parts: PaymentsParts,
    clock: Arc<ManualClock>,
    url: String,
    mandate: Mandate,
    _data: tempfile::TempDir,
}

async fn world() -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_S * 1_000)));
    let wallet = Arc::new(LocalWallet::from_private_key(KEY).expect("a key"));
    let market = Market::builder()
        .main_seller(false)
        .resellers(false)
        .add_seller(
            SellerConfig::new("Docs")
                .pricing(Pricing::flat(1_000))
                .documents(vec![SourceDocument::new("alpha.md", "# alpha\n\nText.\n")]),
        )
        .buyer_funds(
            wallet.address().parse::<bursar_market::Address>().expect("an address"),
            u128::from(u64::MAX),
        )
        .clock(TimeSource::Manual(bursar_market::ManualClock::new(START_S)))
        .start()
        .await
        .expect("a market");
    let token = market.token().clone();
    let mut registry = AssetRegistry::pinned();
    let address = token.address.to_string();
    let name = (token.name.as_str(), token.version.as_str());
    registry.insert(Asset::stablecoin(token.chain_id, &address, "USDC", token.decimals, name, false));
    let registry = Arc::new(registry);
    let usdc =
        AssetId::parse(&format!("{}/erc20:{}", market.network(), address.to_lowercase())).expect("an asset");
    let seller = market.seller(0).expect("a seller");
    let (url, payee) = (seller.document_url("alpha"), seller.pay_to().to_string());
    let mandate = Mandate {
        metered: vec![MeteredItem {
            name: "docs".to_owned(),
            resource: url.clone(),
            method: "GET".to_owned(),
            payee,
            ceiling: Amount::from_atomic(usdc.clone(), 1_000),
            asset: usdc.clone(),
            count: 1_000_000,
        }],
        ..Mandate::new("benchmark", "ada")
            .session_budget(Amount::from_atomic(AssetId::micro_usd(), 1_000_000_000_000))
            .asset(usdc)
    };
    let reader = bursar_payments::x402::NetworkReader {
        network: market.network(),
        rpc_urls: vec![market.rpc_url().to_owned()],
        finality: bursar_payments::x402::Finality::Latest,
    };
    let data = tempfile::tempdir().expect("a folder");
    let entropy = Arc::new(SeededEntropy::new(1));
    let file = data.path().join("ledger.sqlite");
    let options = SqliteOptions::new(file, data.path().join("mark"), clock.clone(), entropy.clone());
    let transport: Arc<dyn Transport> =
        Arc::new(Network { http: HttpTransport::new().expect("a client"), market, clock: clock.clone() });
    let rail = X402::new(X402Options {
        assets: registry.clone(),
        networks: vec![reader],
        transport: transport.clone(),
        payer: wallet.address().to_owned(),
        quote_ttl_ms: 600_000,
    });
    let parts = PaymentsParts {
        ledger: Ledger::new(Arc::new(SqliteStore::open(options).expect("a data file"))),
        policy: Arc::new(Policy::shipped().expect("the shipped rules load")),
        rails: vec![Arc::new(rail)],
        wallet,
        transport,
        egress: bursar_payments::Egress::internet().and_loopback(),
        registry,
        clock: clock.clone(),
        entropy,
        limits: Limits::default(),
        recovery: RecoveryRules::default(),
        traces: Arc::new(bursar_types::telemetry::Untraced),
    };
    World { parts, clock, url, mandate, _data: data }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn measure(open: u64) {
    let world = world().await;
    let payments = Payments::new(world.parts.clone());
    let session =
        payments.open_session(world.mandate.clone(), SessionHooks::default()).await.expect("a session");
    let request = http::Request::get(&world.url).body(Bytes::new()).expect("a request");
    let key = PurchaseKey::new("alpha").expect("a key");
    let fetched = session.handle().fetch(request, key).await.expect("a purchase");
    let Fetched::Delivered(delivery) = fetched else { return println!("not bought: {fetched:?}") };
    let ledger = &world.parts.ledger;
    multiply(ledger, delivery.payment.id, open, &*world.parts.entropy).await;
    let held =
        session.handle().standing().await.expect("a standing").budgets.first().map(|one| one.held.atomic());
    println!("{open} payments were left at `signing`; held: {held:?} micro-USD");
    drop((session, payments));

    world.clock.advance_ms(3_600_000);
    let payments = Payments::new(world.parts.clone());
    let start = std::time::Instant::now();
    let found = payments.recover().await.expect("a pass");
    let took = start.elapsed();
    println!("recovered in {took:?}: {found:?}");
    let start = std::time::Instant::now();
    let again = payments.recover().await.expect("a pass");
    println!("nothing left, seen in {:?}: {again:?}", start.elapsed());
    assert_eq!((found.not_paid, again.not_paid), (open, 0), "each was taken up once");
}

/// Leaves `open` payments at `signing`, as one purchase was left there.
async fn multiply(ledger: &Ledger, like: PaymentId, open: u64, entropy: &dyn Entropy) {
    let stream = StreamId::of("payment", like);
    let mut events = ledger.events::<PaymentEvent>(&stream, 0).await.expect("its events").into_iter();
    let (Some(PaymentEvent::Held(held)), Some(PaymentEvent::Signing { order, prepared })) =
        (events.next(), events.next())
    else {
        return println!("the purchase has another life than expected");
    };
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..open {
        let id = PaymentId::derived(&[&n.to_be_bytes()]);
        let mut held: Held = (*held).clone();
        held.ask.payment = id;
        held.ask.request = Digest::of(&n.to_be_bytes());
        held.hold = HoldId::derived(&[id.as_bytes()]);
        let mut order = order.clone();
        order.payment = id;
        let mut prepared = prepared.clone();
        if let Some(terms) = prepared.terms.as_object_mut() {
            terms.insert("nonce".to_owned(), json!(format!("0x{}", Digest::of(&n.to_le_bytes()))));
        }
        let mut transaction = Transaction::default();
        transaction.accounts.push(AccountOp::Hold {
            id: held.hold,
            lines: held.lines.clone(),
            expires_at: Timestamp::from_unix_ms(START_S * 1_000 + 120_000),
        });
        transaction.accounts.push(AccountOp::Pin { id: held.hold });
        let key = format!("open/{}", held.ask.request);
        transaction.links.push(LinkWrite { key, expected: None, value: Some(id.to_string()) });
        for event in [PaymentEvent::Held(Box::new(held)), PaymentEvent::Signing { order, prepared }] {
            SealedEvent::new(StreamId::of("payment", id), event.kind(), [], &event, entropy)
                .expect("an event")
                .add_to(&mut transaction);
        }
        let ledger = ledger.clone();
        if commits.len() >= 64 {
            commits.join_next().await;
        }
        commits.spawn(async move { ledger.commit(transaction).await.expect("a commit") });
    }
    commits.join_all().await;
}
