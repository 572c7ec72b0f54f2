//! The document and the gateway say the same.

use crate::rest::{Rest, document};
use crate::support::{ADA, Serving, Town};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a documented body must look like, as JSON Schema says it.
fn schema(of: &Value, components: &Value) -> Value {
    let mut schema = plain(of);
    schema.as_object_mut().unwrap().insert("components".to_owned(), plain(components));
    schema
}

/// OpenAPI 3.0's `nullable`, in the words of JSON Schema.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
            match fields.remove("nullable") {
                Some(Value::Bool(true)) => json!({"anyOf": [{"type": "null"}, fields]}),
                _ => Value::Object(fields),
            }
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Checks an answer against what the document says of this path, method and status.
#[track_caller]
pub(crate) fn fits(path: &str, method: &str, status: u16, media_type: &str, body: &Value) {
    let document = document();
    let operation = &document["paths"][path][method.to_lowercase()];
    let mut response = &operation["responses"][status.to_string()];
    assert!(
        response.is_object(),
        "{method} {path} answered {status}, which the document does not know: {body}"
    );
    if let Some(named) = response["$ref"].as_str() {
        response = document.pointer(named.trim_start_matches('#')).unwrap();
    }
    let content = &response["content"][media_type];
    assert!(content.is_object(), "{method} {path} {status} is {media_type}: {body}");
    let validator = jsonschema::validator_for(&schema(&content["schema"], &document["components"])).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{method} {path} {status}: {problems:?}\n{body}");
    if path != "/openapi.json" {
        known(path, status, body, &document);
    }
}

/// What an answer says besides what the document names is a gap in the document.
#[track_caller]
fn known(path: &str, status: u16, body: &Value, document: &Value) {
    let names: BTreeSet<&str> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|schema| schema["properties"].as_object().into_iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    for name in body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
        assert!(names.contains(name), "{path} {status} says `{name}`");
    }
}

#[tokio::test]
async fn every_documented_route_is_there_and_every_route_is_documented() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let stranger = Rest::new(&serving, "a-token-that-nobody-has");
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            documented.insert(path.clone());
            let open = operation["security"] == json!([]);
            let url = path.replace("{id}", "pay_00000000000000000000000000000000");
            let (status, _) = stranger.send(method, path, &url, None, None).await;
            assert_eq!(status, if open { 200 } else { 401 }, "{method} {path}");
        }
    }
    let source = include_str!("../../src/rest.rs");
    let routes = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    assert_eq!(routes.collect::<BTreeSet<_>>(), documented);
    serving.end().await;
}

#[tokio::test]
async fn what_the_document_forbids_in_a_request_is_refused() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let document = document();
    let mut counted = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(content) = item["post"].pointer("/requestBody/content/application~1json/schema") else {
            continue;
        };
        let name = content["$ref"].as_str().unwrap();
        let known = document.pointer(name.trim_start_matches('#')).unwrap();
        assert_eq!(known["additionalProperties"], false, "{name}");
        let bare: Map<String, Value> = Map::new();
        for (what, body) in [
            ("nothing", Value::Object(bare.clone())),
            ("an unknown field", json!({"url": "https://a.example", "mandate": {"budget": "1000"}})),
            ("a list", json!([])),
            ("text", json!("x")),
        ] {
            let key = format!("{path}-{what}").replace([' ', '/'], "-");
            let (status, told) = ada.send("post", path, path, Some(&key), Some(body)).await;
            assert!((400..500).contains(&status), "{path} {what}: {status} {told}");
            counted += 1;
        }
    }
    assert_eq!((counted, town.paid()), (16, 0));
    serving.end().await;
}
