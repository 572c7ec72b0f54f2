//! What the service writes: real event-stream frames.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

/// An event, as a frame.
pub(crate) fn event(name: &'static str, payload: &Value) -> Vec<u8> {
    frame("event", ":event-type", name, payload)
}

/// An exception, as a frame.
pub(crate) fn exception(name: &'static str, payload: &Value) -> Vec<u8> {
    frame("exception", ":exception-type", name, payload)
}

fn frame(kind: &'static str, name_of: &'static str, name: &'static str, payload: &Value) -> Vec<u8> {
    let header = |key: &'static str, value: &'static str| Header::new(key, HeaderValue::String(value.into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(":message-type", kind))
        .add_header(header(name_of, name))
        .add_header(header(":content-type", "application/json"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

pub(crate) fn start() -> Vec<u8> {
    event("messageStart", &json!({"role": "assistant", "p": "abcd"}))
}

pub(crate) fn text(index: u32, text: &str) -> Vec<u8> {
    event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": {"text": text}}))
}

pub(crate) fn call(index: u32, id: &str, name: &str) -> Vec<u8> {
    let start = json!({"toolUse": {"toolUseId": id, "name": name}});
    event("contentBlockStart", &json!({"contentBlockIndex": index, "start": start}))
}

pub(crate) fn input(index: u32, fragment: &str) -> Vec<u8> {
    let delta = json!({"toolUse": {"input": fragment}});
    event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
}

pub(crate) fn reasoning(index: u32, piece: &Value) -> Vec<u8> {
    let delta = json!({"reasoningContent": piece});
    event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
}

pub(crate) fn close(index: u32) -> Vec<u8> {
    event("contentBlockStop", &json!({"contentBlockIndex": index}))
}

pub(crate) fn stop(reason: &str) -> Vec<u8> {
    event("messageStop", &json!({"stopReason": reason}))
}

pub(crate) fn counts() -> Vec<u8> {
    let usage = json!({"inputTokens": 100, "outputTokens": 20, "totalTokens": 1_620, "cacheReadInputTokens": 1_000,
        "cacheWriteInputTokens": 500, "cacheDetails": [{"ttl": "5m", "inputTokens": 500}]});
    metadata(&json!({"usage": usage, "metrics": {"latencyMs": 1_234}}))
}

pub(crate) fn metadata(payload: &Value) -> Vec<u8> {
    event("metadata", payload)
}

/// A turn of text, a tool call in two fragments, and its counts.
pub(crate) fn whole_turn() -> Vec<Vec<u8>> {
    let (first, second) = (r#"{"url":"https://a."#, r#"example/1"}"#);
    vec![
        start(),
        text(0, "I will "),
        text(0, "look."),
        close(0),
        call(1, "tooluse_A", "fetch"),
        input(1, first),
        input(1, second),
        close(1),
        stop("tool_use"),
        counts(),
    ]
}
