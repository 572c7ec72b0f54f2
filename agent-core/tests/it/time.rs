//! Limits of time: of a turn of the model, and of a call.

use crate::support::{Counting, Looks, World};
use async_trait::async_trait;
use bursar_agent_core::models::Scripted;
use bursar_agent_core::{
    Agent, BuildError, Executed, Limits, Model, ModelDescriptor, ModelError, ModelErrorKind, ModelRequest,
    ModelStream, Record, RunOutcome, RunReport, StopCause, ToolSet,
};
use bursar_types::{Effect, RunId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A model that says nothing for so many tries.
#[derive(Debug)]
struct Silent {
    tries: AtomicU32,
    until: u32,
    script: Scripted,
}

impl Silent {
    fn until(until: u32) -> Arc<Self> {
        Arc::new(Self { tries: AtomicU32::new(0), until, script: Scripted::new().text("at last") })
    }
}

#[async_trait]
impl Model for Silent {
    fn descriptor(&self) -> &ModelDescriptor {
        self.script.descriptor()
    }
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        if self.tries.fetch_add(1, Ordering::SeqCst) < self.until {
            std::future::pending::<()>().await;
        }
        self.script.stream(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_takes_too_long_has_failed_and_is_tried_again() {
    let limits = Limits { model_turn_ms: Some(30_000), model_tries: 3, ..Limits::default() };
    let agent = Agent::builder(Silent::until(2)).limits(limits).build().unwrap();
    let world = World::new();
    let began = tokio::time::Instant::now();
    let report = agent.run(world.context(), "q").await.unwrap();
    assert_eq!((report.answer(), began.elapsed().as_secs()), (Ok("at last"), 62));
    let failed = world.journal.records(world.journal.only_run()).into_iter().filter(|record| {
        matches!(record, Record::ModelFailed { kind: ModelErrorKind::TimedOut, message, .. } if message.contains("30000 ms"))
    });
    assert_eq!(failed.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fell_silent_for_good_stops_the_run_and_is_asked_anew_when_it_goes_on() {
    let limits = Limits { model_turn_ms: Some(30_000), model_tries: 2, ..Limits::default() };
    let agent = Agent::builder(Silent::until(3)).limits(limits).build().unwrap();
    let world = World::new();
    let run = RunId::derived(&[b"r"]);
    let stopped = agent.run_as(world.context(), run, "q").await.unwrap();
    assert!(
        matches!(
            &stopped.outcome,
            RunOutcome::Stopped { cause: StopCause::Model { kind: ModelErrorKind::TimedOut, .. } }
        ),
        "{stopped:?}"
    );
    assert_eq!(agent.resume(world.context(), run).await.unwrap().answer(), Ok("at last"));
}

/// Calls a tool with a limit of ten seconds: what the model was told, how long it took, and the report.
async fn call(tool: &Counting, n: u32) -> (Option<(Value, Executed)>, u64, RunReport) {
    let world = World::new();
    let limits = Limits { call_ms: Some(10_000), ..Limits::default() };
    let script = Scripted::new().call("work", json!({"n": n})).text("done");
    let tools = ToolSet::new().with(tool.clone()).unwrap();
    let agent = Agent::builder(Arc::new(script)).tools(tools).limits(limits).build().unwrap();
    let began = tokio::time::Instant::now();
    let report = agent.run(world.context(), "q").await.unwrap();
    let took = began.elapsed().as_secs();
    let records = world.journal.records(world.journal.only_run());
    let told = records.into_iter().find_map(|record| match record {
        Record::CallFinished { result, .. } => Some((result.content, result.executed)),
        _ => None,
    });
    (told, took, report)
}

#[tokio::test(start_paused = true)]
async fn a_read_that_takes_too_long_is_dropped_and_told() {
    let (told, took, report) = call(&Counting::new("work", Effect::Read), 99).await;
    let (content, executed) = told.unwrap();
    assert!(content.to_string().contains("longer than 10000 ms"), "{content}");
    assert_eq!((executed, took, report.answer()), (Executed::No, 10, Ok("done")));
}

#[tokio::test(start_paused = true)]
async fn a_spend_is_waited_for_however_long_its_payment_takes() {
    let (told, took, report) = call(&Counting::new("work", Effect::Spend).slow(1_000), 3_600).await;
    assert_eq!((told.unwrap().1, took, report.answer()), (Executed::Yes, 3_600, Ok("done")));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_takes_too_long_gets_a_little_more_and_then_its_tool_is_asked() {
    let write = || Counting::new("work", Effect::Write);
    let (told, took, _) = call(&write().slow(1_000), 14).await;
    assert_eq!((told.unwrap().1, took), (Executed::Yes, 14), "within the grace");

    let (told, took, _) = call(&write(), 98).await;
    assert_eq!(
        (told, took),
        (Some((json!("gave up"), Executed::No)), 10),
        "it is told that its time is over"
    );

    let (told, took, report) = call(&write().looks(Looks::Sees), 99).await;
    let (content, executed) = told.unwrap();
    assert!(content.to_string().contains("it was not done"), "{content}");
    assert_eq!((executed, took, report.answer()), (Executed::No, 15, Ok("done")));

    for looks in [Looks::Blind, Looks::Stumbles] {
        let (told, _, report) = call(&write().looks(looks), 99).await;
        assert_eq!(told, None, "nobody knows, so nothing is told");
        assert!(
            matches!(&report.outcome, RunOutcome::Stopped { cause: StopCause::WriteUnknown { tool, .. } } if tool == "work"),
            "{report:?}"
        );
    }
}

#[test]
fn a_limit_of_no_time_is_refused() {
    for limits in [
        Limits { model_turn_ms: Some(0), ..Limits::default() },
        Limits { call_ms: Some(0), ..Limits::default() },
    ] {
        let refused = Agent::builder(Arc::new(Scripted::new())).limits(limits).build().unwrap_err();
        assert!(matches!(refused, BuildError::ZeroLimit { .. }), "{refused}");
    }
}

#[test]
fn limits_written_before_there_were_limits_of_time_can_be_read() {
    let old = r#"{"turns":40,"calls":200,"tokens":null,"time_ms":1800000,"spend":null,"model_tries":4}"#;
    let limits: Limits = serde_json::from_str(old).unwrap();
    assert_eq!((limits.model_turn_ms, limits.call_ms), (None, None));
}
