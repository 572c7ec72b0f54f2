//! Turns as they come, whole, cut, broken and silent.

use super::fake::{Fake, Says, stream};
use super::frames::{
    call, close, counts, exception, input, metadata, reasoning, start, stop, text, whole_turn,
};
use super::{MODEL, builder, question, turn_of};
use bursar_agent_core::{
    Arguments, Model as _, ModelError, ModelErrorKind, ModelEvent, ModelTurn, Retry, StopReason, Usage,
};
use serde_json::{Value, json};

async fn check(frames: &[Vec<u8>]) -> Result<ModelTurn, ModelError> {
    let fake = Fake::saying(vec![stream(frames)]).await;
    turn_of(&builder(&fake).build().unwrap(), question()).await
}

fn parsed(turn: &ModelTurn) -> Vec<(&str, &Value)> {
    let calls = turn.calls.iter().map(|call| match &call.arguments {
        Arguments::Parsed { value } => (call.tool.as_str(), value),
        Arguments::Malformed { .. } => panic!("not JSON: {call:?}"),
    });
    calls.collect()
}

const COUNTED: Usage = Usage {
    input_tokens: Some(1_600),
    output_tokens: Some(20),
    cached_tokens: Some(1_000),
    cache_write_tokens: Some(500),
    reasoning_tokens: None,
};

#[tokio::test]
async fn text_and_fragments_are_joined_and_counted() {
    let turn = check(&whole_turn()).await.unwrap();
    assert_eq!(turn.text, "I will look.");
    assert_eq!(parsed(&turn), [("fetch", &json!({"url": "https://a.example/1"}))]);
    assert_eq!(turn.calls[0].provider_id.as_deref(), Some("tooluse_A"));
    assert_eq!((turn.stop, turn.usage), (StopReason::ToolCalls, COUNTED));
    assert!(turn.items.is_empty(), "nothing is lost without them");
}

#[tokio::test]
async fn a_stream_cut_at_any_frame_is_an_error_until_its_end_is_announced() {
    let frames = whole_turn();
    let announced = frames.len() - 1;
    for cut in 0..announced {
        for says in [Says::Stream(frames[..cut].concat()), Says::Broken(frames[..cut].concat())] {
            let fake = Fake::saying(vec![says]).await;
            let error = turn_of(&builder(&fake).build().unwrap(), question()).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (ModelErrorKind::Network, Retry::Backoff), "cut at {cut}");
            assert_eq!(error.request_id.as_deref(), Some("req-0"));
        }
    }
    for says in [
        Says::Stream(frames[..announced].concat()),
        Says::Broken(frames[..announced].concat()),
        Says::Silent(frames[..announced].concat()),
    ] {
        let fake = Fake::saying(vec![says]).await;
        let turn = turn_of(&builder(&fake).build().unwrap(), question()).await.unwrap();
        assert_eq!(turn.usage, Usage::default(), "the turn stands, and its counts are unknown");
        assert_eq!((turn.calls.len(), turn.stop), (1, StopReason::ToolCalls));
    }
}

#[tokio::test]
async fn a_stream_cut_inside_any_frame_is_an_error() {
    let frames = whole_turn();
    for cut in 0..frames.len() - 1 {
        let mut bytes = frames[..cut].concat();
        bytes.extend(&frames[cut][..frames[cut].len() / 2]);
        let fake = Fake::saying(vec![Says::Stream(bytes)]).await;
        let error = turn_of(&builder(&fake).build().unwrap(), question()).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff), "cut in {cut}");
    }
}

#[tokio::test]
async fn a_frame_with_a_wrong_checksum_is_refused() {
    for at in 0..whole_turn().len() - 1 {
        for byte in [9, 40] {
            let mut frames = whole_turn();
            frames[at][byte] ^= 0x40;
            let error = check(&frames).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff), "{at}, {byte}");
        }
    }
}

#[tokio::test]
async fn exceptions_in_a_stream_say_whether_another_try_makes_sense() {
    let cases = [
        ("internalServerException", json!({}), ModelErrorKind::Provider, Retry::Backoff),
        (
            "modelStreamErrorException",
            json!({"originalStatusCode": 503}),
            ModelErrorKind::Provider,
            Retry::Backoff,
        ),
        (
            "modelStreamErrorException",
            json!({"originalStatusCode": 400}),
            ModelErrorKind::Provider,
            Retry::Never,
        ),
        ("validationException", json!({}), ModelErrorKind::Refused, Retry::Never),
        (
            "validationException",
            json!({"message": "Input is too long for requested model."}),
            ModelErrorKind::TooLong,
            Retry::Never,
        ),
        ("throttlingException", json!({}), ModelErrorKind::RateLimited, Retry::Backoff),
        ("serviceUnavailableException", json!({}), ModelErrorKind::Provider, Retry::Backoff),
    ];
    for (name, payload, kind, retry) in cases {
        for at in [0, 1, 5, 7] {
            let mut frames = whole_turn();
            frames.insert(at, exception(name, &payload));
            let error = check(&frames).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (kind, retry), "{name} at {at}");
            assert!(!error.was_turned_away(), "what was written until then may have its price");
            assert_eq!(error.request_id.as_deref(), Some("req-0"));
        }
    }
    let mut frames = whole_turn();
    frames.insert(1, exception("newKindOfException", &json!({"message": "x"})));
    assert_eq!(
        check(&frames).await.unwrap_err().retry,
        Retry::Never,
        "of an exception that is new nobody knows"
    );
}

#[tokio::test]
async fn half_a_tool_call_is_no_call() {
    let half = |reason: &str| {
        vec![
            start(),
            text(0, "so"),
            close(0),
            call(1, "t1", "fetch"),
            input(1, "{\"url\":"),
            stop(reason),
            counts(),
        ]
    };
    let cut_short = [
        ("max_tokens", StopReason::Length),
        ("malformed_tool_use", StopReason::MalformedCall),
        ("malformed_model_output", StopReason::MalformedCall),
        ("model_context_window_exceeded", StopReason::ContextFull),
        ("content_filtered", StopReason::Filtered),
        // What nobody knows may be cut short too.
        ("some_new_reason", StopReason::Other),
    ];
    for (reason, stop) in cut_short {
        let turn = check(&half(reason)).await.unwrap();
        assert_eq!((turn.calls.len(), turn.stop, turn.text.as_str()), (0, stop, "so"), "{reason}");
    }
    for reason in ["tool_use", "end_turn", "stop_sequence"] {
        let error = check(&half(reason)).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff), "{reason}");
    }
}

#[tokio::test]
async fn each_stop_reason_is_told() {
    let cases = [
        ("end_turn", StopReason::EndTurn),
        ("tool_use", StopReason::ToolCalls),
        ("max_tokens", StopReason::Length),
        ("stop_sequence", StopReason::StopSequence),
        ("guardrail_intervened", StopReason::Filtered),
        ("content_filtered", StopReason::Filtered),
        ("malformed_model_output", StopReason::MalformedCall),
        ("malformed_tool_use", StopReason::MalformedCall),
        ("model_context_window_exceeded", StopReason::ContextFull),
        ("refusal", StopReason::Refused),
        ("some_new_reason", StopReason::Other),
    ];
    for (reason, expected) in cases {
        let turn = check(&[start(), text(0, "x"), close(0), stop(reason), counts()]).await.unwrap();
        assert_eq!(turn.stop, expected, "{reason}");
    }
}

fn guarded(assessment: Value) -> Vec<Vec<u8>> {
    let guardrail = json!({"outputAssessments": {"gr-1": [assessment]}, "actionReason": "Guardrail acted."});
    let usage = json!({"inputTokens": 1, "outputTokens": 1, "totalTokens": 2});
    let metadata =
        metadata(&json!({"usage": usage, "metrics": {"latencyMs": 1}, "trace": {"guardrail": guardrail}}));
    vec![start(), text(0, "call {PHONE}"), close(0), stop("guardrail_intervened"), metadata]
}

#[tokio::test]
async fn a_masked_answer_is_told_from_a_blocked_one() {
    let phone = |action: &str| json!({"match": "555", "type": "PHONE", "action": action});
    let pii = |actions: &[&str]| {
        let entities: Vec<Value> = actions.iter().map(|action| phone(action)).collect();
        json!({"sensitiveInformationPolicy": {"piiEntities": entities, "regexes": []}})
    };
    let topic = json!({"topicPolicy": {"topics": [{"name": "x", "type": "DENY", "action": "BLOCKED"}]}});
    let cases = [
        (pii(&["ANONYMIZED"]), StopReason::Masked),
        (pii(&["ANONYMIZED", "NONE"]), StopReason::Masked),
        (pii(&["ANONYMIZED", "BLOCKED"]), StopReason::Filtered),
        (pii(&["ANONYMIZED", "SOMETHING_NEW"]), StopReason::Filtered),
        (pii(&["NONE"]), StopReason::Filtered),
        (topic, StopReason::Filtered),
        (json!({}), StopReason::Filtered),
    ];
    for (assessment, expected) in cases {
        let turn = check(&guarded(assessment.clone())).await.unwrap();
        assert_eq!(turn.stop, expected, "{assessment}");
    }
}

#[tokio::test]
async fn fragments_that_are_no_json_keep_their_text() {
    let frames = [
        start(),
        call(0, "t1", "fetch"),
        input(0, "{\"url\": "),
        input(0, "nowhere"),
        close(0),
        stop("tool_use"),
        counts(),
    ];
    let turn = check(&frames).await.unwrap();
    assert!(
        matches!(&turn.calls[0].arguments, Arguments::Malformed { text, .. } if text == "{\"url\": nowhere")
    );
}

#[tokio::test]
async fn a_call_without_fragments_has_no_arguments() {
    let frames = [start(), call(0, "t1", "fetch"), input(0, ""), close(0), stop("tool_use"), counts()];
    assert_eq!(parsed(&check(&frames).await.unwrap()), [("fetch", &json!({}))]);
}

#[tokio::test]
async fn a_hundred_calls_side_by_side_keep_their_order() {
    let mut frames = vec![start()];
    frames.extend((0..100).map(|index| call(index, &format!("t{index}"), "fetch")));
    frames.extend((0..100).rev().map(|index| input(index, &format!("{{\"url\": \"{index}\""))));
    frames.extend((0..100).map(|index| input(index, "}")));
    frames.extend((0..100).map(close));
    frames.extend([stop("tool_use"), counts()]);
    let turn = check(&frames).await.unwrap();
    let urls: Vec<String> =
        parsed(&turn).iter().map(|(_, value)| value["url"].as_str().unwrap().to_owned()).collect();
    assert_eq!(urls, (0..100).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_left() {
    let mebibyte = "x".repeat(1 << 20);
    let frames: Vec<Vec<u8>> = (0..33).map(|_| text(0, &mebibyte)).collect();
    let error = check(&frames).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Never), "{error}");
}

#[tokio::test]
async fn events_that_make_no_turn_are_refused() {
    let cases: [&[Vec<u8>]; 6] = [
        &[input(0, "{}")],
        &[call(0, "a", "fetch"), call(0, "b", "fetch")],
        &[call(0, "a", "fetch"), text(0, "x")],
        &[text(0, "x"), close(0), text(0, "y")],
        &[text(0, "x"), close(0), close(0)],
        &[text(0, "x"), close(0), stop("end_turn"), text(1, "y")],
    ];
    for frames in cases {
        let error = check(frames).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff));
    }
}

#[tokio::test]
async fn what_is_new_in_a_stream_is_passed_over() {
    let mut frames = whole_turn();
    frames.insert(1, super::frames::event("somethingNew", &json!({"a": 1})));
    let server = json!({"contentBlockIndex": 7, "start": {"toolUse": {"toolUseId": "s1", "name": "web", "type": "server_tool_use"}}});
    frames.insert(1, super::frames::event("contentBlockStart", &server));
    frames.insert(2, input(7, "{}"));
    frames.insert(3, close(7));
    // As another implementation writes them.
    for start in [json!({}), json!({"reasoningContent": {}}), json!({"somethingNew": {}})] {
        let start = json!({"contentBlockIndex": 0, "start": start});
        frames.insert(1, super::frames::event("contentBlockStart", &start));
    }
    let new = json!({"contentBlockIndex": 0, "delta": {"somethingNew": {"a": 1}}});
    frames.insert(1, super::frames::event("contentBlockDelta", &new));
    let turn = check(&frames).await.unwrap();
    assert_eq!(turn.calls.len(), 1, "a call that the service answers itself is none of ours");
}

#[tokio::test]
async fn a_silent_stream_is_left_when_it_is_dropped() {
    let fake = Fake::saying(vec![Says::Silent([start(), text(0, "so")].concat())]).await;
    let model = builder(&fake).build().unwrap();
    let mut stream = model.stream(question()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::TextDelta { text: "so".into() });
    drop(stream);
    fake.left.notified().await;
}

#[tokio::test]
async fn calls_are_passed_on_when_their_block_is_closed() {
    let frames = [start(), call(0, "t1", "fetch"), input(0, "{}")];
    let fake = Fake::saying(vec![Says::Silent([frames.concat(), text(1, "more")].concat())]).await;
    let model = builder(&fake).build().unwrap();
    let mut stream = model.stream(question()).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first, ModelEvent::TextDelta { text: "more".into() }, "the call's block is open");
}

#[tokio::test]
async fn signed_reasoning_is_kept_with_the_rest_of_its_turn() {
    let frames = [
        start(),
        reasoning(0, &json!({"text": "Hm, "})),
        reasoning(0, &json!({"text": "gas."})),
        reasoning(0, &json!({"signature": "c2ln"})),
        close(0),
        reasoning(1, &json!({"redactedContent": "AAEC/w=="})),
        close(1),
        text(2, "I look."),
        close(2),
        call(3, "t1", "fetch"),
        input(3, "{\"url\": 1}"),
        close(3),
        stop("tool_use"),
        counts(),
    ];
    let turn = check(&frames).await.unwrap();
    assert_eq!(turn.reasoning, "Hm, gas.");
    let blocks: Vec<Value> = turn.items.iter().map(|item| item.payload["block"].clone()).collect();
    let expected = [
        json!({"reasoning": {"text": "Hm, gas.", "signature": "c2ln"}}),
        json!({"redactedReasoning": "AAEC/w=="}),
        json!({"text": "I look."}),
        json!({"toolUse": {"name": "fetch", "input": {"url": 1}}}),
    ];
    assert_eq!(blocks, expected);
    assert!(
        turn.items.iter().all(|item| item.provider == "bedrock.converse" && item.payload["model"] == MODEL)
    );
}

#[tokio::test]
async fn reasoning_that_was_cut_or_not_signed_is_not_kept() {
    let thought = reasoning(0, &json!({"text": "Hm"}));
    let signed = reasoning(1, &json!({"signature": "c2ln"}));
    let cases: [&[Vec<u8>]; 2] = [
        &[thought.clone(), close(0), text(1, "x"), close(1), stop("end_turn"), counts()],
        &[reasoning(1, &json!({"text": "y"})), signed, close(1), thought, stop("max_tokens"), counts()],
    ];
    for frames in cases {
        assert_eq!(check(frames).await.unwrap().items, []);
    }
}
