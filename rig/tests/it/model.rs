//! Rig's models as backends.

use async_trait::async_trait;
use bursar_agent_core::{
    Arguments, Message, Model, ModelError, ModelErrorKind, ModelRequest, ModelTurn, OutputSchema, Part,
    Retry, Role, StopReason, Tool, ToolChoice, ToolContext, ToolError, ToolSet, Usage, fold_turn,
};
use bursar_rig::RigModel;
use bursar_types::{CallId, Effect, RunId};
use rig_core::completion::{FinishReason, Usage as RigUsage};
use rig_core::http_client::{HeaderMap, HeaderValue};
use rig_core::message::{AssistantContent, Reasoning};
use rig_core::providers::anthropic::wire::AnthropicConfig;
use rig_core::test_utils::{
    MockCompletionModel, MockHttpResponse, MockStreamEvent, MockTurn, SequencedHttpClient,
};
use serde_json::{Value, json};

fn request() -> ModelRequest {
    ModelRequest {
        system: "Answer briefly.".into(),
        messages: vec![Message::text(Role::User, "Who may pay the gas?")],
        tools: Vec::new(),
        run: RunId::derived(&[b"r"]),
        turn: 0,
        seed: 1,
        tool_choice: ToolChoice::Auto,
        output: None,
        max_output_tokens: None,
    }
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Topic {
    topic: String,
}

#[derive(Debug)]
struct Search;

#[async_trait]
impl Tool for Search {
    type Args = Topic;
    type Output = String;

    fn name(&self) -> &str {
        "search"
    }
    fn description(&self) -> &str {
        "Searches."
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    async fn call(&self, _: &ToolContext, args: Topic) -> Result<String, ToolError> {
        Ok(format!("nothing about {}", args.topic))
    }
}

async fn turn(model: RigModel) -> Result<ModelTurn, ModelError> {
    fold_turn(model.stream(request()).await?).await
}

#[tokio::test]
async fn a_streamed_turn_gives_text_reasoning_calls_and_what_was_reported() {
    let usage = RigUsage::new().input_tokens(7).output_tokens(3).cached_input_tokens(5).reasoning_tokens(2);
    let model = MockCompletionModel::from_stream_turns([[
        MockStreamEvent::reasoning_delta("let me "),
        MockStreamEvent::reasoning_delta("see"),
        MockStreamEvent::text("ERC-"),
        MockStreamEvent::text("3009"),
        MockStreamEvent::tool_call("c1", "search", json!({"topic": "gas"})),
        MockStreamEvent::tool_call("c2", "search", json!({"topic": "fees"})),
        MockStreamEvent::unknown(json!({"new": true})),
        MockStreamEvent::final_response(usage),
    ]]);
    let turn = turn(RigModel::new(model)).await.unwrap();
    assert_eq!((turn.text.as_str(), turn.reasoning.as_str()), ("ERC-3009", "let me see"));
    let calls: Vec<_> =
        turn.calls.iter().map(|call| (call.provider_id.as_deref(), &call.arguments)).collect();
    let parsed = |topic: &str| Arguments::Parsed { value: json!({ "topic": topic }) };
    assert_eq!(calls, [(Some("c1"), &parsed("gas")), (Some("c2"), &parsed("fees"))]);
    assert_eq!(turn.stop, StopReason::ToolCalls);
    let reported = Usage {
        input_tokens: Some(7),
        output_tokens: Some(3),
        cached_tokens: Some(5),
        cache_write_tokens: None,
        reasoning_tokens: Some(2),
    };
    assert_eq!(turn.usage, reported);
    assert_eq!(turn.items.len(), 1, "the turn is kept as rig wrote it");
}

#[tokio::test]
async fn a_whole_turn_says_the_same_and_what_was_not_reported_is_unknown() {
    let thought = AssistantContent::Reasoning(Reasoning::new("let me see"));
    let model = MockCompletionModel::from_turns([MockTurn::from_contents([
        thought,
        AssistantContent::text("ERC-3009"),
    ])]);
    let turn = turn(RigModel::new(model).streaming(false)).await.unwrap();
    assert_eq!((turn.text.as_str(), turn.reasoning.as_str()), ("ERC-3009", "let me see"));
    assert_eq!((turn.usage, turn.stop), (Usage::default(), StopReason::EndTurn));
}

#[tokio::test]
async fn why_a_turn_ended_is_told_and_a_turn_that_broke_off_is_an_error() {
    let cases = [
        (FinishReason::Stop, StopReason::EndTurn),
        (FinishReason::Length, StopReason::Length),
        (FinishReason::ContentFilter, StopReason::Filtered),
        (FinishReason::Other("refusal".into()), StopReason::Refused),
        (FinishReason::Other("model_context_window_exceeded".into()), StopReason::ContextFull),
        (FinishReason::Other("MALFORMED_FUNCTION_CALL".into()), StopReason::MalformedCall),
        (FinishReason::Other("eos".into()), StopReason::Other),
    ];
    for (said, expected) in cases {
        let script = MockTurn::text("x").with_finish_reason(said.clone());
        let model = RigModel::new(MockCompletionModel::from_turns([script])).streaming(false);
        assert_eq!(turn(model).await.unwrap().stop, expected, "{said:?}");
    }
    let broken = MockCompletionModel::from_stream_turns([[MockStreamEvent::text("half a")]]);
    let error = turn(RigModel::new(broken)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Network, Retry::Backoff));
    assert!(error.may_have_cost, "a part of the turn came");
}

#[tokio::test]
async fn arguments_that_are_no_object_stay_the_text_that_they_came_as() {
    let model = MockCompletionModel::from_stream_turns([vec![
        MockStreamEvent::tool_call_name_delta("c1", "search"),
        MockStreamEvent::tool_call_arguments_delta("c1", "{\"topic\": \"ga"),
        MockStreamEvent::tool_call_end("c1"),
        MockStreamEvent::final_response_with_default_usage(),
    ]]);
    let turn = turn(RigModel::new(model)).await.unwrap();
    let Arguments::Malformed { text, .. } = &turn.calls[0].arguments else { panic!("{turn:?}") };
    assert_eq!(text, "{\"topic\": \"ga");
}

#[tokio::test]
async fn a_request_is_put_into_rigs_words() {
    let model = MockCompletionModel::from_turns([MockTurn::text("{}")]);
    let schema = json!({"type": "object"});
    let tools = ToolSet::new().with(Search).unwrap();
    let request = ModelRequest {
        tools: tools.specs().cloned().collect(),
        tool_choice: ToolChoice::Required,
        output: Some(OutputSchema { name: "standard".into(), schema }),
        ..request()
    };
    let rig = RigModel::new(model.clone()).streaming(false).configured(|request| request.temperature(0.5));
    fold_turn(rig.stream(request).await.unwrap()).await.unwrap();
    let sent = serde_json::to_value(&model.requests()[0]).unwrap();
    assert_eq!(sent["chat_history"][0], json!({"role": "system", "content": "Answer briefly."}));
    assert_eq!(sent["chat_history"][1]["content"][0]["text"], "Who may pay the gas?");
    assert_eq!(sent["tools"][0]["name"], "search");
    assert_eq!(sent["tool_choice"], "required");
    assert_eq!(sent["output_schema"], json!({"type": "object", "title": "standard"}));
    assert_eq!(sent["temperature"], 0.5);
}

/// Two turns of Claude, of which the first thinks, signs its thought and calls a tool.
fn claude() -> SequencedHttpClient {
    let body = |content: Value, stop: &str| {
        MockHttpResponse::success(
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
                "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 4}})
            .to_string(),
        )
    };
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"topic": "gas"}});
    SequencedHttpClient::new([
        body(json!([thought, call]), "tool_use"),
        body(json!([{"type": "text", "text": "The submitter."}]), "end_turn"),
    ])
}

#[tokio::test]
async fn what_a_provider_signed_is_given_back_to_it_as_it_came() {
    let http = claude();
    let model = AnthropicConfig::new("key").connect(http.clone()).completion("claude-x");
    let rig = RigModel::new(model).streaming(false).configured(|request| request.max_tokens(100));
    let tools = ToolSet::new().with(Search).unwrap();
    let asked = ModelRequest { tools: tools.specs().cloned().collect(), ..request() };
    let first = fold_turn(rig.stream(asked.clone()).await.unwrap()).await.unwrap();
    assert_eq!((first.reasoning.as_str(), first.calls.len()), ("hm", 1));
    let call = CallId::derived(&[b"c"]);
    let mut parts: Vec<Part> = first.items.iter().cloned().map(Part::ProviderItem).collect();
    parts.push(Part::ToolCall {
        call,
        provider_id: first.calls[0].provider_id.clone(),
        tool: "search".into(),
        arguments: json!({"topic": "gas"}),
    });
    let said = Part::ToolResult {
        call,
        content: json!("no such topic"),
        is_error: true,
        executed: bursar_agent_core::Executed::No,
    };
    let mut second = asked;
    second.messages.push(Message { role: Role::Assistant, parts });
    second.messages.push(Message { role: Role::Tool, parts: vec![said] });
    let answer = fold_turn(rig.stream(second).await.unwrap()).await.unwrap();
    assert_eq!(answer.text, "The submitter.");
    let sent: Value = serde_json::from_slice(&http.requests()[1].body).unwrap();
    let turn = &sent["messages"][1];
    assert_eq!(turn["content"][0]["signature"], "c2lnbmVk", "{turn}");
    assert_eq!(turn["content"][1]["id"], "toolu_1", "{sent}");
    let result = &sent["messages"][2]["content"][0];
    assert_eq!((&result["tool_use_id"], &result["is_error"]), (&json!("toolu_1"), &json!(true)));
}

#[tokio::test]
async fn what_failed_is_told_by_kind_by_what_to_do_and_by_whether_it_may_have_cost() {
    use ModelErrorKind as Kind;
    let cases = [
        (401, "{}", Kind::Authentication, Retry::Never, true),
        (429, "{}", Kind::RateLimited, Retry::After { ms: 7_000 }, true),
        (400, r#"{"error":{"message":"prompt is too long: SECRET"}}"#, Kind::TooLong, Retry::Never, true),
        (404, r#"{"error":{"message":"no model SECRET"}}"#, Kind::Refused, Retry::Never, true),
        (529, "{}", Kind::Provider, Retry::After { ms: 7_000 }, false),
    ];
    for (status, body, kind, retry, turned_away) in cases {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let response = MockHttpResponse::error_with_headers(status.try_into().unwrap(), body, headers);
        let http = SequencedHttpClient::new([response]);
        let model = AnthropicConfig::new("key").connect(http).completion("claude-x");
        let rig = RigModel::new(model).streaming(false).configured(|request| request.max_tokens(100));
        let error = turn(rig).await.unwrap_err();
        let found = (error.kind, error.retry, error.was_turned_away(), error.status);
        assert_eq!(found, (kind, retry, turned_away, Some(status)), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
    let model = MockCompletionModel::from_stream_turns([vec![
        MockStreamEvent::text("half"),
        MockStreamEvent::error("SECRET"),
    ]]);
    let error = turn(RigModel::new(model)).await.unwrap_err();
    assert!(error.may_have_cost && !error.was_turned_away() && !error.to_string().contains("SECRET"));
}
