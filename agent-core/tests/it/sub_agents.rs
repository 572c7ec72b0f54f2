//! Agents as tools of others: cancelled, out of time, asked, crashed, and nested too deep.

use crate::support::{Counting, Looks, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, DEPTH_MAX, Delegate, DynTool, Executed, Limits, Model, ModelDescriptor, ModelError, ModelRequest,
    ModelStream, OnQuestion, Prices, Record, RunContext, RunOutcome, RunReport, StopCause, Tool, ToolContext,
    ToolError, ToolOutput, ToolSet, read_run,
};
use bursar_types::{
    Amount, ApprovalId, Effect, MeterError, ModelCharge, ModelCost, ModelHold, ModelMeter, RunId, Timestamp,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn id() -> RunId {
    RunId::derived(&[b"above"])
}

/// Gives every sub-agent the same world.
#[derive(Debug)]
struct Shared(World, Mutex<u32>);

impl Shared {
    fn new(world: &World) -> Arc<Self> {
        Arc::new(Self(world.clone(), Mutex::new(0)))
    }
}

#[async_trait]
impl Delegate for Shared {
    async fn delegate(&self, _: &ToolContext) -> Result<RunContext, ToolError> {
        *self.1.lock().unwrap() += 1;
        Ok(self.0.context())
    }
}

fn calls(tool: &str, arguments: Value) -> ScriptedTurn {
    ScriptedTurn::Calls(vec![(tool.to_owned(), arguments)])
}

/// A helper that calls its one tool with this number, and answers.
fn helper(tool: &Counting, n: u32) -> Agent {
    let script = Scripted::new().turn(calls(tool.name, json!({"n": n}))).text("found it");
    let tools = ToolSet::new().with(tool.clone()).unwrap();
    Agent::builder(Arc::new(script)).tools(tools).build().unwrap()
}

/// An agent that asks its helper once, and answers.
fn above(helper: Arc<dyn DynTool>, limits: Limits) -> Agent {
    let name = helper.spec().name.clone();
    let script = Scripted::new().turn(calls(&name, json!({"task": "find it"}))).text("the end");
    let tools = ToolSet::new().with_dyn(helper).unwrap();
    Agent::builder(Arc::new(script)).tools(tools).limits(limits).build().unwrap()
}

fn team(world: &World, tool: &Counting, n: u32) -> Agent {
    let helper = helper(tool, n).as_tool("helper", "Finds things.", Shared::new(world));
    above(helper, Limits::default())
}

fn results(world: &World) -> Vec<Value> {
    let records = world.journal.records(id()).into_iter();
    let told = records.filter_map(|record| match record {
        Record::CallFinished { result, .. } => Some(result.content),
        _ => None,
    });
    told.collect()
}

fn cause(report: &RunReport) -> &StopCause {
    match &report.outcome {
        RunOutcome::Stopped { cause } => cause,
        RunOutcome::Answered { answer } => panic!("answered: {}", answer.text),
    }
}

/// The helper's run, by the result that its call gave.
fn below(world: &World) -> RunId {
    serde_json::from_value(results(world)[0]["run"].clone()).unwrap()
}

#[tokio::test]
async fn a_helper_works_in_a_run_of_its_own_that_names_the_call_above() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let report = team(&world, &tool, 1).run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), tool.count()), (Ok("the end"), 1));
    assert_eq!(results(&world)[0]["answer"], "found it");
    let (run, _) = read_run(world.journal.as_ref(), below(&world)).await.unwrap();
    let under = run.under().unwrap();
    assert_eq!((run.question(), under.cause.run, under.depth), ("find it", id(), 1));
    let started = world.journal.records(id()).into_iter().find_map(|record| match record {
        Record::CallStarted { call, .. } => Some(call),
        _ => None,
    });
    assert_eq!(Some(under.cause.call), started);
}

#[tokio::test]
async fn a_helper_is_as_strict_as_its_strictest_tool() {
    let world = World::new();
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        let tools = ToolSet::new()
            .with(Counting::new("read", Effect::Read))
            .unwrap()
            .with(Counting::new("other", effect))
            .unwrap();
        let agent = Agent::builder(Arc::new(Scripted::new())).tools(tools).build().unwrap();
        assert_eq!(agent.as_tool("helper", "Helps.", Shared::new(&world)).spec().effect, effect);
    }
}

#[tokio::test]
async fn a_crash_at_any_record_of_either_run_repeats_nothing_that_is_known() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        // The journal dies when either run would have so many records.
        for at in 1..9 {
            let world = World::with_journal(StrictJournal::dying_at(at));
            let tool = Counting::new("count", effect).looks(Looks::Sees);
            let team = team(&world, &tool, 1);
            let first = team.run_as(world.context(), id(), "q").await;
            world.journal.heal();
            let report = match first {
                Ok(report) => report,
                Err(_) => team.resume(world.context(), id()).await.unwrap(),
            };
            assert_eq!(report.answer(), Ok("the end"), "{effect:?}, record {at}");
            if effect != Effect::Read {
                assert!(tool.count() <= 2, "{effect:?}, record {at}: {}", tool.count());
            }
            let told = &results(&world)[0];
            // A helper whose journal failed is told as what it is; the run above may go on without it.
            assert!(
                told["answer"] == "found it" || told.to_string().contains("journal"),
                "{effect:?} {at}: {told}"
            );
        }
    }
}

#[tokio::test]
async fn a_process_that_is_gone_leaves_a_helper_that_goes_on() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        for at in 2..7 {
            let world = World::with_journal(StrictJournal::parking_at(at));
            let tool = Counting::new("count", effect).looks(Looks::Sees);
            let team = team(&world, &tool, 1);
            let first = {
                let (context, team) = (world.context(), team.clone());
                tokio::spawn(async move { team.run_as(context, id(), "q").await })
            };
            world.journal.parked().await;
            first.abort();
            let _ = first.await;
            let report = team.resume(world.context(), id()).await.unwrap();
            assert_eq!(report.answer(), Ok("the end"), "{effect:?}, record {at}");
            assert_eq!(results(&world)[0]["answer"], "found it", "{effect:?}, record {at}");
            let calls = world.journal.records(below(&world));
            let finished =
                calls.iter().filter(|record| matches!(record, Record::CallFinished { .. })).count();
            assert_eq!(finished, 1, "{effect:?}, record {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_reaches_the_helpers_tools_and_both_runs_go_on_where_they_stood() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        let (mut world, tool) = (World::new(), Counting::new("count", effect).looks(Looks::Sees));
        // 98 waits until nobody waits for it.
        let agent = team(&world, &tool, 98);
        let cancel = world.cancel.clone();
        let waiting = tool.clone();
        let cancelling = async move {
            waiting.started().await;
            cancel.cancel();
        };
        let (report, ()) = tokio::join!(agent.run_as(world.context(), id(), "q"), cancelling);
        let report = report.unwrap();
        assert_eq!((cause(&report), results(&world).len()), (&StopCause::Cancelled, 0), "{effect:?}");

        world.cancel = bursar_agent_core::Cancel::new();
        let report = team(&world, &tool, 98);
        // The helper's model says the same again; its call has its result, or is made again and cancelled by nobody.
        let report =
            tokio::time::timeout(std::time::Duration::from_secs(5), report.resume(world.context(), id()))
                .await;
        match effect {
            Effect::Read => assert!(report.is_err(), "the read is made again, and waits"),
            Effect::Write | Effect::Spend => {
                assert_eq!(report.unwrap().unwrap().answer(), Ok("the end"), "{effect:?}");
                assert_eq!(tool.count(), 1, "{effect:?}: it said that it gave up, and that is known");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_has_no_more_time_than_the_run_above() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Write));
    let helper = helper(&tool, 98).as_tool("helper", "Finds things.", Shared::new(&world));
    let limits = Limits { time_ms: Some(60_000), ..Limits::default() };
    let agent = above(helper, limits);
    let clock = world.clock.clone();
    let ticking = async move {
        tool.started().await;
        clock.advance_ms(60_000);
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    };
    let (report, ()) = tokio::join!(agent.run_as(world.context(), id(), "q"), ticking);
    assert_eq!(cause(&report.unwrap()), &StopCause::Time { limit_ms: 60_000 });
}

/// Waits for an answer until there is one.
#[derive(Debug, Clone)]
struct Asks(Arc<Mutex<bool>>);

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

#[async_trait]
impl Tool for Asks {
    type Args = Nothing;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "buy"
    }
    fn description(&self) -> &str {
        "Buys."
    }
    fn effect(&self) -> Effect {
        Effect::Spend
    }
    async fn call(&self, _: &ToolContext, _: Nothing) -> Result<ToolOutput, ToolError> {
        let until = Timestamp::from_unix_ms(9_000_000);
        Ok(match *self.0.lock().unwrap() {
            true => ToolOutput::value(json!("bought")),
            false => ToolOutput::value(json!("waits")).waiting(ApprovalId::derived(&[b"q"]), until),
        })
    }
}

#[tokio::test]
async fn a_question_of_a_helper_stops_both_runs_and_its_answer_lets_both_go_on() {
    let (mut world, answered) = (World::new(), Arc::new(Mutex::new(false)));
    world.on_question = OnQuestion::Pause;
    let script = Scripted::new().turn(calls("buy", json!({}))).text("found it");
    let tools = ToolSet::new().with(Asks(answered.clone())).unwrap();
    let helper = Agent::builder(Arc::new(script)).tools(tools).build().unwrap();
    let agent = above(helper.as_tool("helper", "Finds things.", Shared::new(&world)), Limits::default());
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    let StopCause::AwaitingApproval { approval, tool, .. } = cause(&report) else { panic!("{report:?}") };
    assert_eq!((*approval, tool.as_str()), (ApprovalId::derived(&[b"q"]), "helper"));
    *answered.lock().unwrap() = true;
    let report = agent.resume(world.context(), id()).await.unwrap();
    assert_eq!((report.answer(), results(&world)[0]["answer"].as_str()), (Ok("the end"), Some("found it")));
}

#[tokio::test]
async fn helpers_of_helpers_end_at_a_depth() {
    let world = World::new();
    let mut agent = Agent::builder(Arc::new(Scripted::new().text("the bottom"))).build().unwrap();
    for _ in 0..=DEPTH_MAX {
        agent = above(agent.as_tool("helper", "Helps.", Shared::new(&world)), Limits::default());
    }
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("the end"));
    let mut run = below(&world);
    for depth in 1..DEPTH_MAX {
        let records = world.journal.records(run);
        let told = records.iter().find_map(|record| match record {
            Record::CallFinished { result, .. } => Some(result.content.clone()),
            _ => None,
        });
        run = serde_json::from_value(told.unwrap_or_else(|| panic!("depth {depth}"))["run"].clone()).unwrap();
    }
    let last = world.journal.records(run).into_iter().find_map(|record| match record {
        Record::CallFinished { result, .. } => Some(result.content.to_string()),
        _ => None,
    });
    assert!(last.unwrap().contains("4 deep"), "the last one is refused");
}

/// A model that says that it was asked, and never answers.
#[derive(Debug)]
struct Silent(Scripted, Arc<tokio::sync::Notify>);

impl Silent {
    fn new() -> Arc<Self> {
        Arc::new(Self(Scripted::new(), Arc::default()))
    }
}

#[async_trait]
impl Model for Silent {
    fn descriptor(&self) -> &ModelDescriptor {
        self.0.descriptor()
    }
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        self.1.notify_one();
        std::future::pending().await
    }
}

/// What is set aside for tries that nobody has settled, and how often something was settled as not known.
#[derive(Debug, Default)]
struct Pinned {
    open: Mutex<BTreeSet<(RunId, u32, u32)>>,
    unknown: Mutex<u32>,
    hangs: bool,
}

#[async_trait]
impl ModelMeter for Pinned {
    async fn hold(&self, charge: &ModelCharge) -> Result<ModelHold, MeterError> {
        self.open.lock().unwrap().insert((charge.run, charge.turn, charge.attempt));
        Ok(ModelHold::Held)
    }
    async fn settle(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.open.lock().unwrap().remove(&(charge.run, charge.turn, charge.attempt));
        *self.unknown.lock().unwrap() += u32::from(*cost == ModelCost::Unknown);
        Ok(charge.most.clone())
    }
}

fn priced(world: &mut World, hangs: bool) -> Arc<Pinned> {
    let meter = Arc::new(Pinned { hangs, ..Pinned::default() });
    world.meter = Some(meter.clone());
    meter
}

/// A helper whose model has a price and falls silent.
fn thinker(world: &World, model: &Arc<Silent>) -> Arc<dyn DynTool> {
    let model = Arc::clone(model) as Arc<dyn Model>;
    let agent = Agent::builder(model).prices(Prices::new(1_000_000, 10_000_000, 1_000)).build().unwrap();
    agent.as_tool("helper", "Thinks.", Shared::new(world))
}

/// What ended every run that stopped.
fn causes(world: &World, run: RunId) -> Vec<StopCause> {
    let records = world.journal.records(run).into_iter();
    let causes = records.filter_map(|record| match record {
        Record::Stopped { cause } => Some(cause),
        _ => None,
    });
    causes.collect()
}

/// The run of the first call of the run above.
fn run_below(world: &World) -> RunId {
    let records = world.journal.records(id()).into_iter();
    let call = records.filter_map(|record| match record {
        Record::CallStarted { call, .. } => Some(call),
        _ => None,
    });
    RunId::derived(&[b"sub-agent", call.last().unwrap().as_bytes()])
}

#[tokio::test(start_paused = true)]
async fn a_helper_whose_time_is_over_settles_what_its_model_may_have_cost_and_is_told() {
    let mut world = World::new();
    let meter = priced(&mut world, false);
    let limits = Limits { call_ms: Some(10_000), ..Limits::default() };
    let agent = above(thinker(&world, &Silent::new()), limits);
    let began = tokio::time::Instant::now();
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), began.elapsed().as_secs()), (Ok("the end"), 10));
    assert!(meter.open.lock().unwrap().is_empty(), "nothing stays set aside for ever");
    assert_eq!(*meter.unknown.lock().unwrap(), 1, "unknown is never zero");
    assert_eq!(causes(&world, run_below(&world)), [StopCause::Cancelled]);
    let told = results(&world)[0].to_string();
    assert!(told.contains("stopped half-way"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_helper_is_wound_up_when_its_sibling_gives_the_answer() {
    let mut world = World::new();
    let meter = priced(&mut world, false);
    let model = Silent::new();
    let script = Scripted::new().turn(ScriptedTurn::Calls(vec![
        ("done".to_owned(), json!({})),
        ("helper".to_owned(), json!({"task": "find it"})),
    ]));
    let tools = ToolSet::new().with(Done(model.1.clone())).unwrap();
    let tools = tools.with_dyn(thinker(&world, &model)).unwrap();
    let agent = Agent::builder(Arc::new(script)).tools(tools).build().unwrap();
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("that was all"));
    assert!(meter.open.lock().unwrap().is_empty(), "nothing stays set aside for ever");
    assert_eq!(
        (*meter.unknown.lock().unwrap(), causes(&world, run_below(&world))),
        (1, vec![StopCause::Cancelled])
    );
}

/// Ends the run once its sibling is at work.
#[derive(Debug, Clone)]
struct Done(Arc<tokio::sync::Notify>);

#[async_trait]
impl Tool for Done {
    type Args = Nothing;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "done"
    }
    fn description(&self) -> &str {
        "Ends the run."
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    async fn call(&self, _: &ToolContext, _: Nothing) -> Result<ToolOutput, ToolError> {
        self.0.notified().await;
        Ok(ToolOutput::finish("that was all"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_is_wound_up_when_the_run_above_is_cancelled_or_out_of_time() {
    for cancelled in [true, false] {
        let mut world = World::new();
        let meter = priced(&mut world, false);
        let model = Silent::new();
        let limits = Limits { time_ms: Some(60_000), ..Limits::default() };
        let agent = above(thinker(&world, &model), limits);
        let (clock, cancel) = (world.clock.clone(), world.cancel.clone());
        let ending = async move {
            model.1.notified().await;
            match cancelled {
                true => cancel.cancel(),
                false => clock.advance_ms(60_000),
            }
        };
        let (report, ()) = tokio::join!(agent.run_as(world.context(), id(), "q"), ending);
        let over = match cancelled {
            true => StopCause::Cancelled,
            false => StopCause::Time { limit_ms: 60_000 },
        };
        assert_eq!(cause(&report.unwrap()), &over);
        assert!(meter.open.lock().unwrap().is_empty(), "nothing stays set aside for ever");
        assert_eq!(*meter.unknown.lock().unwrap(), 1);
        // Out of time, it hears it from the clock or from above, whichever it sees first.
        let below = causes(&world, run_below(&world));
        let ended = matches!(below.as_slice(), [StopCause::Cancelled | StopCause::Deadline { .. }]);
        assert!(ended, "{below:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_does_not_end_is_cut_off_and_told_as_not_known() {
    let mut world = World::new();
    let meter = priced(&mut world, true);
    let limits = Limits { call_ms: Some(10_000), ..Limits::default() };
    let agent = above(thinker(&world, &Silent::new()), limits);
    let began = tokio::time::Instant::now();
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), began.elapsed().as_secs()), (Ok("the end"), 15));
    assert_eq!(meter.open.lock().unwrap().len(), 1, "whoever looks after it later settles it");
    let told = results(&world)[0].to_string();
    assert!(told.contains("cut off") && told.contains("10000 ms"), "{told}");
    let executed = world.journal.records(id()).into_iter().find_map(|record| match record {
        Record::CallFinished { result, .. } => Some(result.executed),
        _ => None,
    });
    assert_eq!(executed, Some(Executed::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_writes_and_does_not_end_stops_the_run_above_until_it_goes_on() {
    let mut world = World::new();
    let tool = Counting::new("count", Effect::Write).looks(Looks::Sees);
    // 99 waits for ever.
    let helper = helper(&tool, 99).as_tool("helper", "Finds things.", Shared::new(&world));
    let limits = Limits { call_ms: Some(10_000), ..Limits::default() };
    let agent = above(helper, limits.clone());
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    let StopCause::WriteUnknown { tool: waits, .. } = cause(&report) else { panic!("{report:?}") };
    assert_eq!((waits.as_str(), tool.count()), ("helper", 1));
    // To call it again is to go on with it: its write is asked after, and begun again only because it did not happen.
    world.cancel = bursar_agent_core::Cancel::new();
    let report = agent.resume(world.context(), id()).await.unwrap();
    assert!(report.can_go_on(), "it waits again: {report:?}");
    assert_eq!((tool.count(), results(&world).len()), (2, 0));
}

/// A model whose code waits without letting anybody else go on, until the sender is gone; nothing can stop it from outside.
#[derive(Debug)]
struct Stuck(Scripted, Mutex<std::sync::mpsc::Receiver<()>>, tokio::sync::Notify);

#[async_trait]
impl Model for Stuck {
    fn descriptor(&self) -> &ModelDescriptor {
        self.0.descriptor()
    }
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        self.2.notify_one();
        let _ = self.1.lock().unwrap().recv();
        self.0.stream(request).await
    }
}

/// It takes as long as a helper is given, twice: time cannot be paused while threads wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_helper_that_only_reads_and_cannot_be_stopped_leaves_the_run_above_whole() {
    let stuck = || {
        let (go, waits) = std::sync::mpsc::channel();
        (go, Arc::new(Stuck(Scripted::new().text("late"), Mutex::new(waits), tokio::sync::Notify::new())))
    };
    let team = |world: &World, model: &Arc<Stuck>, limits: Limits| {
        let helper = Agent::builder(Arc::clone(model) as Arc<dyn Model>).build().unwrap();
        above(helper.as_tool("helper", "Thinks.", Shared::new(world)), limits)
    };
    // Its own time is over.
    let (world, (go, model)) = (World::new(), stuck());
    let agent = team(&world, &model, Limits { call_ms: Some(50), ..Limits::default() });
    // The run above is over.
    let (other, (other_go, other_model)) = (World::new(), stuck());
    let other_agent = team(&other, &other_model, Limits::default());
    let cancels = async {
        other_model.2.notified().await;
        other.cancel.cancel();
    };
    let (report, stopped, ()) = tokio::join!(
        agent.run_as(world.context(), id(), "q"),
        other_agent.run_as(other.context(), id(), "q"),
        cancels
    );
    drop((go, other_go));
    assert_eq!(report.unwrap().answer(), Ok("the end"));
    assert!(results(&world)[0].to_string().contains("how far it came is not known"));
    let stopped = stopped.unwrap();
    assert_eq!((cause(&stopped), results(&other).len()), (&StopCause::Cancelled, 0));
    assert!(stopped.can_go_on());
}
