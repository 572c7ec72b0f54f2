//! Turns that cannot be used, answers with a form, circles, and what the user says meanwhile.

use crate::support::{Counting, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Scripted, ScriptedTurn};
use bursar_agent_core::{
    Agent, Executed, Limits, Media, ModelEvent, ModelRequest, Part, Problem, Record, Role, RunError,
    RunOutcome, RunReport, Steer, SteerError, StopCause, StopReason, Task, TaskError, Tool, ToolContext,
    ToolError, ToolSet, Usage, read_run,
};
use bursar_types::{Effect, RunId};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn id() -> RunId {
    RunId::derived(&[b"turns"])
}

fn agent(model: Scripted, tool: &Counting, limits: Limits) -> Agent {
    let tools = ToolSet::new().with(tool.clone()).unwrap();
    Agent::builder(Arc::new(model)).tools(tools).limits(limits).build().unwrap()
}

fn cause(report: &RunReport) -> &StopCause {
    match &report.outcome {
        RunOutcome::Stopped { cause } => cause,
        RunOutcome::Answered { answer } => panic!("answered: {}", answer.text),
    }
}

/// A turn with a text, a whole call if asked for, and this reason for its end.
fn ends(text: &str, call: bool, reason: StopReason) -> ScriptedTurn {
    let mut events = vec![ModelEvent::TextDelta { text: text.into() }, ModelEvent::Usage(Usage::default())];
    if call {
        events.push(ModelEvent::ToolCallStarted { index: 0, provider_id: None, tool: "count".into() });
        events.push(ModelEvent::ToolArgumentsDelta { index: 0, fragment: r#"{"n":1}"#.into() });
    }
    events.push(ModelEvent::Finished { reason });
    ScriptedTurn::Events(events)
}

fn kinds(world: &World) -> Vec<&'static str> {
    world.journal.records(id()).iter().map(Record::kind).collect()
}

/// The state that a replay gives is the one that was live, at every record.
async fn replays(world: &World) {
    let (run, entries) = read_run(world.journal.as_ref(), id()).await.unwrap();
    let mut folded = bursar_agent_core::Run::begin(&entries[0].record).unwrap();
    for entry in &entries[1..] {
        assert!(!folded.next().is_empty(), "before {}", entry.record.kind());
        folded.apply(&entry.record).unwrap();
    }
    assert_eq!(folded, run);
}

#[tokio::test]
async fn no_call_of_a_turn_that_is_not_whole_is_made_and_the_model_may_try_again() {
    for (reason, words) in [
        (StopReason::Length, "hit the length limit"),
        (StopReason::MalformedCall, "could not be read as a whole"),
    ] {
        let (world, tool) = (World::new(), Counting::new("count", Effect::Spend));
        let model =
            Scripted::new().turn(ends("I will", true, reason)).call("count", json!({"n": 2})).text("done");
        let report = agent(model, &tool, Limits::default()).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.answer(), Ok("done"));
        let records = world.journal.records(id());
        let Some(Record::CallFinished { result, .. }) =
            records.iter().find(|record| matches!(record, Record::CallFinished { .. }))
        else {
            panic!("{records:?}")
        };
        assert_eq!((result.executed, result.is_error), (Executed::No, true));
        assert!(result.content.to_string().contains(words), "{}", result.content);
        assert_eq!((tool.count(), report.calls), (1, 1), "only the whole call was made, and counts");
        replays(&world).await;
    }
}

#[tokio::test]
async fn turns_of_which_nothing_can_be_used_are_bounded() {
    let cut = || ends("half an ans", false, StopReason::Length);
    let unknown = || ScriptedTurn::Calls(vec![("cuont".into(), json!({"n": 1}))]);
    let unfit = || ScriptedTurn::Calls(vec![("count".into(), json!({"m": 1}))]);
    let garbled = || ends("", true, StopReason::MalformedCall);
    for (turn, problem) in [
        (&cut as &dyn Fn() -> ScriptedTurn, Problem::CutOff),
        (&unknown, Problem::Calls),
        (&unfit, Problem::Calls),
        (&garbled, Problem::Garbled),
    ] {
        let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
        let limits = Limits { repairs: 2, ..Limits::default() };
        let model = (0..9).fold(Scripted::new(), |script, _| script.turn(turn()));
        let report = agent(model, &tool, limits.clone()).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(cause(&report), &StopCause::Unusable { turns: 3, problem });
        assert_eq!((report.turns, tool.count(), report.can_go_on()), (3, 0, false));
        replays(&world).await;

        // A turn that can be used begins the count anew.
        let world = World::new();
        let model = Scripted::new()
            .turn(turn())
            .turn(turn())
            .call("count", json!({"n": 1}))
            .turn(turn())
            .turn(turn())
            .text("done");
        let report = agent(model, &tool, limits).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.answer(), Ok("done"));
    }
}

#[tokio::test]
async fn a_text_that_was_cut_off_is_no_answer_and_the_model_is_told() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let model = Scripted::new().turn(ends("half an ans", false, StopReason::Length)).turn_with(|request| {
        let last = request.messages.last().unwrap();
        assert_eq!(last.role, Role::User);
        let text = last.plain_text();
        assert!(text.starts_with("[From the program that runs you, not from the user]"), "{text}");
        ScriptedTurn::Text("short".into())
    });
    let report = agent(model, &tool, Limits::default()).run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("short"));
    assert!(kinds(&world).contains(&"model_warned"));
}

#[tokio::test]
async fn what_was_refused_or_withheld_is_no_answer_and_its_calls_are_not_made() {
    for call in [false, true] {
        let (world, tool) = (World::new(), Counting::new("count", Effect::Write));
        let refused = Scripted::new().turn(ends("I cannot help with that.", call, StopReason::Refused));
        let report =
            agent(refused, &tool, Limits::default()).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(cause(&report), &StopCause::Refused { text: "I cannot help with that.".into() });
        assert_eq!(cause(&report).to_string(), "the model declined: I cannot help with that.");

        let world = World::new();
        let filtered = Scripted::new().turn(ends("", call, StopReason::Filtered));
        let report =
            agent(filtered, &tool, Limits::default()).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(cause(&report), &StopCause::Filtered { text: String::new() });
        assert_eq!(tool.count(), 0);
        replays(&world).await;
    }
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Standard {
    number: u32,
    title: String,
}

#[tokio::test]
async fn an_answer_with_a_form_is_checked_and_what_does_not_fit_goes_back() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let whole = r#"{"number": 3009, "title": "Transfer With Authorization"}"#;
    let model = Scripted::new()
        .turn_with(|request| {
            let form = request.output.as_ref().unwrap();
            assert_eq!(form.name, "Standard");
            assert_eq!(form.schema["required"], json!(["number", "title"]));
            ScriptedTurn::Text("ERC-3009".into())
        })
        .text(r#"{"number": 3009}"#)
        .turn_with(|request| {
            let told = request.messages.last().unwrap().plain_text();
            assert!(told.contains("missing field `title`"), "{told}");
            ScriptedTurn::Calls(vec![("count".into(), json!({"n": 1}))])
        })
        .text(r#"{"number": 3009, "title": "T", "author": "x"}"#)
        .turn_with(move |request| {
            let told = request.messages.last().unwrap().plain_text();
            assert!(told.contains("unknown fields: author"), "{told}");
            ScriptedTurn::Text(whole.into())
        });
    let agent = agent(model, &tool, Limits { repairs: 2, ..Limits::default() });
    let run = agent.run_typed_as::<Standard>(world.context(), id(), "q").await.unwrap();
    assert_eq!(run.report.details(), Some(&json!({"number": 3009, "title": "Transfer With Authorization"})));
    assert_eq!(run.report.answer(), Ok(whole));
    let expected = Standard { number: 3009, title: "Transfer With Authorization".into() };
    assert_eq!(run.value().unwrap(), expected);
    replays(&world).await;
    let again = agent.resume_typed::<Standard>(world.context(), id(), Vec::new()).await.unwrap();
    assert_eq!(again.value().unwrap(), expected);
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Rated {
    #[schemars(length(min = 3, max = 20), regex(pattern = r"^[A-Z]"))]
    title: String,
    #[schemars(range(max = 5))]
    stars: u8,
    #[schemars(inner(length(min = 1)))]
    sources: Vec<String>,
}

#[tokio::test]
async fn what_only_the_schema_says_of_an_answer_is_checked_too_and_goes_back() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let told = |request: &ModelRequest| request.messages.last().unwrap().plain_text();
    let model = Scripted::new()
        .text(r#"{"title": "No", "stars": 9, "sources": []}"#)
        .turn_with(move |request| {
            let told = told(request);
            assert!(told.contains("/title has 2 characters, and has to have at least 3"), "{told}");
            assert!(told.contains("/stars is 9, and has to be at most 5"), "{told}");
            ScriptedTurn::Text(r#"{"title": "small", "stars": 5, "sources": ["a", ""]}"#.into())
        })
        .turn_with(move |request| {
            let told = told(request);
            assert!(told.contains("/title does not match the pattern ^[A-Z]"), "{told}");
            assert!(told.contains("/sources/1 has 0 characters"), "{told}");
            ScriptedTurn::Text(r#"{"title": "Large", "stars": 5, "sources": ["a"]}"#.into())
        });
    let run = agent(model, &tool, Limits::default())
        .run_typed_as::<Rated>(world.context(), id(), "q")
        .await
        .unwrap();
    let rated = run.value().unwrap();
    assert_eq!((rated.title.as_str(), rated.stars, rated.sources.len()), ("Large", 5, 1));
    replays(&world).await;
}

#[tokio::test]
async fn an_answer_that_never_fits_ends_the_run_without_a_value() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let model = (0..9).fold(Scripted::new(), |script, _| script.text("```json\n{}\n```"));
    let agent = agent(model, &tool, Limits::default());
    let run = agent.run_typed_as::<Standard>(world.context(), id(), "q").await.unwrap();
    assert_eq!(cause(&run.report), &StopCause::Unusable { turns: 4, problem: Problem::Form });
    assert_eq!(run.value().unwrap_err().run, id());
}

#[tokio::test]
async fn a_run_with_a_form_goes_on_after_a_crash_only_with_that_form() {
    let model = || {
        Scripted::new().call("count", json!({"n": 1})).text("nonsense").text(r#"{"number": 1, "title": "t"}"#)
    };
    for dies_at in 1..11 {
        let world = World::with_journal(StrictJournal::dying_at(dies_at));
        let tool = Counting::new("count", Effect::Read);
        let agent = agent(model(), &tool, Limits::default());
        let error = agent.run_typed_as::<Standard>(world.context(), id(), "q").await.unwrap_err();
        assert!(matches!(error, RunError::Journal(_)), "{dies_at}: {error}");
        world.journal.heal();
        let error = agent.resume(world.context(), id()).await.unwrap_err();
        assert!(matches!(error, RunError::OtherSettings { difference: "form of the answer", .. }), "{error}");
        let run = agent.resume_typed::<Standard>(world.context(), id(), Vec::new()).await.unwrap();
        assert_eq!(run.value().unwrap(), Standard { number: 1, title: "t".into() }, "{dies_at}");
        replays_resumed(&world).await;
    }
}

async fn replays_resumed(world: &World) {
    let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
    assert!(run.has_ended());
}

#[tokio::test]
async fn pictures_go_to_the_model_with_the_question_and_into_the_journal() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let map = Media { media_type: "image/png".into(), name: None, data: "iVBORw0KGgo=".into() };
    let seen = map.clone();
    let model = Scripted::new().turn_with(move |request| {
        assert_eq!(request.messages[0].parts[1], Part::Media(seen.clone()));
        ScriptedTurn::Text("in Delft".into())
    });
    let agent = agent(model, &tool, Limits::default());
    let task = Task::new("Where is this?").with_media(map.clone());
    agent.run_as(world.context(), id(), task.clone()).await.unwrap();
    let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
    assert_eq!((run.question(), run.media()), ("Where is this?", [map.clone()].as_slice()));

    let with = |data: String| Task::new("q").with_media(Media { data, ..map.clone() });
    for (task, expected) in [
        (with("not base64".into()), TaskError::NotBase64 { index: 0 }),
        (with("A".repeat((24 << 20) + 4)), TaskError::Bytes { bytes: (24 << 20) + 4 }),
        (
            (0..17).fold(Task::new("q"), |task, _| task.with_media(map.clone())),
            TaskError::Count { count: 17 },
        ),
        (Task::new("q".repeat((1 << 20) + 1)), TaskError::Text { bytes: (1 << 20) + 1 }),
    ] {
        let world = World::new();
        let error = agent.run_as(world.context(), id(), task).await.unwrap_err();
        assert!(matches!(&error, RunError::Task(found) if *found == expected), "{error}");
        assert!(world.journal.stored(id()).is_empty(), "nothing was recorded");
    }
}

/// A tool that says something to its own run, as a user might while it works.
#[derive(Debug)]
struct Meanwhile(Steer);

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[async_trait]
impl Tool for Meanwhile {
    type Args = Nothing;
    type Output = Value;

    fn name(&self) -> &str {
        "work"
    }
    fn description(&self) -> &str {
        "Works."
    }
    fn effect(&self) -> Effect {
        Effect::Write
    }
    async fn call(&self, _: &ToolContext, _: Nothing) -> Result<Value, ToolError> {
        self.0.say("ada", "Only what is free.").unwrap();
        Ok(json!("worked"))
    }
}

#[tokio::test]
async fn what_the_user_says_meanwhile_comes_after_the_results_and_before_the_next_turn() {
    let world = World::new();
    let tools = ToolSet::new().with(Meanwhile(world.steer.clone())).unwrap();
    let two = vec![("work".into(), json!({})), ("work".into(), json!({}))];
    let model = Scripted::new().turn(ScriptedTurn::Calls(two)).turn_with(|request| {
        let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User, Role::User]);
        assert_eq!(request.messages[3].plain_text(), "Only what is free.");
        ScriptedTurn::Text("done".into())
    });
    let agent = Agent::builder(Arc::new(model)).tools(tools).build().unwrap();
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("done"));
    let said: Vec<_> = world
        .journal
        .records(id())
        .into_iter()
        .filter_map(|record| match record {
            Record::Steered { by, text } => Some((by, text)),
            _ => None,
        })
        .collect();
    assert_eq!(said, vec![("ada".to_owned(), "Only what is free.".to_owned()); 2]);
    replays(&world).await;
}

#[tokio::test]
async fn a_text_that_would_end_the_run_does_not_while_the_user_has_said_something() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let steer = world.steer.clone();
    let model = Scripted::new()
        .turn_with(move |_| {
            steer.say("ada", "And who invented it?").unwrap();
            ScriptedTurn::Text("ERC-3009".into())
        })
        .text("ERC-3009, by its authors");
    let agent_ = agent(model, &tool, Limits::default());
    let report = agent_.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("ERC-3009, by its authors"));
    replays(&world).await;

    // An answer is not given up for a turn that the limits do not leave.
    let (world, steer) = (World::new(), Arc::new(Mutex::new(Steer::new())));
    *steer.lock().unwrap() = world.steer.clone();
    let model = Scripted::new().turn_with(move |_| {
        steer.lock().unwrap().say("ada", "more").unwrap();
        ScriptedTurn::Text("42".into())
    });
    let limits = Limits { turns: 1, ..Limits::default() };
    let report = agent(model, &tool, limits).run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), world.steer.untaken()), (Ok("42"), vec!["more".to_owned()]));
}

#[test]
fn what_is_said_is_bounded() {
    let steer = Steer::new();
    assert_eq!(steer.say("ada", " "), Err(SteerError::Empty));
    assert_eq!(steer.say("ada", "x".repeat(65_537)), Err(SteerError::TooLong { bytes: 65_537 }));
    for _ in 0..32 {
        steer.say("ada", "x").unwrap();
    }
    assert_eq!(steer.say("ada", "x"), Err(SteerError::TooMany));
}

#[tokio::test]
async fn what_was_taken_in_survives_a_crash_and_is_heard_once() {
    let world = World::with_journal(StrictJournal::dying_at(3));
    let tool = Counting::new("count", Effect::Read);
    world.steer.say("ada", "Only what is free.").unwrap();
    let model = Scripted::new().turn_with(|request| {
        let said = request.messages.iter().filter(|message| message.plain_text() == "Only what is free.");
        assert_eq!(said.count(), 1);
        ScriptedTurn::Text("done".into())
    });
    let agent = agent(model, &tool, Limits::default());
    agent.run_as(world.context(), id(), "q").await.unwrap_err();
    assert_eq!(kinds(&world), ["run_started", "run_steered", "model_requested"]);
    world.journal.heal();
    assert_eq!(agent.resume(world.context(), id()).await.unwrap().answer(), Ok("done"));
}

fn script(calls: &[(&str, u32)]) -> Scripted {
    calls.iter().fold(Scripted::new(), |script, (tool, n)| script.call(*tool, json!({"n": n})))
}

#[tokio::test]
async fn a_circle_is_told_first_and_then_ends_the_run() {
    for round in [vec![1], vec![1, 2], vec![1, 2, 3]] {
        let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
        let calls: Vec<_> = round.iter().cycle().take(40).map(|n| ("count", *n)).collect();
        let agent = agent(script(&calls), &tool, Limits::default());
        let report = agent.run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(cause(&report), &StopCause::Repetition { tools: "count".into() });
        assert_eq!(report.turns as usize, round.len() * 6, "three times, told, three times");
        let warned = kinds(&world).into_iter().filter(|kind| *kind == "model_warned").count();
        assert_eq!(warned, 1);
        replays(&world).await;
    }
}

#[tokio::test]
async fn a_model_that_heeds_the_warning_goes_on_and_another_circle_is_told_anew() {
    let (world, tool) = (World::new(), Counting::new("count", Effect::Read));
    let model = script(&[("count", 1); 3]).call("count", json!({"n": 2}));
    let model = (0..3).fold(model, |script, _| script.call("count", json!({"n": 3}))).text("done");
    let report = agent(model, &tool, Limits::default()).run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.answer(), Ok("done"));
    let warned = kinds(&world).into_iter().filter(|kind| *kind == "model_warned").count();
    assert_eq!(warned, 2);
}

/// A tool that waits for something outside; each time it is asked it may say something new.
#[derive(Debug)]
struct Look {
    polls: bool,
    changes: bool,
    asked: Mutex<u32>,
}

#[async_trait]
impl Tool for Look {
    type Args = Nothing;
    type Output = Value;

    fn name(&self) -> &str {
        "look"
    }
    fn description(&self) -> &str {
        "Looks."
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn polls(&self) -> bool {
        self.polls
    }
    async fn call(&self, _: &ToolContext, _: Nothing) -> Result<Value, ToolError> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        Ok(json!({"state": "pending", "look": if self.changes { *asked } else { 0 }}))
    }
}

#[tokio::test]
async fn looking_again_at_what_changes_or_waits_is_no_circle() {
    for (polls, changes, repeats, circle) in [
        (false, false, Some(3), true),
        (true, false, Some(3), false),
        (false, true, Some(3), false),
        (false, false, None, false),
    ] {
        let world = World::new();
        let tools = ToolSet::new().with(Look { polls, changes, asked: Mutex::new(0) }).unwrap();
        let model = (0..20).fold(Scripted::new(), |script, _| script.call("look", json!({}))).text("done");
        let limits = Limits { repeats, ..Limits::default() };
        let agent = Agent::builder(Arc::new(model)).tools(tools).limits(limits).build().unwrap();
        let report = agent.run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.answer().is_err(), circle, "polls {polls}, changes {changes}, {repeats:?}");
    }
}
