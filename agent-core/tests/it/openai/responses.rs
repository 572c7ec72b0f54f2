//! Answers of the Responses API.

use super::server::{Play, Server};
use super::{at, question, turn};
use bursar_agent_core::models::OpenAiApi::Responses;
use bursar_agent_core::models::OpenAiBuilder;
use bursar_agent_core::{Arguments, ModelErrorKind, ModelTurn, Retry, StopReason, Usage};
use serde_json::{Value, json};

pub(crate) fn reasoning() -> Value {
    json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Gas is paid by the relayer."}],
        "encrypted_content": "gAAAAABo+/=="})
}

pub(crate) fn call(number: u32, arguments: &str) -> Value {
    json!({"id": format!("fc_{number}"), "type": "function_call", "status": "completed", "call_id": format!("call_{number}"),
        "name": "search", "arguments": arguments})
}

pub(crate) fn message(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]})
}

/// The answer object with these items.
pub(crate) fn response(output: &[Value]) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": null, "incomplete_details": null,
        "model": "gpt-5-mini", "output": output,
        "usage": {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 29}})
}

/// The events of an answer with these items, as the API streams them.
pub(crate) fn events(output: &[Value]) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}),
        json!({"type": "response.in_progress", "response": {"id": "resp_1", "status": "in_progress", "output": []}}),
    ];
    for (index, item) in output.iter().enumerate() {
        let id = &item["id"];
        let about = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": id, "output_index": index});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let mut begun = item.clone();
        match item["type"].as_str().unwrap() {
            "function_call" => {
                begun["arguments"] = "".into();
                begun["status"] = "in_progress".into();
                events.push(
                    json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
                );
                let arguments: Vec<char> = item["arguments"].as_str().unwrap().chars().collect();
                for piece in arguments.chunks(5) {
                    let delta: String = piece.iter().collect();
                    events.push(about("response.function_call_arguments.delta", json!({"delta": delta})));
                }
                let whole = json!({"arguments": item["arguments"]});
                events.push(about("response.function_call_arguments.done", whole));
            }
            "reasoning" => {
                begun["summary"] = json!([]);
                events.push(
                    json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
                );
                events.push(about("response.reasoning_summary_part.added", json!({"summary_index": 0})));
                let text = item["summary"][0]["text"].as_str().unwrap();
                events.push(about("response.reasoning_summary_text.delta", json!({"delta": text})));
                events.push(about("response.reasoning_summary_text.done", json!({"text": text})));
            }
            "brand_new" => {}
            _ => {
                begun["content"] = json!([]);
                events.push(
                    json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
                );
                let (name, text) = match item["content"][0]["refusal"].as_str() {
                    Some(refusal) => ("response.refusal", refusal),
                    None => ("response.output_text", item["content"][0]["text"].as_str().unwrap()),
                };
                for word in text.split_inclusive(' ') {
                    events.push(about(&format!("{name}.delta"), json!({"delta": word})));
                }
                events.push(about(&format!("{name}.done"), json!({"text": text})));
            }
        }
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    events.push(json!({"type": "response.completed", "response": response(output)}));
    events
}

pub(crate) async fn heard(play: Play) -> ModelTurn {
    heard_by(play, |model| model).await
}

/// The same without the place, which is another each time.
async fn heard_by(play: Play, set: impl Fn(OpenAiBuilder) -> OpenAiBuilder) -> ModelTurn {
    let server = Server::playing(vec![play]).await;
    let model = set(at(&server, Responses));
    let endpoint = model.clone().build().unwrap().endpoint().to_owned();
    let mut turn = turn(model, question()).await.unwrap();
    for item in &mut turn.items {
        assert_eq!(std::mem::take(&mut item.endpoint), endpoint);
    }
    turn
}

#[tokio::test]
async fn text_reasoning_and_parallel_calls_are_heard_in_pieces_and_whole_alike() {
    let output =
        [reasoning(), message("I will look."), call(1, r#"{"query":"gas"}"#), call(2, r#"{"query":"π"}"#)];
    let streamed = heard(Play::events(&events(&output))).await;
    let whole = heard_by(Play::json(200, &response(&output)), |model| model.streaming(false)).await;
    assert_eq!(streamed, whole);
    assert_eq!(streamed.text, "I will look.");
    assert_eq!(streamed.reasoning, "Gas is paid by the relayer.");
    let calls: Vec<_> =
        streamed.calls.iter().map(|call| (call.provider_id.as_deref(), &call.arguments)).collect();
    let parsed = |query: &str| Arguments::Parsed { value: json!({"query": query}) };
    assert_eq!(calls, [(Some("call_1"), &parsed("gas")), (Some("call_2"), &parsed("π"))]);
    assert_eq!(streamed.stop, StopReason::ToolCalls);
    let items: Vec<_> = streamed.items.iter().map(|item| item.payload.clone()).collect();
    assert_eq!(items, output);
    assert!(streamed.items.iter().all(|item| item.provider == "openai.responses"));
    let usage = Usage {
        input_tokens: Some(20),
        output_tokens: Some(9),
        cached_tokens: Some(8),
        cache_write_tokens: None,
        reasoning_tokens: Some(5),
    };
    assert_eq!(streamed.usage, usage);
}

#[tokio::test]
async fn what_only_the_end_tells_is_heard_once() {
    let output = [reasoning(), message("Yes."), call(1, "{}")];
    let expected = heard(Play::events(&events(&output))).await;
    // Some servers send nothing but the ends of items, or nothing but the end of all; some leave out the numbers.
    let ends = |kinds: &[&str]| -> Vec<Value> {
        let all = events(&output);
        all.into_iter().filter(|event| kinds.contains(&event["type"].as_str().unwrap())).collect()
    };
    let mut unnumbered = events(&output);
    for event in &mut unnumbered {
        event.as_object_mut().unwrap().remove("output_index");
    }
    for events in [
        ends(&["response.completed"]),
        ends(&["response.output_item.done", "response.completed"]),
        unnumbered,
    ] {
        assert_eq!(heard(Play::events(&events)).await, expected);
    }
}

#[tokio::test]
async fn unknown_events_items_and_comments_are_passed_over() {
    let output = [json!({"id": "x_1", "type": "brand_new", "value": 1}), message("Yes.")];
    let mut pieces = vec![": keep-alive\n\n".to_owned(), "data:\n\n".to_owned()];
    for event in events(&output) {
        pieces.push(super::server::event(&event));
        pieces.push(": OPENROUTER PROCESSING\n\n".to_owned());
        pieces.push(super::server::event(&json!({"type": "response.brand_new", "value": [1]})));
        pieces.push("data: {\"type\": null, \"delta\": null}\n\n".to_owned());
    }
    let turn = heard(Play::Stream(pieces, super::server::End::Clean)).await;
    assert_eq!((turn.text.as_str(), turn.stop), ("Yes.", StopReason::EndTurn));
    assert_eq!(turn.items.len(), 2, "what is not understood is given back too");
}

#[tokio::test]
async fn a_turn_says_why_it_ended() {
    let refusal = json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "refusal", "refusal": "I cannot help."}]});
    let incomplete = |reason: &str| {
        let mut response = response(&[message("So it is that"), call(1, "{\"query\":")]);
        response["status"] = "incomplete".into();
        response["incomplete_details"] = json!({"reason": reason});
        vec![json!({"type": "response.incomplete", "response": response})]
    };
    let cases = [
        (events(&[message("Yes.")]), StopReason::EndTurn, 1),
        (events(&[refusal]), StopReason::Refused, 0),
        (incomplete("max_output_tokens"), StopReason::Length, 0),
        (incomplete("content_filter"), StopReason::Filtered, 0),
        (incomplete("brand_new"), StopReason::Length, 0),
    ];
    for (events, stop, items) in cases {
        let turn = heard(Play::events(&events)).await;
        assert_eq!((turn.stop, turn.items.len()), (stop, items), "{}", turn.text);
    }
}

#[tokio::test]
async fn calls_that_contradict_themselves_are_an_error_and_never_made() {
    let mut contradicted = events(&[call(1, r#"{"query":"gas"}"#)]);
    for event in &mut contradicted {
        if event["type"] == "response.function_call_arguments.done" {
            event["arguments"] = r#"{"query":"other"}"#.into();
        }
    }
    let mut unbegun = events(&[call(1, r#"{"query":"gas"}"#)]);
    unbegun.retain(|event| event["type"] != "response.output_item.added");
    for events in [contradicted, unbegun] {
        let server = Server::playing(vec![Play::events(&events)]).await;
        let error = turn(at(&server, Responses), question()).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Protocol);
        assert_eq!(error.request_id.as_deref(), Some("req_1"));
    }
}

#[tokio::test]
async fn a_call_told_twice_is_one_call_and_bad_arguments_stay_text() {
    let mut twice = events(&[call(1, r#"{"query":"gas"}"#)]);
    let doubled: Vec<Value> = twice.iter().filter(|event| event["item"].is_object()).cloned().collect();
    twice.splice(2..2, doubled.into_iter().take(1));
    assert_eq!(heard(Play::events(&twice)).await.calls.len(), 1);
    let broken = heard(Play::events(&events(&[call(1, "{\"query\": gas")]))).await;
    assert!(
        matches!(&broken.calls[0].arguments, Arguments::Malformed { text, .. } if text == "{\"query\": gas")
    );
}

#[tokio::test]
async fn an_error_in_the_middle_says_whether_to_try_again() {
    let failed = |code: &str| json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "no"}}});
    let error = |code: &str| json!({"type": "error", "code": code, "message": "no", "param": null});
    let cases = [
        (failed("server_error"), ModelErrorKind::Provider, Retry::Backoff),
        (failed("rate_limit_exceeded"), ModelErrorKind::RateLimited, Retry::Backoff),
        (failed("invalid_prompt"), ModelErrorKind::Refused, Retry::Never),
        (error("server_error"), ModelErrorKind::Provider, Retry::Backoff),
        (error("context_length_exceeded"), ModelErrorKind::TooLong, Retry::Never),
        (error("insufficient_quota"), ModelErrorKind::RateLimited, Retry::Never),
    ];
    for (event, kind, retry) in cases {
        let mut begun = events(&[message("Yes.")]);
        begun.truncate(4);
        begun.push(event);
        let server = Server::playing(vec![Play::events(&begun)]).await;
        let error = turn(at(&server, Responses), question()).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (kind, retry), "{error}");
    }
}
