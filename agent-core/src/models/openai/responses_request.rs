//! A request of the Responses API.

use super::OpenAiSettings;
use super::render::{Ids, NO_RESULT, arguments, is_strict, on_the_wire, output_in_words, result};
use crate::message::{Media, Message, Part, Role};
use crate::model::{ModelRequest, ToolChoice};
use serde_json::{Map, Value, json};

/// How items of this protocol are marked: an output item each, as it came.
pub(super) const ITEMS: &str = "openai.responses";

/// The body. Nothing is stored at the provider: what it has to know again is sent again.
pub(super) fn body(settings: &OpenAiSettings, request: &ModelRequest) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), settings.model.as_str().into());
    body.insert("input".into(), input(settings, request).into());
    body.insert("store".into(), false.into());
    let words = if settings.enforces_output { None } else { output_in_words(request) };
    let system: Vec<&str> = [request.system.as_str()]
        .into_iter()
        .chain(words.as_deref())
        .filter(|text| !text.is_empty())
        .collect();
    if !system.is_empty() {
        body.insert("instructions".into(), system.join("\n\n").into());
    }
    if settings.streaming {
        body.insert("stream".into(), true.into());
    }
    if settings.encrypted_reasoning {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                // Unsaid, it would mean strict, and the provider would refuse schemas with optional fields.
                json!({
                    "type": "function", "name": on_the_wire(&tool.name), "description": tool.description,
                    "parameters": tool.input_schema, "strict": false,
                })
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
            "text".into(),
            json!({"format": {
                "type": "json_schema", "name": output.name, "schema": output.schema, "strict": is_strict(&output.schema),
            }}),
        );
    }
    if let Some(most) = settings.output_tokens_max(request) {
        body.insert("max_output_tokens".into(), most.into());
    }
    if let Some(effort) = &settings.reasoning_effort {
        body.insert("reasoning".into(), json!({"effort": effort, "summary": "auto"}));
    }
    settings.finish(&mut body, request);
    Value::Object(body)
}

fn input(settings: &OpenAiSettings, request: &ModelRequest) -> Vec<Value> {
    let ids = Ids::of(&request.messages);
    let mut input = Vec::new();
    for message in &request.messages {
        match message.role {
            Role::User => input.push(json!({"type": "message", "role": "user", "content": user(message)})),
            Role::Assistant => {
                match ids.items(message, ITEMS, &settings.endpoint, ids_in) {
                    Some(items) => input.extend(items.into_iter().cloned()),
                    None => input.extend(assistant(message, &ids)),
                }
                for id in ids.unanswered(message) {
                    input.push(json!({"type": "function_call_output", "call_id": id, "output": NO_RESULT}));
                }
            }
            Role::Tool => input.extend(results(message, &ids)),
        }
    }
    input
}

fn ids_in(item: &Value) -> Vec<&str> {
    if item.get("type").and_then(Value::as_str) != Some("function_call") {
        return Vec::new();
    }
    vec![item.get("call_id").and_then(Value::as_str).unwrap_or_default()]
}

fn user(message: &Message) -> Vec<Value> {
    let parts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(json!({"type": "input_text", "text": text})),
        Part::Media(file) => Some(media(file)),
        _ => None,
    });
    parts.collect()
}

fn media(file: &Media) -> Value {
    let Media { media_type, name, data } = file;
    let url = format!("data:{media_type};base64,{data}");
    match file.is_image() {
        true => json!({"type": "input_image", "image_url": url, "detail": "auto"}),
        false => {
            json!({"type": "input_file", "filename": name.as_deref().unwrap_or("document"), "file_data": url})
        }
    }
}

fn assistant<'a>(message: &'a Message, ids: &'a Ids) -> impl Iterator<Item = Value> + 'a {
    message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(json!({"type": "message", "role": "assistant", "content": text})),
        Part::ToolCall { call, tool, arguments: given, .. } => Some(json!({
            "type": "function_call", "call_id": ids.id(*call), "name": on_the_wire(tool), "arguments": arguments(given),
        })),
        _ => None,
    })
}

fn results<'a>(message: &'a Message, ids: &'a Ids) -> impl Iterator<Item = Value> + 'a {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult { call, content, is_error, .. } => Some(json!({
            "type": "function_call_output", "call_id": ids.id(*call), "output": result(content, *is_error),
        })),
        Part::Text { text } => Some(json!({
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}],
        })),
        _ => None,
    })
}
