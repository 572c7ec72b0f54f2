//! Crashes, second workers and people who answer: a run goes on from its last record.

use crate::support::{Counting, Looks, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    AfterRun, Agent, Executed, Limits, Model, ModelDescriptor, ModelError, ModelRequest, ModelStream,
    PersonAnswer, Record, Run, RunError, RunOutcome, RunReport, StopCause, ToolSet, read_run,
};
use bursar_types::{CallId, Effect, RunId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn id() -> RunId {
    RunId::derived(&[b"resumed"])
}

/// A model that keeps the turns it was asked for.
#[derive(Debug)]
struct Asked {
    script: Scripted,
    turns: Arc<Mutex<Vec<u32>>>,
}

#[async_trait]
impl Model for Asked {
    fn descriptor(&self) -> &ModelDescriptor {
        self.script.descriptor()
    }
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        self.turns.lock().unwrap().push(request.turn);
        self.script.stream(request).await
    }
}

/// An agent with one tool of each kind, and what it did.
#[derive(Clone)]
struct Bench {
    read: Counting,
    write: Counting,
    spend: Counting,
    turns: Arc<Mutex<Vec<u32>>>,
}

impl Bench {
    fn new(looks: Looks) -> Self {
        Self {
            read: Counting::new("read", Effect::Read),
            write: Counting::new("write", Effect::Write).looks(looks),
            spend: Counting::new("spend", Effect::Spend),
            turns: Arc::default(),
        }
    }

    fn agent(&self) -> Agent {
        let calls = |calls: &[(&str, u32)]| {
            ScriptedTurn::Calls(calls.iter().map(|(tool, n)| ((*tool).to_owned(), json!({"n": n}))).collect())
        };
        let script = Scripted::new()
            .turn(calls(&[("read", 1), ("read", 2), ("nothing", 0), ("write", 3), ("spend", 4), ("read", 5)]))
            .turn(calls(&[("write", 6)]))
            .text("the end");
        let model = Asked { script, turns: Arc::clone(&self.turns) };
        let tools = [&self.read, &self.write, &self.spend]
            .into_iter()
            .fold(ToolSet::new(), |set, tool| set.with(tool.clone()).unwrap());
        Agent::builder(Arc::new(model)).tools(tools).build().unwrap()
    }

    fn done(&self, call: CallId) -> usize {
        self.read.done(call) + self.write.done(call) + self.spend.done(call)
    }

    /// How many calls and turns were begun.
    fn begun(&self) -> (u32, usize) {
        (self.read.count() + self.write.count() + self.spend.count(), self.turns.lock().unwrap().len())
    }

    /// Resumes, and answers truthfully whatever a person is asked.
    async fn resume(&self, world: &World) -> RunReport {
        let report = self.agent().resume(world.context(), id()).await.unwrap();
        let Some(call) = unknown(&report) else { return report };
        assert!(report.can_go_on());
        let answer = if self.write.done(call) > 0 {
            let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
            let open = run.open_write().unwrap();
            assert_eq!(open.id, call);
            let bursar_agent_core::Arguments::Parsed { value } = &open.arguments else { panic!("{open:?}") };
            PersonAnswer::happened(call, "ada", json!({"tool": "write", "n": value["n"]}).to_string())
        } else {
            PersonAnswer::did_not_happen(call, "ada").note("looked")
        };
        self.agent().resume_with(world.context(), id(), vec![answer]).await.unwrap()
    }
}

fn unknown(report: &RunReport) -> Option<CallId> {
    match &report.outcome {
        RunOutcome::Stopped { cause: StopCause::WriteUnknown { call, .. } } => Some(*call),
        _ => None,
    }
}

fn results(records: &[Record]) -> Vec<(CallId, Value, bool, Executed)> {
    let results = records.iter().filter_map(|record| match record {
        Record::CallFinished { call, result } => {
            Some((*call, result.content.clone(), result.is_error, result.executed))
        }
        _ => None,
    });
    results.collect()
}

fn replied(records: &[Record]) -> BTreeSet<u32> {
    let replied = records.iter().filter_map(|record| match record {
        Record::ModelReplied { turn, .. } => Some(*turn),
        _ => None,
    });
    replied.collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// Runs until the crash: the journal dies, so the writer hears of it, or the process is gone right after a record.
async fn crash(world: &World, bench: &Bench) {
    let agent = bench.agent();
    tokio::select! {
        biased;
        () = world.journal.parked() => {}
        ended = agent.run_as(world.context(), id(), "q") => {
            let error = ended.unwrap_err();
            assert!(matches!(error, RunError::Journal(_)), "{error}");
        }
    }
    world.journal.heal();
}

#[test]
fn a_crash_at_any_record_gives_the_same_answer_and_repeats_nothing_that_is_known() {
    let calm = World::new();
    let bench = Bench::new(Looks::Blind);
    let report = block_on(bench.agent().run_as(calm.context(), id(), "q")).unwrap();
    let calm = calm.journal.records(id());
    assert_eq!(report.answer(), Ok("the end"));
    for looks in [Looks::Blind, Looks::Sees, Looks::Stumbles] {
        for at in 1..calm.len() as u64 {
            for journal in [StrictJournal::dying_at(at), StrictJournal::parking_at(at)] {
                let case = format!("{looks:?} {at} {journal:?}");
                let (world, bench) = (World::with_journal(journal), Bench::new(looks));
                block_on(crash(&world, &bench));
                let known = world.journal.records(id());
                let (known_results, known_turns) = (results(&known), replied(&known));
                let before: Vec<_> = known_results.iter().map(|(call, ..)| bench.done(*call)).collect();
                let asked_before = bench.turns.lock().unwrap().len();

                let resumed = block_on(bench.resume(&world));

                assert_eq!(resumed, report, "{case}");
                let records = world.journal.records(id());
                assert_eq!(results(&records), results(&calm), "{case}");
                let after: Vec<_> = known_results.iter().map(|(call, ..)| bench.done(*call)).collect();
                assert_eq!(before, after, "a known result is not made again: {case}");
                let asked = bench.turns.lock().unwrap();
                let again = asked.iter().skip(asked_before).filter(|turn| known_turns.contains(turn));
                assert_eq!(again.count(), 0, "a known turn is not asked for again: {case}");
                for (call, content, ..) in results(&calm) {
                    let once = content["tool"] == "write";
                    assert!(!once || bench.write.done(call) == 1, "a write is done once: {case}");
                }
                let again = block_on(bench.agent().resume(world.context(), id())).unwrap();
                assert_eq!(again, resumed, "a run that has ended gives its report again");
                assert_eq!(world.journal.records(id()), records);
            }
        }
    }
}

#[test]
fn the_records_of_a_resumed_run_replay_to_its_state() {
    let bench = Bench::new(Looks::Blind);
    let world = World::with_journal(StrictJournal::parking_at(block_on(in_write())));
    block_on(crash(&world, &bench));
    block_on(bench.resume(&world));
    let records = world.journal.records(id());
    let kinds: Vec<_> = records.iter().map(Record::kind).collect();
    for kind in ["run_resumed", "run_stopped", "call_settled_by_person"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let mut run = Run::begin(&records[0]).unwrap();
    for (index, record) in records.iter().enumerate().skip(1) {
        run.apply(record).unwrap();
        let last = index + 1 == records.len();
        assert_eq!(run.has_ended(), last, "{index}");
    }
}

#[test]
fn of_two_workers_one_goes_on_and_the_other_begins_nothing_more() {
    let calm = World::new();
    block_on(Bench::new(Looks::Sees).agent().run_as(calm.context(), id(), "q")).unwrap();
    let records = calm.journal.records(id()).len() as u64;
    for at in 1..records {
        block_on(async {
            let first = World::with_journal(StrictJournal::parking_at(at));
            let second = World { worker: "worker 2", ..first.clone() };
            let (bench, other) = (Bench::new(Looks::Sees), Bench::new(Looks::Blind));
            let agent = bench.agent();
            let mut run = std::pin::pin!(agent.run_as(first.context(), id(), "q"));
            tokio::select! {
                biased;
                () = first.journal.parked() => {}
                ended = &mut run => panic!("{ended:?}"),
            }
            let group = match first.journal.records(id()).last() {
                Some(Record::CallStarted { .. } | Record::ModelRequested { .. }) => 2,
                _ => 0,
            };
            let begun = bench.begun();
            let report = other.resume(&second).await;
            assert_eq!(report.answer(), Ok("the end"), "{at}");
            let theirs = second.journal.records(id());

            first.journal.release();
            let error = run.await.unwrap_err();

            let RunError::Fenced { run, by } = &error else { panic!("{at}: {error}") };
            assert_eq!((*run, by.as_deref()), (id(), Some("worker 2")));
            assert!(error.to_string().ends_with(": worker 2"), "{error}");
            let now = bench.begun();
            let more = (now.0 - begun.0) as usize + (now.1 - begun.1);
            assert!(more <= group, "{at}: began {more} after it had lost");
            assert_eq!(first.journal.records(id()), theirs, "the loser writes nothing");
        });
    }
}

#[test]
fn of_two_workers_that_take_up_a_run_together_one_is_fenced_off() {
    block_on(async {
        let world = World::with_journal(StrictJournal::dying_at(in_write().await));
        let bench = Bench::new(Looks::Sees);
        crash(&world, &bench).await;
        let other = World { worker: "worker 2", ..world.clone() };
        let (first, second) = (bench.agent(), bench.agent());
        let ended = tokio::join!(first.resume(world.context(), id()), second.resume(other.context(), id()));
        let fenced = [&ended.0, &ended.1].map(|ended| match ended {
            Ok(report) => report.answer() != Ok("the end"),
            Err(error) => matches!(error, RunError::Fenced { .. }),
        });
        assert!(fenced[0] != fenced[1], "{ended:?}");
        for (call, content, ..) in results(&world.journal.records(id())) {
            assert!(content["tool"] != "write" || bench.write.done(call) == 1, "{content}");
        }
    });
}

/// How many records there are once the first write has started.
async fn in_write() -> u64 {
    let calm = World::new();
    Bench::new(Looks::Blind).agent().run_as(calm.context(), id(), "q").await.unwrap();
    let records = calm.journal.records(id());
    let mut started = records.iter().enumerate().filter(|(_, record)| record.kind() == "call_started");
    // Two reads come before it.
    started.nth(2).unwrap().0 as u64 + 1
}

/// A run that stands still because nobody knows whether its first write happened.
async fn stuck(bench: &Bench) -> (World, CallId) {
    let world = World::with_journal(StrictJournal::dying_at(in_write().await));
    crash(&world, bench).await;
    assert_eq!(bench.write.count(), 1);
    let report = bench.agent().resume(world.context(), id()).await.unwrap();
    (world, unknown(&report).unwrap())
}

#[tokio::test]
async fn a_person_may_tell_what_came_of_a_write_in_plain_words() {
    let bench = Bench::new(Looks::Blind);
    let (world, call) = stuck(&bench).await;
    let still = bench.agent().resume(world.context(), id()).await.unwrap();
    assert_eq!(unknown(&still), Some(call), "it stays open until somebody says");
    let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
    let open = run.open_write().unwrap();
    assert_eq!((open.id, open.tool.as_str(), run.next()), (call, "write", vec![]));

    let nothing = PersonAnswer::did_not_happen(CallId::derived(&[b"other"]), "ada");
    let length = world.journal.stored(id()).len();
    let error = bench.agent().resume_with(world.context(), id(), vec![nothing]).await.unwrap_err();
    assert!(matches!(error, RunError::NotOpen { .. }), "{error}");
    assert_eq!(world.journal.stored(id()).len(), length);

    let answer = PersonAnswer::happened(call, "ada", "the letter is in the post").note("asked the office");
    let report = bench.agent().resume_with(world.context(), id(), vec![answer.clone()]).await.unwrap();
    assert_eq!((report.answer(), bench.write.done(call)), (Ok("the end"), 1));
    let records = world.journal.records(id());
    let told = results(&records).into_iter().find(|(of, ..)| *of == call).unwrap();
    assert_eq!(told, (call, json!("the letter is in the post"), false, Executed::Yes));
    let said = records.iter().any(|record| {
        matches!(record, Record::CallSettledByPerson { by, note: Some(note), .. } if by == "ada" && note == "asked the office")
    });
    assert!(said);
    let late = bench.agent().resume_with(world.context(), id(), vec![answer]).await.unwrap_err();
    assert!(matches!(late, RunError::NotOpen { .. }), "{late}");
}

#[tokio::test]
async fn a_write_that_did_not_happen_is_done_when_the_run_goes_on() {
    let bench = Bench::new(Looks::Blind);
    let (world, call) = stuck(&bench).await;
    let before = bench.write.done(call);
    let answer = PersonAnswer::did_not_happen(call, "ada");
    let report = bench.agent().resume_with(world.context(), id(), vec![answer]).await.unwrap();
    assert_eq!((report.answer(), bench.write.done(call)), (Ok("the end"), before + 1));
}

#[derive(Debug, Default)]
struct Ends(Mutex<Vec<RunOutcome>>);

#[async_trait]
impl AfterRun for Ends {
    async fn ended(&self, run: RunId, outcome: &RunOutcome) {
        assert_eq!(run, id());
        self.0.lock().unwrap().push(outcome.clone());
    }
}

#[tokio::test]
async fn every_end_and_stop_is_told_once_and_an_end_of_before_is_not_told_again() {
    let bench = Bench::new(Looks::Blind);
    let ends = Arc::new(Ends::default());
    let (mut world, call) = stuck(&bench).await;
    world.after = Some(Arc::clone(&ends) as Arc<dyn AfterRun>);
    let stopped = bench.agent().resume(world.context(), id()).await.unwrap();
    let answer = PersonAnswer::did_not_happen(call, "ada");
    let ended = bench.agent().resume_with(world.context(), id(), vec![answer]).await.unwrap();
    bench.agent().resume(world.context(), id()).await.unwrap();
    assert_eq!(*ends.0.lock().unwrap(), [stopped.outcome, ended.outcome]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_goes_on_and_the_time_it_stood_still_is_not_counted() {
    for effect in [Effect::Read, Effect::Spend] {
        let mut world = World::new();
        let tool = Counting::new("work", effect).slow(1_000);
        let script = Scripted::new().call("work", json!({"n": 7})).text("done");
        let limits = Limits { time_ms: Some(60_000), ..Limits::default() };
        let tools = ToolSet::new().with(tool.clone()).unwrap();
        let agent = Agent::builder(Arc::new(script)).tools(tools).limits(limits).build().unwrap();
        let (cancel, running) = (world.cancel.clone(), tool.clone());
        tokio::spawn(async move {
            running.started().await;
            cancel.cancel();
        });
        let stopped = agent.run_as(world.context(), id(), "q").await.unwrap();
        assert!(stopped.can_go_on());
        let still = agent.resume(world.context(), id()).await.unwrap();
        assert_eq!(still, stopped, "it is cancelled still, so nothing is begun and nothing is written");

        world.clock.advance_ms(10 * 60_000);
        world.cancel = bursar_agent_core::Cancel::new();
        let report = agent.resume(world.context(), id()).await.unwrap();

        assert_eq!(report.answer(), Ok("done"), "{effect:?}");
        let known = u32::from(effect == Effect::Spend);
        assert_eq!(tool.count(), 2 - known, "a spend that was waited for is known");
    }
}
