//! Cancelled at every step: it ends as is documented, nothing that cannot be repeated happens twice, and nothing hangs.

use crate::support::{Counting, Looks, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{Agent, Cancel, Record, RunOutcome, RunReport, StopCause, ToolSet, events};
use bursar_types::{CallId, Effect, Journal, JournalError, JournalRecord, RunId, StoredRecord};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// More than any of these runs takes, the grace of its writes included.
const LONG: Duration = Duration::from_secs(120);

fn id() -> RunId {
    RunId::derived(&[b"cancels"])
}

/// Cancels a run once it has so many records.
#[derive(Debug)]
struct CancelsAt {
    inner: Arc<StrictJournal>,
    at: u64,
    cancel: Cancel,
}

#[async_trait]
impl Journal for CancelsAt {
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
        let length = self.inner.append(run, expected, records).await?;
        if length >= self.at {
            self.cancel.cancel();
        }
        Ok(length)
    }
    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError> {
        self.inner.read(run, from).await
    }
}

/// A run that looks twice side by side, changes something, pays, and looks once more.
struct Errand {
    world: World,
    read: Counting,
    write: Counting,
    spend: Counting,
}

impl Errand {
    fn new(looks: Looks) -> Self {
        Self {
            world: World::new(),
            read: Counting::new("read", Effect::Read).slow(10),
            write: Counting::new("write", Effect::Write).slow(10).looks(looks),
            spend: Counting::new("spend", Effect::Spend).slow(10),
        }
    }

    /// `n` is what the write gets: 98 waits until nobody waits for it, and 99 for ever.
    fn agent(&self, n: u32) -> Agent {
        let tools = [&self.read, &self.write, &self.spend]
            .into_iter()
            .fold(ToolSet::new(), |set, tool| set.with(tool.clone()).unwrap());
        let calls = |calls: &[(&str, u32)]| {
            ScriptedTurn::Calls(calls.iter().map(|(tool, n)| ((*tool).to_owned(), json!({"n": n}))).collect())
        };
        let script = Scripted::new()
            .turn(calls(&[("read", 1), ("read", 2)]))
            .turn(calls(&[("write", n)]))
            .turn(calls(&[("spend", 4)]))
            .turn(calls(&[("read", 5), ("spend", 6)]))
            .text("the end");
        Agent::builder(Arc::new(script)).tools(tools).build().unwrap()
    }

    async fn run(&self, agent: &Agent, at: u64) -> RunReport {
        let mut context = self.world.context();
        let (inner, cancel) = (Arc::clone(&self.world.journal), context.cancel.clone());
        context.journal = Arc::new(CancelsAt { inner, at, cancel });
        tokio::time::timeout(LONG, agent.run_as(context, id(), "q")).await.expect("it never hangs").unwrap()
    }

    /// Goes on as often as it takes.
    async fn runs_to_the_end(&mut self, agent: &Agent) -> RunReport {
        self.world.cancel = Cancel::new();
        let resumed = tokio::time::timeout(LONG, agent.resume(self.world.context(), id())).await;
        resumed.expect("it never hangs").unwrap()
    }

    /// The calls of a tool, in order.
    fn calls(&self, tool: &str) -> Vec<CallId> {
        let records = self.world.journal.records(id()).into_iter();
        let mut calls = Vec::new();
        for record in records {
            if let Record::ModelReplied { turn, reply, .. } = record {
                let ids = (0_u32..).map(|index| {
                    CallId::derived(&[id().as_bytes(), &turn.to_be_bytes(), &index.to_be_bytes()])
                });
                calls.extend(
                    reply.calls.iter().zip(ids).filter(|(call, _)| call.tool == tool).map(|(_, id)| id),
                );
            }
        }
        calls
    }

    fn records(&self) -> u64 {
        self.world.journal.stored(id()).len() as u64
    }
}

fn ended_as_documented(report: &RunReport, step: &str) -> bool {
    match &report.outcome {
        RunOutcome::Answered { .. } => true,
        RunOutcome::Stopped { cause: StopCause::Cancelled } => {
            assert!(report.can_go_on(), "{step}");
            false
        }
        RunOutcome::Stopped { cause } => panic!("{step}: {cause}"),
    }
}

async fn whole(looks: Looks, n: u32) -> u64 {
    let errand = Errand::new(looks);
    let report = errand.run(&errand.agent(n), u64::MAX).await;
    assert_eq!(report.answer(), Ok("the end"));
    errand.records()
}

#[tokio::test(start_paused = true)]
async fn cancelled_at_any_record_a_run_stands_still_and_pays_and_writes_once() {
    let records = whole(Looks::Sees, 3).await;
    assert!(records > 25, "{records}");
    for at in 1..=records {
        let mut errand = Errand::new(Looks::Sees);
        let agent = errand.agent(3);
        let stopped = errand.run(&agent, at).await;
        if !ended_as_documented(&stopped, &format!("record {at}")) {
            assert_eq!(errand.runs_to_the_end(&agent).await.answer(), Ok("the end"), "record {at}");
        }
        assert_eq!((errand.write.count(), errand.spend.count()), (1, 2), "record {at}");
        for (tool, calls) in [(&errand.write, 1), (&errand.spend, 2)] {
            let made = errand.calls(tool.name);
            assert_eq!(made.len(), calls, "record {at}");
            assert!(made.iter().all(|call| tool.done(*call) == 1), "record {at}: {}", tool.name);
        }
        // A read may be made again, and nothing comes of it but its result.
        assert!(errand.read.count() <= 6, "record {at}: {}", errand.read.count());
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_at_any_event_a_run_stands_still_and_pays_and_writes_once() {
    let mut cancelled = 0;
    for at in 1.. {
        let mut errand = Errand::new(Looks::Sees);
        let (sender, mut stream) = events();
        errand.world.events = sender;
        let (agent, cancel) = (errand.agent(3), errand.world.cancel.clone());
        let listening = tokio::spawn(async move {
            for _ in 0..at {
                if stream.recv().await.is_none() {
                    return false;
                }
            }
            cancel.cancel();
            true
        });
        let stopped = errand.run(&agent, u64::MAX).await;
        if !ended_as_documented(&stopped, &format!("event {at}")) {
            cancelled += 1;
            assert_eq!(errand.runs_to_the_end(&agent).await.answer(), Ok("the end"), "event {at}");
        }
        assert_eq!((errand.write.count(), errand.spend.count()), (1, 2), "event {at}");
        errand.world.events = bursar_agent_core::EventSender::nobody();
        if !listening.await.unwrap() {
            break;
        }
    }
    assert!(cancelled > 15, "{cancelled}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hears_of_it_or_does_not_is_cancelled_and_never_made_blind_again() {
    // One that gives up when it is told, one that hangs and can be asked, and one that nobody can ask.
    for (n, looks) in [(98, Looks::Sees), (99, Looks::Sees), (99, Looks::Blind)] {
        // Started; asked, replied, twice decided, twice started, twice finished; asked, replied, decided, started.
        for at in 1..=13 {
            let mut errand = Errand::new(looks);
            let agent = errand.agent(n);
            let began = tokio::time::Instant::now();
            let stopped = errand.run(&agent, at).await;
            let step = format!("write {n} {looks:?}, record {at}");
            assert!(!ended_as_documented(&stopped, &step), "{step}");
            assert!(began.elapsed() < Duration::from_secs(15), "{step}: {:?}", began.elapsed());
            assert_eq!(errand.spend.count(), 0, "{step}");
            let before = errand.write.count();
            // Where it had begun and nobody can say what came of it, a person has to.
            if before == 1 && looks == Looks::Blind {
                let asked = errand.runs_to_the_end(&agent).await;
                let RunOutcome::Stopped { cause: StopCause::WriteUnknown { .. } } = asked.outcome else {
                    panic!("{step}: {asked:?}")
                };
                assert_eq!(errand.write.count(), 1, "{step}");
            }
        }
    }
}
