//! A plain rig agent, and the same agent under a governor: `cargo run -p bursar-rig --example governed_agent`.
//!
//! The agent's tool gets pages and cannot pay. Without a governor a page behind HTTP 402 is out of its reach; with one it is bought under
//! the rules, once, from a market on loopback, and everything is in a journal. The model is scripted, so all of it runs offline.
#![expect(clippy::print_stdout, reason = "an example prints")]

use bursar::payments::Mandate;
use bursar::{Amount, Approve, Asset, Bursar, Session};
use bursar_market::{Address, Market, SourceDocument};
use bursar_rig::{GovernError, GovernedAgent, Governor, PaymentRequired};
use bytes::Bytes;
use rig_agent::{Agent, AgentBuilder};
use rig_core::test_utils::{MockCompletionModel, MockTurn};
use rig_core::tool::{Tool, ToolContext, ToolExecutionError};
use serde_json::{Value, json};

/// What is added to a plain rig agent.
fn govern(session: &Session, agent: Agent) -> Result<GovernedAgent, GovernError> {
    Governor::new(session.run_context()) // the gate, the journal and the purse of a session
        .spends(["download"]) // what its tools do to the world; those not named count as spenders too
        .proposes_plans() // a price that no plan covers becomes a plan, which the rules decide on
        .govern(agent)
}

/// The plain agent: rig, a model, one tool, and no word of Bursar's.
fn plain(model: MockCompletionModel) -> Agent {
    AgentBuilder::new(model).preamble("Answer from the page.").tool(Download).build()
}

#[derive(serde::Deserialize)]
struct Page {
    url: String,
}

struct Download;

impl Tool for Download {
    const NAME: &'static str = "download";
    type Args = Page;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "Gets a page.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]})
    }

    async fn call(&self, _: &mut ToolContext, page: Page) -> Result<String, ToolExecutionError> {
        let answer = reqwest::get(&page.url).await.map_err(ToolExecutionError::from_error)?;
        if answer.status() == http::StatusCode::PAYMENT_REQUIRED {
            let request = http::Request::get(page.url).body(Bytes::new());
            // Without a governor this is an error as any other.
            return Err(PaymentRequired::new(request.map_err(ToolExecutionError::from_error)?).into());
        }
        answer.text().await.map_err(ToolExecutionError::from_error)
    }
}

/// A model that asks for the page twice, and then answers.
fn script(url: &str) -> MockCompletionModel {
    let call = |id: &str| MockTurn::tool_call(id, "download", json!({ "url": url }));
    MockCompletionModel::from_turns([call("c1"), call("c2"), MockTurn::text("Whoever submits it.")])
}

/// What the model was told of its last call.
fn told(model: &MockCompletionModel) -> String {
    let last = model.requests().last().and_then(|request| request.chat_history.last().cloned());
    let message = last.and_then(|message| serde_json::to_value(message).ok()).unwrap_or_default();
    let told = message.pointer("/content/0/content/0/text").and_then(Value::as_str).unwrap_or_default();
    told.trim().replace('\n', " ")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = tempfile::tempdir()?;
    let (bursar, session, market, address) = set_up(data.path()).await?;
    let url = format!("{}/documents/gas", market.seller_urls().first().ok_or("no seller")?);
    let question = "Who pays the gas?";

    let model = script(&url);
    plain(model.clone()).prompt(question).max_turns(4).await?;
    println!("plain     the tool said: {}", told(&model));
    println!("plain     {} atomic units left the wallet", 1_000_000 - market.balance_of(address));

    let model = script(&url);
    let agent = govern(&session, plain(model.clone()))?;
    let answer = agent.prompt(question).max_turns(4).await?;
    println!("governed  the tool said: {}", told(&model));
    println!("governed  the agent said: {}", answer.output());
    println!("governed  {} atomic units left the wallet", 1_000_000 - market.balance_of(address));

    for run in bursar.sessions().await?.iter().flat_map(|session| &session.runs) {
        println!("journal   {}: answered {}", run.question, run.answered);
    }
    let verification = bursar.ledger().verify().await?;
    println!("journal   {} entries, {} problems", verification.head.size, verification.problems.len());
    bursar.close().await?;
    Ok(())
}

/// The other side, and a session with half a dollar on ours.
async fn set_up(
    data: &std::path::Path,
) -> Result<(Bursar, Session, Market, Address), Box<dyn std::error::Error>> {
    let builder = Bursar::builder(data.join("data")).play_wallet()?.reach_loopback();
    let address = builder.address().unwrap_or_default().parse::<Address>()?;
    let page = SourceDocument::new("gas.md", "# Who pays the gas?\n\nWhoever submits the authorization.\n");
    let market = Market::builder().documents(vec![page]).buyer_funds(address, 1_000_000).start().await?;
    let token = market.token();
    let (at, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
    let usdc = Asset::stablecoin(token.chain_id, &at, &token.symbol, token.decimals, domain, false);
    let rpc = vec![market.rpc_url().to_owned()];
    let bursar = builder.asset(usdc.clone()).network(market.network(), rpc, true).open().await?;
    let half_a_dollar = Amount::parse_decimal(&Asset::micro_usd(), "0.50")?;
    let mandate = Mandate::new("try Bursar", "you").session_budget(half_a_dollar).asset(usdc.id().clone());
    let session = bursar.session("read a page").mandate(mandate).approve(Approve::Rule).start().await?;
    Ok((bursar, session, market, address))
}
