//! A step of Bursar's loop beside a step of rig's own: a turn of a scripted model that answers at once, and a call of a tool that adds two
//! numbers. Bursar's leaves five records in a journal in memory, and its gate is asked; rig keeps no journal and asks nobody.
//!
//! Both models are the scripted ones that come with each, made anew for each run. They are asked in turn, and the least of several rounds
//! counts, so that a busy machine does to both the same.

use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, Cancel, EventSender, Limits, OnQuestion, RunContext, Steer, Tool, ToolContext, ToolError, ToolSet,
};
use bursar_types::{
    Action, AgentId, Decision, Digest, Effect, Gate, GateError, Journal, JournalError, JournalRecord, ManualClock,
    Principal, RunId, SeededEntropy, SessionId, StoredRecord, Timestamp, Verdict,
};
use rig_agent::agent::AgentBuilder;
use rig_agent::test_utils::{MockAddTool, MockCompletionModel, MockTurn};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 15;
const RUNS: u32 = 40;

#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<RunId, Vec<StoredRecord>>>);

#[async_trait]
impl Journal for Kept {
    async fn append(&self, run: RunId, expected: u64, records: Vec<JournalRecord>) -> Result<u64, JournalError> {
        let mut runs = self.0.lock().unwrap();
        let kept = runs.entry(run).or_default();
        let found = kept.len() as u64;
        if found != expected {
            return Err(JournalError::Fenced { expected, found });
        }
        for (sequence, JournalRecord { kind, payload }) in (found..).zip(records) {
            kept.push(StoredRecord { sequence, kind, payload: Some(payload) });
        }
        Ok(kept.len() as u64)
    }

    async fn read(&self, run: RunId, _: u64) -> Result<Vec<StoredRecord>, JournalError> {
        Ok(self.0.lock().unwrap().get(&run).cloned().unwrap_or_default())
    }
}

#[derive(Debug)]
struct Open;

#[async_trait]
impl Gate for Open {
    async fn decide(&self, _: &Action) -> Result<Decision, GateError> {
        Ok(Decision { verdict: Verdict::Allow, reasons: Vec::new(), rules: Vec::new(), facts: Digest::of(b"") })
    }
}

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
struct Numbers {
    x: i32,
    y: i32,
}

#[derive(Debug)]
struct Add;

#[async_trait]
impl Tool for Add {
    type Args = Numbers;
    type Output = i32;

    fn name(&self) -> &str {
        "add"
    }
    fn description(&self) -> &str {
        "Add x and y together"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    async fn call(&self, _: &ToolContext, numbers: Numbers) -> Result<i32, ToolError> {
        Ok(numbers.x + numbers.y)
    }
}

async fn ours(steps: u32, round: u32) -> Duration {
    let mut took = Duration::ZERO;
    for run in 0..RUNS {
        let turn = |n: u32| ScriptedTurn::Calls(vec![("add".into(), json!({"x": n, "y": 1}))]);
        let script = (0..steps).fold(Scripted::new(), |script, n| script.turn(turn(n))).text("done");
        let limits = Limits { turns: u32::MAX, calls: u32::MAX, ..Limits::default() };
        let tools = ToolSet::new().with(Add).unwrap();
        let agent = Agent::builder(Arc::new(script)).tools(tools).limits(limits).build().unwrap();
        let context = RunContext {
            journal: Arc::new(Kept::default()),
            gate: Arc::new(Open),
            purse: None,
            meter: None,
            clock: Arc::new(ManualClock::new(Timestamp::from_unix_ms(0))),
            entropy: Arc::new(SeededEntropy::new(1)),
            principal: Principal {
                session: SessionId::derived(&[b"s"]),
                agent: AgentId::derived(&[b"a"]),
                user: "ada".into(),
                role: "bench".into(),
            },
            events: EventSender::nobody(),
            cancel: Cancel::new(),
            steer: Steer::new(),
            under: None,
            worker: "bench".into(),
            after: None,
            on_question: OnQuestion::Tell,
            traces: Arc::new(bursar_types::telemetry::Untraced),
        };
        let id = RunId::derived(&[&run.to_be_bytes(), &round.to_be_bytes()]);
        let began = Instant::now();
        let report = agent.run_as(context, id, "q").await.unwrap();
        took += began.elapsed();
        assert_eq!(report.answer(), Ok("done"));
    }
    took
}

async fn theirs(steps: u32) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..RUNS {
        let turn = |n: u32| MockTurn::tool_call(format!("c{n}"), "add", json!({"x": n, "y": 1}));
        let turns: Vec<MockTurn> = (0..steps).map(turn).chain([MockTurn::text("done")]).collect();
        let agent = AgentBuilder::new(MockCompletionModel::from_turns(turns)).tool(MockAddTool).build();
        let began = Instant::now();
        let response = agent.prompt("q").max_turns(steps as usize + 2).run().await.unwrap();
        took += began.elapsed();
        assert_eq!(response.output(), "done");
    }
    took
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for steps in [1_u32, 10, 40] {
        let (mut own, mut other) = (Duration::MAX, Duration::MAX);
        for round in 0..ROUNDS {
            own = own.min(runtime.block_on(ours(steps, round)));
            other = other.min(runtime.block_on(theirs(steps)));
        }
        let each = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(RUNS * steps);
        println!(
            "{steps:>3} steps a run: Bursar {:>7.1} us a step, rig {:>7.1} us a step, ratio {:.2}",
            each(own),
            each(other),
            own.as_secs_f64() / other.as_secs_f64()
        );
    }
}
