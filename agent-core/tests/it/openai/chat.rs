//! Answers of the Chat Completions API, as different servers write them.

use super::server::{End, Play, Server, event};
use super::{at, question, turn};
use bursar_agent_core::models::OpenAiApi::Chat;
use bursar_agent_core::{Arguments, ModelErrorKind, ModelTurn, Retry, StopReason, Usage};
use serde_json::{Value, json};

/// A chunk with this delta.
pub(crate) fn chunk(delta: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

pub(crate) fn end(reason: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn call_begins(index: u32, name: &str) -> Value {
    chunk(
        json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": ""}}]}),
    )
}

fn call_goes_on(index: u32, fragment: &str) -> Value {
    chunk(json!({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}))
}

fn usage() -> Value {
    json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29, "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 5}})
}

/// The chunks of a turn with text and two calls, the calls' pieces mixed.
pub(crate) fn chunks() -> Vec<Value> {
    vec![
        chunk(json!({"role": "assistant", "content": "", "refusal": null})),
        chunk(json!({"reasoning_content": "Think."})),
        chunk(json!({"content": "I will "})),
        chunk(json!({"content": "look."})),
        call_begins(0, "search"),
        call_goes_on(0, "{\"query\""),
        call_begins(1, "search"),
        call_goes_on(1, "{\"query\":\"π\"}"),
        call_goes_on(0, ":\"gas\"}"),
        end("tool_calls"),
        json!({"id": "chatcmpl-1", "choices": [], "usage": usage()}),
    ]
}

fn stream(chunks: &[Value]) -> Play {
    let done = "data: [DONE]\n\n".to_owned();
    Play::Stream(chunks.iter().map(event).chain([done]).collect(), End::Clean)
}

async fn heard(play: Play) -> ModelTurn {
    let server = Server::playing(vec![play]).await;
    turn(at(&server, Chat), question()).await.unwrap()
}

fn calls(turn: &ModelTurn) -> Vec<(Option<&str>, &str, String)> {
    let text = |arguments: &Arguments| match arguments {
        Arguments::Parsed { value } => value.to_string(),
        Arguments::Malformed { text, .. } => text.clone(),
    };
    turn.calls
        .iter()
        .map(|call| (call.provider_id.as_deref(), call.tool.as_str(), text(&call.arguments)))
        .collect()
}

#[tokio::test]
async fn text_reasoning_and_parallel_calls_are_heard_in_pieces_and_whole_alike() {
    let streamed = heard(stream(&chunks())).await;
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "usage": usage(), "choices": [{
    "index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
        "role": "assistant", "content": "I will look.", "refusal": null, "reasoning_content": "Think.",
        "tool_calls": [
            {"id": "call_0", "type": "function", "function": {"name": "search", "arguments": "{\"query\":\"gas\"}"}},
            {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{\"query\":\"π\"}"}},
        ]}}]});
    let server = Server::playing(vec![Play::json(200, &answer)]).await;
    let whole = turn(at(&server, Chat).streaming(false), question()).await.unwrap();
    assert_eq!(streamed, whole);
    assert_eq!((streamed.text.as_str(), streamed.reasoning.as_str()), ("I will look.", "Think."));
    let expected = [
        (Some("call_0"), "search", json!({"query": "gas"}).to_string()),
        (Some("call_1"), "search", json!({"query": "π"}).to_string()),
    ];
    assert_eq!(calls(&streamed), expected);
    assert_eq!(streamed.stop, StopReason::ToolCalls);
    assert_eq!(streamed.usage.cached_tokens, Some(8));
    assert_eq!(streamed.usage.reasoning_tokens, Some(5));
    assert!(streamed.items.is_empty());
}

#[tokio::test]
async fn calls_are_told_apart_however_the_server_numbers_them() {
    let begin = |fields: Value| chunk(json!({"tool_calls": [fields]}));
    let function = |arguments: &str| json!({"name": "search", "arguments": arguments});
    let cases = [
        // Whole calls without a number.
        vec![
            begin(json!({"id": "a", "function": function("{\"n\":1}")})),
            begin(json!({"id": "b", "function": function("{\"n\":2}")})),
        ],
        // All with the same number.
        vec![
            begin(json!({"index": 0, "id": "a", "function": function("{\"n\":1}")})),
            begin(json!({"index": 0, "id": "b", "function": function("{\"n\":2}")})),
        ],
        // Pieces that only say the id, or nothing at all.
        vec![
            begin(json!({"id": "a", "function": function("{\"n\"")})),
            begin(json!({"function": {"arguments": ":1}"}})),
            begin(json!({"id": "b", "function": function("{\"n\"")})),
            begin(json!({"id": "b", "function": {"arguments": ":2}"}})),
        ],
        // Id and name in every piece, and numbers that leave one out.
        vec![
            begin(json!({"index": 3, "id": "a", "function": function("{\"n\"")})),
            begin(json!({"index": 5, "id": "b", "function": function("{\"n\":")})),
            begin(json!({"index": 3, "id": "a", "function": function(":1}")})),
            begin(json!({"index": 5, "id": "b", "function": function("2}")})),
        ],
        // Arguments that are JSON and not text of it.
        vec![
            begin(json!({"index": 0, "id": "a", "function": {"name": "search", "arguments": {"n": 1}}})),
            begin(json!({"index": 1, "id": "b", "function": {"name": "search", "arguments": {"n": 2}}})),
        ],
    ];
    for mut chunks in cases {
        chunks.push(end("tool_calls"));
        let turn = heard(stream(&chunks)).await;
        let expected = [
            (Some("a"), "search", json!({"n": 1}).to_string()),
            (Some("b"), "search", json!({"n": 2}).to_string()),
        ];
        assert_eq!(calls(&turn), expected, "{chunks:?}");
    }
}

#[tokio::test]
async fn calls_without_ids_and_the_old_form_are_heard() {
    let old = [
        chunk(json!({"function_call": {"name": "search", "arguments": "{\"n\""}})),
        chunk(json!({"function_call": {"arguments": ":1}"}})),
        end("function_call"),
    ];
    let nameless = [
        chunk(json!({"tool_calls": [{"function": {"name": "search", "arguments": {"n": 1}}}]})),
        end("stop"),
    ];
    for chunks in [old.to_vec(), nameless.to_vec()] {
        let turn = heard(stream(&chunks)).await;
        assert_eq!(calls(&turn), [(None, "search", json!({"n": 1}).to_string())]);
        assert_eq!(turn.stop, StopReason::ToolCalls);
    }
}

#[tokio::test]
async fn what_servers_leave_out_or_add_is_no_error() {
    let text = |turn: &ModelTurn| (turn.text.clone(), turn.stop, turn.usage);
    let yes = ("Yes.".to_owned(), StopReason::EndTurn, Usage::default());
    // No `[DONE]`, no empty line at the end, nulls wherever there may be something, a second answer nobody asked for.
    let nulls = json!({"id": null, "error": null, "usage": null, "choices": [{"delta": {"content": "Yes.", "tool_calls": null,
        "function_call": null, "reasoning": null}, "finish_reason": "", "logprobs": null}]});
    let second = json!({"choices": [{"index": 1, "delta": {"content": "No."}, "finish_reason": "stop"}]});
    let last = format!("data: {}", end("stop"));
    let pieces = vec![
        event(&nulls),
        event(&json!({"choices": []})),
        event(&json!({"brand_new": 1})),
        event(&second),
        last,
    ];
    assert_eq!(text(&heard(Play::Stream(pieces, End::Clean)).await), yes);
    // Text in parts, and the delta under the name it has in whole answers.
    let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "Yes."}, {"type": "new"}]}, "finish_reason": "eos"}]});
    assert_eq!(text(&heard(stream(std::slice::from_ref(&parts))).await), yes);
    // A whole answer though a stream was asked for, and the other way round.
    assert_eq!(text(&heard(Play::json(200, &parts)).await), yes);
    let server = Server::playing(vec![stream(&[chunk(json!({"content": "Yes."})), end("stop")])]).await;
    assert_eq!(text(&turn(at(&server, Chat).streaming(false), question()).await.unwrap()), yes);
}

#[tokio::test]
async fn a_turn_says_why_it_ended() {
    let cases = [
        ("stop", StopReason::EndTurn),
        ("length", StopReason::Length),
        ("content_filter", StopReason::Filtered),
        ("brand_new", StopReason::Other),
        ("MALFORMED_FUNCTION_CALL", StopReason::MalformedCall),
    ];
    for (reason, stop) in cases {
        let turn = heard(stream(&[chunk(json!({"content": "So"})), end(reason)])).await;
        assert_eq!(turn.stop, stop, "{reason}");
    }
    let refused = heard(stream(&[chunk(json!({"refusal": "I cannot help."})), end("stop")])).await;
    assert_eq!((refused.text.as_str(), refused.stop), ("I cannot help.", StopReason::Refused));
}

#[tokio::test]
async fn an_error_in_the_middle_says_whether_to_try_again() {
    let cases = [
        (json!({"error": {"code": 502, "message": "upstream"}}), ModelErrorKind::Provider, Retry::Backoff),
        (json!({"error": {"code": 429, "message": "slow"}}), ModelErrorKind::RateLimited, Retry::Backoff),
        (json!({"error": {"code": "context_length_exceeded"}}), ModelErrorKind::TooLong, Retry::Never),
        (json!({"error": "something"}), ModelErrorKind::Provider, Retry::Backoff),
        (end("error"), ModelErrorKind::Provider, Retry::Backoff),
    ];
    for (event, kind, retry) in cases {
        for play in [stream(&[chunk(json!({"content": "So"})), event.clone()]), Play::json(200, &event)] {
            let server = Server::playing(vec![play]).await;
            let error = turn(at(&server, Chat), question()).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (kind, retry), "{error}");
        }
    }
}
