//! An answer of the Chat Completions API, as OpenAI and those who speak like it write it.

use super::chat_request::ITEMS;
use super::errors;
use super::render::Names;
use super::usage;
use crate::model::{ModelError, ModelErrorKind, ModelEvent, ProviderItem, Retry, StopReason, Usage};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Reads one answer, whole or in pieces.
#[derive(Debug)]
pub(super) struct ChatReader {
    names: Names,
    endpoint: String,
    calls: Vec<Call>,
    text: String,
    /// What some servers want back beside the text: their reasoning in a form of their own.
    details: Vec<Value>,
    refused: bool,
    stop: Option<StopReason>,
    usage: Option<Usage>,
}

#[derive(Debug)]
struct Call {
    /// The number that the server gave it, if it gave one.
    index: Option<u64>,
    id: Option<String>,
    tool: String,
    arguments: String,
    /// Fields that no specification names, such as a signature, which the server wants back.
    extra: Map<String, Value>,
}

impl ChatReader {
    pub(super) fn new(names: Names, endpoint: &str) -> Self {
        Self {
            names,
            endpoint: endpoint.to_owned(),
            calls: Vec::new(),
            text: String::new(),
            details: Vec::new(),
            refused: false,
            stop: None,
            usage: None,
        }
    }

    /// Takes a chunk of a stream, or a whole answer: they differ in one name.
    pub(super) fn take(&mut self, chunk: &Value, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(errors::in_turn(chunk));
        }
        self.note_usage(chunk);
        let choices = chunk.get("choices").and_then(Value::as_array).into_iter().flatten();
        // One answer was asked for; a server that gives several is heard once.
        let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        for choice in choices.filter(first) {
            if choice.get("error").is_some_and(|error| !error.is_null()) {
                return Err(errors::in_turn(choice));
            }
            self.note_usage(choice);
            let said = ["delta", "message"]
                .into_iter()
                .find_map(|name| choice.get(name).filter(|said| said.is_object()));
            if let Some(said) = said {
                self.said(said, out);
            }
            if let Some(reason) =
                choice.get("finish_reason").and_then(Value::as_str).filter(|it| !it.is_empty())
            {
                self.stop = Some(stop_reason(reason)?);
            }
        }
        Ok(())
    }

    /// Whether the answer said why it ended. Its token counts may still follow.
    pub(super) const fn has_ended(&self) -> bool {
        self.stop.is_some()
    }

    /// What follows once nothing more can come. False if the answer did not say that it ended.
    pub(super) fn finish(&mut self, out: &mut VecDeque<ModelEvent>) -> bool {
        let Some(reason) = self.stop.take() else { return false };
        let reason = match reason {
            _ if self.refused => StopReason::Refused,
            StopReason::EndTurn if !self.calls.is_empty() => StopReason::ToolCalls,
            other => other,
        };
        if reason.calls_are_whole()
            && let Some(payload) = self.item()
        {
            let (provider, endpoint) = (ITEMS.to_owned(), self.endpoint.clone());
            out.push_back(ModelEvent::ProviderItem(ProviderItem { provider, endpoint, payload }));
        }
        out.extend(self.usage.take().map(ModelEvent::Usage));
        out.push_back(ModelEvent::Finished { reason });
        true
    }

    fn note_usage(&mut self, holder: &Value) {
        for path in ["/usage", "/x_groq/usage"] {
            if let Some(found) = holder.pointer(path).filter(|usage| usage.is_object()) {
                self.usage = Some(usage::read(found));
            }
        }
    }

    fn said(&mut self, said: &Value, out: &mut VecDeque<ModelEvent>) {
        let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(text) = ["reasoning_content", "reasoning", "reasoning_text"].into_iter().find_map(text) {
            out.push_back(ModelEvent::ReasoningDelta { text: text.to_owned() });
        }
        if let Some(details) = said.get("reasoning_details").and_then(Value::as_array) {
            self.details.extend(details.iter().cloned());
        }
        match said.get("content") {
            Some(Value::String(text)) => self.say(text, out),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.part(part, out)),
            _ => {}
        }
        if let Some(refusal) = text("refusal") {
            self.refused = true;
            self.say(refusal, out);
        }
        for call in said.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, out);
        }
        // The form before there were several calls.
        if let Some(function) = said.get("function_call").filter(|call| call.is_object()) {
            self.call(&json!({"index": 0, "function": function}), out);
        }
    }

    fn say(&mut self, text: &str, out: &mut VecDeque<ModelEvent>) {
        if !text.is_empty() {
            self.text.push_str(text);
            out.push_back(ModelEvent::TextDelta { text: text.to_owned() });
        }
    }

    fn part(&mut self, part: &Value, out: &mut VecDeque<ModelEvent>) {
        match part.get("type").and_then(Value::as_str) {
            Some("text") => self.say(part.get("text").and_then(Value::as_str).unwrap_or_default(), out),
            Some("refusal") => {
                self.refused = true;
                self.say(part.get("refusal").and_then(Value::as_str).unwrap_or_default(), out);
            }
            _ => {}
        }
    }

    fn call(&mut self, piece: &Value, out: &mut VecDeque<ModelEvent>) {
        let function = piece.get("function").unwrap_or(&Value::Null);
        let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let id = piece.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let index = piece.get("index").and_then(Value::as_u64);
        let at = match self.place(index, id, name.is_some()) {
            Some(at) => at,
            None => self.begin(index, id, name, out),
        };
        let fragment = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(whole @ Value::Object(_)) => whole.to_string(),
            _ => String::new(),
        };
        let Some(call) = self.calls.get_mut(at) else { return };
        for (key, value) in piece.as_object().into_iter().flatten() {
            if !matches!(key.as_str(), "index" | "id" | "type" | "function") && !value.is_null() {
                call.extra.insert(key.clone(), value.clone());
            }
        }
        if !fragment.is_empty() {
            call.arguments.push_str(&fragment);
            out.push_back(ModelEvent::ToolArgumentsDelta { index: number(at), fragment });
        }
    }

    /// Which call a piece belongs to; `None` if it begins one.
    ///
    /// The server's number says it, unless it comes with an id and a name of another call: some give all calls one number.
    /// Without a number the id says it, and a piece that has neither goes on with the last call.
    fn place(&self, index: Option<u64>, id: Option<&str>, has_name: bool) -> Option<usize> {
        let last_with = |fits: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(fits);
        match (index, id) {
            (Some(_), id) => {
                let at = last_with(&|call| call.index == index)?;
                let other = id
                    .is_some_and(|id| self.calls.get(at).is_some_and(|call| call.id.as_deref() != Some(id)));
                (!(other && has_name)).then_some(at)
            }
            (None, Some(id)) => last_with(&|call| call.id.as_deref() == Some(id)),
            (None, None) if has_name => None,
            (None, None) => self.calls.len().checked_sub(1),
        }
    }

    fn begin(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        name: Option<&str>,
        out: &mut VecDeque<ModelEvent>,
    ) -> usize {
        let at = self.calls.len();
        let tool = name.unwrap_or_default().to_owned();
        let id = id.map(str::to_owned);
        out.push_back(ModelEvent::ToolCallStarted {
            index: number(at),
            provider_id: id.clone(),
            tool: self.names.own(&tool),
        });
        self.calls.push(Call { index, id, tool, arguments: String::new(), extra: Map::new() });
        at
    }

    /// The message as it has to be given back, where a plain one would lose something.
    fn item(&self) -> Option<Value> {
        if self.details.is_empty() && self.calls.iter().all(|call| call.extra.is_empty()) {
            return None;
        }
        let calls: Option<Vec<Value>> = self
            .calls
            .iter()
            .map(|call| {
                let mut written = call.extra.clone();
                written.insert("id".into(), call.id.as_deref()?.into());
                written.insert("type".into(), "function".into());
                written.insert("function".into(), json!({"name": call.tool, "arguments": call.arguments}));
                Some(Value::Object(written))
            })
            .collect();
        let text = if self.text.is_empty() { Value::Null } else { self.text.as_str().into() };
        let mut message = json!({"role": "assistant", "content": text});
        let fields = message.as_object_mut()?;
        if !self.details.is_empty() {
            fields.insert("reasoning_details".into(), self.details.clone().into());
        }
        // A message whose calls cannot be told apart is written anew.
        let calls = calls?;
        if !calls.is_empty() {
            fields.insert("tool_calls".into(), calls.into());
        }
        Some(message)
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn stop_reason(reason: &str) -> Result<StopReason, ModelError> {
    // Some write them in capitals.
    Ok(match reason.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "end_turn" => StopReason::EndTurn,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolCalls,
        "stop_sequence" => StopReason::StopSequence,
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => StopReason::Length,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "refusal" => StopReason::Refused,
        "content_filter" | "safety" => StopReason::Filtered,
        "malformed_function_call" => StopReason::MalformedCall,
        "error" | "insufficient_system_resource" | "abort" => {
            return Err(ModelError::new(
                ModelErrorKind::Provider,
                "provider gave up in the middle of the turn",
            )
            .retry(Retry::Backoff));
        }
        _ => StopReason::Other,
    })
}
