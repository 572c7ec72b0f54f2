//! What a model said is given back to it.

use super::server::{End, Play, Server, event};
use super::{KEY, OTHER_KEY, answered, at, chat, question, responses, turn};
use bursar_agent_core::models::OpenAiApi::{Chat, Responses};
use bursar_agent_core::models::OpenAiBuilder;
use bursar_agent_core::{Executed, Message, Part, ProviderItem, Role};
use bursar_types::CallId;
use serde_json::{Value, json};

fn last(server: &Server) -> Value {
    server.seen().pop().unwrap().body
}

#[tokio::test]
async fn output_items_are_given_back_byte_for_byte() {
    let odd = json!({"id": "x_1", "type": "brand_new", "numbers": [1, 2.5, null], "text": "ä\u{0}\"\\"});
    let output = [
        responses::reasoning(),
        odd,
        responses::message("I look."),
        responses::call(1, "{\"query\":  \"gas\"}"),
        responses::call(2, "not json"),
    ];
    let done = responses::events(&[responses::message("Yes.")]);
    let server = Server::playing(vec![Play::events(&responses::events(&output)), Play::events(&done)]).await;
    let first = turn(at(&server, Responses), question()).await.unwrap();
    turn(at(&server, Responses), answered(question(), &first)).await.unwrap();
    let input = last(&server)["input"].clone();
    let input = input.as_array().unwrap();
    let written = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>();
    assert_eq!(written(&input[1..6]), written(&output));
    assert_eq!(
        input[6],
        json!({"type": "function_call_output", "call_id": "call_1", "output": json!({"found": 0}).to_string()})
    );
    assert_eq!(input[7]["call_id"], "call_2");
    assert_eq!(input.len(), 8);
}

#[tokio::test]
async fn items_of_others_and_items_that_do_not_fit_are_written_anew() {
    let done = || Play::events(&responses::events(&[responses::message("Yes.")]));
    let server = Server::playing(vec![done(), done()]).await;
    let call = CallId::derived(&[b"1"]);
    let message = |items: &[(&str, Value)]| {
        let mut parts = vec![
            Part::Reasoning { text: "Hm.".into() },
            Part::Text { text: "I look.".into() },
            Part::ToolCall {
                call,
                provider_id: Some("call_1".into()),
                tool: "search".into(),
                arguments: json!({"query": "gas"}),
            },
        ];
        parts.extend(items.iter().map(|(provider, payload)| {
            let endpoint = OpenAiBuilder::build(at(&server, Responses)).unwrap().endpoint().to_owned();
            Part::ProviderItem(ProviderItem {
                provider: (*provider).to_owned(),
                endpoint,
                payload: payload.clone(),
            })
        }));
        let result =
            Part::ToolResult { call, content: "found".into(), is_error: false, executed: Executed::Yes };
        [Message { role: Role::Assistant, parts }, Message { role: Role::Tool, parts: vec![result] }]
    };
    let expected = json!([
        {"type": "message", "role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": json!({"query": "gas"}).to_string()},
        {"type": "function_call_output", "call_id": "call_1", "output": "found"},
    ]);
    let foreign = [("bedrock.converse", json!({"reasoningContent": {}}))];
    let unfit = [("openai.responses", responses::call(9, "{}"))];
    for items in [&foreign[..], &unfit[..]] {
        let mut request = question();
        request.messages.extend(message(items));
        turn(at(&server, Responses), request).await.unwrap();
        assert_eq!(Value::from(last(&server)["input"].as_array().unwrap()[1..].to_vec()), expected);
    }
}

#[tokio::test]
async fn what_one_account_was_given_does_not_go_to_another() {
    let said = [responses::reasoning(), responses::message("I look."), responses::call(1, "{}")];
    let done = || Play::events(&responses::events(&[responses::message("Yes.")]));
    // How the second one differs, and whether it is given back what the first one was told.
    type Set = fn(OpenAiBuilder) -> OpenAiBuilder;
    let cases: [(Set, Set, bool); 6] = [
        (|it| it, |it| it, true),
        (|it| it, |it| it.key(OTHER_KEY), false),
        (
            |it| it.header("OpenAI-Organization", "org-a"),
            |it| it.header("openai-organization", "org-a").key(OTHER_KEY),
            true,
        ),
        (
            |it| it.header("OpenAI-Organization", "org-a"),
            |it| it.header("OpenAI-Organization", "org-b"),
            false,
        ),
        (|it| it.header("OpenAI-Project", "a"), |it| it, false),
        (|it| it.azure(None), |it| it.azure(None).key(OTHER_KEY), true),
    ];
    for (first, second, same) in cases {
        let server = Server::playing(vec![Play::events(&responses::events(&said)), done()]).await;
        let told = turn(first(at(&server, Responses)), question()).await.unwrap();
        assert!(told.items.iter().all(|item| !item.endpoint.contains(KEY)), "{:?}", told.items);
        turn(second(at(&server, Responses)), answered(question(), &told)).await.unwrap();
        let kinds: Vec<Value> =
            last(&server)["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
        assert_eq!(kinds.contains(&json!("reasoning")), same, "{kinds:?}");
        assert!(kinds.contains(&json!("function_call")), "the call itself is told in any case");
        let elsewhere = Server::playing(vec![done()]).await;
        turn(first(at(&elsewhere, Responses)), answered(question(), &told)).await.unwrap();
        let other = last(&elsewhere)["input"].to_string();
        assert!(!other.contains("encrypted_content"), "another address: {other}");
    }
}

#[tokio::test]
async fn a_chat_message_keeps_what_only_its_server_understands() {
    let details = json!([{"type": "reasoning.encrypted", "data": "gAAA", "index": 0}]);
    let signed = json!({"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "extra_content": {"google": {"thought_signature": "sig"}},
        "function": {"name": "search", "arguments": "{\"query\":\"gas\"}"}}]});
    let begun = [
        chat::chunk(json!({"content": "I look.", "reasoning_details": details})),
        chat::chunk(signed),
        chat::end("tool_calls"),
    ];
    let done = [chat::chunk(json!({"content": "Yes."})), chat::end("stop")];
    let server = Server::playing(vec![Play::events(&begun), Play::events(&done)]).await;
    let first = turn(at(&server, Chat), question()).await.unwrap();
    turn(at(&server, Chat), answered(question(), &first)).await.unwrap();
    let expected = json!({"role": "assistant", "content": "I look.", "reasoning_details": details, "tool_calls": [{
        "id": "call_0", "type": "function", "function": {"name": "search", "arguments": "{\"query\":\"gas\"}"},
        "extra_content": {"google": {"thought_signature": "sig"}}}]});
    assert_eq!(last(&server)["messages"][2], expected);
}

#[tokio::test]
async fn calls_without_usable_ids_get_ids_and_calls_without_a_result_get_one() {
    let done = || Play::events(&responses::events(&[responses::message("Yes.")]));
    let end = || {
        Play::Stream(
            vec![event(&chat::chunk(json!({"content": "Yes."}))), event(&chat::end("stop"))],
            End::Clean,
        )
    };
    for (api, play) in [(Responses, done()), (Chat, end())] {
        let server = Server::playing(vec![play]).await;
        let call = |number: u8, id: Option<&str>| Part::ToolCall {
            call: CallId::derived(&[&[number]]),
            provider_id: id.map(str::to_owned),
            tool: "search".into(),
            arguments: if number == 3 { Value::String("{\"query\":".into()) } else { json!({}) },
        };
        let result = |number: u8| Part::ToolResult {
            call: CallId::derived(&[&[number]]),
            content: "x".repeat(1 << 20).into(),
            is_error: true,
            executed: Executed::No,
        };
        let mut request = question();
        let calls = vec![call(0, None), call(1, Some("same")), call(2, Some("same")), call(3, Some(""))];
        request.messages.push(Message { role: Role::Assistant, parts: calls });
        // Nothing is known of the last one.
        request.messages.push(Message { role: Role::Tool, parts: vec![result(0), result(1), result(2)] });
        // The server checks that each call has one result.
        turn(at(&server, api), request).await.unwrap();
    }
}
