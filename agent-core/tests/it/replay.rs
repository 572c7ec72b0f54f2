//! Replays and crashes.

use crate::support::{Counting, StrictJournal, World};
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, CallState, Command, Limits, Record, Run, RunError, RunReport, ToolSet, read_run,
};
use bursar_types::{Effect, RunId};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

struct Tools {
    read: Counting,
    write: Counting,
    spend: Counting,
}

impl Tools {
    fn new() -> Self {
        Self {
            read: Counting::new("read", Effect::Read),
            write: Counting::new("write", Effect::Write),
            spend: Counting::new("spend", Effect::Spend),
        }
    }

    fn set(&self) -> ToolSet {
        [&self.read, &self.write, &self.spend]
            .into_iter()
            .fold(ToolSet::new(), |set, tool| set.with(tool.clone()).unwrap())
    }
}

fn id() -> RunId {
    RunId::derived(&[b"replayed"])
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn script() -> Scripted {
    let calls = |calls: &[(&str, u32)]| {
        ScriptedTurn::Calls(calls.iter().map(|(tool, n)| ((*tool).to_owned(), json!({"n": n}))).collect())
    };
    Scripted::new()
        .turn(calls(&[("read", 1), ("read", 2), ("nothing", 0), ("write", 3), ("spend", 4), ("read", 5)]))
        .turn(calls(&[("write", 6)]))
        .text("the end")
}

async fn attempt(world: &World, tools: &Tools, resume: bool) -> Result<RunReport, RunError> {
    let agent = Agent::builder(Arc::new(script())).tools(tools.set()).build().unwrap();
    if resume {
        agent.resume(world.context(), id()).await
    } else {
        agent.run_as(world.context(), id(), "q").await
    }
}

#[test]
fn the_id_of_a_call_is_the_same_after_a_crash() {
    let ids = |world: &World| {
        let mut ids: Vec<_> = world
            .journal
            .records(id())
            .into_iter()
            .filter_map(|record| match record {
                Record::CallFinished { call, .. } => Some(call),
                _ => None,
            })
            .collect();
        ids.dedup();
        ids
    };
    let calm = World::new();
    block_on(attempt(&calm, &Tools::new(), false)).unwrap();
    let world = World::with_journal(StrictJournal::dying_at(7));
    let tools = Tools::new();
    block_on(attempt(&world, &tools, false)).unwrap_err();
    world.journal.heal();
    block_on(attempt(&world, &tools, true)).unwrap();
    assert_eq!(ids(&calm), ids(&world));
}

/// Any turn: calls of any tool with any arguments, malformed ones, or nothing.
fn any_turn() -> impl Strategy<Value = ScriptedTurn> {
    let tool = prop_oneof![Just("read"), Just("write"), Just("spend"), Just("nothing")];
    let args = prop_oneof![3 => Just(json!({"n": 1})), 1 => Just(json!({"m": 1})), 1 => Just(json!({"n": 13})), 1 => Just(json!(1.5))];
    let calls = prop::collection::vec((tool.prop_map(str::to_owned), args), 1..5);
    prop_oneof![
        6 => calls.prop_map(ScriptedTurn::Calls),
        1 => Just(ScriptedTurn::RawCall("read".into(), "{".into())),
        1 => Just(ScriptedTurn::Events(Vec::new())),
        1 => Just(ScriptedTurn::Text(String::new())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_records_gives_the_state_that_was_live(turns in prop::collection::vec(any_turn(), 0..5), limit in 1_u32..8) {
        let world = World::new();
        let tools = Tools::new();
        let model = turns.into_iter().fold(Scripted::new(), Scripted::turn).text("the end");
        let limits = Limits { calls: limit, ..Limits::default() };
        let agent = Agent::builder(Arc::new(model)).tools(tools.set()).limits(limits).build().unwrap();
        let report = block_on(agent.run_as(world.context(), id(), "q")).unwrap();
        let (run, entries) = block_on(read_run(world.journal.as_ref(), id())).unwrap();
        prop_assert_eq!(run.outcome(), Some(&report.outcome));
        prop_assert!(run.next().is_empty());
        prop_assert!(tools.read.count() + tools.write.count() + tools.spend.count() <= limit);
        // Every prefix folds, knows what is outstanding unless it is the whole, and refuses the record it just took.
        let mut folded = Run::begin(&entries[0].record).unwrap();
        for (index, entry) in entries.iter().enumerate().skip(1) {
            prop_assert!(!folded.next().is_empty());
            folded.apply(&entry.record).unwrap();
            let before = folded.clone();
            let repeatable = matches!(entry.record, Record::ModelFailed { .. });
            prop_assert_eq!(folded.apply(&entry.record).is_ok(), repeatable, "record {}", index);
            folded = before;
            // A worker may take the run up at any record, and finds the same outstanding; not after its end.
            for decides_anew in [false, true] {
                let mut taken = folded.clone();
                let resumed = Record::Resumed { worker: "another".into(), idle_ms: 1_000, decides_anew, trace: None };
                prop_assert_eq!(taken.apply(&resumed).is_ok(), !folded.has_ended());
                if folded.outcome().is_none() {
                    prop_assert_eq!(taken.deadline(), folded.deadline().map(|deadline| deadline.plus_ms(1_000)));
                    if !decides_anew {
                        prop_assert_eq!(taken.next(), folded.next());
                        continue;
                    }
                    // Nothing begins on a yes from before, but for a spend that had begun.
                    for command in taken.next() {
                        let Command::CallTool { call, .. } = command else { continue };
                        let view = folded.call(call).unwrap();
                        prop_assert_eq!((view.effect, &view.state), (Some(Effect::Spend), &CallState::Started));
                    }
                }
            }
        }
        prop_assert_eq!(folded, run);
    }
}
