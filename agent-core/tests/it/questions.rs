//! Calls that wait for an answer: the model is told, or the run stands still and makes the call again.

use crate::support::{Counting, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, CallState, OnQuestion, Record, RunOutcome, RunReport, StopCause, Tool, ToolContext, ToolError,
    ToolOutput, ToolSet, read_run,
};
use bursar_types::{
    Action, ApprovalId, Asked, CallId, Decision, Digest, Effect, Gate, GateError, Reason, RunId, Timestamp,
    Verdict,
};
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

/// What a person says of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Person {
    Silent,
    Yes,
    No,
    Gone,
    Fails,
}

/// A gate that escalates every call of `write`, and a person behind it.
#[derive(Debug)]
struct Desk {
    person: Mutex<Person>,
    asked: Mutex<Vec<(CallId, String)>>,
}

fn decision(verdict: Verdict, code: &'static str) -> Decision {
    let reasons = vec![Reason::new(code, "letters are put to a person", "wait for the answer")];
    Decision { verdict, reasons, rules: vec!["letters".into()], facts: Digest::of(b"") }
}

#[async_trait]
impl Gate for Desk {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        let verdict = if action.tool == "write" { Verdict::Escalate } else { Verdict::Allow };
        Ok(decision(verdict, "LETTERS"))
    }
    async fn ask(&self, action: &Action, shown: &str) -> Result<Asked, GateError> {
        self.asked.lock().unwrap().push((action.call, shown.to_owned()));
        Ok(match *self.person.lock().unwrap() {
            Person::Silent => Asked::Waits { approval: ApprovalId::derived(&[b"q"]), until: UNTIL },
            Person::Yes => Asked::Allowed(decision(Verdict::Allow, "YES")),
            Person::No => Asked::Refused(decision(Verdict::Deny, "APPROVAL_REFUSED")),
            Person::Gone => Asked::Nobody,
            Person::Fails => return Err(GateError("the desk is closed".into())),
        })
    }
}

/// A run that reads, writes and reads in one turn, at a desk.
struct Office {
    world: World,
    desk: Arc<Desk>,
    read: Counting,
    write: Counting,
}

impl Office {
    fn new(journal: StrictJournal, person: Person, on_question: OnQuestion) -> Self {
        let desk = Arc::new(Desk { person: Mutex::new(person), asked: Mutex::default() });
        let mut world = World::with_journal(journal);
        world.gate = Arc::clone(&desk) as Arc<dyn Gate>;
        world.on_question = on_question;
        let (read, write) = (Counting::new("read", Effect::Read), Counting::new("write", Effect::Write));
        Self { world, desk, read, write }
    }

    fn agent(&self) -> Agent {
        let calls = [("read", 1), ("write", 2), ("read", 3)];
        let calls = calls.iter().map(|(tool, n)| ((*tool).to_owned(), json!({"n": n}))).collect();
        let tools = ToolSet::new().with(self.read.clone()).unwrap().with(self.write.clone()).unwrap();
        let script = Scripted::new().turn(ScriptedTurn::Calls(calls)).text("the end");
        Agent::builder(Arc::new(script)).tools(tools).build().unwrap()
    }

    fn results(&self) -> Vec<serde_json::Value> {
        let records = self.world.journal.records(id()).into_iter();
        let told = records.filter_map(|record| match record {
            Record::CallFinished { result, .. } => Some(result.content),
            _ => None,
        });
        told.collect()
    }
}

#[tokio::test]
async fn an_escalated_call_waits_for_a_person_and_is_made_once_after_a_yes() {
    let office = Office::new(StrictJournal::default(), Person::Silent, OnQuestion::Pause);
    let stopped = office.agent().run_as(office.world.context(), id(), "q").await.unwrap();
    let RunOutcome::Stopped { cause: StopCause::AwaitingApproval { tool, until, .. } } = &stopped.outcome
    else {
        panic!("{stopped:?}")
    };
    assert_eq!((tool.as_str(), *until, office.write.count()), ("write", UNTIL, 0));
    let (run, _) = read_run(office.world.journal.as_ref(), id()).await.unwrap();
    assert!(matches!(run.calls()[1].state, CallState::Decided(_)));

    let early = office.agent().resume(office.world.context(), id()).await.unwrap();
    assert!(early.can_go_on() && office.write.count() == 0, "nobody answered: {early:?}");
    *office.desk.person.lock().unwrap() = Person::Yes;
    let report = office.agent().resume(office.world.context(), id()).await.unwrap();
    assert_eq!((report.answer().unwrap(), office.write.count(), office.read.count()), ("the end", 1, 2));
    let asked = office.desk.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|one| *one == asked[0]),
        "always the same call with the same arguments: {asked:?}"
    );
    assert_eq!(asked[0].1, r#"{"n":2}"#);
    let (run, entries) = read_run(office.world.journal.as_ref(), id()).await.unwrap();
    let mut folded = bursar_agent_core::Run::begin(&entries[0].record).unwrap();
    entries[1..].iter().for_each(|entry| folded.apply(&entry.record).unwrap());
    assert_eq!(folded, run);
}

#[tokio::test]
async fn what_nobody_says_yes_to_is_not_made_and_the_model_is_told_why() {
    for (person, code, outcome) in [
        (Person::No, "APPROVAL_REFUSED", "refused"),
        (Person::Gone, "LETTERS", "awaiting_approval"),
        (Person::Silent, "LETTERS", "awaiting_approval"),
        (Person::Fails, "GATE_UNAVAILABLE", "refused"),
    ] {
        let office = Office::new(StrictJournal::default(), person, OnQuestion::Tell);
        let report = office.agent().run_as(office.world.context(), id(), "q").await.unwrap();
        assert_eq!((report.answer().unwrap(), office.write.count(), office.read.count()), ("the end", 0, 2));
        let told = &office.results()[1];
        assert_eq!(
            (told["reasons"][0]["code"].as_str(), told["outcome"].as_str()),
            (Some(code), Some(outcome))
        );
        assert_eq!(told["approval"].is_string(), person == Person::Silent, "{told}");
    }
}

#[tokio::test]
async fn a_crash_around_a_question_makes_no_call_twice_and_none_without_a_yes() {
    let calm = Office::new(StrictJournal::default(), Person::Yes, OnQuestion::Pause);
    calm.agent().run_as(calm.world.context(), id(), "q").await.unwrap();
    for at in 1..calm.world.journal.stored(id()).len() as u64 {
        let office = Office::new(StrictJournal::dying_at(at), Person::Yes, OnQuestion::Pause);
        office.agent().run_as(office.world.context(), id(), "q").await.unwrap_err();
        office.world.journal.heal();
        let report = office.agent().resume(office.world.context(), id()).await.unwrap();
        let unknown = matches!(report.outcome, RunOutcome::Stopped { cause: StopCause::WriteUnknown { .. } });
        assert!(unknown || report.answer().is_ok(), "record {at}: {report:?}");
        assert_eq!(office.write.count(), 1, "record {at}");
    }
}
