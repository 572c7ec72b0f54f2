//! A buyer that is stricter than the real one, a real library, and a way to call a tool as the driver does.

use async_trait::async_trait;
use bursar_agent_core::{Tool, ToolContext, ToolError, ToolOutput, ToolSet};
use bursar_ledger::{Ledger, MemoryStore, Payload, SealedEvent, StreamId, Transaction};
use bursar_memory::Library;
use bursar_types::{
    Amount, ApprovalId, ApprovalTicket, ArtifactId, ArtifactRecord, ArtifactRef, Asset, AssetId,
    AssetRegistry, BudgetStanding, Buyer, CallId, Decision, Delivery, Digest, FetchError, Fetched, GateLevel,
    HttpRequest, LedgerId, ManualClock, OpenItem, PaymentId, PaymentView, Phase, PlanId, PlanItemId,
    PlanOutcome, PlanProposal, PlanView, Provenance, PurchaseKey, Purse, Quote, QuoteId, QuoteOutcome,
    Reason, ReceiptView, RunId, SeededEntropy, SessionId, Standing, Timestamp, TransportError, Undelivered,
    UnknownOutcome, Untrusted, Verdict,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) const CHAIN_ID: u64 = 31_337;
pub(crate) const TOKEN: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
pub(crate) const DOC: &str = "https://seller.example/gas";
pub(crate) const GAS: &str = "---\ntitle: EIP-3009 transfers\n---\n# EIP-3009 transfers\n\n## Who pays the gas\n\nAnyone may submit \
    a transferWithAuthorization call,\nand the account that submits it pays the gas.\n\n## Nonces\n\nNonces are random.";
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_264_200_000);

pub(crate) fn assets() -> AssetRegistry {
    let mut assets = AssetRegistry::pinned();
    assets.insert(Asset::stablecoin(CHAIN_ID, TOKEN, "USDC", 6, ("USD Coin", "2"), false));
    assets
}

fn usdc(atomic: u128) -> Amount {
    Amount::from_atomic(AssetId::erc20(CHAIN_ID, TOKEN), atomic)
}

pub(crate) fn usd(micro: u128) -> Amount {
    Amount::from_atomic(AssetId::micro_usd(), micro)
}

pub(crate) fn denied(code: &'static str) -> Decision {
    let reasons = vec![Reason::new(code, "the mandate does not list the host", "choose a listed host")];
    Decision {
        verdict: Verdict::Deny,
        reasons,
        rules: vec!["quote.listed".into()],
        facts: Digest::of(b"facts"),
    }
}

fn decision(verdict: Verdict, reasons: Vec<Reason>) -> Decision {
    Decision { verdict, reasons, rules: vec!["plan.small".into()], facts: Digest::of(b"facts") }
}

pub(crate) fn standing(budgets: &[(&str, u128, u128)]) -> Standing {
    let budgets = budgets.iter().map(|(name, limit, spent)| BudgetStanding {
        name: (*name).to_owned(),
        limit: usd(*limit),
        spent: usd(*spent),
        held: usd(0),
        left: usd(limit - spent),
        gate: GateLevel::None,
    });
    let item = OpenItem {
        plan: PlanId::derived(&[b"p"]),
        item: PlanItemId::derived(&[b"i"]),
        resource: DOC.into(),
        left: 1,
    };
    Standing {
        phase: Phase::Acquire,
        budgets: budgets.collect(),
        open_items: vec![item],
        waiting: Vec::new(),
        unsettled: Vec::new(),
    }
}

/// What a URL answers when it is asked for a price.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Page { status: u16, media_type: String, body: Bytes },
    Quotes(Vec<Quote>),
    Denied,
    Unreachable,
}

impl Reply {
    pub(crate) fn page(media_type: &str, body: &str) -> Self {
        Self::Page {
            status: 200,
            media_type: media_type.into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::page("application/json", &body.to_string())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Page { status, media_type: "text/plain".into(), body: Bytes::from_static(b"no") }
    }

    pub(crate) fn denied() -> Self {
        Self::Denied
    }

    pub(crate) fn unreachable() -> Self {
        Self::Unreachable
    }

    pub(crate) fn priced(atomic: u128) -> Self {
        Self::Quotes(vec![quote("https://m.example/", atomic, "d", None)])
    }
}

/// How a paid fetch ends.
#[derive(Debug, Clone)]
pub(crate) enum Ends {
    Delivers {
        media_type: &'static str,
        body: Bytes,
    },
    /// Paid for and not written into the ledger: the real purse never does this.
    DeliversUnrecorded,
    WasOwned,
    Quotes,
    Asks,
    Undelivered,
    Unknown,
    Refused(&'static str),
}

/// How a plan is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdicts {
    Approve,
    Ask,
    Refuse,
    RefuseUnmade,
}

fn quote(url: &str, atomic: u128, description: &str, blocked: Option<Reason>) -> Quote {
    Quote {
        id: QuoteId::derived(&[url.as_bytes(), &atomic.to_be_bytes()]),
        rail: "x402".into(),
        resource: url.into(),
        method: "GET".into(),
        host: "seller.example:443".into(),
        payee: format!("0x{:040}", 7),
        network: format!("eip155:{CHAIN_ID}"),
        price: usdc(atomic),
        cost_micro_usd: Some(usd(atomic)),
        description: Some(Untrusted::new(
            description.to_owned(),
            Provenance::Host { host: "seller.example:443".into() },
        )),
        media_type: Some("text/markdown".into()),
        received_at: NOW,
        expires_at: NOW.plus_ms(600_000),
        blocked,
    }
}

fn payment(url: &str) -> PaymentView {
    PaymentView {
        id: PaymentId::derived(&[url.as_bytes()]),
        amount: usdc(14_000),
        host: "seller.example:443".into(),
        payee: format!("0x{:040}", 7),
        resource: url.into(),
        receipt: Some(ReceiptView { reference: "0xabc".into(), observed: false }),
    }
}

/// A document for sale, found by the words it has.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) body: String,
}

impl Stock {
    fn listed(&self, query: &str) -> Value {
        let body = self.body.to_lowercase();
        let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
        let score: usize = words.map(|word| body.matches(&word.to_lowercase()).count().min(5)).sum();
        let terms = json!({"scheme": "exact", "network": format!("eip155:{CHAIN_ID}"), "asset": TOKEN, "amount": "14000"});
        json!({
            "resource": self.url,
            "accepts": [terms],
            "metadata": {
                "title": self.title, "preview": self.title, "media_type": "text/markdown", "score_milli": score * 1_000,
                "size_bytes": self.body.len(), "snippets": [body.chars().take(200).collect::<String>()]
            }
        })
    }
}

/// A buyer that does what it is told, and fails the test if it is asked anything that the real one would have to refuse.
#[derive(Debug)]
pub(crate) struct FakeBuyer {
    shelf: Shelf,
    replies: Mutex<HashMap<String, Reply>>,
    ends: Mutex<HashMap<String, Ends>>,
    keys: Mutex<HashMap<String, String>>,
    quoted: Mutex<HashSet<QuoteId>>,
    approved: Mutex<HashSet<QuoteId>>,
    stock: Mutex<Vec<Stock>>,
    verdict: Mutex<Verdicts>,
    standing: Mutex<Option<Standing>>,
    asked: Mutex<usize>,
    fetched: Mutex<usize>,
    proposed: Mutex<usize>,
    broken: AtomicBool,
}

impl FakeBuyer {
    pub(crate) fn reply(&self, url: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(url.to_owned(), reply);
    }

    pub(crate) fn sells(&self, url: &str, atomic: u128) -> QuoteId {
        self.sells_as(url, atomic, "EIP-3009 transfers")
    }

    pub(crate) fn sells_as(&self, url: &str, atomic: u128, description: &str) -> QuoteId {
        self.offer(url, quote(url, atomic, description, None))
    }

    pub(crate) fn sells_blocked(&self, url: &str, reason: Reason) {
        self.offer(url, quote(url, 5, "", Some(reason)));
    }

    fn offer(&self, url: &str, quote: Quote) -> QuoteId {
        let id = quote.id;
        self.quoted.lock().unwrap().insert(id);
        self.reply(url, Reply::Quotes(vec![quote]));
        id
    }

    pub(crate) fn ends(&self, url: &str, ends: Ends) {
        self.ends.lock().unwrap().insert(url.to_owned(), ends);
    }

    /// Sells a document, and delivers it once a plan that names its quote was approved.
    pub(crate) fn stocks(&self, stock: Stock) {
        self.sells_as(&stock.url, 14_000, &stock.title);
        self.stock.lock().unwrap().push(stock);
    }

    /// Everything in stock, bought at once.
    pub(crate) async fn delivers_all_stock(&self) {
        let stock = self.stock.lock().unwrap().clone();
        for stock in stock {
            self.shelf.keep(&stock.url, "text/markdown", &Bytes::from(stock.body.into_bytes())).await;
        }
    }

    /// What a market answers that lists the whole stock.
    fn listing(&self, url: &str) -> Option<Reply> {
        let query = url.split_once("/discovery/search?query=")?.1.replace('+', " ");
        let stock = self.stock.lock().unwrap();
        let mut listed: Vec<_> = stock.iter().map(|stock| stock.listed(&query)).collect();
        listed.sort_by_key(|listed| std::cmp::Reverse(listed["metadata"]["score_milli"].as_i64()));
        (!listed.is_empty()).then(|| Reply::json(&json!({"resources": listed, "total": listed.len()})))
    }

    pub(crate) fn judges(&self, verdict: Verdicts) {
        *self.verdict.lock().unwrap() = verdict;
    }

    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap() = Some(standing);
    }

    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub(crate) fn fetched(&self) -> usize {
        *self.fetched.lock().unwrap()
    }

    pub(crate) fn proposed(&self) -> usize {
        *self.proposed.lock().unwrap()
    }

    /// Fails the test, also where the caller runs on a task of its own and its panic would be swallowed.
    fn insist(&self, holds: bool, what: &str) {
        if !holds {
            self.broken.store(true, Ordering::SeqCst);
            panic!("a buyer was asked something that it must never be asked: {what}");
        }
    }

    fn check(&self, request: &HttpRequest) -> String {
        let url = request.uri().to_string();
        self.insist(request.method() == http::Method::GET, "not GET");
        self.insist(request.body().is_empty(), "a body");
        self.insist(url.starts_with("http://") || url.starts_with("https://"), &url);
        self.insist(!url.contains(['#', ' ', '@']) && url.is_ascii() && url.len() <= 2_048, &url);
        let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        self.insist(names == ["accept"], &format!("headers {names:?}"));
        url
    }

    fn answer(&self, url: &str) -> Result<QuoteOutcome, FetchError> {
        let reply = self.replies.lock().unwrap().get(url).cloned().or_else(|| self.listing(url));
        self.insist(reply.is_some(), &format!("nothing was prepared for {url}"));
        match reply.unwrap() {
            Reply::Page { status, media_type, body } => {
                let response = http::Response::builder().status(status).header("content-type", media_type);
                Ok(QuoteOutcome::Free(response.body(body).unwrap()))
            }
            Reply::Quotes(quotes) => Ok(QuoteOutcome::Quotes(quotes)),
            Reply::Denied => Err(FetchError::Denied(denied("HOST_NOT_LISTED"))),
            Reply::Unreachable => {
                let source = Box::new(std::io::Error::other("refused"));
                Err(FetchError::Transport(TransportError::NotSent { host: "m.example".into(), source }))
            }
        }
    }
}

#[async_trait]
impl Buyer for FakeBuyer {
    async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError> {
        let url = self.check(&request);
        *self.fetched.lock().unwrap() += 1;
        self.insist(key.as_str().starts_with("document/"), key.as_str());
        let known = self.keys.lock().unwrap().insert(url.clone(), key.as_str().to_owned());
        self.insist(known.is_none_or(|known| known == key.as_str()), "another key for the same document");
        let users = self.keys.lock().unwrap().values().filter(|other| *other == key.as_str()).count();
        self.insist(users == 1, "one key for two documents");
        let ends = self.ends.lock().unwrap().get(&url).cloned();
        let stock = self.stock.lock().unwrap().iter().find(|stock| stock.url == url).cloned();
        let ends = ends.or_else(|| {
            let body = Bytes::from(stock?.body.into_bytes());
            let quote = quote(&url, 14_000, "", None).id;
            self.insist(self.approved.lock().unwrap().contains(&quote), "a document that no plan lists");
            Some(Ends::Delivers { media_type: "text/markdown", body })
        });
        let Some(ends) = ends else {
            return match self.answer(&url)? {
                QuoteOutcome::Free(response) => Ok(Fetched::Free(response)),
                QuoteOutcome::Quotes(quotes) => Ok(Fetched::Quotes { quotes, reasons: Vec::new() }),
            };
        };
        let body = Bytes::from_static(GAS.as_bytes());
        let delivery = |record: ArtifactRecord, body| Delivery {
            payment: record.payment,
            artifact: record.artifact,
            body,
        };
        Ok(match ends {
            Ends::Delivers { media_type, body } => {
                let record = self.shelf.keep(&url, media_type, &body).await;
                Fetched::Delivered(delivery(record, body))
            }
            Ends::DeliversUnrecorded => {
                Fetched::Delivered(delivery(record(&url, "text/markdown", &body, Digest::of(b"")), body))
            }
            Ends::WasOwned => {
                let record = self.shelf.keep(&url, "text/markdown", &body).await;
                Fetched::Owned(delivery(record, body))
            }
            Ends::Quotes => Fetched::Quotes {
                quotes: vec![quote(&url, 14_000, "d", None)],
                reasons: vec![Reason::new(
                    "PRICE_ABOVE_CEILING",
                    "it now costs 0.014 USDC",
                    "ask for a new quote",
                )],
            },
            Ends::Asks => Fetched::AwaitingApproval(ticket()),
            Ends::Undelivered => Fetched::Undelivered(Undelivered {
                payment: payment(&url),
                problem: "502 Bad\u{1b}[2J Gateway".into(),
            }),
            Ends::Unknown => Fetched::Unknown(UnknownOutcome {
                id: payment(&url).id,
                payment: Some(payment(&url)),
                problem: "the line dropped".into(),
                decidable_from: Some(NOW.plus_ms(60_000)),
            }),
            Ends::Refused(code) => return Err(FetchError::Denied(denied(code))),
        })
    }

    async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        let url = self.check(&request);
        *self.asked.lock().unwrap() += 1;
        self.answer(&url)
    }

    async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError> {
        *self.proposed.lock().unwrap() += 1;
        self.insist(!proposal.items.is_empty(), "an empty plan");
        let purposes = proposal.items.iter().map(|item| &item.purpose).chain([&proposal.purpose]);
        for purpose in purposes {
            self.insist(*purpose.provenance() == Provenance::Model, "a purpose that nobody wrote");
            self.insist(
                purpose.as_received().len() <= 4_000 && purpose.to_string() == *purpose.as_received(),
                "a hostile purpose",
            );
        }
        for item in &proposal.items {
            self.insist(
                self.quoted.lock().unwrap().contains(&item.quote) && item.count > 0,
                "a quote that was never given",
            );
        }
        let plan = PlanView {
            id: PlanId::derived(&[b"plan"]),
            digest: Digest::of(b"plan"),
            items: vec![],
            total: usd(14_000),
        };
        let over = Reason::new(
            "BUDGET_EXCEEDED",
            "the plan costs more than is left",
            "propose fewer or cheaper items",
        );
        let verdict = *self.verdict.lock().unwrap();
        if matches!(verdict, Verdicts::Approve) {
            self.approved.lock().unwrap().extend(proposal.items.iter().map(|item| item.quote));
        }
        Ok(match verdict {
            Verdicts::Approve => PlanOutcome::Approved {
                plan,
                approved_by: "rule plan.small".into(),
                decision: decision(Verdict::Allow, vec![]),
            },
            Verdicts::Ask => PlanOutcome::AwaitingApproval { plan, ticket: ticket() },
            Verdicts::Refuse => {
                PlanOutcome::Refused { plan: Some(plan), decision: decision(Verdict::Deny, vec![over]) }
            }
            Verdicts::RefuseUnmade => {
                PlanOutcome::Refused { plan: None, decision: decision(Verdict::Deny, vec![]) }
            }
        })
    }

    async fn proposed(&self, _: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        Ok(None)
    }

    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        self.approved.lock().unwrap().clear();
        Ok(Vec::new())
    }

    async fn standing(&self) -> Result<Standing, FetchError> {
        Ok(self.standing.lock().unwrap().clone().unwrap())
    }
}

fn ticket() -> ApprovalTicket {
    let above =
        Reason::new("ABOVE_ASK_LIMIT", "the purchase is above what needs no question", "wait for the answer");
    ApprovalTicket {
        id: ApprovalId::derived(&[b"a"]),
        ledger: LedgerId::derived(&[b"l"]),
        session: SessionId::derived(&[b"s"]),
        action: Digest::of(b"action"),
        summary: "buy 1 document for 0.014 USDC".into(),
        decision: decision(Verdict::Escalate, vec![above]),
        expires_at: NOW.plus_ms(600_000),
    }
}

fn record(url: &str, media_type: &str, body: &Bytes, payload: Digest) -> ArtifactRecord {
    ArtifactRecord {
        artifact: ArtifactRef {
            id: ArtifactId::derived(&[url.as_bytes()]),
            digest: Digest::of(body),
            media_type: Some(media_type.to_owned()),
            size_bytes: u64::try_from(body.len()).unwrap(),
        },
        payment: payment(url),
        session: SessionId::derived(&[b"session"]),
        kept_at: NOW,
        payload,
    }
}

/// Writes what was bought into the ledger, as the purse does before it answers.
#[derive(Debug)]
struct Shelf {
    ledger: Ledger,
    entropy: SeededEntropy,
}

impl Shelf {
    async fn keep(&self, url: &str, media_type: &str, body: &Bytes) -> ArtifactRecord {
        let payload = Payload::seal(body.clone(), &self.entropy);
        let record = record(url, media_type, body, payload.commitment().digest());
        let stream = StreamId::new(ArtifactRecord::STREAM).unwrap();
        let mut transaction = Transaction { payloads: vec![payload], ..Transaction::default() };
        SealedEvent::new(stream, ArtifactRecord::KIND, [], &record, &self.entropy)
            .unwrap()
            .add_to(&mut transaction);
        self.ledger.commit(transaction).await.unwrap();
        record
    }
}

/// A buyer, a library, and the folder it lies in.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) library: Library,
    pub(crate) buyer: Arc<FakeBuyer>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Ledger,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let ledger = Ledger::new(Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(1)))));
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(folder.path().join("library.sqlite"), ledger.clone()).await.unwrap();
        let buyer = Arc::new(FakeBuyer {
            shelf: Shelf { ledger: ledger.clone(), entropy: SeededEntropy::new(2) },
            replies: Mutex::default(),
            ends: Mutex::default(),
            keys: Mutex::default(),
            quoted: Mutex::default(),
            approved: Mutex::default(),
            stock: Mutex::default(),
            verdict: Mutex::new(Verdicts::Approve),
            standing: Mutex::default(),
            asked: Mutex::default(),
            fetched: Mutex::default(),
            proposed: Mutex::default(),
            broken: AtomicBool::new(false),
        });
        Self { library, buyer, clock, ledger, _folder: folder }
    }

    /// The same with one document bought before.
    pub(crate) async fn with_gas_document() -> Self {
        let world = Self::new().await;
        world.buyer.shelf.keep(DOC, "text/markdown", &Bytes::from_static(GAS.as_bytes())).await;
        world.library.sync().await.unwrap();
        world
    }

    pub(crate) fn context(&self) -> ToolContext {
        let (session, run, call) =
            (SessionId::derived(&[b"s"]), RunId::derived(&[b"r"]), CallId::derived(&[b"c"]));
        ToolContext::new(session, run, call, self.clock.clone()).with_purse(&Purse::new(self.buyer.clone()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking() || !self.buyer.broken.load(Ordering::SeqCst),
            "the buyer was asked wrongly"
        );
    }
}

/// Calls a tool as the driver does, and gives what the model is told.
pub(crate) async fn call<T: Tool>(tool: T, world: &World, args: Value) -> Result<Value, ToolError> {
    output(tool, world, args).await.map(|output| output.content().clone())
}

pub(crate) async fn output<T: Tool>(tool: T, world: &World, args: Value) -> Result<ToolOutput, ToolError> {
    let name = tool.name().to_owned();
    let tools = ToolSet::new().with(tool).unwrap();
    let tool = tools.get(&name).unwrap();
    tool.check(&args)?;
    tool.call(&world.context(), args).await
}
