//! Calls that wait for an answer: the model is told, or the run stands still and makes the call again.

use crate::support::World;
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, OnQuestion, Record, RunOutcome, RunReport, StopCause, Tool, ToolContext, ToolError, ToolOutput,
    ToolSet, read_run,
};
use bursar_types::{ApprovalId, CallId, Effect, RunId, Timestamp};
use serde_json::json;
use std::sync::{Arc, Mutex};

const UNTIL: Timestamp = Timestamp::from_unix_ms(9_000_000);

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

/// Waits for an answer until there is one.
#[derive(Debug, Clone)]
struct Asks {
    effect: Effect,
    answered: Arc<Mutex<bool>>,
    calls: Arc<Mutex<Vec<CallId>>>,
}

impl Asks {
    fn new(effect: Effect) -> Self {
        Self { effect, answered: Arc::default(), calls: Arc::default() }
    }

    fn agent(&self) -> Agent {
        let script =
            Scripted::new().turn(ScriptedTurn::Calls(vec![("buy".to_owned(), json!({}))])).text("the end");
        let tools = ToolSet::new().with(self.clone()).unwrap();
        Agent::builder(Arc::new(script)).tools(tools).build().unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[async_trait]
impl Tool for Asks {
    type Args = Nothing;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "buy"
    }
    fn description(&self) -> &str {
        "Buys what somebody approved."
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    async fn call(&self, context: &ToolContext, _: Nothing) -> Result<ToolOutput, ToolError> {
        self.calls.lock().unwrap().push(context.call());
        Ok(match *self.answered.lock().unwrap() {
            true => ToolOutput::value(json!("bought")),
            false => ToolOutput::value(json!("it waits")).waiting(ApprovalId::derived(&[b"q"]), UNTIL),
        })
    }
}

fn id() -> RunId {
    RunId::derived(&[b"asks"])
}

fn asked(report: &RunReport) -> bool {
    let waits = |cause: &StopCause| {
        matches!(cause, StopCause::AwaitingApproval { tool, approval, until, .. }
            if tool == "buy" && *approval == ApprovalId::derived(&[b"q"]) && *until == UNTIL)
    };
    matches!(&report.outcome, RunOutcome::Stopped { cause } if waits(cause))
}

#[tokio::test]
async fn a_run_stands_still_at_a_question_and_makes_the_same_call_again_whatever_its_effect() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        let (mut world, tool) = (World::new(), Asks::new(effect));
        world.on_question = OnQuestion::Pause;
        let stopped = tool.agent().run_as(world.context(), id(), "q").await.unwrap();
        assert!(asked(&stopped) && stopped.can_go_on(), "{effect:?}: {stopped:?}");
        let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
        assert!(run.open_write().is_none() && !run.has_ended(), "nobody has to say what came of it");

        let early = tool.agent().resume(world.context(), id()).await.unwrap();
        assert!(asked(&early), "{effect:?}: nobody answered: {early:?}");
        *tool.answered.lock().unwrap() = true;
        let report = tool.agent().resume(world.context(), id()).await.unwrap();
        assert_eq!(report.answer().unwrap(), "the end");
        let calls = tool.calls.lock().unwrap().clone();
        assert!(calls.len() == 3 && calls.iter().all(|call| *call == calls[0]), "{effect:?}: {calls:?}");
        assert_eq!(report.calls, 1, "however often it is made, it is one call");
        let (_, records) = read_run(world.journal.as_ref(), id()).await.unwrap();
        let told = records.iter().filter_map(|entry| match &entry.record {
            Record::CallFinished { result, .. } => Some(result.content.clone()),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), [json!("bought")], "the model is told what came of it, once");
    }
}

#[tokio::test]
async fn the_time_until_an_answer_is_not_the_runs_time() {
    let (mut world, tool) = (World::new(), Asks::new(Effect::Write));
    world.on_question = OnQuestion::Pause;
    let stopped = tool.agent().run_as(world.context(), id(), "q").await.unwrap();
    assert!(asked(&stopped));
    world.clock.advance_ms(tool.agent().limits().time_ms.unwrap() * 10);
    *tool.answered.lock().unwrap() = true;
    let report = tool.agent().resume(world.context(), id()).await.unwrap();
    assert_eq!(report.answer().unwrap(), "the end");
}

#[tokio::test]
async fn a_model_that_is_told_goes_on_without() {
    let (world, tool) = (World::new(), Asks::new(Effect::Spend));
    let report = tool.agent().run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer().unwrap(), tool.calls()), ("the end", 1));
}
