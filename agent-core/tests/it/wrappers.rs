//! Models around models.

use async_trait::async_trait;
use bursar_agent_core::models::{
    Cassette, CassetteError, Fallback, RateLimited, Recorded, Scripted, ScriptedTurn, Timeout,
};
use bursar_agent_core::{
    Message, Model, ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelStream,
    ModelTurn, Part, Retry, Role, StopReason, ToolChoice, Usage, fold_turn,
};
use bursar_types::{CallId, RunId};
use serde_json::json;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

fn request(run: &str, turn: u32) -> ModelRequest {
    ModelRequest {
        system: "Be short.".into(),
        messages: vec![Message::text(Role::User, "Who may pay the gas?")],
        tools: Vec::new(),
        run: RunId::derived(&[run.as_bytes()]),
        turn,
        seed: 0,
        tool_choice: ToolChoice::Auto,
        output: None,
        max_output_tokens: None,
    }
}

async fn ask(model: &dyn Model, request: ModelRequest) -> Result<ModelTurn, ModelError> {
    fold_turn(model.stream(request).await?).await
}

/// A model that fails in this way, after these events, and counts how often it was asked.
#[derive(Debug)]
struct Failing {
    descriptor: ModelDescriptor,
    said: Vec<ModelEvent>,
    kind: ModelErrorKind,
    status: Option<u16>,
    asked: AtomicU32,
}

impl Failing {
    fn with(kind: ModelErrorKind, status: Option<u16>, said: Vec<ModelEvent>) -> Arc<Self> {
        let descriptor = ModelDescriptor::new("test", "failing");
        Arc::new(Self { descriptor, said, kind, status, asked: AtomicU32::new(0) })
    }
}

#[async_trait]
impl Model for Failing {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let error = ModelError::new(self.kind, "no").retry(Retry::Backoff);
        let error = self.status.into_iter().fold(error, ModelError::status);
        if self.said.is_empty() {
            return Err(error);
        }
        let said: Vec<_> = self.said.iter().cloned().map(Ok).chain([Err(error)]).collect();
        Ok(ModelStream::new(futures_util::stream::iter(said)))
    }
}

fn hello() -> Arc<Scripted> {
    let usage = Usage { input_tokens: Some(5), output_tokens: Some(2), ..Usage::default() };
    Arc::new(Scripted::new().text("Hello.").usage(usage))
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::TextDelta { text: text.into() }
}

#[tokio::test]
async fn the_next_model_is_asked_only_while_nothing_was_said_and_the_request_is_not_at_fault() {
    use ModelErrorKind::{Authentication, Network, Provider, RateLimited as Limited, Refused, TooLong};
    let usage = ModelEvent::Usage(Usage::default());
    // What fails, what it said before, and whether the next one answers.
    let cases = [
        (Limited, Some(429), vec![], true),
        (Provider, Some(503), vec![], true),
        (Authentication, Some(401), vec![], true),
        (Network, None, vec![usage], true),
        (Network, None, vec![text("Hel")], false),
        (
            Provider,
            None,
            vec![ModelEvent::ToolCallStarted { index: 0, provider_id: None, tool: "t".into() }],
            false,
        ),
        (TooLong, Some(400), vec![], false),
        (Refused, Some(400), vec![], false),
    ];
    for (kind, status, said, passes) in cases {
        let first = Failing::with(kind, status, said);
        let model = Fallback::new(first.clone()).or(hello());
        assert_eq!(model.descriptor().name, "failing");
        match ask(&model, request("r", 0)).await {
            Ok(turn) => {
                assert!(passes, "{kind:?}");
                assert_eq!(turn.text, "Hello.");
                assert_eq!(turn.model.as_ref(), Some(hello().descriptor()));
                // A provider that turned the request away did no work for it; of others nobody knows.
                assert_eq!(turn.usage.input_tokens.is_some(), matches!(status, Some(400..=499)), "{kind:?}");
            }
            Err(error) => assert!(!passes && error.kind == kind, "{error:?}"),
        }
        assert_eq!(first.asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn when_all_fail_the_last_failure_is_told_and_one_that_answers_says_who_it_is() {
    let limited = || Failing::with(ModelErrorKind::RateLimited, Some(429), vec![]);
    let last = Failing::with(ModelErrorKind::Network, None, vec![]);
    let model = Fallback::new(limited()).or(limited()).or(last);
    assert_eq!(ask(&model, request("r", 0)).await.unwrap_err().kind, ModelErrorKind::Network);
    let inner = Fallback::new(limited()).or(hello());
    let turn = ask(&Fallback::new(Arc::new(inner)).or(limited()), request("r", 0)).await.unwrap();
    assert_eq!(turn.model.as_ref(), Some(hello().descriptor()), "the inner one knows better");
}

#[tokio::test]
async fn a_failure_after_a_model_that_may_have_worked_may_have_a_price() {
    let failed = || Failing::with(ModelErrorKind::Provider, Some(500), vec![]);
    let turned_away = || Failing::with(ModelErrorKind::RateLimited, Some(429), vec![]);
    for (first, free) in [(failed(), false), (turned_away(), true)] {
        let model = Fallback::new(first).or(turned_away());
        let error = ask(&model, request("r", 0)).await.unwrap_err();
        assert_eq!((error.status, error.was_turned_away()), (Some(429), free));
    }
}

/// Says a word every second, and then nothing for an hour.
#[derive(Debug)]
struct Slow(ModelDescriptor);

#[async_trait]
impl Model for Slow {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.0
    }

    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        Ok(ModelStream::new(futures_util::stream::unfold(0_u64, |said| async move {
            tokio::time::sleep(Duration::from_secs(if said < 30 { 1 } else { 3_600 })).await;
            Some((Ok(text("word ")), said + 1))
        })))
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_says_something_is_left_alone_and_one_that_says_nothing_has_failed() {
    let slow = || Arc::new(Slow(ModelDescriptor::new("test", "slow")));
    let patient = Timeout::new(slow()).first_ms(5_000).silence_ms(10_000);
    let began = Instant::now();
    let mut stream = patient.stream(request("r", 0)).await.unwrap();
    let mut said = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(_) => said += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((said, error.kind, error.retry), (30, ModelErrorKind::TimedOut, Retry::Backoff));
    assert_eq!(began.elapsed().as_secs(), 40);
    assert!(stream.next().await.is_none(), "the stream is over");
    let hasty = Fallback::new(Arc::new(Timeout::new(slow()).first_ms(500))).or(hello());
    assert_eq!(ask(&hasty, request("r", 0)).await.unwrap().text, "Hello.");
}

#[tokio::test(start_paused = true)]
async fn requests_and_tokens_wait_until_there_is_room() {
    let per_minute = |most: u64| NonZeroU64::new(most).unwrap();
    let used = |input| Usage { input_tokens: Some(input), output_tokens: Some(0), ..Usage::default() };
    let turn = |usage| {
        ScriptedTurn::Events(vec![
            ModelEvent::Usage(usage),
            ModelEvent::Finished { reason: StopReason::EndTurn },
        ])
    };
    // Thirty requests at once, then one every two seconds; clones count together.
    let model =
        RateLimited::new(Arc::new(Scripted::new().turn(turn(used(0))))).requests_per_minute(per_minute(30));
    let began = Instant::now();
    for _ in 0..30 {
        ask(&model, request("r", 0)).await.unwrap();
    }
    assert_eq!(began.elapsed().as_secs(), 0);
    for _ in 0..5 {
        ask(&model.clone(), request("r", 0)).await.unwrap();
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    // A turn that used two minutes' worth is waited for.
    let model = RateLimited::new(Arc::new(Scripted::new().turn(turn(used(12_000)))))
        .tokens_per_minute(per_minute(6_000));
    let began = Instant::now();
    ask(&model, request("r", 0)).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
    ask(&model, request("r", 0)).await.unwrap();
    assert!((60..=62).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    // Whoever leaves takes nothing, and lets the next one by.
    let model =
        RateLimited::new(Arc::new(Scripted::new().turn(turn(used(0))))).requests_per_minute(per_minute(1));
    ask(&model, request("r", 0)).await.unwrap();
    let began = Instant::now();
    for _ in 0..10 {
        let left = tokio::time::timeout(Duration::from_secs(1), model.stream(request("r", 0))).await;
        assert!(left.is_err(), "it waits");
    }
    ask(&model, request("r", 0)).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 60);
}

/// A conversation in which a run's ids stand, and a model that names one of them.
fn conversation(run: &str, answer: &str) -> ModelRequest {
    let mut request = request(run, 1);
    let call = CallId::derived(&[run.as_bytes()]);
    let tool = "quotes".to_owned();
    let asked = Part::ToolCall { call, provider_id: None, tool, arguments: json!({}) };
    let content = json!({"quote_id": call.to_string().replace("cal_", "quo_"), "answer": answer});
    let result =
        Part::ToolResult { call, content, is_error: false, executed: bursar_agent_core::Executed::Yes };
    request.messages.push(Message { role: Role::Assistant, parts: vec![asked] });
    request.messages.push(Message { role: Role::Tool, parts: vec![result] });
    request
}

fn quote_of(request: &ModelRequest) -> String {
    serde_json::to_value(&request.messages[2]).unwrap()["parts"][0]["content"]["quote_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn taped() -> String {
    let model = Scripted::new().turn(ScriptedTurn::Fail(ModelErrorKind::RateLimited)).turn_with(|request| {
        let arguments =
            json!({"note": "hunter2 and sk-proj-0123456789abcdef", "quote": quote_of(request)}).to_string();
        let (one, other) = arguments.split_at(30);
        ScriptedTurn::Events(vec![
            ModelEvent::ToolCallStarted { index: 0, provider_id: None, tool: "buy".into() },
            ModelEvent::ToolArgumentsDelta { index: 0, fragment: one.into() },
            ModelEvent::ToolArgumentsDelta { index: 0, fragment: other.into() },
            ModelEvent::Finished { reason: StopReason::ToolCalls },
        ])
    });
    let live = Recorded::recording(Arc::new(model)).hiding("hunter2");
    assert_eq!(ask(&live, request("one", 0)).await.unwrap_err().kind, ModelErrorKind::RateLimited);
    ask(&live, conversation("one", "hunter2")).await.unwrap();
    assert_eq!(live.cassette().len(), 2);
    live.cassette().to_text().unwrap()
}

#[tokio::test]
async fn what_was_recorded_is_said_again_to_a_run_with_other_ids() {
    let text = taped().await;
    insta::assert_snapshot!(text);
    let replayed = Recorded::replaying(Cassette::parse(&text).unwrap()).hiding("hunter2");
    assert_eq!(replayed.descriptor(), Scripted::new().descriptor());
    assert_eq!(ask(&replayed, request("two", 0)).await.unwrap_err().kind, ModelErrorKind::RateLimited);
    let asks = conversation("two", "hunter2");
    let turn = ask(&replayed, asks.clone()).await.unwrap();
    let bursar_agent_core::Arguments::Parsed { value } = &turn.calls[0].arguments else { panic!("{turn:?}") };
    assert_eq!(value["quote"], quote_of(&asks), "the id of this run");
    assert_eq!(ask(&replayed, asks).await.unwrap_err().kind, ModelErrorKind::Exhausted);
}

#[tokio::test]
async fn a_request_that_drifted_is_refused_and_shows_where() {
    let text = taped().await;
    let replayed = Recorded::replaying(Cassette::parse(&text).unwrap()).hiding("hunter2");
    let error = ask(&replayed, conversation("two", "something else")).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Protocol);
    insta::assert_snapshot!(error.to_string());
    assert!(ask(&replayed, conversation("two", "hunter2")).await.is_ok(), "it is still there to be replayed");
}

#[tokio::test]
async fn runs_side_by_side_replay_in_whichever_order_they_ask() {
    let asks = |run: &str, answer: &str| conversation(run, answer);
    let model = Scripted::new().text("What for?").text("For this.");
    let live = Recorded::recording(Arc::new(model));
    for answer in ["one", "two", "one"] {
        ask(&live, asks("live", answer)).await.unwrap();
    }
    // Turns that were asked in another order than they were recorded in, each as often as it was recorded.
    let text = live.cassette().to_text().unwrap();
    let replayed = Recorded::replaying(Cassette::parse(&text).unwrap());
    for (run, answer, there) in
        [("a", "two", true), ("b", "one", true), ("a", "two", false), ("b", "one", true), ("b", "one", false)]
    {
        let told = ask(&replayed, asks(run, answer)).await;
        assert_eq!(told.is_ok(), there, "{run} {answer}: {told:?}");
    }
    let replayed = Recorded::replaying(Cassette::parse(&text).unwrap());
    let error = ask(&replayed, ModelRequest { turn: 7, ..asks("a", "twofold") }).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Protocol);
    assert!(error.message.contains("now `twofold`"), "{error}");
}

/// Says two words of its turn, and then what it was made with.
fn half(then: ScriptedHalf) -> Arc<Half> {
    Arc::new(Half(ModelDescriptor::new("test", "half"), then))
}

#[derive(Debug, Clone, Copy)]
enum ScriptedHalf {
    Breaks,
    Waits,
    NeverAnswers,
    Ends,
}

#[derive(Debug)]
struct Half(ModelDescriptor, ScriptedHalf);

#[async_trait]
impl Model for Half {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.0
    }

    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        use futures_util::StreamExt as _;
        let said = futures_util::stream::iter([Ok(text("Half ")), Ok(text("a word"))]);
        Ok(match self.1 {
            ScriptedHalf::Breaks => {
                let error =
                    ModelError::new(ModelErrorKind::Network, "cut").status(200).retry(Retry::After { ms: 5 });
                ModelStream::new(said.chain(futures_util::stream::iter([Err(error)])))
            }
            ScriptedHalf::Waits => ModelStream::new(said.chain(futures_util::stream::pending())),
            ScriptedHalf::NeverAnswers => std::future::pending().await,
            ScriptedHalf::Ends => {
                let end = ModelEvent::Finished { reason: StopReason::EndTurn };
                ModelStream::new(
                    said.chain(futures_util::stream::iter([Ok(end)])).chain(futures_util::stream::pending()),
                )
            }
        })
    }
}

/// What is heard until it ends, or until nothing comes for an hour.
async fn heard(model: &dyn Model) -> (String, Option<ModelError>) {
    let mut said = String::new();
    let listening = async {
        let mut stream = model.stream(request("r", 0)).await?;
        while let Some(event) = stream.next().await {
            if let ModelEvent::TextDelta { text } = event? {
                said.push_str(&text);
            }
        }
        Ok(())
    };
    let ended = tokio::time::timeout(Duration::from_secs(3_600), listening).await;
    (said, ended.ok().and_then(Result::err))
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_off_or_was_dropped_is_replayed_as_far_as_it_came() {
    use ModelErrorKind::{Network, TimedOut};
    let cases = [
        (ScriptedHalf::Breaks, "Half a word", Some((Network, Retry::After { ms: 5 }, Some(200)))),
        (ScriptedHalf::Waits, "Half a word", Some((TimedOut, Retry::Backoff, None))),
        (ScriptedHalf::NeverAnswers, "", Some((TimedOut, Retry::Backoff, None))),
        (ScriptedHalf::Ends, "Half a word", None),
    ];
    for (then, said, failed) in cases {
        let live = Recorded::recording(half(then));
        assert_eq!(heard(&live).await.0, said, "{then:?}");
        assert_eq!(live.cassette().len(), 1, "{then:?}");
        let cassette = Cassette::parse(&live.cassette().to_text().unwrap()).unwrap();
        let began = Instant::now();
        let (again, error) = heard(&Recorded::replaying(cassette)).await;
        assert_eq!(again, said, "{then:?}");
        assert_eq!(error.map(|error| (error.kind, error.retry, error.status)), failed, "{then:?}");
        assert_eq!(began.elapsed().as_secs(), 0, "{then:?}: nobody waits for what does not come");
    }
}

#[test]
fn a_text_that_is_no_cassette_is_refused() {
    assert!(matches!(Cassette::parse("{}"), Err(CassetteError::Text(_))));
    let later = r#"{"form": 2, "model": {"provider": "a", "name": "b"}, "turns": []}"#;
    assert!(matches!(Cassette::parse(later), Err(CassetteError::Form { found: 2 })));
}
