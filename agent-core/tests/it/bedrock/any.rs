//! Whatever a conversation holds, the service takes it.

use super::fake::{Fake, stream};
use super::frames::whole_turn;
use super::{MODEL, builder, call_id, called, made_by, request, result, said, tool, turn_of};
use bursar_agent_core::models::CachePoints;
use bursar_agent_core::{Message, ModelRequest, Part, ProviderItem, Role, ToolChoice};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = Part> {
    prop_oneof!["", " \n", "[a-z ]{1,9}"].prop_map(|text| Part::Text { text })
}

fn json_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"a": 1})),
        Just(json!("")),
        Just(json!([])),
        Just(json!("{\"a")),
        Just(Value::Null)
    ]
}

fn call() -> impl Strategy<Value = Part> {
    let id = prop_oneof![Just(None), Just(Some("tooluse_1")), Just(Some("call|2")), Just(Some(""))];
    let name = prop_oneof![
        Just("fetch".to_owned()),
        Just("a.b".to_owned()),
        Just("long_".repeat(20)),
        Just(String::new())
    ];
    (0_u8..6, id, name, json_value())
        .prop_map(|(number, id, name, arguments)| called(number, id, &name, arguments))
}

/// Items of this model, of another, and ones that cannot be read.
fn item() -> impl Strategy<Value = Part> {
    let block = prop_oneof![
        Just(json!({"reasoning": {"text": "t", "signature": "s"}})),
        Just(json!({"toolUse": {"name": "a.b", "input": {}}})),
        Just(json!({"text": "t"})),
        Just(json!({"somethingElse": 1})),
    ];
    let payload = (prop_oneof![Just(MODEL), Just("other")], block);
    payload.prop_map(|(model, block)| {
        let payload = json!({"model": model, "block": block});
        Part::ProviderItem(ProviderItem {
            provider: "bedrock.converse".into(),
            endpoint: String::new(),
            payload,
        })
    })
}

fn message() -> impl Strategy<Value = Message> {
    let user = prop::collection::vec(text(), 0..3).prop_map(|parts| said(Role::User, parts));
    let words = prop::collection::vec(text(), 0..2);
    let calls = prop::collection::vec(call(), 0..3);
    let assistant = (words, calls, prop::collection::vec(item(), 0..3));
    let assistant = assistant.prop_map(|(words, calls, items)| {
        said(Role::Assistant, words.into_iter().chain(calls).chain(items).collect())
    });
    let results = prop::collection::vec((0_u8..6, json_value(), any::<bool>()), 0..4);
    let tools = results.prop_map(|results| {
        let parts = results.into_iter().map(|(number, content, failed)| result(number, content, failed));
        said(Role::Tool, parts.collect())
    });
    prop_oneof![1 => user, 2 => assistant, 1 => tools]
}

fn any_request() -> impl Strategy<Value = ModelRequest> {
    let choice = prop_oneof![Just(ToolChoice::Auto), Just(ToolChoice::Required), Just(ToolChoice::None)];
    (prop::collection::vec(message(), 0..8), choice, any::<bool>()).prop_map(
        |(messages, tool_choice, offered)| {
            let first = Message::text(Role::User, "Go.");
            let last = Message::text(Role::User, "Well?");
            let mut messages: Vec<Message> = std::iter::once(first).chain(messages).chain([last]).collect();
            // Ids of calls are ours, and none is given twice.
            let ids =
                messages.iter_mut().flat_map(|message| &mut message.parts).filter_map(|part| match part {
                    Part::ToolCall { call, .. } => Some(call),
                    _ => None,
                });
            (0..).zip(ids).for_each(|(number, id)| *id = call_id(number));
            let tools = if offered { vec![tool("fetch"), tool("a.b")] } else { Vec::new() };
            ModelRequest { tool_choice, ..request(messages, tools) }
        },
    )
}

#[test]
fn any_conversation_is_one_that_the_service_takes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fake = runtime.block_on(Fake::saying(vec![stream(&whole_turn())]));
    let plain = builder(&fake).build().unwrap();
    let cached =
        builder(&fake).cache(CachePoints::ALL).replay_reasoning(false).json_results(true).build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let run = runner.run(&any_request(), |request| {
        for model in [&plain, &cached] {
            let turn = runtime.block_on(turn_of(model, made_by(model, request.clone())));
            prop_assert!(turn.is_ok(), "{}", turn.unwrap_err());
        }
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}
