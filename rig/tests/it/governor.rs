//! The governor: what is refused, what is recorded, and what rig's hooks cannot get past.

use crate::world::{Download, Says, World, calls, heard, plain, run, script};
use bursar::Approve;
use bursar::agent::{Limits, ModelDescriptor, Prices, Record, StopCause, read_run};
use bursar_rig::{GovernError, Governor};
use rig_agent::AgentBuilder;
use rig_agent::agent::{
    AgentHook, DispatchAction, DispatchEvent, HookContext, ModelTurnAction, ModelTurnFinished,
};
use rig_core::completion::Usage as RigUsage;
use rig_core::test_utils::{MockCompletionModel, MockStreamEvent, MockTurn};
use rig_core::tool::ToolContext;
use serde_json::json;
use std::time::Duration;

const NO_SAYS: &str = r#"@id("mine.no-says")
@reason("MINE: it says nothing good")
@advice("work without it")
forbid (principal, action == Action::"call", resource == Tool::"says");"#;

const ASK_SAYS: &str = r#"@id("mine.ask-says")
@escalate("may it speak?")
@reason("MINE: a person decides who speaks")
@advice("wait for the answer")
forbid (principal, action == Action::"call", resource == Tool::"says");"#;

fn once() -> MockCompletionModel {
    script([calls(&[("says", json!({"n": 1}))]), MockTurn::text("done")])
}

#[tokio::test]
async fn the_body_of_a_denied_call_does_not_run_and_the_model_reads_why() {
    let world = World::with(Some(NO_SAYS), Approve::Rule).await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let agent =
        Governor::new(world.session.run_context()).reads(["says"]).govern(plain(&model, &tool, &says));
    let answer = agent.unwrap().prompt_as(run(), "Speak.").max_turns(4).await.unwrap();
    assert_eq!((answer.output(), says.0.get()), ("done".into(), 0));
    let told = heard(&model);
    assert!(told.contains("MINE") && told.contains("work without it"), "{told}");
    assert!(!world.kinds().await.contains(&"call_started"));
    world.sound().await;
}

#[tokio::test]
async fn a_call_that_a_person_is_asked_about_is_told_as_awaiting_approval_and_a_yes_is_for_one_call() {
    let world = World::with(Some(ASK_SAYS), Approve::Elsewhere(Duration::ZERO)).await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let agent =
        Governor::new(world.session.run_context()).writes(["says"]).govern(plain(&model, &tool, &says));
    let agent = agent.unwrap();
    agent.prompt_as(run(), "Speak.").max_turns(4).await.unwrap();
    assert_eq!(says.0.get(), 0);
    assert!(heard(&model).contains("awaiting_approval"), "{}", heard(&model));
    world.say_yes().await;
    for round in 0..2 {
        let model = once();
        agent.prompt("Speak.").using_model_value(model.clone()).max_turns(4).await.unwrap();
        assert_eq!((says.0.get(), heard(&model).contains("awaiting_approval")), (1, round == 1));
    }
    world.sound().await;
}

#[tokio::test]
async fn a_tool_that_is_called_past_the_governor_answers_with_a_refusal() {
    let world = World::new().await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let past = plain(&model, &tool, &says);
    let governed = Governor::new(world.session.run_context()).govern(past.clone()).unwrap();
    past.prompt("Speak.").max_turns(4).await.unwrap();
    assert!(heard(&model).contains("TOOL_UNGOVERNED"), "{}", heard(&model));
    let inline = past.tool_server_handle().execute("says", "{}", &mut ToolContext::new()).await;
    assert!(inline.output().render().contains("TOOL_UNGOVERNED") && !inline.is_success());
    let again = Governor::new(world.session.run_context()).govern(past.clone());
    assert!(matches!(again, Err(GovernError::AlreadyGoverned { .. })));
    assert_eq!(says.0.get(), 0);

    // A tool that came later, and one that took the place of another.
    let later = Says::new("later");
    past.tool_server_handle().add_tool(later.clone());
    let model = once();
    governed.prompt("Speak.").using_model_value(model.clone()).max_turns(4).await.unwrap();
    assert!(heard(&model).contains("TOOL_UNGOVERNED"), "{}", heard(&model));
    assert_eq!(later.0.get(), 0);
}

struct Rewrites;

impl AgentHook for Rewrites {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        DispatchAction::rewrite_tool_args(event.kind, json!({"n": 2}))
    }
}

#[tokio::test]
async fn a_call_that_another_hook_rewrote_is_not_made() {
    let world = World::new().await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    agent.prompt_as(run(), "Speak.").add_hook(Rewrites).max_turns(4).await.unwrap();
    assert_eq!(says.0.get(), 0);
    assert!(heard(&model).contains("CALL_CHANGED"), "{}", heard(&model));
    assert!(world.results().await[0].contains("did not make this call"), "{:?}", world.results().await);
    world.sound().await;
}

/// Keeps the call with `n` = 0 from being made.
struct Skips;

impl AgentHook for Skips {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        match event.tool_args() {
            Some(args) if args.contains('0') => DispatchAction::skip("not this one"),
            _ => DispatchAction::proceed(),
        }
    }
}

#[tokio::test]
async fn a_call_that_another_hook_keeps_from_being_made_keeps_no_other_waiting() {
    let world = World::new().await;
    for (name, before, concurrency) in [("a", true, 1), ("b", true, 3), ("c", false, 1), ("d", false, 3)] {
        let says = Says::new("x");
        let many: Vec<_> = (0..3).map(|n| ("says", json!({ "n": n }))).collect();
        let model = script([calls(&many), MockTurn::text("done")]);
        let builder = AgentBuilder::new(model.clone()).tool(says.clone());
        let agent = if before { builder.add_hook(Skips).build() } else { builder.build() };
        let agent = Governor::new(world.session.run_context()).reads(["says"]).govern(agent).unwrap();
        let id = bursar::types::RunId::derived(&[name.as_bytes()]);
        let run = agent.prompt_as(id, "Speak.").max_turns(4).tool_concurrency(concurrency);
        let run = if before { run } else { run.add_hook(Skips) };
        assert_eq!(run.await.unwrap().output(), "done", "{name}");
        assert_eq!(says.0.get(), 2, "{name}");
        assert!(heard(&model).contains("not this one"));
    }
    world.sound().await;
}

#[tokio::test]
async fn a_turn_of_which_no_call_is_made_is_recorded_before_the_next() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let none = || calls(&[("says", json!({"n": 0}))]);
    let model = script([none(), none(), calls(&[("says", json!({"n": 1}))]), MockTurn::text("done")]);
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    agent.prompt_as(run(), "Speak.").add_hook(Skips).max_turns(6).await.unwrap();
    let kinds = world.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "model_replied").count(), 4, "{kinds:?}");
    assert_eq!((says.0.get(), world.results().await.len()), (1, 3));
    world.sound().await;
}

/// Sends the first text back.
struct SendsBack(std::sync::atomic::AtomicBool);

impl AgentHook for SendsBack {
    async fn on_model_turn_finished(&self, _: &HookContext, _: ModelTurnFinished<'_>) -> ModelTurnAction {
        match self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
            true => ModelTurnAction::continue_run(),
            false => ModelTurnAction::retry_with_feedback("say it better"),
        }
    }
}

#[tokio::test]
async fn a_text_that_a_hook_sent_back_is_not_the_answer_and_what_it_used_counts() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let usage = || RigUsage::new().input_tokens(5).output_tokens(1);
    let model = script(["bad", "good"].map(|text| MockTurn::text(text).with_usage(usage())));
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    let run = agent.prompt_as(run(), "Speak.").add_hook(SendsBack(false.into())).max_turns(4);
    assert_eq!(run.await.unwrap().output(), "good");
    assert_eq!(world.ended().await.unwrap(), "good");
    let (folded, entries) = read_run(world.bursar.ledger(), crate::world::run()).await.unwrap();
    let answered = entries.into_iter().find_map(|entry| match entry.record {
        Record::ModelReplied { reply, .. } => reply.model,
        _ => None,
    });
    assert_eq!(answered, Some(ModelDescriptor::new("mock", "mock-model")), "who answered is recorded");
    assert_eq!((folded.usage().input_tokens, folded.usage().output_tokens), (10, 2));
    world.sound().await;
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Standard {
    number: u32,
}

#[tokio::test]
async fn an_answer_with_a_form_is_governed_too() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = script([calls(&[("says", json!({"n": 1}))]), MockTurn::text(r#"{"number": 3009}"#)]);
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    let answer = agent.prompt_typed::<Standard>("Which?").max_turns(4).await.unwrap();
    assert_eq!((answer.output, says.0.get()), (Standard { number: 3009 }, 1));
    world.sound().await;
}

#[tokio::test]
async fn what_the_model_costs_counts_in_the_budgets_and_a_model_that_does_not_fit_is_not_asked() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let usage = RigUsage::new().input_tokens(500).output_tokens(10);
    let model = script([MockTurn::text("done").with_usage(usage)]);
    // One dollar for a million tokens read, ten for a million written, of which a turn can write a thousand.
    let govern = |prices, model| {
        let governor = Governor::new(world.session.run_context()).prices(prices);
        governor.govern(plain(model, &tool, &says)).unwrap()
    };
    govern(Prices::new(1_000_000, 10_000_000, 1_000), &model).prompt_as(run(), "Speak.").await.unwrap();
    let standing = world.session.purse().standing().await.unwrap();
    assert_eq!(standing.budgets[0].spent.atomic(), 600);
    let dear = script([MockTurn::text("done")]);
    let agent = govern(Prices::new(1_000_000, 10_000_000, 1_000_000), &dear);
    let error = agent.prompt("Speak.").await.unwrap_err();
    assert!(error.to_string().contains("may not be called"), "{error}");
    assert_eq!(dear.request_count(), 0);
    world.sound().await;
}

#[tokio::test]
async fn a_session_that_is_cancelled_ends_rigs_run() {
    let world = World::new().await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    world.session.cancel();
    let error = agent.prompt_as(run(), "Speak.").max_turns(4).await.unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
    assert_eq!((model.request_count(), says.0.get()), (0, 0));
}

#[tokio::test]
async fn a_limit_ends_rigs_run_and_says_which() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = script([
        calls(&[("says", json!({"n": 1}))]),
        calls(&[("says", json!({"n": 2}))]),
        MockTurn::text("done"),
    ]);
    let limits = Limits { calls: 1, ..Limits::default() };
    let governor = Governor::new(world.session.run_context()).limits(limits);
    let agent = governor.govern(plain(&model, &tool, &says)).unwrap();
    let error = agent.prompt_as(run(), "Speak.").max_turns(4).await.unwrap_err();
    assert!(error.to_string().contains("all 1 tool calls were used"), "{error}");
    assert_eq!(says.0.get(), 1);
    assert_eq!(world.ended().await.unwrap_err(), StopCause::Calls { limit: 1 });
    world.sound().await;
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_told_and_then_stopped() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = script((0..20).map(|_| calls(&[("says", json!({"n": 1}))])));
    let governor = Governor::new(world.session.run_context()).reads(["says"]);
    let agent = governor.govern(plain(&model, &tool, &says)).unwrap();
    let error = agent.prompt_as(run(), "Speak.").max_turns(20).await.unwrap_err();
    assert!(matches!(world.ended().await.unwrap_err(), StopCause::Repetition { .. }), "{error}");
    assert!(says.0.get() < 20);
    let requests: Vec<String> =
        model.requests().iter().map(|request| serde_json::to_string(request).unwrap()).collect();
    assert!(
        requests.iter().any(|request| request.contains("Asking once more changes nothing")),
        "the model is told first: {requests:#?}"
    );
    world.sound().await;
}

#[tokio::test]
async fn a_streamed_run_is_governed_as_any_other() {
    use futures_util::StreamExt as _;
    let world = World::with(Some(NO_SAYS), Approve::Rule).await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = MockCompletionModel::from_stream_turns([
        vec![
            MockStreamEvent::tool_call("c1", "says", json!({})),
            MockStreamEvent::final_response_with_default_usage(),
        ],
        vec![MockStreamEvent::text("done"), MockStreamEvent::final_response_with_default_usage()],
    ]);
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    let mut stream = agent.prompt_as(run(), "Speak.").max_turns(4).stream();
    while let Some(item) = stream.next().await {
        item.unwrap();
    }
    assert_eq!((says.0.get(), world.ended().await.unwrap()), (0, "done".into()));
    world.sound().await;
}

#[tokio::test]
async fn calls_of_a_turn_run_side_by_side_or_in_order_and_all_are_recorded() {
    let world = World::new().await;
    for (name, concurrency, reads) in [("a", 1, true), ("b", 4, true), ("c", 1, false), ("d", 4, false)] {
        let (tool, says) = (Download::default(), Says::new("x"));
        let many: Vec<_> = (0..4).map(|n| ("says", json!({ "n": n }))).collect();
        let model = script([calls(&many), MockTurn::text("done")]);
        let governor = Governor::new(world.session.run_context());
        let governor = if reads { governor.reads(["says"]) } else { governor.writes(["says"]) };
        let agent = governor.govern(plain(&model, &tool, &says)).unwrap();
        let id = bursar::types::RunId::derived(&[name.as_bytes()]);
        agent.prompt_as(id, "Speak.").max_turns(4).tool_concurrency(concurrency).await.unwrap();
        assert_eq!(says.0.get(), 4, "{name}");
    }
    world.sound().await;
}

#[tokio::test]
async fn many_runs_at_the_same_time_keep_apart() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let agent = plain(&script([]), &tool, &says);
    let agent = Governor::new(world.session.run_context()).writes(["says"]).govern(agent).unwrap();
    let runs = (0..8_u8).map(|n| {
        let model = script([
            calls(&[("says", json!({ "n": n })), ("says", json!({ "n": n, "again": true }))]),
            MockTurn::text(format!("done {n}")),
        ]);
        let id = bursar::types::RunId::derived(&[&[n]]);
        let run = agent.prompt_as(id, "Speak.").using_model_value(model).max_turns(4).tool_concurrency(2);
        async move { (n, run.await.unwrap().output(), id) }
    });
    for (n, output, id) in futures_util::future::join_all(runs).await {
        assert_eq!(output, format!("done {n}"));
        let (folded, entries) = read_run(world.bursar.ledger(), id).await.unwrap();
        assert_eq!(folded.calls_made(), 2);
        let text = serde_json::to_string(&entries).unwrap();
        assert!(text.contains(&format!(r#""n":{n}"#)), "{text}");
    }
    assert_eq!(says.0.get(), 16);
    world.sound().await;
}

struct Panics;

impl rig_core::tool::Tool for Panics {
    const NAME: &'static str = "panics";
    type Args = serde_json::Value;
    type Output = String;
    type Error = std::convert::Infallible;

    fn description(&self) -> String {
        String::new()
    }
    fn parameters(&self) -> serde_json::Value {
        json!({"type": "object"})
    }
    async fn call(&self, _: &mut ToolContext, _: serde_json::Value) -> Result<String, Self::Error> {
        panic!("SECRET")
    }
}

#[tokio::test]
async fn a_body_that_panics_is_told_as_unknown_and_the_run_goes_on() {
    let world = World::new().await;
    let model = script([calls(&[("panics", json!({}))]), MockTurn::text("done")]);
    let agent = AgentBuilder::new(model.clone()).tool(Panics).build();
    let agent = Governor::new(world.session.run_context()).writes(["panics"]).govern(agent).unwrap();
    assert_eq!(agent.prompt_as(run(), "Try.").max_turns(4).await.unwrap().output(), "done");
    let told = heard(&model);
    assert!(told.contains("look whether it happened") && !told.contains("SECRET"), "{told}");
    world.sound().await;
}

#[tokio::test]
async fn a_run_that_rig_ends_without_an_answer_is_recorded_as_that() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = script((0..3).map(|n| calls(&[("says", json!({ "n": n }))])));
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    agent.prompt_as(run(), "Speak.").max_turns(2).await.unwrap_err();
    let StopCause::Model { message, .. } = world.ended().await.unwrap_err() else { panic!("it failed") };
    assert_eq!((message.as_str(), says.0.get()), ("rig's run ended without an answer", 2));
    world.sound().await;
}

#[tokio::test]
async fn what_is_declared_must_fit_the_agent() {
    let world = World::new().await;
    let (tool, says, model) = (Download::default(), Says::new("x"), once());
    let governor = || Governor::new(world.session.run_context());
    let unknown = governor().reads(["searhc"]).govern(plain(&model, &tool, &says));
    assert!(matches!(unknown, Err(GovernError::NoSuchTool { tool }) if tool == "searhc"));
    let offered = bursar::tools::research(&world.session).unwrap();
    struct Fetch;
    impl rig_core::tool::Tool for Fetch {
        const NAME: &'static str = "fetch";
        type Args = serde_json::Value;
        type Output = String;
        type Error = std::convert::Infallible;
        fn description(&self) -> String {
            String::new()
        }
        fn parameters(&self) -> serde_json::Value {
            json!({})
        }
        async fn call(&self, _: &mut ToolContext, _: serde_json::Value) -> Result<String, Self::Error> {
            Ok(String::new())
        }
    }
    let taken = governor().offers(offered).govern(AgentBuilder::new(once()).tool(Fetch).build());
    assert!(matches!(taken, Err(GovernError::Duplicate { tool }) if tool == "fetch"));
}

#[tokio::test]
async fn an_id_that_is_taken_begins_nothing_and_a_model_that_fails_is_recorded() {
    let world = World::new().await;
    let (tool, says) = (Download::default(), Says::new("x"));
    let model = script([MockTurn::error("it is down")]);
    let agent = Governor::new(world.session.run_context()).govern(plain(&model, &tool, &says)).unwrap();
    agent.prompt_as(run(), "Speak.").max_turns(4).await.unwrap_err();
    assert!(matches!(world.ended().await.unwrap_err(), StopCause::Model { .. }));
    let next = script([MockTurn::text("done")]);
    let error = agent.prompt_as(run(), "Speak.").using_model_value(next.clone()).await.unwrap_err();
    assert!(error.to_string().contains("another worker"), "{error}");
    assert_eq!(next.request_count(), 0, "the model was not asked");
    world.sound().await;
}
