use super::*;
use crate::Brief;
use crate::testkit::{Stock, World, assets, standing};
use async_trait::async_trait;
use bursar_agent_core::{
    Agent, Cancel, EventSender, OnQuestion, RunContext, RunOutcome, RunReport, Steer, models::Extractive,
};
use bursar_types::{
    Action, AgentId, Decision, Digest, Effect, Gate, GateError, Principal, Purse, SeededEntropy, SessionId,
    Verdict,
};
use std::path::Path;
use std::sync::Arc;

const MARKET: &str = "http://127.0.0.1:4022";

#[tokio::test]
async fn a_research_agent_has_all_tools_and_only_fetch_may_spend() {
    let world = World::new().await;
    let tools = research([MARKET], &world.library, &assets()).unwrap();
    let names: Vec<_> = tools.specs().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["budget", "fetch", "finish", "get_quotes", "propose_plan", "recall", "search_market"]);
    let spends: Vec<_> =
        tools.specs().filter(|spec| spec.effect == Effect::Spend).map(|spec| &spec.name).collect();
    assert_eq!(spends, ["fetch"]);
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(tools.specs().collect::<Vec<_>>()); });
}

#[tokio::test]
async fn without_a_market_there_is_no_search() {
    let world = World::new().await;
    let none: [&str; 0] = [];
    assert!(research(none, &world.library, &assets()).unwrap().get("search_market").is_none());
    let bad = research(["market"], &world.library, &assets()).unwrap_err();
    assert_eq!(bad, ResearchError::Market(AddressError::NotAbsolute));
}

#[derive(Debug)]
struct Open;

#[async_trait]
impl Gate for Open {
    async fn decide(&self, _: &Action) -> Result<Decision, GateError> {
        Ok(Decision { verdict: Verdict::Allow, reasons: vec![], rules: vec![], facts: Digest::of(b"") })
    }
}

async fn run(world: &World, seed: u64, question: &str) -> RunReport {
    let tools = research([MARKET], &world.library, &assets()).unwrap();
    let agent = Agent::builder(Arc::new(Extractive::default())).tools(tools).build().unwrap();
    let principal = Principal {
        session: SessionId::derived(&[b"s"]),
        agent: AgentId::derived(&[b"a"]),
        user: "user".into(),
        role: "research".into(),
    };
    let context = RunContext {
        journal: Arc::new(world.ledger.clone()),
        gate: Arc::new(Open),
        purse: Some(Purse::new(world.buyer.clone())),
        meter: None,
        clock: world.clock.clone(),
        entropy: Arc::new(SeededEntropy::new(seed)),
        principal,
        events: EventSender::nobody(),
        cancel: Cancel::new(),
        steer: Steer::new(),
        under: None,
        worker: "test".into(),
        after: None,
        on_question: OnQuestion::Tell,
        traces: Arc::new(bursar_types::telemetry::Untraced),
    };
    agent.run(context, question).await.unwrap()
}

fn brief(report: RunReport) -> Brief {
    match report.outcome {
        RunOutcome::Answered { answer } => serde_json::from_value(answer.details).expect(&answer.text),
        other @ RunOutcome::Stopped { .. } => panic!("{other:?}"),
    }
}

/// A world whose market sells the sources that ship with the examples.
async fn market() -> World {
    let world = World::new().await;
    world.buyer.stand(standing(&[("session", 500_000, 0)]));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/sources");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let body = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let title = body.lines().find_map(|line| line.strip_prefix("title: ")).unwrap().to_owned();
            world.buyer.stocks(Stock { url: format!("https://seller.example/{name}"), title, body });
        }
    }
    world
}

#[tokio::test]
async fn the_offline_model_researches_with_these_tools_and_buys_nothing_twice() {
    let world = market().await;
    let question = "Who pays the gas for an EIP-3009 transfer?";
    let first = brief(run(&world, 1, question).await);
    assert!(first.answer.contains("pays the gas"), "{}", first.answer);
    assert!(first.citations.iter().all(|cited| world_has(&first, cited.number)), "{first:#?}");
    assert!(!first.uses.is_empty() && first.uses.iter().all(|used| !used.evidence.is_empty()));
    let bought = world.buyer.fetched();
    assert!((1..=4).contains(&bought), "{bought} fetches");

    let second = brief(run(&world, 2, question).await);
    assert_eq!(world.buyer.fetched(), bought, "what is owned is not fetched again");
    assert_eq!(second.citations, first.citations);
}

fn world_has(brief: &Brief, number: u32) -> bool {
    brief.answer.contains(&format!("[{number}]"))
}

#[tokio::test]
async fn questions_find_the_source_that_answers_them() {
    let world = market().await;
    world.buyer.delivers_all_stock().await;
    world.library.sync().await.unwrap();
    for (question, file) in [
        ("Who pays the gas for an EIP-3009 transfer?", "eip-3009-transfer-with-authorization"),
        ("who submits transferWithAuthorization and pays", "eip-3009-transfer-with-authorization"),
        ("erc 3009 nonces", "eip-3009-transfer-with-authorization"),
        ("What does a merkle inclusion proof show?", "merkle-tree-logs"),
        ("How does BM25 rank documents?", "bm25-ranking"),
        ("saturation of term frequency", "bm25-ranking"),
        ("what happens when a saga step fails", "sagas-and-compensation"),
        ("domain separator of typed data", "eip-712-typed-data-and-domain-separators"),
        ("retry with the same idempotency key", "idempotency-keys-and-at-most-once"),
        ("forbid policy overrides permit in Cedar", "cedar-policy-language"),
        ("how many decimals has USDC", "stablecoin-units-and-decimals"),
    ] {
        let found = world.library.recall(question, 3).await.unwrap();
        assert!(found.iter().any(|passage| passage.url.ends_with(file)), "{question}: {found:#?}");
    }
}
