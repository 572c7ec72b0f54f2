//! What one step of the loop costs: a turn of a model that answers at once, the gate, a call of a tool that does nothing, and the five
//! records that both leave in a journal in memory. Beside it, what the fold alone costs, over the same records.
//!
//! `cargo bench -p bursar-agent-core --bench steps`
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, Cancel, EventSender, Limits, OnQuestion, Record, RecordEntry, Run, RunContext, Steer, Tool,
    ToolContext, ToolError, ToolSet,
};
use bursar_types::{
    Action, AgentId, Decision, Digest, Effect, Gate, GateError, Journal, JournalError, JournalRecord,
    ManualClock, Principal, RunId, SeededEntropy, SessionId, StoredRecord, Timestamp, Verdict,
};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A journal in memory, as short as one can be.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<RunId, Vec<StoredRecord>>>);

#[async_trait]
impl Journal for Kept {
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
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
        Ok(Decision {
            verdict: Verdict::Allow,
            reasons: Vec::new(),
            rules: Vec::new(),
            facts: Digest::of(b""),
        })
    }
}

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
struct Number {
    n: u32,
}

#[derive(Debug)]
struct Add;

#[async_trait]
impl Tool for Add {
    type Args = Number;
    type Output = u32;

    fn name(&self) -> &str {
        "add"
    }
    fn description(&self) -> &str {
        "Adds one."
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    async fn call(&self, _: &ToolContext, number: Number) -> Result<u32, ToolError> {
        Ok(number.n.wrapping_add(1))
    }
}

fn agent(steps: u32) -> Agent {
    let turn = |n: u32| ScriptedTurn::Calls(vec![("add".into(), json!({"n": n}))]);
    let script = (0..steps).fold(Scripted::new(), |script, n| script.turn(turn(n))).text("done");
    let limits = Limits { turns: u32::MAX, calls: u32::MAX, ..Limits::default() };
    let tools = ToolSet::new().with(Add).unwrap();
    Agent::builder(Arc::new(script)).tools(tools).limits(limits).build().unwrap()
}

fn context(journal: &Arc<Kept>) -> RunContext {
    RunContext {
        journal: journal.clone(),
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
    }
}

fn main() {
    // `cargo test --benches` runs this too, only to see that it still works.
    let full = std::env::args().any(|argument| argument == "--bench");
    let runs = if full { 2_000 } else { 2 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for steps in [1_u32, 10, 40] {
        let (agent, journal) = (agent(steps), Arc::new(Kept::default()));
        let began = Instant::now();
        runtime.block_on(async {
            for run in 0..runs / steps.min(runs) {
                let id = RunId::derived(&[&run.to_be_bytes(), &steps.to_be_bytes()]);
                agent.run_as(context(&journal), id, "q").await.unwrap();
            }
        });
        let all = u128::from(runs / steps.min(runs)) * u128::from(steps);
        let kept = journal.0.lock().unwrap();
        let records: Vec<Record> =
            kept.values().flatten().map(|stored| RecordEntry::decode(stored).unwrap().record).collect();
        println!(
            "{steps:>3} steps a run: {:>7.2} us a step, {:.1} records a step",
            began.elapsed().as_secs_f64() * 1e6 / all.max(1) as f64,
            records.len() as f64 / all.max(1) as f64
        );
        let began = Instant::now();
        let mut state: Option<Run> = None;
        for record in &records {
            match (&mut state, record) {
                (_, Record::Started { .. }) => state = Some(Run::begin(record).unwrap()),
                (Some(run), record) => {
                    std::hint::black_box(run.next());
                    run.apply(record).unwrap();
                }
                (None, _) => {}
            }
        }
        println!(
            "                 {:>7.2} us a step of it to fold and ask what is next",
            began.elapsed().as_secs_f64() * 1e6 / all.max(1) as f64
        );
    }
}
