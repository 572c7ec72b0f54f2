//! Agents with a price and helpers, over a real data file: what they cost, crash and may.

use async_trait::async_trait;
use bursar::agent::models::{Scripted, ScriptedTurn};
use bursar::agent::{
    CallState, Cancel, DEPTH_MAX, DynTool, Model, ModelDescriptor, ModelError, ModelRequest, ModelStream,
    Prices, Record, RunOutcome, StopCause, ToolSet, Usage, read_run,
};
use bursar::payments::Meaning;
use bursar::report::{ModelSpend, SpendFilter};
use bursar::types::{Action, AssetRegistry, Decision, Gate, GateError, RunId, SessionId, Verdict};
use bursar::{Agent, Amount, Approve, Asset, Bursar, Mandate, Session, report};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// One dollar for a million tokens read, ten for a million written, of which a turn can write a thousand.
const PRICES: Prices = Prices::new(1_000_000, 10_000_000, 1_000);
const USAGE: Usage = Usage {
    input_tokens: Some(500),
    output_tokens: Some(10),
    cached_tokens: None,
    cache_write_tokens: None,
    reasoning_tokens: None,
};

fn usd(text: &str) -> Amount {
    Amount::parse_decimal(&Asset::micro_usd(), text).unwrap()
}

fn id() -> RunId {
    RunId::derived(&[b"team"])
}

async fn open(data: &Path) -> Bursar {
    Bursar::builder(data).play_wallet().unwrap().watch_every(None).open().await.unwrap()
}

async fn session(bursar: &Bursar, cap: &str) -> Session {
    let registry = AssetRegistry::pinned();
    let usdc = registry.iter().find(|asset| asset.symbol() == "USDC" && !asset.live()).unwrap().id().clone();
    let mandate = Mandate::new("research", "ada").session_budget(usd(cap)).asset(usdc);
    bursar.session("find out").mandate(mandate).approve(Approve::Rule).start().await.unwrap()
}

fn helper(model: Arc<dyn Model>) -> Agent {
    Agent::builder(model).prices(PRICES).build().unwrap()
}

/// An agent that asks its helper once, and answers.
fn team(session: &Session, helper: &Agent, cap: &'static str) -> Agent {
    let helpers = session.helpers("scout", move |mandate| mandate.cap_session(usd(cap)));
    let tools = ToolSet::new().with_dyn(helper.as_tool("ask_scout", "Looks something up.", helpers)).unwrap();
    let ask = ScriptedTurn::Calls(vec![("ask_scout".into(), json!({"task": "who pays?"}))]);
    let model = Scripted::new().usage(USAGE).turn(ask).text("the end");
    Agent::builder(Arc::new(model)).prices(PRICES).tools(tools).build().unwrap()
}

fn answers() -> Arc<dyn Model> {
    Arc::new(Scripted::new().usage(USAGE).text("the submitter"))
}

async fn spent(session: &Session) -> (u128, u128) {
    let standing = session.purse().standing().await.unwrap();
    (standing.budgets[0].spent.atomic(), standing.budgets[0].held.atomic())
}

async fn told(bursar: &Bursar) -> Vec<ModelSpend> {
    report::model_spend(bursar.ledger(), &SpendFilter::default()).await.unwrap()
}

async fn sound(bursar: &Bursar) {
    assert_eq!(bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
    assert_eq!(Meaning::of(bursar.ledger()).await.unwrap().problems, Vec::<String>::new());
}

/// What the run's first call gave.
async fn result(bursar: &Bursar) -> serde_json::Value {
    result_of(bursar, id()).await
}

#[tokio::test]
async fn what_a_helpers_model_costs_counts_in_its_own_session_and_in_the_one_above() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    let agent = team(&session, &helper(answers()), "0.10");
    let report = agent.run_as(session.run_context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), report.model_cost.atomic()), (Ok("the end"), 1_200));
    assert_eq!(result(&bursar).await["answer"], "the submitter");
    assert_eq!(spent(&session).await, (1_800, 0), "two turns of its own, and one of the helper");
    let mut costs: Vec<u128> = told(&bursar).await.iter().map(|one| one.spent.atomic()).collect();
    costs.sort_unstable();
    assert_eq!(costs, [600, 1_200]);
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_helper_works_only_for_the_session_that_it_was_cut_from() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let (rich, poor) = (session(&bursar, "0.50").await, session(&bursar, "0.02").await);
    let agent = team(&rich, &helper(answers()), "0.10");
    agent.run_as(poor.run_context(), id(), "q").await.unwrap();
    let told = result(&bursar).await.to_string();
    assert!(told.contains("another session"), "{told}");
    assert_eq!(spent(&rich).await, (0, 0), "nothing of the richer session was used");
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_helper_spends_no_more_than_it_was_given_and_is_given_no_more_than_there_is() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    // A turn may cost a little more than a cent.
    let agent = team(&session, &helper(answers()), "0.005");
    let report = agent.run_as(session.run_context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("the end"));
    let said = result(&bursar).await.to_string();
    assert!(said.contains("may cost") && said.contains("0.005"), "{said}");
    assert_eq!(spent(&session).await, (1_200, 0));

    let widened = session.helpers("scout", |mandate| Mandate { user: "mallory".into(), ..mandate });
    let tools = ToolSet::new().with_dyn(helper(answers()).as_tool("ask_scout", "Looks.", widened)).unwrap();
    let ask = ScriptedTurn::Calls(vec![("ask_scout".into(), json!({"task": "who pays?"}))]);
    let model = Scripted::new().turn(ask).turn_with(|request| {
        let said = serde_json::to_string(request.messages.last().unwrap()).unwrap();
        assert!(said.contains("user: it must be the one of the mandate"), "{said}");
        ScriptedTurn::Text("the end".into())
    });
    let agent = Agent::builder(Arc::new(model)).tools(tools).build().unwrap();
    assert_eq!(agent.run(session.run_context(), "q").await.unwrap().answer(), Ok("the end"));
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_model_that_does_not_fit_into_the_budget_is_not_asked_and_the_run_stands_still() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.005").await;
    let never = Arc::new(Scripted::new().turn_with(|_| panic!("it was asked")));
    let report = helper(never).run_as(session.run_context(), id(), "q").await.unwrap();
    let RunOutcome::Stopped { cause: StopCause::ModelWithheld { reasons } } = &report.outcome else {
        panic!("{report:?}")
    };
    assert_eq!((reasons[0].code.as_ref(), report.can_go_on()), ("MODEL_OVER_BUDGET", true));
    assert_eq!((spent(&session).await, told(&bursar).await), ((0, 0), Vec::new()));
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

/// A model that says that it was asked, and never answers.
#[derive(Debug)]
struct Silent(ModelDescriptor, Arc<tokio::sync::Notify>);

#[async_trait]
impl Model for Silent {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.0
    }
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        self.1.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_helper_whose_process_died_goes_on_in_its_session_and_the_lost_turn_counts_whole() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let first = session(&bursar, "0.50").await;
    let asked = Arc::new(tokio::sync::Notify::new());
    // The same model by name, so that the run goes on with the one that answers.
    let silent = Silent(ModelDescriptor::new("builtin", "scripted"), asked.clone());
    let agent = team(&first, &helper(Arc::new(silent)), "0.10");
    let context = first.run_context();
    let dying = tokio::spawn(async move { agent.run_as(context, id(), "q").await });
    asked.notified().await;
    dying.abort();
    let _ = dying.await;
    let (spent_before, held) = spent(&first).await;
    assert_eq!(spent_before, 600);
    assert!(held > 10_000, "the lost turn stays set aside: {held}");
    let session_id: SessionId = first.id();
    bursar.close().await.unwrap();
    drop((first, bursar));

    let bursar = open(data.path()).await;
    let later = bursar.resume(session_id, Approve::Rule).await.unwrap();
    assert_eq!(spent(&later).await, (600, held), "also for whoever opens it again");
    let agent = team(&later, &helper(answers()), "0.10");
    let report = agent.resume(later.run_context(), id()).await.unwrap();
    assert_eq!(report.answer(), Ok("the end"));
    assert_eq!(spent(&later).await, (600 + held + 600 + 600, 0));
    let rows = told(&bursar).await;
    assert_eq!((rows.len(), rows.iter().map(|row| row.unreported).sum::<u64>()), (2, 1), "{rows:?}");
    assert_eq!(report::sessions(bursar.ledger()).await.unwrap().len(), 2, "the helper has one session");
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

/// Asks the tool once, and answers.
fn asks(tool: &str, answer: &str) -> Scripted {
    let ask = ScriptedTurn::Calls(vec![(tool.into(), json!({"task": "who pays?"}))]);
    Scripted::new().usage(USAGE).turn(ask).text(answer)
}

fn with_tool(model: Scripted, tool: Arc<dyn DynTool>) -> Agent {
    let tools = ToolSet::new().with_dyn(tool).unwrap();
    Agent::builder(Arc::new(model)).prices(PRICES).tools(tools).build().unwrap()
}

/// An agent whose helper has a helper, whose session `cut` makes.
fn three_deep(
    session: &Session,
    cap: &'static str,
    cut: impl Fn(Mandate) -> Mandate + Send + Sync + 'static,
) -> Agent {
    let lowest = helper(answers()).as_tool("ask_clerk", "Looks.", session.helpers("clerk", cut));
    // A turn of it costs more than half a cent.
    let usage = Usage { output_tokens: Some(500), ..USAGE };
    let middle = with_tool(asks("ask_clerk", "the clerk knows").usage(usage), lowest);
    let helpers = session.helpers("scout", move |mandate| mandate.cap_session(usd(cap)));
    with_tool(asks("ask_scout", "the end"), middle.as_tool("ask_scout", "Looks.", helpers))
}

/// What the first call of that run gave.
async fn result_of(bursar: &Bursar, run: RunId) -> serde_json::Value {
    let (_, entries) = read_run(bursar.ledger(), run).await.unwrap();
    let told = entries.into_iter().find_map(|entry| match entry.record {
        Record::CallFinished { result, .. } => Some(result.content),
        _ => None,
    });
    told.unwrap()
}

fn run_in(result: &serde_json::Value) -> RunId {
    serde_json::from_value(result["run"].clone()).unwrap_or_else(|_| panic!("{result}"))
}

/// What each session spent on its own models, the one above first.
async fn by_depth(bursar: &Bursar) -> Vec<u128> {
    let (rows, mut spent) = (told(bursar).await, Vec::new());
    let mut run = Some(id());
    while let Some(at) = run {
        let (state, entries) = read_run(bursar.ledger(), at).await.unwrap();
        let own = rows.iter().filter(|row| row.session == state.session());
        spent.push(own.map(|row| row.spent.atomic()).sum());
        let below = entries.into_iter().find_map(|entry| match entry.record {
            Record::CallFinished { result, .. } => Some(result.content["run"].clone()),
            _ => None,
        });
        run = below.and_then(|run| serde_json::from_value(run).ok());
    }
    spent
}

#[tokio::test]
async fn a_helper_of_a_helper_is_cut_from_the_one_that_asks_it_and_counts_in_both_above() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    let agent = three_deep(&session, "0.10", |mandate| mandate.cap_session(usd("0.40")));
    let report = agent.run_as(session.run_context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("the end"));
    let middle = run_in(&result(&bursar).await);
    let lowest = run_in(&result_of(&bursar, middle).await);
    assert_eq!(result_of(&bursar, middle).await["answer"], "the submitter");
    assert_eq!(by_depth(&bursar).await, [1_200, 11_000, 600]);
    assert_eq!(spent(&session).await, (12_800, 0), "everything counts above");
    for (run, cap, all) in [(middle, 100_000, 11_600), (lowest, 100_000, 600)] {
        let (state, _) = read_run(bursar.ledger(), run).await.unwrap();
        let below = bursar.resume(state.session(), Approve::Rule).await.unwrap();
        assert_eq!(below.mandate().await.unwrap().budgets[0].limit.atomic(), cap, "never more than above");
        assert_eq!(spent(&below).await, (all, 0));
    }
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_helper_of_a_helper_may_not_what_its_own_caller_may_not() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    // The session at the top could pay for it; the one that asks has not enough left for one turn more.
    let agent = three_deep(&session, "0.015", |mandate| mandate);
    agent.run_as(session.run_context(), id(), "q").await.unwrap();
    let said = result_of(&bursar, below(&bursar, id()).await).await.to_string();
    assert!(said.contains("may cost"), "{said}");
    assert_eq!(told(&bursar).await.len(), 2, "the lowest had nothing");

    let wide = session.mandate().await.unwrap().budgets;
    let agent = three_deep(&session, "0.10", move |mandate| Mandate { budgets: wide.clone(), ..mandate });
    let run = RunId::derived(&[b"wide"]);
    agent.run_as(session.run_context(), run, "q").await.unwrap();
    let said = result_of(&bursar, below(&bursar, run).await).await.to_string();
    assert!(said.contains("cannot be opened") && said.contains("budget"), "{said}");
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

/// The run of the first call of a run, whatever it gave.
async fn below(bursar: &Bursar, run: RunId) -> RunId {
    let (_, entries) = read_run(bursar.ledger(), run).await.unwrap();
    let call = entries.into_iter().find_map(|entry| match entry.record {
        Record::CallStarted { call, .. } => Some(call),
        _ => None,
    });
    RunId::derived(&[b"sub-agent", call.unwrap().as_bytes()])
}

#[tokio::test]
async fn a_helper_whose_session_was_frozen_gets_no_helper_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    let child =
        session.delegate(session.mandate().await.unwrap().child("scout"), Approve::Rule).await.unwrap();
    child.freeze("enough").await.unwrap();
    let lowest =
        helper(answers()).as_tool("ask_clerk", "Looks.", session.helpers("clerk", |mandate| mandate));
    // Without a price: what its model costs is not what stops it.
    let tools = ToolSet::new().with_dyn(lowest).unwrap();
    let agent = Agent::builder(Arc::new(asks("ask_clerk", "the end"))).tools(tools).build().unwrap();
    let report = agent.run_as(child.run_context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("the end"));
    let said = result(&bursar).await.to_string();
    assert!(said.contains("FROZEN") || said.contains("frozen"), "{said}");
    assert!(told(&bursar).await.is_empty(), "nothing was asked of its model");
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn helpers_of_helpers_end_at_a_depth_in_sessions_too() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let session = session(&bursar, "0.50").await;
    let mut agent = helper(answers());
    for _ in 0..=DEPTH_MAX {
        let tool = agent.as_tool("ask_below", "Looks.", session.helpers("below", |mandate| mandate));
        agent = with_tool(asks("ask_below", "the end"), tool);
    }
    agent.run_as(session.run_context(), id(), "q").await.unwrap();
    let mut run = id();
    for _ in 0..DEPTH_MAX {
        run = below(&bursar, run).await;
    }
    let said = result_of(&bursar, run).await.to_string();
    assert!(said.contains("4 deep"), "{said}");
    let sessions = report::sessions(bursar.ledger()).await.unwrap().len();
    assert_eq!(sessions, 1 + usize::try_from(DEPTH_MAX).unwrap());
    assert_eq!(spent(&session).await, (5 * 1_200, 0));
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_helper_that_nobody_goes_on_with_counts_whole_once_its_caller_has_a_result() {
    let data = tempfile::tempdir().unwrap();
    let bursar = open(data.path()).await;
    let first = session(&bursar, "0.50").await;
    let asked = Arc::new(tokio::sync::Notify::new());
    let silent = Silent(ModelDescriptor::new("builtin", "scripted"), asked.clone());
    let agent = team(&first, &helper(Arc::new(silent)), "0.10");
    let context = first.run_context();
    let dying = tokio::spawn(async move { agent.run_as(context, id(), "q").await });
    asked.notified().await;
    dying.abort();
    let _ = dying.await;
    let (_, held) = spent(&first).await;
    let session_id = first.id();
    bursar.close().await.unwrap();
    drop((first, bursar));

    let bursar = open(data.path()).await;
    let found = bursar.recovered();
    assert_eq!((found.model_open, found.model_settled), (1, 0), "somebody may go on with it");
    let open_tries = bursar.desk().unsettled_tries().await.unwrap();
    let lost = below(&bursar, id()).await;
    assert_eq!((open_tries.len(), open_tries[0].charge.run, open_tries[0].above[0]), (1, lost, session_id));
    let later = bursar.resume(session_id, Approve::Rule).await.unwrap();
    later.freeze("enough").await.unwrap();
    let agent = team(&later, &helper(answers()), "0.10");
    let report = agent.resume(later.run_context(), id()).await.unwrap();
    assert!(report.can_go_on(), "its own model may not be asked either: {report:?}");
    let told_of = result(&bursar).await.to_string();
    assert!(told_of.contains("FROZEN"), "the yes from before the freeze is none: {told_of}");
    assert_eq!(spent(&later).await, (600 + held, 0), "unknown is never zero, and nothing stays set aside");
    assert_eq!(bursar.desk().unsettled_tries().await.unwrap(), vec![]);
    assert_eq!(told(&bursar).await.iter().map(|row| row.unreported).sum::<u64>(), 1);
    sound(&bursar).await;
    bursar.close().await.unwrap();
}

/// A gate that cancels the run once it has decided.
#[derive(Debug)]
struct CancelsThen(Arc<dyn Gate>, Cancel);

#[async_trait]
impl Gate for CancelsThen {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        let decided = self.0.decide(action).await;
        self.1.cancel();
        decided
    }
}

#[tokio::test]
async fn a_call_that_was_allowed_before_a_freeze_is_not_begun_after_it() {
    for thawed in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let bursar = open(data.path()).await;
        let session = session(&bursar, "0.50").await;
        // A helper is as good a tool as any: its session tells whether it was begun.
        let agent = team(&session, &helper(answers()), "0.10");
        let mut context = session.run_context();
        context.cancel = Cancel::new();
        context.gate = Arc::new(CancelsThen(context.gate.clone(), context.cancel.clone()));
        let stopped = agent.run_as(context, id(), "q").await.unwrap();
        assert!(
            matches!(stopped.outcome, RunOutcome::Stopped { cause: StopCause::Cancelled }),
            "{stopped:?}"
        );
        let (run, _) = read_run(bursar.ledger(), id()).await.unwrap();
        let CallState::Decided(decision) = &run.calls()[0].state else { panic!("{run:?}") };
        assert_eq!(decision.verdict, Verdict::Allow);
        session.freeze("look first").await.unwrap();
        if thawed {
            session.thaw("ada").await.unwrap();
        }
        let report = agent.resume(session.run_context(), id()).await.unwrap();
        let sessions = report::sessions(bursar.ledger()).await.unwrap().len();
        let told = result(&bursar).await.to_string();
        if thawed {
            assert_eq!((report.answer(), sessions), (Ok("the end"), 2), "{told}");
        } else {
            assert!(sessions == 1 && told.contains("FROZEN"), "{told}");
        }
        sound(&bursar).await;
        bursar.close().await.unwrap();
    }
}
