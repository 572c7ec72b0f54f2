//! A yes holds for the moment it was given in: what is begun after a run was taken up again is decided again.

use crate::support::{Counting, Looks, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{Agent, CallState, PersonAnswer, Record, RunOutcome, StopCause, ToolSet, read_run};
use bursar_types::{
    Action, Asked, CallId, Decision, Digest, Effect, Gate, GateError, Reason, RunId, Verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn id() -> RunId {
    RunId::derived(&[b"anew"])
}

/// A gate that changes its mind, and knows which calls a person said yes to.
#[derive(Debug)]
struct Turning {
    says: Mutex<Verdict>,
    decided: Mutex<Vec<CallId>>,
    answered: Mutex<BTreeSet<CallId>>,
    put_to_a_person: Mutex<u32>,
}

impl Turning {
    fn saying(verdict: Verdict) -> Arc<Self> {
        Arc::new(Self {
            says: Mutex::new(verdict),
            decided: Mutex::default(),
            answered: Mutex::default(),
            put_to_a_person: Mutex::default(),
        })
    }

    fn turn(&self, verdict: Verdict) {
        *self.says.lock().unwrap() = verdict;
    }
}

fn decision(verdict: Verdict) -> Decision {
    let reasons = match verdict {
        Verdict::Allow => Vec::new(),
        Verdict::Deny | Verdict::Escalate => vec![Reason::new("FROZEN", "it was frozen", "wait")],
    };
    Decision { verdict, reasons, rules: Vec::new(), facts: Digest::of(b"") }
}

#[async_trait]
impl Gate for Turning {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        self.decided.lock().unwrap().push(action.call);
        Ok(decision(*self.says.lock().unwrap()))
    }
    async fn ask(&self, action: &Action, _: &str) -> Result<Asked, GateError> {
        if self.answered.lock().unwrap().insert(action.call) {
            *self.put_to_a_person.lock().unwrap() += 1;
        }
        Ok(Asked::Allowed(decision(Verdict::Allow)))
    }
}

fn agent(tool: &Counting) -> Agent {
    let turn = ScriptedTurn::Calls(vec![(tool.name.to_owned(), json!({"n": 1}))]);
    let tools = ToolSet::new().with(tool.clone()).unwrap();
    Agent::builder(Arc::new(Scripted::new().turn(turn).text("the end"))).tools(tools).build().unwrap()
}

/// What the model was told of the calls.
fn results(world: &World) -> Vec<Value> {
    let records = world.journal.records(id()).into_iter();
    let told = records.filter_map(|record| match record {
        Record::CallFinished { result, .. } => Some(result.content),
        _ => None,
    });
    told.collect()
}

fn was_started(world: &World) -> bool {
    world.journal.records(id()).iter().any(|record| matches!(record, Record::CallStarted { .. }))
}

/// A world whose journal dies after so many records, with a gate that says this.
fn world(dies_at: u64, gate: &Arc<Turning>) -> World {
    let mut world = World::with_journal(StrictJournal::dying_at(dies_at));
    world.gate = Arc::clone(gate) as Arc<dyn Gate>;
    world
}

#[tokio::test]
async fn a_call_that_was_allowed_before_a_crash_is_not_begun_after_a_no() {
    let mut crashes = 0;
    for (effect, at) in [Effect::Read, Effect::Write, Effect::Spend]
        .map(|effect| (1..9).map(move |at| (effect, at)))
        .into_iter()
        .flatten()
    {
        let gate = Turning::saying(Verdict::Allow);
        let (world, tool) = (world(at, &gate), Counting::new("work", effect).looks(Looks::Sees));
        if agent(&tool).run_as(world.context(), id(), "q").await.is_ok() {
            continue;
        }
        world.journal.heal();
        let (before, started) = (tool.count(), was_started(&world));
        let known = results(&world).len();
        gate.turn(Verdict::Deny);
        let report = agent(&tool).resume(world.context(), id()).await;
        if matches!(&report, Err(error) if error.to_string().contains("there is no run")) {
            continue;
        }
        assert_eq!(report.unwrap().answer(), Ok("the end"), "{effect:?} {at}");
        crashes += 1;
        let told = results(&world)[0].to_string();
        match effect {
            // Its money may be on its way: the purse says what became of it.
            Effect::Spend if started && known == 0 => assert_eq!(tool.count(), before + 1, "{at}"),
            _ => assert_eq!(tool.count(), before, "{effect:?} {at}: {told}"),
        }
        if !started {
            assert!(told.contains("FROZEN"), "{effect:?} {at}: {told}");
        }
    }
    assert!(crashes > 15, "{crashes}");
}

#[tokio::test]
async fn a_call_that_was_allowed_before_a_crash_is_decided_once_more_and_made_once() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        let gate = Turning::saying(Verdict::Allow);
        // Started, requested, replied, decided.
        let (world, tool) = (world(4, &gate), Counting::new("work", effect));
        agent(&tool).run_as(world.context(), id(), "q").await.unwrap_err();
        world.journal.heal();
        let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
        assert!(matches!(run.calls()[0].state, CallState::Decided(_)), "{run:?}");
        assert_eq!(agent(&tool).resume(world.context(), id()).await.unwrap().answer(), Ok("the end"));
        assert_eq!((tool.count(), gate.decided.lock().unwrap().len()), (1, 2), "{effect:?}");
        let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
        assert_eq!(run.calls_made(), 1);
    }
}

#[tokio::test]
async fn a_person_who_said_yes_before_a_crash_is_not_asked_twice() {
    for effect in [Effect::Read, Effect::Write, Effect::Spend] {
        let gate = Turning::saying(Verdict::Escalate);
        // The fifth record is the answer.
        let (world, tool) = (world(5, &gate), Counting::new("work", effect));
        agent(&tool).run_as(world.context(), id(), "q").await.unwrap_err();
        world.journal.heal();
        let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
        assert!(matches!(run.calls()[0].state, CallState::Answered(..)), "{run:?}");
        assert_eq!(agent(&tool).resume(world.context(), id()).await.unwrap().answer(), Ok("the end"));
        let decided = gate.decided.lock().unwrap().len();
        assert_eq!((tool.count(), decided, *gate.put_to_a_person.lock().unwrap()), (1, 2, 1), "{effect:?}");
    }
}

#[tokio::test]
async fn a_yes_of_a_person_from_before_a_crash_lifts_no_later_no() {
    let gate = Turning::saying(Verdict::Escalate);
    let (world, tool) = (world(5, &gate), Counting::new("work", Effect::Write));
    agent(&tool).run_as(world.context(), id(), "q").await.unwrap_err();
    world.journal.heal();
    gate.turn(Verdict::Deny);
    assert_eq!(agent(&tool).resume(world.context(), id()).await.unwrap().answer(), Ok("the end"));
    let told = results(&world)[0].to_string();
    assert!(tool.count() == 0 && told.contains("FROZEN"), "{told}");
}

#[tokio::test]
async fn a_write_that_did_not_happen_begins_again_only_if_it_is_allowed_again() {
    for (verdict, made) in [(Verdict::Allow, 2), (Verdict::Deny, 1)] {
        let gate = Turning::saying(Verdict::Allow);
        // It was started, and nobody can say what came of it.
        let (world, tool) = (world(5, &gate), Counting::new("work", Effect::Write));
        agent(&tool).run_as(world.context(), id(), "q").await.unwrap_err();
        world.journal.heal();
        let stopped = agent(&tool).resume(world.context(), id()).await.unwrap();
        let RunOutcome::Stopped { cause: StopCause::WriteUnknown { call, .. } } = stopped.outcome else {
            panic!("{stopped:?}")
        };
        gate.turn(verdict);
        let said = vec![PersonAnswer::did_not_happen(call, "ada")];
        let report = agent(&tool).resume_with(world.context(), id(), said).await.unwrap();
        assert_eq!((report.answer(), tool.count()), (Ok("the end"), made), "{verdict:?}");
        let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
        assert_eq!(run.calls_made(), 1, "a repetition is no further call");
        assert_eq!(results(&world)[0].to_string().contains("FROZEN"), verdict == Verdict::Deny);
    }
}
