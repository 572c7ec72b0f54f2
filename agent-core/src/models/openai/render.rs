//! What both protocols need to write a conversation down.

use crate::message::{Message, Part};
use crate::model::{ModelRequest, ProviderItem};
use crate::tool::ToolSpec;
use bursar_types::{CallId, Digest};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of a tool that the API takes.
const TOOL_NAME_BYTES_MAX: usize = 64;
/// Said of a call that the conversation has no result of: the API refuses a call without one.
pub(super) const NO_RESULT: &str = "no result was recorded";

/// The ids that calls go by in a request: the provider's own where it gave one, and each only once.
#[derive(Debug, Default)]
pub(super) struct Ids {
    of: BTreeMap<CallId, String>,
    answered: BTreeSet<CallId>,
}

impl Ids {
    /// Those of a conversation.
    pub(super) fn of(messages: &[Message]) -> Self {
        let mut ids = Self::default();
        let mut taken = BTreeSet::new();
        for part in messages.iter().flat_map(|message| &message.parts) {
            match part {
                Part::ToolCall { call, provider_id, .. } => {
                    let own = provider_id.as_ref().filter(|id| !id.is_empty() && !taken.contains(*id));
                    let id = own.cloned().unwrap_or_else(|| call.to_string());
                    taken.insert(id.clone());
                    ids.of.insert(*call, id);
                }
                Part::ToolResult { call, .. } => {
                    ids.answered.insert(*call);
                }
                _ => {}
            }
        }
        ids
    }

    /// What a call goes by. A result of a call that is not in the conversation goes by our own id.
    pub(super) fn id(&self, call: CallId) -> String {
        self.of.get(&call).cloned().unwrap_or_else(|| call.to_string())
    }

    /// The calls of a message that have no result anywhere.
    pub(super) fn unanswered(&self, message: &Message) -> Vec<String> {
        let calls = message.parts.iter().filter_map(|part| match part {
            Part::ToolCall { call, .. } if !self.answered.contains(call) => Some(self.id(*call)),
            _ => None,
        });
        calls.collect()
    }

    /// The items of a message that this provider wrote at this endpoint, if they can be given back: their calls go by the ids that their results
    /// go by.
    pub(super) fn items<'a>(
        &self,
        message: &'a Message,
        provider: &str,
        endpoint: &str,
        ids_in: impl Fn(&'a Value) -> Vec<&'a str>,
    ) -> Option<Vec<&'a Value>> {
        let items: Vec<&Value> = message
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ProviderItem(ProviderItem { provider: of, endpoint: at, payload })
                    if of == provider && at == endpoint =>
                {
                    Some(payload)
                }
                _ => None,
            })
            .collect();
        let written: Vec<&str> = items.iter().flat_map(|item| ids_in(item)).collect();
        let calls: Vec<String> = message
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ToolCall { call, .. } => Some(self.id(*call)),
                _ => None,
            })
            .collect();
        (!items.is_empty() && written == calls).then_some(items)
    }
}

/// Arguments as the API wants them: the text of a JSON object, also where the model wrote none.
pub(super) fn arguments(arguments: &Value) -> String {
    match arguments {
        Value::Object(_) => arguments.to_string(),
        other => json!({ "malformed_arguments": other }).to_string(),
    }
}

/// A tool's result as text.
pub(super) fn result(content: &Value, is_error: bool) -> String {
    match (content, is_error) {
        (Value::String(text), false) => text.clone(),
        (Value::String(text), true) => format!("error: {text}"),
        (other, false) => other.to_string(),
        (other, true) => json!({ "error": other }).to_string(),
    }
}

/// Tool names that the API takes, and back.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Of the tools of a request.
    pub(super) fn of(tools: &[ToolSpec]) -> Self {
        Self(tools.iter().map(|tool| (on_the_wire(&tool.name), tool.name.clone())).collect())
    }

    /// The tool's own name, of one that the model wrote. A name that no tool has stays as it is.
    pub(super) fn own(&self, written: &str) -> String {
        self.0.get(written).cloned().unwrap_or_else(|| written.to_owned())
    }
}

/// A tool's name as the API takes it: letters, digits, underscores and dashes, 64 at most. A name that has to be changed keeps its
/// beginning and ends in a digest of all of it, so that two names stay two.
pub(super) fn on_the_wire(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.len() <= TOOL_NAME_BYTES_MAX && name.chars().all(fits) {
        return name.to_owned();
    }
    let digest = Digest::of_parts("bursar/tool-name", &[name.as_bytes()]).to_string();
    let digest: String = digest.chars().filter(char::is_ascii_hexdigit).rev().take(12).collect();
    let kept: String =
        name.chars().map(|c| if fits(c) { c } else { '_' }).take(TOOL_NAME_BYTES_MAX - 13).collect();
    format!("{kept}_{digest}")
}

/// The schema of a final text, in words, for servers that cannot enforce one.
pub(super) fn output_in_words(request: &ModelRequest) -> Option<String> {
    let output = request.output.as_ref()?;
    Some(format!("Answer with JSON and nothing else. It has to fit this JSON schema:\n{}", output.schema))
}

/// Whether a schema is one that the API can enforce to the letter: every object is closed and needs each of its fields.
pub(super) fn is_strict(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return true };
    let is_object = fields.get("type").is_some_and(|kind| match kind {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    });
    if (is_object || fields.contains_key("properties")) && !is_closed(fields) {
        return false;
    }
    let refused = ["oneOf", "allOf", "not", "if", "patternProperties", "dependentRequired", "prefixItems"];
    if refused.iter().any(|key| fields.contains_key(*key)) {
        return false;
    }
    fields.iter().all(|(key, value)| match (key.as_str(), value) {
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => schemas.values().all(is_strict),
        ("items", schema) => is_strict(schema),
        ("anyOf", Value::Array(schemas)) => schemas.iter().all(is_strict),
        _ => true,
    })
}

fn is_closed(object: &serde_json::Map<String, Value>) -> bool {
    let needed: BTreeSet<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let has =
        |fields: &serde_json::Map<String, Value>| fields.keys().all(|name| needed.contains(name.as_str()));
    object.get("additionalProperties") == Some(&Value::Bool(false))
        && object.get("properties").and_then(Value::as_object).is_none_or(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_changed_and_stays_its_own() {
        assert_eq!(on_the_wire("search_market"), "search_market");
        let long = "a".repeat(65);
        let names = ["files.read", "files read", "", long.as_str(), "größe"];
        let written: BTreeSet<String> = names.iter().map(|name| on_the_wire(name)).collect();
        assert_eq!(written.len(), names.len());
        for name in &written {
            assert!(
                name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_schema_is_strict_only_if_all_of_it_is() {
        let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        assert!(is_strict(&closed));
        assert!(is_strict(
            &json!({"type": "object", "properties": {"l": {"type": "array", "items": closed}}, "required": ["l"], "additionalProperties": false})
        ));
        for open in [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
            json!({"type": "array", "items": {"type": "object"}}),
            json!({"type": ["object", "null"]}),
            json!({"oneOf": [closed]}),
            json!({"anyOf": [closed, {"type": "object"}]}),
            json!({"type": "string", "$defs": {"x": {"type": "object"}}}),
        ] {
            assert!(!is_strict(&open), "{open}");
        }
    }
}
