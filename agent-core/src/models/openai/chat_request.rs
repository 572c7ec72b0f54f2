//! A request of the Chat Completions API.

use super::OpenAiSettings;
use super::render::{Ids, NO_RESULT, arguments, is_strict, on_the_wire, output_in_words, result};
use crate::message::{Media, Message, Part, Role};
use crate::model::{ModelRequest, ToolChoice};
use serde_json::{Map, Value, json};

/// How items of this protocol are marked: an assistant's message, whole.
pub(super) const ITEMS: &str = "openai.chat";

/// The body.
pub(super) fn body(settings: &OpenAiSettings, request: &ModelRequest) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), settings.model.as_str().into());
    body.insert("messages".into(), messages(settings, request).into());
    if settings.streaming {
        body.insert("stream".into(), true.into());
        if settings.stream_usage {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                json!({"type": "function", "function": {
                    "name": on_the_wire(&tool.name), "description": tool.description, "parameters": tool.input_schema,
                }})
            })
            .collect();
        body.insert("tools".into(), tools.into());
        match request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::Required => drop(body.insert("tool_choice".into(), "required".into())),
            ToolChoice::None => drop(body.insert("tool_choice".into(), "none".into())),
        }
        if let Some(parallel) = settings.parallel_calls {
            body.insert("parallel_tool_calls".into(), parallel.into());
        }
    }
    if let (Some(output), true) = (&request.output, settings.enforces_output) {
        body.insert(
            "response_format".into(),
            json!({"type": "json_schema", "json_schema": {
                "name": output.name, "schema": output.schema, "strict": is_strict(&output.schema),
            }}),
        );
    }
    if let Some(most) = settings.output_tokens_max(request) {
        let name = if settings.says_completion { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), most.into());
    }
    if let Some(effort) = &settings.reasoning_effort {
        body.insert("reasoning_effort".into(), effort.as_str().into());
    }
    settings.finish(&mut body, request);
    Value::Object(body)
}

fn messages(settings: &OpenAiSettings, request: &ModelRequest) -> Vec<Value> {
    let ids = Ids::of(&request.messages);
    let mut messages = Vec::new();
    let words = if settings.enforces_output { None } else { output_in_words(request) };
    let system: Vec<&str> = [request.system.as_str()]
        .into_iter()
        .chain(words.as_deref())
        .filter(|text| !text.is_empty())
        .collect();
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    for message in &request.messages {
        match message.role {
            Role::User => messages.push(json!({"role": "user", "content": user(message)})),
            Role::Assistant => {
                messages.extend(assistant(settings, message, &ids));
                for id in ids.unanswered(message) {
                    messages.push(json!({"role": "tool", "tool_call_id": id, "content": NO_RESULT}));
                }
            }
            Role::Tool => messages.extend(results(message, &ids)),
        }
    }
    messages
}

fn user(message: &Message) -> Value {
    if !message.parts.iter().any(|part| matches!(part, Part::Media(_))) {
        return message.plain_text().into();
    }
    let parts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(json!({"type": "text", "text": text})),
        Part::Media(file) => Some(media(file)),
        _ => None,
    });
    Value::Array(parts.collect())
}

fn media(file: &Media) -> Value {
    let Media { media_type, name, data } = file;
    match media_type.as_str() {
        _ if file.is_image() => {
            json!({"type": "image_url", "image_url": {"url": format!("data:{media_type};base64,{data}")}})
        }
        "audio/wav" | "audio/x-wav" => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
        }
        "audio/mpeg" | "audio/mp3" => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}})
        }
        _ => json!({"type": "file", "file": {
            "filename": name.as_deref().unwrap_or("document"), "file_data": format!("data:{media_type};base64,{data}"),
        }}),
    }
}

fn assistant(settings: &OpenAiSettings, message: &Message, ids: &Ids) -> Option<Value> {
    if let Some(items) = ids.items(message, ITEMS, &settings.endpoint, ids_in)
        && let [item] = items.as_slice()
    {
        return Some((*item).clone());
    }
    let calls: Vec<Value> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall { call, tool, arguments: given, .. } => Some(json!({
                "id": ids.id(*call), "type": "function",
                "function": {"name": on_the_wire(tool), "arguments": arguments(given)},
            })),
            _ => None,
        })
        .collect();
    let text = message.plain_text();
    match (text.is_empty(), calls.is_empty()) {
        (true, true) => None,
        (false, true) => Some(json!({"role": "assistant", "content": text})),
        (true, false) => Some(json!({"role": "assistant", "content": null, "tool_calls": calls})),
        (false, false) => Some(json!({"role": "assistant", "content": text, "tool_calls": calls})),
    }
}

fn ids_in(message: &Value) -> Vec<&str> {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    calls
        .into_iter()
        .flatten()
        .map(|call| call.get("id").and_then(Value::as_str).unwrap_or_default())
        .collect()
}

fn results<'a>(message: &'a Message, ids: &'a Ids) -> impl Iterator<Item = Value> + 'a {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult { call, content, is_error, .. } => Some(
            json!({"role": "tool", "tool_call_id": ids.id(*call), "content": result(content, *is_error)}),
        ),
        Part::Text { text } => Some(json!({"role": "user", "content": text})),
        _ => None,
    })
}
