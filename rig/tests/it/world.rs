//! A market on loopback, a session on a real data file, and plain tools of rig.

use bursar::agent::{Record, RunOutcome, StopCause, read_run};
use bursar::payments::{Answer, ApproverKey, Meaning, Statement};
use bursar::types::{Clock as _, RunId};
use bursar::{Amount, Approve, Asset, Bursar, Mandate, Session};
use bursar_agent_core::Executed;
use bursar_market::{Address, Market, SourceDocument};
use bursar_rig::PaymentRequired;
use bytes::Bytes;
use rig_agent::{Agent, AgentBuilder};
use rig_core::message::{AssistantContent, ToolCall, ToolFunction, ToolName};
use rig_core::test_utils::{MockCompletionModel, MockTurn};
use rig_core::tool::{Tool, ToolContext, ToolExecutionError};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const TEXT: &str = "Whoever submits the authorization pays the gas.";
const FUNDS: u128 = 1_000_000;

pub(crate) struct World {
    pub(crate) market: Market,
    pub(crate) bursar: Bursar,
    pub(crate) session: Session,
    pub(crate) data: tempfile::TempDir,
    address: Address,
    policy: Option<&'static str>,
}

fn ada() -> ApproverKey {
    ApproverKey::from_secret(&[1; 32])
}

pub(crate) fn run() -> RunId {
    RunId::derived(&[b"rig"])
}

async fn open(data: &Path, market: &Market, policy: Option<&'static str>) -> (Bursar, Asset) {
    let token = market.token();
    let (address, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
    let usdc = Asset::stablecoin(token.chain_id, &address, &token.symbol, token.decimals, domain, false);
    let mut builder = Bursar::builder(data.join("data")).play_wallet().unwrap().reach_loopback();
    if let Some(policy) = policy {
        builder = builder.policy("mine", policy);
    }
    let network = (market.network(), vec![market.rpc_url().to_owned()]);
    let builder = builder.watch_every(None).asset(usdc.clone()).network(network.0, network.1, true);
    (builder.open().await.unwrap(), usdc)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(None, Approve::Rule).await
    }

    pub(crate) async fn with(policy: Option<&'static str>, approve: Approve) -> Self {
        let data = tempfile::tempdir().unwrap();
        let wallet = Bursar::builder(data.path().join("data")).play_wallet().unwrap();
        let address: Address = wallet.address().unwrap().parse().unwrap();
        let document = SourceDocument::new("gas.md", format!("# Who pays the gas?\n\n{TEXT}\n"));
        let market =
            Market::builder().documents(vec![document]).buyer_funds(address, FUNDS).start().await.unwrap();
        let (bursar, usdc) = open(data.path(), &market, policy).await;
        let cap = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
        let mandate = Mandate::new("gas", "ada").session_budget(cap).asset(usdc.id().clone());
        let mandate = mandate.approver("ada", ada().public());
        let session = bursar.session("gas").mandate(mandate).approve(approve).start().await.unwrap();
        Self { market, bursar, session, data, address, policy }
    }

    /// The process ends, and another takes the session up.
    pub(crate) async fn restarted(self) -> Self {
        let Self { market, bursar, session, data, address, policy } = self;
        let id = session.id();
        bursar.close().await.unwrap();
        drop((session, bursar));
        let (bursar, _) = open(data.path(), &market, policy).await;
        let session = bursar.resume(id, Approve::Rule).await.unwrap();
        Self { market, bursar, session, data, address, policy }
    }

    /// Somebody says yes to the one question that waits.
    pub(crate) async fn say_yes(&self) {
        let desk = self.bursar.desk();
        let open = desk.approvals().await.unwrap();
        assert_eq!(open.len(), 1, "one question, however often it is asked");
        let now = bursar::SystemClock.now();
        let statement = Statement::on(&open[0].question, Answer::Approve, now, None).unwrap();
        desk.answer_approval(&statement.sign(&ada()).unwrap()).await.unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/documents/gas", self.market.seller_urls()[0])
    }

    /// What left the wallet, as the chain has it.
    pub(crate) fn paid(&self) -> u128 {
        FUNDS - self.market.balance_of(self.address)
    }

    /// How many different authorizations the seller saw.
    pub(crate) fn authorizations(&self) -> usize {
        self.market.seller(0).unwrap().log().nonces.len()
    }

    /// The kinds of the run's records.
    pub(crate) async fn kinds(&self) -> Vec<&'static str> {
        let (_, entries) = read_run(self.bursar.ledger(), run()).await.unwrap();
        entries.iter().map(|entry| entry.record.kind()).collect()
    }

    /// What the journal has as the results of calls, as text.
    pub(crate) async fn results(&self) -> Vec<String> {
        let (_, entries) = read_run(self.bursar.ledger(), run()).await.unwrap();
        let results = entries.into_iter().filter_map(|entry| match entry.record {
            Record::CallFinished { result, .. } => Some(result.content.to_string()),
            _ => None,
        });
        results.collect()
    }

    /// Whether calls were made, as far as the journal knows.
    pub(crate) async fn executed(&self) -> Vec<Executed> {
        let (_, entries) = read_run(self.bursar.ledger(), run()).await.unwrap();
        let results = entries.into_iter().filter_map(|entry| match entry.record {
            Record::CallFinished { result, .. } => Some(result.executed),
            _ => None,
        });
        results.collect()
    }

    /// How the run ended.
    pub(crate) async fn ended(&self) -> Result<String, StopCause> {
        let (run, _) = read_run(self.bursar.ledger(), run()).await.unwrap();
        match run.outcome().cloned().unwrap() {
            RunOutcome::Answered { answer } => Ok(answer.text),
            RunOutcome::Stopped { cause } => Err(cause),
        }
    }

    /// The journal holds, and means what can have happened; the seller saw nothing that a buyer must not do.
    pub(crate) async fn sound(&self) {
        assert_eq!(self.bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
        assert_eq!(Meaning::of(self.bursar.ledger()).await.unwrap().problems, Vec::<String>::new());
        assert_eq!(self.market.seller(0).unwrap().violations(), []);
    }
}

/// How often bodies ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn up(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct Url {
    url: String,
}

/// A plain tool of rig's that gets a page, and cannot pay.
#[derive(Clone, Default)]
pub(crate) struct Download(pub(crate) Count);

impl Tool for Download {
    const NAME: &'static str = "download";
    type Args = Url;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "Downloads a page.".into()
    }
    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]})
    }
    async fn call(&self, _: &mut ToolContext, args: Url) -> Result<String, ToolExecutionError> {
        self.0.up();
        let answer = reqwest::get(&args.url).await.map_err(ToolExecutionError::from_error)?;
        if answer.status() == http::StatusCode::PAYMENT_REQUIRED {
            let request = http::Request::get(args.url.as_str()).body(Bytes::new()).unwrap();
            return Err(PaymentRequired::new(request).into());
        }
        answer.text().await.map_err(ToolExecutionError::from_error)
    }
}

/// A tool that says the same whatever it is asked.
#[derive(Clone)]
pub(crate) struct Says(pub(crate) Count, pub(crate) String);

impl Says {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Count::default(), text.into())
    }
}

impl Tool for Says {
    const NAME: &'static str = "says";
    type Args = Value;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "Says something.".into()
    }
    fn parameters(&self) -> Value {
        json!({"type": "object"})
    }
    async fn call(&self, _: &mut ToolContext, _: Value) -> Result<String, ToolExecutionError> {
        self.0.up();
        Ok(self.1.clone())
    }
}

/// A turn that makes these calls.
pub(crate) fn calls(calls: &[(&str, Value)]) -> MockTurn {
    let call = |(index, (tool, arguments)): (usize, &(&str, Value))| {
        let function = ToolFunction::new(ToolName::new(*tool).unwrap(), arguments.clone());
        AssistantContent::ToolCall(ToolCall::from_wire(format!("c{index}"), function))
    };
    MockTurn::from_contents(calls.iter().enumerate().map(call))
}

pub(crate) fn script(turns: impl IntoIterator<Item = MockTurn>) -> MockCompletionModel {
    MockCompletionModel::from_turns(turns)
}

/// An agent with both tools.
pub(crate) fn plain(model: &MockCompletionModel, download: &Download, says: &Says) -> Agent {
    AgentBuilder::new(model.clone()).tool(download.clone()).tool(says.clone()).build()
}

/// What a model was told last.
pub(crate) fn heard(model: &MockCompletionModel) -> String {
    let requests = model.requests();
    serde_json::to_string(&requests.last().unwrap().chat_history).unwrap()
}
