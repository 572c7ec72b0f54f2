//! Tools of MCP servers over a real data file, bought from a seller that speaks MCP.

use bursar::agent::models::{Scripted, ScriptedTurn};
use bursar::agent::{Model, Record, ToolSet, read_run};
use bursar::mcp::{McpError, McpServer, McpTools};
use bursar::payments::Meaning;
use bursar::types::{RunId, Standing};
use bursar::{Agent, Amount, Approve, Asset, Bursar, Mandate, Session};
use bursar_market::{Fault, FaultRule, Market, SellerConfig, SourceDocument};
use serde_json::{Value, json};
use std::sync::Arc;

const TEXT: &str = "# Who pays the gas?\n\nWhoever submits the authorization pays it.\n";

/// A seller that speaks MCP, and a data file that may buy from it.
struct World {
    bursar: Bursar,
    session: Session,
    market: Market,
    data: tempfile::TempDir,
}

async fn world(seller: SellerConfig) -> World {
    let data = tempfile::tempdir().unwrap();
    let builder = Bursar::builder(data.path().join("data")).play_wallet().unwrap().reach_loopback();
    let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
    let market = Market::builder()
        .documents(vec![SourceDocument::new("gas.md", TEXT)])
        .main_seller(false)
        .resellers(false)
        .add_seller(seller)
        .buyer_funds(address, 1_000_000)
        .start()
        .await
        .unwrap();
    let token = market.token();
    let (address, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
    let usdc = Asset::stablecoin(token.chain_id, &address, &token.symbol, token.decimals, domain, false);
    let bursar = builder
        .watch_every(None)
        .asset(usdc.clone())
        .network(market.network(), vec![market.rpc_url().to_owned()], true)
        .open()
        .await
        .unwrap();
    let half_a_dollar = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
    let mandate = Mandate::new("gas", "you").session_budget(half_a_dollar).asset(usdc.id().clone());
    let session = bursar.session("gas").mandate(mandate).approve(Approve::Rule).start().await.unwrap();
    World { bursar, session, market, data }
}

impl World {
    fn server(&self) -> McpServer {
        let url = format!("{}/mcp", self.market.seller_urls()[0]);
        McpServer::http("books", &url).unwrap().paid("read_document").reads("search")
    }

    async fn connect(&self) -> Result<McpTools, McpError> {
        self.bursar.mcp(self.server()).await
    }

    /// Runs an agent whose model says these turns; gives what its calls were answered.
    async fn run(&self, name: &str, turns: Vec<ScriptedTurn>, tools: &McpTools) -> Vec<Value> {
        let bought = bursar::tools::research(&self.session).unwrap();
        let tools = bought.merged(tools.tools().unwrap()).unwrap();
        let model = turns.into_iter().fold(Scripted::new(), Scripted::turn).text("the end");
        self.run_with(name, Arc::new(model), tools).await
    }

    async fn run_with(&self, name: &str, model: Arc<dyn Model>, tools: ToolSet) -> Vec<Value> {
        let agent = Agent::builder(model).tools(tools).build().unwrap();
        let run = RunId::derived(&[name.as_bytes()]);
        let report = agent.run_as(self.session.run_context(), run, "q").await.unwrap();
        assert_eq!(report.answer(), Ok("the end"), "{report:?}");
        let (_, entries) = read_run(self.bursar.ledger(), run).await.unwrap();
        let results = entries.into_iter().filter_map(|entry| match entry.record {
            Record::CallFinished { result, .. } => Some(result.content),
            _ => None,
        });
        results.collect()
    }

    async fn standing(&self) -> Standing {
        self.session.purse().standing().await.unwrap()
    }

    async fn sound(&self) {
        assert_eq!(self.bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
        assert_eq!(Meaning::of(self.bursar.ledger()).await.unwrap().problems, Vec::<String>::new());
        assert_eq!(self.market.sellers()[0].violations(), Vec::new());
    }
}

fn call(tool: &str, arguments: Value) -> ScriptedTurn {
    ScriptedTurn::Calls(vec![(tool.into(), arguments)])
}

/// A model that looks, is told a price, plans with the quote that it was given, and calls again.
fn buyer() -> Arc<dyn Model> {
    let read = || call("books__read_document", json!({"id": "gas"}));
    let model = Scripted::new().turn(call("books__search", json!({"query": "gas"}))).turn(read());
    let model = model.turn_with(|request| {
        let said = serde_json::to_string(request.messages.last().unwrap()).unwrap().replace('\\', "");
        let quote = said.split("\"quote_id\":\"").nth(1).unwrap_or_else(|| panic!("{said}"));
        let quote = quote.split('"').next().unwrap();
        call("propose_plan", json!({"purpose": "gas", "items": [{"quote_id": quote, "purpose": "who pays"}]}))
    });
    Arc::new(model.turn(read()).text("the end"))
}

#[tokio::test]
async fn a_paid_tool_is_bought_once_under_a_plan_like_a_page() {
    let world = world(SellerConfig::new("books")).await;
    let tools = world.connect().await.unwrap();
    assert_eq!((tools.withheld().len(), tools.changed().len()), (0, 0));
    let all = bursar::tools::research(&world.session).unwrap().merged(tools.tools().unwrap()).unwrap();
    let results = world.run_with("buy", buyer(), all).await;
    assert!(results[0].to_string().contains("Who pays the gas?"), "{}", results[0]);
    assert_eq!(results[1]["outcome"], "quotes", "{}", results[1]);
    let url = world.server().tool_address("read_document");
    assert_eq!(results[1]["quotes"][0]["url"], url.as_str());
    assert_eq!(results[3]["outcome"], "delivered", "{}", results[3]);
    assert!(results[3].to_string().contains("Whoever submits the authorization pays it."), "{}", results[3]);
    let log = world.market.sellers()[0].log();
    assert_eq!((log.settlements, log.paid_requests), (1, 1));
    assert!(world.standing().await.budgets[0].spent.atomic() > 0);
    world.sound().await;
    world.bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_looks_like_a_first_demand_for_payment_is_no_reason_to_pay_twice() {
    // The settlement moves the money; its answer is lost, or the tool's, and what comes is nothing but a new demand, or nothing.
    for (fault, at_seller) in
        [(Fault::SettleAnswerLost, false), (Fault::SettleThen402, true), (Fault::SettleThenDrop, true)]
    {
        let world = world(SellerConfig::new("books")).await;
        let seller = &world.market.sellers()[0];
        let faults = if at_seller { seller.faults() } else { world.market.facilitator().faults() };
        faults.arm(FaultRule::from(fault.clone()).times(1)).unwrap();
        let tools = world.connect().await.unwrap();
        let all = bursar::tools::research(&world.session).unwrap().merged(tools.tools().unwrap()).unwrap();
        let results = world.run_with("twice", buyer(), all).await;
        let outcome = results[3]["outcome"].as_str().unwrap();
        assert!(["unknown", "undelivered", "delivered"].contains(&outcome), "{fault:?}: {}", results[3]);
        world.bursar.recover().await.unwrap();
        let budget = &world.standing().await.budgets[0];
        assert!(budget.spent.atomic() > 0 && budget.held.atomic() == 0, "{fault:?}: {budget:?}");
        let log = seller.log();
        assert_eq!(log.nonces.len(), 1, "{fault:?}: one authorization, whatever the answers looked like");
        world.bursar.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_tool_that_is_free_is_called_and_nothing_is_paid_and_a_failure_is_told_as_one() {
    let world = world(SellerConfig::new("books")).await;
    let server = world.server().paid("search");
    let tools = world.bursar.mcp(server).await.unwrap();
    let search = call("books__search", json!({"query": "gas"}));
    let missing = call("books__read_document", json!({"id": "nothing"}));
    let results = world.run("free", vec![search, missing], &tools).await;
    assert!(results[0].to_string().contains("Who pays the gas?"), "{}", results[0]);
    assert!(results[1].to_string().contains("there is no document of this `id`"), "{}", results[1]);
    assert_eq!(world.standing().await.budgets[0].spent.atomic(), 0);
    world.sound().await;
    world.bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_was_accepted_outlives_the_process() {
    let world = world(SellerConfig::new("books")).await;
    world.connect().await.unwrap();
    let pins = world.data.path().join("data/mcp-pins.json");
    let text = std::fs::read_to_string(&pins).unwrap();
    let mut known: Value = serde_json::from_str(&text).unwrap();
    let other = known["books"]["search"].clone();
    known["books"]["read_document"] = other;
    std::fs::write(&pins, known.to_string()).unwrap();
    let tools = world.connect().await.unwrap();
    assert_eq!(tools.changed()[0].name, "read_document");
    assert!(tools.tools().unwrap().get("books__read_document").is_none());
    world.bursar.close().await.unwrap();
}
