//! What the loop promises, one run at a time.

use crate::support::{Counting, EmptyBuyer, Says, StrictJournal, World, purse};
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, BuildError, Delta, Executed, Limits, Message, Model, ModelDescriptor, ModelError, ModelErrorKind,
    ModelEvent, ModelRequest, ModelStream, Part, Record, Retry, Role, RunError, RunEvent, RunOutcome,
    RunReport, StopCause, StopReason, Tool, ToolContext, ToolError, ToolOutput, ToolSet, Usage, events,
};
use bursar_types::{Amount, AssetId, BudgetStanding, Effect, Phase, Purse, RunId, Standing, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn set(tools: &[&Counting]) -> ToolSet {
    tools.iter().fold(ToolSet::new(), |set, tool| set.with((*tool).clone()).unwrap())
}

fn calls(calls: &[(&str, Value)]) -> ScriptedTurn {
    ScriptedTurn::Calls(calls.iter().map(|(tool, args)| ((*tool).to_owned(), args.clone())).collect())
}

async fn run(world: &World, model: Scripted, tools: ToolSet, limits: Limits) -> RunReport {
    let agent = Agent::builder(Arc::new(model)).tools(tools).limits(limits).build().unwrap();
    agent.run(world.context(), "question").await.unwrap()
}

fn results(world: &World) -> Vec<(Value, bool, Executed)> {
    let records = world.journal.records(world.journal.only_run());
    records
        .into_iter()
        .filter_map(|record| match record {
            Record::CallFinished { result, .. } => Some((result.content, result.is_error, result.executed)),
            _ => None,
        })
        .collect()
}

fn cause(report: RunReport) -> StopCause {
    match report.outcome {
        RunOutcome::Stopped { cause } => cause,
        RunOutcome::Answered { answer } => panic!("answered: {}", answer.text),
    }
}

#[tokio::test]
async fn a_text_ends_the_run_with_an_answer() {
    let world = World::new();
    let report = run(&world, Scripted::new().text("42"), ToolSet::new(), Limits::default()).await;
    assert_eq!(report.answer(), Ok("42"));
    let kinds: Vec<_> = world.journal.records(world.journal.only_run()).iter().map(Record::kind).collect();
    assert_eq!(kinds, ["run_started", "model_requested", "model_replied", "run_finished"]);
}

#[tokio::test]
async fn calls_that_no_tool_can_answer_get_a_message_to_act_on() {
    let tool = Counting::new("count", Effect::Read);
    for (turn, expected) in [
        (calls(&[("cuont", json!({"n": 1}))]), "there is no tool `cuont`"),
        (ScriptedTurn::RawCall("count".into(), "{\"n\":".into()), "arguments are not JSON"),
        (calls(&[("count", json!({"m": 1}))]), "unknown field `m`"),
        (calls(&[("count", json!("1"))]), "invalid type"),
    ] {
        let world = World::new();
        let model = Scripted::new().turn(turn).text("done");
        run(&world, model, set(&[&tool]), Limits::default()).await;
        let results = results(&world);
        let [(content, true, Executed::No)] = results.as_slice() else { panic!("{results:?}") };
        assert!(content.to_string().contains(expected), "{content}");
        assert_eq!(tool.count(), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_not_allowed_is_not_made_and_says_what_to_do() {
    for (says, code, outcome) in [
        (Says::Deny, "NOT_TODAY", "refused"),
        (Says::Escalate, "NOT_TODAY", "awaiting_approval"),
        (Says::Fail, "GATE_UNAVAILABLE", "refused"),
    ] {
        let world = World::new().gate("count", says);
        let tool = Counting::new("count", Effect::Read);
        let model = Scripted::new().call("count", json!({"n": 1})).text("done");
        run(&world, model, set(&[&tool]), Limits::default()).await;
        let results = results(&world);
        let [(content, true, Executed::No)] = results.as_slice() else { panic!("{results:?}") };
        assert_eq!(
            (content["outcome"].as_str(), content["reasons"][0]["code"].as_str()),
            (Some(outcome), Some(code))
        );
        assert!(content["reasons"][0]["next_step"].is_string());
        assert_eq!(tool.count(), 0, "{says:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn parallel_reads_keep_the_order_of_their_calls() {
    let world = World::new();
    let tool = Counting::new("count", Effect::Read).slow(1_000);
    let model = Scripted::new()
        .turn(calls(&[("count", json!({"n": 3})), ("count", json!({"n": 1})), ("count", json!({"n": 2}))]))
        .text("done");
    let began = tokio::time::Instant::now();
    run(&world, model, set(&[&tool]), Limits::default()).await;
    assert_eq!(began.elapsed().as_secs(), 3, "side by side");
    let order: Vec<_> =
        results(&world).into_iter().map(|(content, ..)| content["n"].as_u64().unwrap()).collect();
    assert_eq!(order, [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn writes_and_spends_run_one_after_another() {
    let world = World::new();
    let (write, spend) = (
        Counting::new("write", Effect::Write).slow(1_000),
        Counting::new("spend", Effect::Spend).slow(1_000),
    );
    let model = Scripted::new()
        .turn(calls(&[("write", json!({"n": 1})), ("spend", json!({"n": 1})), ("write", json!({"n": 2}))]))
        .text("done");
    let began = tokio::time::Instant::now();
    run(&world, model, set(&[&write, &spend]), Limits::default()).await;
    assert_eq!(began.elapsed().as_secs(), 4);
    let kinds: Vec<_> = world
        .journal
        .records(world.journal.only_run())
        .iter()
        .map(Record::kind)
        .filter(|kind| matches!(*kind, "call_started" | "call_finished"))
        .collect();
    assert_eq!(kinds, ["call_started", "call_finished"].repeat(3));
}

#[tokio::test]
async fn a_tool_that_panics_does_not_take_the_run_down() {
    let world = World::new();
    let tool = Counting::new("count", Effect::Write);
    let model = Scripted::new().call("count", json!({"n": 13})).text("done");
    let report = run(&world, model, set(&[&tool]), Limits::default()).await;
    assert_eq!(report.answer(), Ok("done"));
    assert!(matches!(results(&world).as_slice(), [(_, true, Executed::Unknown)]));
}

#[tokio::test]
async fn a_tool_that_may_spend_needs_a_purse() {
    let spend = Counting::new("spend", Effect::Spend);
    let builder = || Agent::builder(Arc::new(Scripted::new().text("done"))).tools(set(&[&spend]));
    let refused = builder().without_purse().build().unwrap_err();
    assert_eq!(refused, BuildError::SpendWithoutPurse { tool: "spend".into() });
    let mut world = World::new();
    world.purse = None;
    let run = RunId::derived(&[b"r"]);
    let error = builder().build().unwrap().run_as(world.context(), run, "q").await.unwrap_err();
    assert!(matches!(error, RunError::SpendWithoutPurse { tool } if tool == "spend"));
    assert!(world.journal.stored(run).is_empty(), "nothing was recorded");
    world.purse = Some(purse());
    assert!(builder().build().unwrap().run_as(world.context(), run, "q").await.is_ok());
}

#[tokio::test]
async fn every_limit_stops_the_run_and_says_which() {
    let tool = Counting::new("count", Effect::Read);
    let endless = || {
        (0..20).fold(Scripted::new(), |model, _| {
            model.turn(calls(&[("count", json!({"n": 1})), ("count", json!({"n": 2}))]))
        })
    };
    let tokens = Usage { input_tokens: Some(30), output_tokens: Some(20), ..Usage::default() };
    for (model, limits, expected) in [
        (endless(), Limits { turns: 3, ..Limits::default() }, StopCause::Turns { limit: 3 }),
        (endless(), Limits { calls: 3, ..Limits::default() }, StopCause::Calls { limit: 3 }),
        (
            endless().usage(tokens),
            Limits { tokens: Some(120), ..Limits::default() },
            StopCause::Tokens { limit: 120, used: 150 },
        ),
        (endless(), Limits { tokens: Some(120), ..Limits::default() }, StopCause::TokensUnreported),
    ] {
        let stopped = run(&World::new(), model, set(&[&tool]), limits).await;
        assert_eq!(cause(stopped), expected);
    }
    let before = tool.count();
    run(&World::new(), endless(), set(&[&tool]), Limits { calls: 3, ..Limits::default() }).await;
    assert_eq!(tool.count() - before, 3, "the limit is exact inside a group of reads");
}

#[tokio::test]
async fn time_is_counted_by_the_clock_from_the_start() {
    let world = World::new();
    let clock = Arc::clone(&world.clock);
    let model = Scripted::new().turn_with(move |_| {
        clock.advance_ms(5_000);
        calls(&[("count", json!({"n": 1}))])
    });
    let tool = Counting::new("count", Effect::Read);
    let limits = Limits { time_ms: Some(5_000), ..Limits::default() };
    assert_eq!(cause(run(&world, model, set(&[&tool]), limits).await), StopCause::Time { limit_ms: 5_000 });
    assert_eq!(tool.count(), 0);
}

#[tokio::test]
async fn spending_is_compared_with_every_budget_of_the_same_asset() {
    let usd = |atomic| Amount::from_atomic(AssetId::micro_usd(), atomic);
    let standing = |spent, held| Standing {
        phase: Phase::Explore,
        budgets: vec![BudgetStanding {
            name: "session".into(),
            limit: usd(1_000),
            spent: usd(spent),
            held: usd(held),
            left: usd(0),
            gate: bursar_types::GateLevel::None,
        }],
        open_items: Vec::new(),
        waiting: Vec::new(),
        unsettled: Vec::new(),
    };
    for (buyer, stops) in [
        (EmptyBuyer(Ok(standing(40, 59))), None),
        (
            EmptyBuyer(Ok(standing(40, 60))),
            Some(StopCause::Spend { budget: "session".into(), limit: usd(100), used: usd(100) }),
        ),
        (EmptyBuyer(Err(())), Some(StopCause::SpendUnknown { problem: "purse is closing".into() })),
    ] {
        let mut world = World::new();
        world.purse = Some(Purse::new(Arc::new(buyer)));
        let limits = Limits { spend: Some(usd(100)), ..Limits::default() };
        let report = run(&world, Scripted::new().text("done"), ToolSet::new(), limits).await;
        match stops {
            None => assert_eq!(report.answer(), Ok("done")),
            Some(expected) => assert_eq!(cause(report), expected),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_finishes_the_running_spend_and_starts_nothing() {
    let world = World::new();
    let spend = Counting::new("spend", Effect::Spend).slow(60_000);
    let model = Scripted::new().turn(calls(&[("spend", json!({"n": 1})), ("spend", json!({"n": 2}))]));
    let (cancel, running) = (world.cancel.clone(), spend.clone());
    tokio::spawn(async move {
        running.started().await;
        cancel.cancel();
    });
    let report = run(&world, model, set(&[&spend]), Limits::default()).await;
    assert_eq!(cause(report), StopCause::Cancelled);
    assert_eq!(spend.count(), 1);
    let expected = (json!({"tool": "spend", "n": 1}), false, Executed::Yes);
    assert_eq!(results(&world), [expected], "its result is recorded");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_drops_reads_and_writes_and_records_no_result_of_them() {
    for effect in [Effect::Read, Effect::Write] {
        let world = World::new();
        let tool = Counting::new("wait", effect);
        let (cancel, running) = (world.cancel.clone(), tool.clone());
        tokio::spawn(async move {
            running.started().await;
            cancel.cancel();
        });
        let model = Scripted::new().call("wait", json!({"n": 99}));
        let report = run(&world, model, set(&[&tool]), Limits::default()).await;
        assert_eq!(cause(report), StopCause::Cancelled);
        assert!(results(&world).is_empty(), "a read may run again, and of a write nobody knows");
    }
}

#[tokio::test]
async fn a_second_worker_is_fenced_off() {
    let world = World::new();
    let run = RunId::derived(&[b"r"]);
    let other = world.clone();
    let agent = Agent::builder(Arc::new(Scripted::new().text("first"))).build().unwrap();
    let inner = agent.clone();
    // While the first worker hears its model, a second one resumes the run and finishes it.
    let model = Scripted::new().turn_with(move |_| {
        let (inner, other) = (inner.clone(), other.clone());
        std::thread::scope(|scope| {
            let work = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let report = runtime.block_on(inner.resume(other.context(), run)).unwrap();
                assert_eq!(report.answer(), Ok("first"));
            };
            scope.spawn(work).join().unwrap();
        });
        ScriptedTurn::Text("second".into())
    });
    let slow = Agent::builder(Arc::new(model)).build().unwrap();
    let error = slow.run_as(world.context(), run, "q").await.unwrap_err();
    assert!(matches!(error, RunError::Fenced { run: fenced, .. } if fenced == run));
    let started_twice = agent.run_as(world.context(), run, "q").await.unwrap_err();
    assert!(matches!(started_twice, RunError::Fenced { .. }));
}

#[tokio::test]
async fn a_run_goes_on_only_under_the_settings_it_began_with() {
    let world = World::with_journal(StrictJournal::dying_at(1));
    let run = RunId::derived(&[b"r"]);
    let agent = |instructions: &str| {
        Agent::builder(Arc::new(Scripted::new().text("done"))).instructions(instructions).build().unwrap()
    };
    assert!(matches!(agent("a").run_as(world.context(), run, "q").await, Err(RunError::Journal(_))));
    world.journal.heal();
    let error = agent("b").resume(world.context(), run).await.unwrap_err();
    assert!(matches!(error, RunError::OtherSettings { .. }));
    assert_eq!(agent("a").resume(world.context(), run).await.unwrap().answer(), Ok("done"));
    let nobody = agent("a").resume(world.context(), RunId::derived(&[b"x"])).await.unwrap_err();
    assert!(matches!(nobody, RunError::NotFound { .. }));
}

#[tokio::test]
async fn a_model_that_fails_for_good_stops_the_run() {
    for (model, kind) in [
        (Scripted::new(), ModelErrorKind::Exhausted),
        (Scripted::new().turn(ScriptedTurn::Fail(ModelErrorKind::Refused)), ModelErrorKind::Refused),
        (Scripted::new().turn(ScriptedTurn::Events(Vec::new())), ModelErrorKind::Protocol),
    ] {
        let stopped = cause(run(&World::new(), model, ToolSet::new(), Limits::default()).await);
        assert!(matches!(stopped, StopCause::Model { kind: found, .. } if found == kind), "{stopped:?}");
    }
    let empty = run(&World::new(), Scripted::new().text(" "), ToolSet::new(), Limits::default()).await;
    assert_eq!(cause(empty), StopCause::EmptyReply);
}

#[tokio::test]
async fn one_stream_carries_records_and_deltas_as_json_lines() {
    let (sender, mut stream) = events();
    let mut world = World::new();
    world.events = sender;
    let tool = Counting::new("count", Effect::Read);
    let model = Scripted::new().call("count", json!({"n": 1})).text("done");
    run(&world, model, set(&[&tool]), Limits::default()).await;
    let (mut sequences, mut texts, mut progress) = (Vec::new(), String::new(), 0);
    while let Some(event) = stream.try_recv() {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<RunEvent>(&line).unwrap(), event);
        match event {
            RunEvent::Record { sequence, .. } => sequences.push(sequence),
            RunEvent::Delta { delta: Delta::Text { text, .. }, .. } => texts.push_str(&text),
            RunEvent::Delta { delta: Delta::Progress { .. }, .. } => progress += 1,
            RunEvent::Delta { .. } => {}
        }
    }
    let all: Vec<u64> = (0..world.journal.stored(world.journal.only_run()).len() as u64).collect();
    assert_eq!((sequences, texts.as_str(), progress), (all, "done", 1));
}

#[test]
fn the_wire_form_of_a_message_is_stable() {
    let message = Message {
        role: Role::Assistant,
        parts: vec![Part::Text { text: "a".into() }, Part::Reasoning { text: "b".into() }],
    };
    let line = r#"{"role":"assistant","parts":[{"type":"text","text":"a"},{"type":"reasoning","text":"b"}]}"#;
    assert_eq!(serde_json::to_string(&message).unwrap(), line);
    assert_eq!(serde_json::from_str::<Message>(line).unwrap(), message);
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_is_repeated_after_the_wait_that_the_model_names() {
    let world = World::new();
    let named = Retry::After { ms: 3_000 };
    let agent = Agent::builder(Arc::new(Flaky::new(2, named))).build().unwrap();
    let began = tokio::time::Instant::now();
    let report = agent.run(world.context(), "q").await.unwrap();
    assert_eq!((report.answer(), began.elapsed().as_secs()), (Ok("at last"), 6));

    let limits = Limits { model_tries: 3, ..Limits::default() };
    let agent = Agent::builder(Arc::new(Flaky::new(9, named))).limits(limits).build().unwrap();
    let report = agent.run(World::new().context(), "q").await.unwrap();
    assert!(matches!(cause(report), StopCause::Model { kind: ModelErrorKind::RateLimited, .. }));
}

#[tokio::test(start_paused = true)]
async fn where_the_provider_names_no_pause_it_doubles_and_two_runs_do_not_come_back_together() {
    let waits = |run: &'static [u8]| async move {
        let (sender, mut stream) = events();
        let mut world = World::new();
        world.events = sender;
        let limits = Limits { model_tries: 10, ..Limits::default() };
        let agent = Agent::builder(Arc::new(Flaky::new(8, Retry::Backoff))).limits(limits).build().unwrap();
        let began = tokio::time::Instant::now();
        agent.run_as(world.context(), RunId::derived(&[run]), "q").await.unwrap();
        let mut waits = Vec::new();
        while let Some(event) = stream.try_recv() {
            if let RunEvent::Delta { delta: Delta::Waiting { turn: 0, attempt, wait_ms }, .. } = event {
                assert_eq!(attempt as usize, waits.len() + 1);
                waits.push(wait_ms);
            }
        }
        assert_eq!(began.elapsed().as_millis(), u128::from(waits.iter().sum::<u64>()));
        waits
    };
    let (one, other) = (waits(b"one").await, waits(b"other").await);
    for (wait, whole) in one.iter().zip([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
        assert!((whole * 3 / 4..=whole).contains(wait), "{one:?}");
    }
    assert!(one.len() == 8 && one != other && one == waits(b"one").await, "{one:?} {other:?}");
}

impl Flaky {
    fn new(fails: u32, retry: Retry) -> Self {
        Self { fails, descriptor: ModelDescriptor::new("test", "flaky"), tries: AtomicU32::new(0), retry }
    }
}

#[derive(Debug)]
struct Flaky {
    fails: u32,
    descriptor: ModelDescriptor,
    tries: AtomicU32,
    retry: Retry,
}

#[async_trait::async_trait]
impl Model for Flaky {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        if self.tries.fetch_add(1, Ordering::SeqCst) < self.fails {
            let error = ModelError::new(ModelErrorKind::RateLimited, "429");
            return Err(error.retry(self.retry));
        }
        Ok(ModelStream::ready(vec![
            ModelEvent::TextDelta { text: "at last".into() },
            ModelEvent::Finished { reason: StopReason::EndTurn },
        ]))
    }
}

#[derive(Debug)]
struct Finish;

#[async_trait::async_trait]
impl Tool for Finish {
    type Args = crate::support::Number;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "finish"
    }
    fn description(&self) -> &str {
        "Ends the run."
    }
    fn effect(&self) -> Effect {
        Effect::Write
    }
    async fn call(&self, _: &ToolContext, args: Self::Args) -> Result<ToolOutput, ToolError> {
        if args.n == 0 {
            return Err(ToolError::not_executed("not yet"));
        }
        Ok(ToolOutput::finish("the answer").with_details(json!({"n": args.n})))
    }
}

#[tokio::test]
async fn a_tool_may_end_the_run_and_the_calls_after_it_are_not_made() {
    let world = World::new();
    let write = Counting::new("write", Effect::Write);
    let tools = set(&[&write]).with(Finish).unwrap();
    let model = Scripted::new()
        .call("finish", json!({"n": 0}))
        .turn(calls(&[("finish", json!({"n": 1})), ("write", json!({"n": 1}))]));
    let report = run(&world, model, tools, Limits::default()).await;
    assert_eq!((report.answer(), report.details()), (Ok("the answer"), Some(&json!({"n": 1}))));
    assert_eq!(write.count(), 0);
}

#[tokio::test]
async fn a_sleeping_reader_loses_deltas_and_never_records() {
    let (sender, mut stream) = events();
    let run = RunId::derived(&[b"r"]);
    let delta = |text: &str| RunEvent::Delta { run, delta: Delta::Text { turn: 0, text: text.into() } };
    for _ in 0..5_000 {
        sender.send(delta("x"));
    }
    let record = Box::new(Record::Stopped { cause: StopCause::Cancelled });
    sender.send(RunEvent::Record { run, sequence: 0, at: Timestamp::from_unix_ms(0), record });
    let mut kept = Vec::new();
    while let Some(event) = stream.try_recv() {
        kept.push(event);
    }
    assert_eq!(kept.len(), 4_097);
    assert!(matches!(kept.last(), Some(RunEvent::Record { .. })));
    sender.send(delta("y"));
    assert!(stream.try_recv().is_some(), "awake again");
}
