//! What is sent.

use super::server::{Play, Server};
use super::{KEY, answered, at, chat, made_by, question, responses, turn};
use bursar_agent_core::models::OpenAiApi::{Chat, Responses};
use bursar_agent_core::models::{OpenAi, OpenAiBuilder};
use bursar_agent_core::{Media, Message, ModelRequest, OutputSchema, Part, Role, ToolChoice};
use serde_json::{Value, json};

fn done(path: &str) -> Play {
    if path.ends_with("responses") {
        Play::events(&responses::events(&[responses::message("Yes.")]))
    } else {
        Play::events(&[chat::chunk(json!({"content": "Yes."})), chat::end("stop")])
    }
}

async fn sent(set: impl Fn(OpenAiBuilder) -> OpenAiBuilder, request: ModelRequest) -> (Value, Value) {
    let server = Server::playing(vec![done("/responses"), done("/chat/completions")]).await;
    let request = made_by(&set(at(&server, Responses)).build().unwrap(), request);
    turn(set(at(&server, Responses)), request.clone()).await.unwrap();
    turn(set(at(&server, Chat)), request).await.unwrap();
    let [responses, chat] = server.seen().try_into().unwrap();
    assert_eq!((responses.path.as_str(), chat.path.as_str()), ("/v1/responses", "/v1/chat/completions"));
    (responses.body, chat.body)
}

/// The order of fields says nothing, and other crates' features change it.
fn snapshot(name: &str, body: &Value) {
    insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(name, body) });
}

#[tokio::test]
async fn a_request_says_what_was_asked_and_stores_nothing() {
    let (responses, chat) = sent(|model| model, question()).await;
    snapshot("responses", &responses);
    snapshot("chat", &chat);
}

#[tokio::test]
async fn how_much_may_be_written_is_the_lesser_of_what_is_set_and_what_is_asked() {
    let asks = |most| ModelRequest { max_output_tokens: most, ..question() };
    for (set, asked, said) in
        [(None, Some(300), 300), (Some(200), Some(300), 200), (Some(400), Some(300), 300)]
    {
        let model = |model: OpenAiBuilder| set.into_iter().fold(model, OpenAiBuilder::output_tokens_max);
        let (responses, chat) = sent(model, asks(asked)).await;
        assert_eq!((&responses["max_output_tokens"], &chat["max_tokens"]), (&json!(said), &json!(said)));
        let (_, azure) = sent(|it| model(it).azure(None), asks(asked)).await;
        assert_eq!((&azure["max_completion_tokens"], azure.get("max_tokens")), (&json!(said), None));
    }
    for (by_name, said) in [(json!(1_000), 300), (json!(100), 100), (json!("many"), 300)] {
        let named = |model: OpenAiBuilder| model.field("max_output_tokens", by_name.clone());
        let (responses, _) = sent(named, asks(Some(300))).await;
        assert_eq!(responses["max_output_tokens"], said, "so much is set aside, and no more is asked for");
    }
}

#[tokio::test]
async fn settings_and_demands_are_sent_under_each_api_s_names() {
    let schema = json!({"type": "object", "properties": {"payer": {"type": "string"}}, "required": ["payer"], "additionalProperties": false});
    let media = |media_type: &str, name: Option<&str>| {
        Part::Media(Media {
            media_type: media_type.into(),
            name: name.map(str::to_owned),
            data: "aGk=".into(),
        })
    };
    let mut request = question();
    request.tool_choice = ToolChoice::Required;
    request.output = Some(OutputSchema { name: "payer".into(), schema });
    request.messages.push(Message {
        role: Role::User,
        parts: vec![
            Part::Text { text: "See here.".into() },
            media("image/png", None),
            media("application/pdf", Some("eip.pdf")),
        ],
    });
    let set = |model: OpenAiBuilder| {
        model
            .output_tokens_max(500)
            .reasoning_effort("low")
            .parallel_calls(false)
            .seeded(true)
            .field("temperature", 0.5)
            .field("service_tier", "flex")
    };
    let (responses, chat) = sent(set, request.clone()).await;
    snapshot("responses_with_settings", &responses);
    snapshot("chat_with_settings", &chat);
    // Servers that enforce no schema are told of it in words.
    let (responses, chat) = sent(|model| model.enforces_output(false), request).await;
    assert!(responses.get("text").is_none() && chat.get("response_format").is_none());
    assert!(responses["instructions"].as_str().unwrap().contains("\"payer\""));
    assert!(chat["messages"][0]["content"].as_str().unwrap().contains("\"payer\""));
}

#[tokio::test]
async fn a_conversation_goes_back_with_its_calls_results_and_items() {
    let output =
        [responses::reasoning(), responses::message("I look."), responses::call(1, "{\"query\":\"gas\"}")];
    let heard = responses::heard(Play::events(&responses::events(&output))).await;
    let (responses, chat) = sent(|model| model, answered(question(), &heard)).await;
    snapshot("responses_conversation", &responses);
    snapshot("chat_conversation", &chat);
}

#[tokio::test]
async fn azure_gets_its_key_and_version_where_it_looks_for_them() {
    let server = Server::playing(vec![done("chat")]).await;
    let base = server.base_url().replace("/v1", "/openai/deployments/mine/");
    let model = OpenAi::builder("mine").key(KEY).base_url(base).azure(Some("2024-10-21"));
    turn(model.header("x-team", "research"), question()).await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.path, "/openai/deployments/mine/chat/completions?api-version=2024-10-21");
    assert_eq!((seen.headers["api-key"].as_str(), seen.headers["x-team"].as_str()), (KEY, "research"));
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn tool_names_that_do_not_fit_are_sent_under_others_and_come_back_as_their_own() {
    let mut request = question();
    request.tools[0].name =
        "files.read a very long name that no provider takes as it stands, since it has more than 64 bytes"
            .into();
    let server = Server::playing(vec![done("responses")]).await;
    turn(at(&server, Responses), request.clone()).await.unwrap();
    let name = server.seen()[0].body["tools"][0]["name"].clone();
    let mut call = responses::call(1, "{}");
    call["name"] = name;
    let server = Server::playing(vec![Play::events(&responses::events(&[call]))]).await;
    let heard = turn(at(&server, Responses), request.clone()).await.unwrap();
    assert_eq!(heard.calls[0].tool, request.tools[0].name);
}
