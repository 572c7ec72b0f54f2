//! What is asked of the service. The fake refuses what it would refuse.

use super::fake::{Fake, Says, stream};
use super::frames::{call, close, counts, input, reasoning, start, stop, text, whole_turn};
use super::{
    MODEL, SECRET, builder, call_id, called, made_by, question, request, result, said, tool, turn_of,
};
use bursar_agent_core::models::{
    Bedrock, BedrockBuildError, BedrockBuilder, CachePoints, Guardrail, ServiceTier, StructuredOutput,
};
use bursar_agent_core::{
    Media, Message, ModelRequest, OutputSchema, Part, ProviderItem, Role, StopReason, ToolChoice,
};
use serde_json::{Value, json};

/// The body that the service gets, once it has taken it.
async fn asked(request: ModelRequest) -> Value {
    asked_with(request, |builder| builder).await
}

async fn asked_with(request: ModelRequest, with: impl Fn(BedrockBuilder) -> BedrockBuilder) -> Value {
    let reply = json!({"output": {"message": {"role": "assistant", "content": [{"text": "Yes."}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}, "metrics": {"latencyMs": 1}});
    let fake = Fake::saying(vec![
        stream(&[start(), text(0, "Yes."), close(0), stop("end_turn"), counts()]),
        Says::Json(200, None, Vec::new(), reply),
    ])
    .await;
    for streaming in [true, false] {
        let model = with(builder(&fake)).streaming(streaming).build().unwrap();
        let turn =
            turn_of(&model, made_by(&model, request.clone())).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((turn.text.as_str(), turn.stop), ("Yes.", StopReason::EndTurn));
    }
    let seen = fake.seen();
    assert!(seen[0].path.ends_with("/converse-stream") && seen[1].path.ends_with("/converse"));
    let (mut streamed, whole) = (seen[0].body.clone(), seen[1].body.clone());
    if let Some(guardrail) = streamed.get_mut("guardrailConfig").and_then(Value::as_object_mut) {
        guardrail.remove("streamProcessingMode").expect("a mode");
    }
    assert_eq!(streamed, whole, "both operations are asked the same");
    whole
}

#[tokio::test]
async fn model_ids_and_arns_are_one_segment_of_the_path() {
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/ab12";
    for (model, path) in [
        (MODEL, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
        (
            arn,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fab12/converse-stream",
        ),
    ] {
        let fake = Fake::saying(vec![stream(&whole_turn())]).await;
        let keys = Bedrock::builder(model).region("eu-west-1").endpoint_url(&fake.url);
        turn_of(&keys.access_keys("AKID", SECRET, Some("session".into())).build().unwrap(), question())
            .await
            .unwrap();
        let seen = fake.last();
        assert_eq!(seen.path, path);
        assert!(
            seen.header("authorization").contains("/eu-west-1/bedrock/aws4_request"),
            "signed for the service"
        );
        assert_eq!(seen.header("x-amz-security-token"), "session");
    }
}

#[tokio::test]
async fn an_api_key_is_sent_as_it_is_even_beside_access_keys() {
    let fake = Fake::saying(vec![stream(&whole_turn())]).await;
    let sdk = aws_types::SdkConfig::builder()
        .behavior_version(aws_sdk_bedrockruntime::config::BehaviorVersion::latest())
        .region(aws_sdk_bedrockruntime::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_bedrockruntime::config::SharedCredentialsProvider::new(
            aws_sdk_bedrockruntime::config::Credentials::new("AKID", SECRET, None, None, "test"),
        ))
        .build();
    let model = Bedrock::builder(MODEL).endpoint_url(&fake.url);
    turn_of(&model.clone().api_key("key-123").build_from(&sdk).unwrap(), question()).await.unwrap();
    assert_eq!(fake.last().header("authorization"), "Bearer key-123");
    turn_of(&model.build_from(&sdk).unwrap(), question()).await.unwrap();
    assert!(fake.last().header("authorization").starts_with("AWS4-HMAC-SHA256"));
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let fake = Fake::saying(vec![stream(&whole_turn())]).await;
    let keys = builder(&fake);
    let key = builder(&fake).api_key(SECRET);
    for shown in [format!("{keys:?}"), format!("{key:?}"), format!("{:?}", key.clone().build().unwrap())] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn a_model_without_region_or_credentials_is_not_made() {
    let model = Bedrock::builder(MODEL);
    assert_eq!(model.clone().region("us-east-1").build().unwrap_err(), BedrockBuildError::NoCredentials);
    assert_eq!(model.clone().api_key("k").build().unwrap_err(), BedrockBuildError::NoRegion);
    let evil = model.clone().api_key("k").region("evil.example/").build().unwrap_err();
    assert_eq!(evil, BedrockBuildError::Region { region: "evil.example/".into() });
    let fields = model.api_key("k").region("us-east-1").additional_fields(json!([1])).build().unwrap_err();
    assert_eq!(fields, BedrockBuildError::AdditionalFields);
    let none = Bedrock::builder(" ").api_key("k").region("us-east-1").build().unwrap_err();
    assert_eq!(none, BedrockBuildError::NoModel);
}

#[test]
fn an_endpoint_that_may_hold_a_secret_is_refused_and_not_said_again() {
    let at = |url: &str| Bedrock::builder(MODEL).api_key("k").region("us-east-1").endpoint_url(url).build();
    assert!(at("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/").is_ok());
    for url in [
        "https://ada:hunter2@a/",
        "https://hunter2@a/",
        "https://a/?key=hunter2",
        "https://a/#hunter2",
        "hunter2",
    ] {
        let error = at(url).unwrap_err();
        assert!(matches!(error, BedrockBuildError::Endpoint { .. }), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_conversation_is_written_in_turns_with_its_results_first() {
    let messages = vec![
        Message::text(Role::User, "Who may pay?"),
        said(
            Role::Assistant,
            vec![
                Part::Reasoning { text: "unsigned".into() },
                Part::Text { text: "  ".into() },
                called(0, Some("tooluse_A"), "fetch", json!({"z": 1, "a": [1, 2]})),
                called(1, None, "fetch", json!("{\"broken")),
            ],
        ),
        Message::text(Role::User, "Be quick."),
        said(Role::Tool, vec![result(0, json!({"body": "x"}), false), result(1, json!("not JSON"), true)]),
        Message::text(Role::User, " \n"),
        Message::text(Role::User, "And cheap."),
    ];
    let body = asked(request(messages, vec![tool("fetch")])).await;
    let second = call_id(1).to_string();
    let uses = json!([
        {"toolUse": {"toolUseId": "tooluse_A", "name": "fetch", "input": {"z": 1, "a": [1, 2]}}},
        {"toolUse": {"toolUseId": second, "name": "fetch", "input": {"unreadable_arguments": "{\"broken"}}},
    ]);
    assert_eq!(body["messages"][1]["content"], uses);
    let answers = json!([
        {"toolResult": {"toolUseId": "tooluse_A", "content": [{"text": "{\"body\":\"x\"}"}]}},
        {"toolResult": {"toolUseId": second, "content": [{"text": "not JSON"}], "status": "error"}},
        {"text": "Be quick."},
        {"text": "And cheap."},
    ]);
    assert_eq!(body["messages"][2]["content"], answers);
    assert_eq!(body["system"], json!([{"text": "Answer with sources."}]));
    assert_eq!(
        body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["properties"]["url"]["type"],
        "string"
    );
}

#[tokio::test]
async fn the_same_conversation_is_the_same_bytes() {
    let fake = Fake::saying(vec![stream(&whole_turn())]).await;
    let model = builder(&fake).build().unwrap();
    for _ in 0..4 {
        turn_of(&model, question()).await.unwrap();
    }
    let mut bodies: Vec<Vec<u8>> = fake.seen().into_iter().map(|seen| seen.raw).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "a cache of prompts compares bytes");
}

#[tokio::test]
async fn results_are_text_and_objects_are_json_where_that_is_wanted() {
    let contents = [json!([1, 2]), json!(7), json!(null), json!(""), json!("x"), json!({"b": 1, "a": 2})];
    let parts = |make: &dyn Fn(u8, &Value) -> Part| {
        (0_u8..).zip(&contents).map(|(n, content)| make(n, content)).collect()
    };
    let messages = vec![
        Message::text(Role::User, "Go."),
        said(Role::Assistant, parts(&|n, _| called(n, None, "fetch", json!({})))),
        said(Role::Tool, parts(&|n, content| result(n, content.clone(), false))),
    ];
    let request = request(messages, vec![tool("fetch")]);
    let mut expected = [
        json!({"text": "[1,2]"}),
        json!({"text": "7"}),
        json!({"text": "null"}),
        json!({"text": "(nothing)"}),
        json!({"text": "x"}),
        json!({"text": r#"{"a":2,"b":1}"#}),
    ];
    for json in [false, true] {
        if json {
            expected[5] = json!({"json": {"a": 2, "b": 1}});
        }
        let body = asked_with(request.clone(), |builder| builder.json_results(json)).await;
        let blocks = body["messages"][2]["content"].as_array().unwrap();
        let said: Vec<Value> = blocks.iter().map(|block| block["toolResult"]["content"][0].clone()).collect();
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn models_that_do_not_read_a_results_status_read_it_in_its_text() {
    let messages = vec![
        Message::text(Role::User, "Go."),
        said(Role::Assistant, vec![called(0, None, "fetch", json!({}))]),
        said(Role::Tool, vec![result(0, json!({"code": "X"}), true)]),
    ];
    let fake = Fake::saying(vec![stream(&whole_turn())]).await;
    let llama = Bedrock::builder("meta.llama4-maverick-17b-instruct-v1:0").region("us-east-1").api_key("k");
    let model = llama.endpoint_url(&fake.url).build().unwrap();
    turn_of(&model, request(messages, vec![tool("fetch")])).await.unwrap();
    let result = &fake.last().body["messages"][2]["content"][0]["toolResult"];
    assert_eq!(result["content"], json!([{"text": "error: {\"code\":\"X\"}"}]));
    assert!(result.get("status").is_none());
}

#[tokio::test]
async fn each_call_has_a_result_and_each_result_a_call() {
    let calls = |numbers: [u8; 2]| {
        let call = |n| called(n, None, "fetch", json!({}));
        said(Role::Assistant, numbers.map(call).to_vec())
    };
    let messages = vec![
        Message::text(Role::User, "Go."),
        said(Role::Tool, vec![result(9, json!({"b": 1}), false)]),
        calls([0, 1]),
        said(Role::Tool, vec![result(0, json!("ok"), false)]),
        calls([2, 3]),
        Message::text(Role::Assistant, "Hm."),
        calls([4, 5]),
    ];
    let body = asked(request(messages, vec![tool("fetch")])).await;
    let earlier = json!([{"text": "Go."}, {"text": "Result of an earlier call: {\"b\":1}"}]);
    assert_eq!(body["messages"][0]["content"], earlier);
    let unknown = json!([{"text": "Nothing is known of a result of this call."}]);
    let results = body["messages"][2]["content"].as_array().unwrap();
    assert_eq!(results[0]["toolResult"]["content"], json!([{"text": "ok"}]));
    for (message, block) in [(2, 1), (4, 0), (4, 1), (6, 0), (6, 1)] {
        assert_eq!(body["messages"][message]["content"][block]["toolResult"]["content"], unknown);
    }
}

#[tokio::test]
async fn how_much_may_be_written_is_the_lesser_of_what_is_set_and_what_is_asked() {
    for (set, most, said) in [
        (None, Some(300), 300),
        (Some(200), Some(300), 200),
        (Some(400), Some(300), 300),
        (Some(400), None, 400),
    ] {
        let asks = ModelRequest { max_output_tokens: most, ..question() };
        let with =
            |builder: BedrockBuilder| set.into_iter().fold(builder.top_p(0.5), BedrockBuilder::max_tokens);
        assert_eq!(asked_with(asks, with).await["inferenceConfig"], json!({"maxTokens": said, "topP": 0.5}));
    }
}

fn after_a_call(tools: &[&str]) -> ModelRequest {
    let messages = vec![
        Message::text(Role::User, "Go."),
        said(Role::Assistant, vec![called(0, Some("t0"), "fetch", json!({}))]),
        said(Role::Tool, vec![result(0, json!("ok"), false)]),
    ];
    request(messages, tools.iter().map(|name| tool(name)).collect())
}

#[tokio::test]
async fn whether_tools_may_be_called_is_said_as_the_service_wants_it() {
    let plain = asked(ModelRequest { tool_choice: ToolChoice::Required, ..question() }).await;
    assert_eq!(plain["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(asked(question()).await["toolConfig"].get("toolChoice"), None, "as it sees fit");
    let none = asked(ModelRequest { tool_choice: ToolChoice::None, ..question() }).await;
    assert_eq!(none.get("toolConfig"), None, "a model that knows no tools calls none");
    let later = asked(ModelRequest { tool_choice: ToolChoice::None, ..after_a_call(&["fetch"]) }).await;
    assert_eq!(later["toolConfig"]["tools"].as_array().unwrap().len(), 1, "the service wants them described");
    assert!(later["system"][0]["text"].as_str().unwrap().ends_with("answer in words."));
    let gone = asked(after_a_call(&[])).await;
    assert_eq!(gone["toolConfig"]["tools"][0]["toolSpec"]["name"], "fetch");
}

#[tokio::test]
async fn long_and_odd_tool_names_come_back_as_they_were() {
    let names = [
        "market-target-".repeat(7) + "___search",
        "market-target-".repeat(7) + "___buy",
        "a.b/c".into(),
        "wetter_für_heute".into(),
    ];
    let tools: Vec<&str> = names.iter().map(String::as_str).collect();
    let fake =
        Fake::saying(vec![stream(&[start(), text(0, "x"), close(0), stop("end_turn"), counts()])]).await;
    let model = builder(&fake).build().unwrap();
    let mut request = after_a_call(&tools);
    request.messages[1] = said(Role::Assistant, vec![called(0, Some("t0"), &names[1], json!({}))]);
    turn_of(&model, request.clone()).await.unwrap();
    let body = fake.last().body;
    let specs = body["toolConfig"]["tools"].as_array().unwrap();
    let wire: Vec<String> =
        specs.iter().map(|spec| spec["toolSpec"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        body["messages"][1]["content"][0]["toolUse"]["name"], wire[1],
        "the same name in the conversation"
    );
    let mut frames = vec![start()];
    for (index, name) in (0..).zip(&wire) {
        frames.extend([call(index, &format!("t{}", index + 1), name), input(index, "{}"), close(index)]);
    }
    frames.extend([stop("tool_use"), counts()]);
    let fake = Fake::saying(vec![stream(&frames)]).await;
    let turn = turn_of(&builder(&fake).build().unwrap(), request).await.unwrap();
    let called: Vec<&str> = turn.calls.iter().map(|call| call.tool.as_str()).collect();
    assert_eq!(called, tools);
}

#[tokio::test]
async fn ids_of_other_providers_become_ids_that_the_service_takes() {
    let odd = ["call|fc_1", "tooluse_A", "tooluse_A", &"x".repeat(80)];
    let calls = (0_u8..).zip(odd).map(|(n, id)| called(n, Some(id), "fetch", json!({}))).collect();
    let results = (0..4).map(|n| result(n, json!("ok"), false)).collect();
    let messages =
        vec![Message::text(Role::User, "Go."), said(Role::Assistant, calls), said(Role::Tool, results)];
    let body = asked(request(messages, vec![tool("fetch")])).await;
    assert_eq!(body["messages"][1]["content"][1]["toolUse"]["toolUseId"], "tooluse_A");
}

fn item(model: &str, block: Value) -> Part {
    let payload = json!({"model": model, "block": block});
    Part::ProviderItem(ProviderItem { provider: "bedrock.converse".into(), endpoint: String::new(), payload })
}

fn reasoned(model: &str) -> ModelRequest {
    let parts = vec![
        Part::Reasoning { text: "Hm, gas.".into() },
        Part::Text { text: "I look.".into() },
        called(0, Some("t1"), "fetch", json!({"url": 1})),
        item(model, json!({"reasoning": {"text": "Hm, gas.", "signature": "c2ln"}})),
        item(model, json!({"redactedReasoning": "AAEC/w=="})),
        item(model, json!({"text": "I look."})),
        item(model, json!({"toolUse": {"name": "fetch", "input": {"url": 1}}})),
    ];
    let results = vec![result(0, json!("ok"), false)];
    let messages =
        vec![Message::text(Role::User, "Go."), said(Role::Assistant, parts), said(Role::Tool, results)];
    request(messages, vec![tool("fetch")])
}

#[tokio::test]
async fn signed_reasoning_is_given_back_intact() {
    let body = asked(reasoned(MODEL)).await;
    let expected = json!([
        {"reasoningContent": {"reasoningText": {"text": "Hm, gas.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "AAEC/w=="}},
        {"text": "I look."},
        {"toolUse": {"toolUseId": "t1", "name": "fetch", "input": {"url": 1}}},
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
}

#[tokio::test]
async fn reasoning_that_another_model_signed_is_left_out() {
    let plain = json!([
        {"text": "I look."},
        {"toolUse": {"toolUseId": "t1", "name": "fetch", "input": {"url": 1}}},
    ]);
    let other = asked(reasoned("another.model")).await;
    assert_eq!(other["messages"][1]["content"], plain);
    let spared = asked_with(reasoned(MODEL), |builder| builder.replay_reasoning(false)).await;
    assert_eq!(spared["messages"][1]["content"], plain);
    let mut elsewhere = reasoned(MODEL);
    for part in &mut elsewhere.messages[1].parts {
        if let Part::ProviderItem(item) = part {
            item.endpoint = "eu-west-1".into();
        }
    }
    assert_eq!(asked(elsewhere).await["messages"][1]["content"], plain, "another account's");
}

#[tokio::test]
async fn what_is_made_is_marked_with_region_address_and_account_and_with_no_key() {
    let at = |region: &str, id: &str| {
        Bedrock::builder(MODEL)
            .region(region)
            .access_keys(id, SECRET, None)
            .build()
            .unwrap()
            .endpoint()
            .to_owned()
    };
    let keyed = |key: &str| Bedrock::builder(MODEL).region("eu-west-1").api_key(key).build().unwrap();
    let marks = [
        at("eu-west-1", "AKIDEXAMPLE"),
        at("eu-west-2", "AKIDEXAMPLE"),
        at("eu-west-1", "AKIDOTHER"),
        keyed(SECRET).endpoint().to_owned(),
    ];
    for (index, mark) in marks.iter().enumerate() {
        assert!(!mark.contains("AKID") && !mark.contains(SECRET), "{mark}");
        assert!(!marks[..index].contains(mark), "{mark}");
    }
    assert_eq!(marks[0], at("eu-west-1", "AKIDEXAMPLE"));
    let signed =
        [reasoning(0, &json!({"text": "Hm."})), reasoning(0, &json!({"signature": "c2ln"})), close(0)];
    let frames =
        [vec![start()], signed.to_vec(), vec![text(1, "x"), close(1), stop("end_turn"), counts()]].concat();
    let fake = Fake::saying(vec![stream(&frames)]).await;
    let model = builder(&fake).build().unwrap();
    let turn = turn_of(&model, question()).await.unwrap();
    assert!(model.endpoint().contains(&fake.url));
    assert!(!turn.items.is_empty() && turn.items.iter().all(|item| item.endpoint == model.endpoint()));
}

#[tokio::test]
async fn pictures_and_documents_go_in() {
    let media = |media_type: &str, name: Option<&str>| {
        let name = name.map(str::to_owned);
        Part::Media(Media { media_type: media_type.into(), name, data: "aGVsbG8=".into() })
    };
    let parts = vec![
        media("image/png", None),
        media("application/pdf", Some("Invoice: No.7 (final).pdf")),
        media("text/plain; charset=utf-8", Some("Invoice: No.7 (final).pdf")),
    ];
    let body = asked(request(vec![said(Role::User, parts)], Vec::new())).await;
    let expected = json!([
        {"image": {"format": "png", "source": {"bytes": "aGVsbG8="}}},
        {"document": {"format": "pdf", "name": "Invoice No 7 (final) pdf", "source": {"bytes": "aGVsbG8="}}},
        {"document": {"format": "txt", "name": "Invoice No 7 (final) pdf (2)", "source": {"bytes": "aGVsbG8="}}},
        {"text": "See the document."},
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
    for bad in [media("image/tiff", None), media("application/zip", None)] {
        let fake = Fake::saying(vec![Says::HangUp]).await;
        let request = request(vec![said(Role::User, vec![bad])], Vec::new());
        let error = turn_of(&builder(&fake).build().unwrap(), request).await.unwrap_err();
        assert!(error.message.contains("send"), "{error}");
        assert_eq!(fake.seen().len(), 0);
    }
}

#[tokio::test]
async fn settings_stand_in_each_request() {
    let body = asked_with(question(), |builder| {
        builder
            .max_tokens(500)
            .temperature(0.5)
            .top_p(0.25)
            .stop_sequences(["END".to_owned()])
            .additional_fields(json!({"thinking": {"type": "enabled", "budget_tokens": 400}}))
            .effort("high")
            .metadata("team", "research")
            .service_tier(ServiceTier::Flex)
            .optimized_latency()
            .cache(CachePoints { an_hour: true, ..CachePoints::ALL })
            .guardrail(Guardrail::new("gr-1", "DRAFT").full_trace())
    })
    .await;
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 500, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"]})
    );
    assert_eq!(body["additionalModelRequestFields"]["thinking"]["budget_tokens"], 400);
    assert_eq!(body["outputConfig"], json!({"effort": "high"}));
    assert_eq!(body["requestMetadata"], json!({"team": "research"}));
    assert_eq!(body["serviceTier"], json!({"type": "flex"}));
    assert_eq!(body["performanceConfig"], json!({"latency": "optimized"}));
    let point = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    assert_eq!(body["system"][1], point);
    assert_eq!(body["toolConfig"]["tools"][1], point);
    assert_eq!(body["messages"][0]["content"][1], point);
    let guardrail =
        json!({"guardrailIdentifier": "gr-1", "guardrailVersion": "DRAFT", "trace": "enabled_full"});
    assert_eq!(body["guardrailConfig"], guardrail);
}

#[tokio::test]
async fn the_form_of_an_answer_is_the_services_to_hold_or_stands_in_words() {
    let schema = json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}});
    let output = Some(OutputSchema { name: "answer".into(), schema });
    let asks = ModelRequest { output, ..question() };
    let native = asked(asks.clone()).await;
    let format = &native["outputConfig"]["textFormat"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["structure"]["jsonSchema"]["name"], "answer");
    let sorted = r#"{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"type":"object"}"#;
    assert_eq!(format["structure"]["jsonSchema"]["schema"], sorted);
    let words = asked_with(asks, |builder| builder.structured_output(StructuredOutput::Words)).await;
    assert_eq!(words.get("outputConfig"), None);
    assert!(words["system"][0]["text"].as_str().unwrap().ends_with(sorted));
}

#[tokio::test]
async fn a_result_of_a_megabyte_goes_through() {
    let mut request = after_a_call(&["fetch"]);
    let rows: Vec<Value> = (0..16_000)
        .map(|row| json!({"row": row, "text": "fifty characters of text, more or less, in each row"}))
        .collect();
    request.messages[2] = said(Role::Tool, vec![result(0, json!({ "rows": rows }), false)]);
    let body = asked_with(request, |builder| builder.json_results(true)).await;
    assert!(body.to_string().len() > 1_000_000);
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"][0]["json"]["rows"], json!(rows));
}

#[tokio::test]
async fn a_whole_reply_is_read_like_a_streamed_one() {
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        {"text": "I look."},
        {"toolUse": {"toolUseId": "t1", "name": "fetch", "input": {"b": 18_446_744_073_709_551_615_u64, "a": -1}}},
        {"toolUse": {"toolUseId": "t2", "name": "fetch", "input": {}}},
    ]);
    let reply = json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use",
        "usage": {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}, "metrics": {"latencyMs": 5}});
    let fake = Fake::saying(vec![Says::Json(200, None, Vec::new(), reply)]).await;
    let turn = turn_of(&builder(&fake).streaming(false).build().unwrap(), question()).await.unwrap();
    assert_eq!((turn.text.as_str(), turn.reasoning.as_str(), turn.calls.len()), ("I look.", "Hm", 2));
    assert_eq!((turn.items.len(), turn.stop), (4, StopReason::ToolCalls));
    assert_eq!((turn.usage.input_tokens, turn.usage.cached_tokens), (Some(100), None));
}
