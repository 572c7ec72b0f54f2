//! What the service refuses.
//!
//! # Source
//! The service model of Bedrock Runtime for names, ids, unions and ranges; messages of the service for the order of turns.

use super::fake::Seen;
use serde_json::Value;
use std::collections::BTreeSet;

const TOP: [&str; 12] = [
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];
const BLOCKS: [&str; 14] = [
    "audio",
    "cachePoint",
    "citationsContent",
    "document",
    "guardContent",
    "image",
    "reasoningContent",
    "searchResult",
    "text",
    "toolAddition",
    "toolRemoval",
    "toolResult",
    "toolUse",
    "video",
];

/// Everything that is wrong with a request; nothing, if the service takes it.
pub(crate) fn faults(seen: &Seen) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    faults.head(seen);
    faults.body(&seen.body);
    let mut sorted = seen.body.clone();
    sorted.sort_all_objects();
    faults.unless(serde_json::to_vec(&sorted).unwrap() == seen.raw, "keys are not in order");
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.0.push(fault.into());
        }
    }

    fn head(&mut self, seen: &Seen) {
        let parts: Vec<&str> = seen.path.split('/').collect();
        let known = matches!(parts.as_slice(), ["", "model", model, "converse" | "converse-stream"] if !model.contains(':'));
        self.unless(known, format!("path {}", seen.path));
        let signed = seen.header("authorization");
        let sigv4 = signed.starts_with("AWS4-HMAC-SHA256 Credential=")
            && signed.contains("/bedrock/aws4_request")
            && signed.contains("host;")
            && !seen.header("x-amz-date").is_empty();
        self.unless(sigv4 || signed.starts_with("Bearer "), "the request is not signed");
        self.unless(seen.header("content-type") == "application/json", "content type");
    }

    fn body(&mut self, body: &Value) {
        for key in body.as_object().expect("an object").keys() {
            self.unless(TOP.contains(&key.as_str()), format!("unknown field {key}"));
        }
        let messages = list(&body["messages"]);
        self.unless(!messages.is_empty(), "no messages");
        for (index, message) in messages.iter().enumerate() {
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            self.unless(message["role"] == role, format!("message {index} is not the {role}'s"));
            self.blocks(message, role);
        }
        self.unless(messages.len() % 2 == 1, "the last message is not the user's");
        self.calls(messages, body.get("toolConfig").is_some());
        self.documents(messages);
        for block in list(&body["system"]) {
            self.unless(text(block).is_none_or(|text| !text.trim().is_empty()), "blank system text");
        }
        if let Some(tools) = body.get("toolConfig") {
            self.tools(tools);
        }
        self.unless(body.to_string().matches("\"cachePoint\"").count() <= 4, "more than 4 cache points");
        let temperature = &body["inferenceConfig"]["temperature"];
        self.unless(
            temperature.is_null() || (0.0..=1.0).contains(&temperature.as_f64().unwrap()),
            "temperature",
        );
        self.unless(
            body["requestMetadata"].as_object().is_none_or(|labels| labels.len() <= 16),
            "too many labels",
        );
    }

    fn blocks(&mut self, message: &Value, role: &str) {
        let blocks = list(&message["content"]);
        self.unless(!blocks.is_empty(), "empty content");
        for (index, block) in blocks.iter().enumerate() {
            let arms = block.as_object().expect("a block is an object");
            let arm = arms.keys().next().map_or("", String::as_str);
            self.unless(arms.len() == 1 && BLOCKS.contains(&arm), format!("block {block}"));
            let whose = match arm {
                "toolUse" | "reasoningContent" => "assistant",
                "toolResult" | "image" | "document" => "user",
                _ => role,
            };
            self.unless(whose == role, format!("{arm} is not the {role}'s"));
            match arm {
                "text" => self.unless(!text(block).unwrap().trim().is_empty(), "blank text"),
                "toolUse" => self.call(&block[arm]),
                "toolResult" => {
                    let first = blocks[..index].iter().all(|before| before.get(arm).is_some());
                    self.unless(first, "results come first");
                    self.result(&block[arm]);
                }
                "reasoningContent" => self.reasoning(&block[arm]),
                "cachePoint" => self.unless(block[arm]["type"] == "default" && index > 0, "cache point"),
                "document" => {
                    let described = blocks.iter().any(|block| text(block).is_some());
                    self.unless(described, "a document without a text");
                }
                _ => {}
            }
        }
    }

    fn call(&mut self, call: &Value) {
        self.unless(is_id(&call["toolUseId"]), format!("id {}", call["toolUseId"]));
        self.unless(is_name(&call["name"]), format!("name {}", call["name"]));
        self.unless(call["input"].is_object(), "a call's input is no object");
    }

    fn result(&mut self, result: &Value) {
        self.unless(is_id(&result["toolUseId"]), "a result's id");
        let content = list(&result["content"]);
        self.unless(!content.is_empty(), "a result without content");
        for block in content {
            let json = block.get("json").is_none_or(Value::is_object);
            self.unless(json, "Provide a json object for the field");
            self.unless(text(block).is_none_or(|text| !text.is_empty()), "an empty result");
        }
        let status = &result["status"];
        self.unless(status.is_null() || status == "error" || status == "success", "status");
    }

    fn reasoning(&mut self, reasoning: &Value) {
        let signed = reasoning["reasoningText"]["signature"].as_str().is_some_and(|text| !text.is_empty());
        self.unless(signed || reasoning["redactedContent"].is_string(), "reasoning without a signature");
    }

    /// Each call has its result in the next message, and no result is without its call.
    fn calls(&mut self, messages: &[Value], described: bool) {
        let ids = |message: &Value, arm: &str| -> Vec<String> {
            let ids = list(&message["content"]).iter().filter_map(|block| block[arm]["toolUseId"].as_str());
            ids.map(str::to_owned).collect()
        };
        let mut before = Vec::new();
        let mut all = BTreeSet::new();
        for message in messages {
            let mut results = ids(message, "toolResult");
            results.sort();
            before.sort();
            self.unless(results == before, format!("results {results:?} for calls {before:?}"));
            before = ids(message, "toolUse");
            for id in &before {
                self.unless(all.insert(id.clone()), format!("id {id} is used twice"));
            }
        }
        self.unless(all.is_empty() || described, "The toolConfig field must be defined when using toolUse");
    }

    fn documents(&mut self, messages: &[Value]) {
        let mut names = BTreeSet::new();
        for block in messages.iter().flat_map(|message| list(&message["content"])) {
            let Some(name) = block["document"]["name"].as_str() else { continue };
            let allowed = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
            let fits = (1..=200).contains(&name.len()) && name.chars().all(allowed) && !name.contains("  ");
            self.unless(fits && names.insert(name.to_owned()), format!("document name {name}"));
        }
    }

    fn tools(&mut self, config: &Value) {
        let tools = list(&config["tools"]);
        let specs: Vec<&Value> = tools.iter().filter_map(|tool| tool.get("toolSpec")).collect();
        self.unless(!specs.is_empty(), "no tools");
        let names: BTreeSet<&str> = specs.iter().filter_map(|spec| spec["name"].as_str()).collect();
        self.unless(names.len() == specs.len(), "a tool's name is taken twice");
        for spec in specs {
            self.unless(is_name(&spec["name"]), format!("tool name {}", spec["name"]));
            self.unless(spec.get("description").is_none_or(|text| text != ""), "empty description");
            self.unless(spec["inputSchema"]["json"]["type"] == "object", "a schema that is no object's");
        }
        if let Some(choice) = config.get("toolChoice") {
            let arms: Vec<&str> = choice.as_object().unwrap().keys().map(String::as_str).collect();
            self.unless(
                matches!(arms.as_slice(), ["auto" | "any" | "tool"]),
                format!("tool choice {choice}"),
            );
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(block: &Value) -> Option<&str> {
    block["text"].as_str()
}

fn is_id(value: &Value) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    value.as_str().is_some_and(|id| (1..=64).contains(&id.len()) && id.bytes().all(allowed))
}

fn is_name(value: &Value) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    value.as_str().is_some_and(|name| (1..=64).contains(&name.len()) && name.bytes().all(allowed))
}
