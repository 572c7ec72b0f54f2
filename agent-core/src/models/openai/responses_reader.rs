//! An answer of the Responses API.

use super::errors;
use super::render::Names;
use super::responses_request::ITEMS;
use super::usage;
use crate::model::{ModelError, ModelEvent, ProviderItem, StopReason};
use serde_json::Value;
use std::collections::VecDeque;

/// Reads one answer, whole or in pieces.
#[derive(Debug)]
pub(super) struct ResponsesReader {
    names: Names,
    endpoint: String,
    items: Vec<Item>,
    calls: u32,
    refused: bool,
    /// Whether reasoning was said, so that its next part begins a new paragraph.
    reasoned: bool,
    finished: bool,
}

/// One output item.
#[derive(Debug, Default)]
struct Item {
    /// Its number in the answer; without one it stands where it came.
    index: Option<u64>,
    id: Option<String>,
    /// The call's number, if it is one that was told of.
    call: Option<u32>,
    /// What was told of its arguments.
    arguments: String,
    /// Whether its text was told of.
    told: bool,
    /// The item, once it is complete.
    whole: Option<Value>,
}

impl ResponsesReader {
    pub(super) fn new(names: Names, endpoint: &str) -> Self {
        let endpoint = endpoint.to_owned();
        Self {
            names,
            endpoint,
            items: Vec::new(),
            calls: 0,
            refused: false,
            reasoned: false,
            finished: false,
        }
    }

    /// Whether the answer is complete.
    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes one event of a stream. Events that are not known say nothing.
    pub(super) fn take(&mut self, event: &Value, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let delta = || event.get("delta").and_then(Value::as_str).filter(|delta| !delta.is_empty());
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.refused |= kind == "response.refusal.delta";
                if let Some(text) = delta() {
                    self.item(event).told = true;
                    out.push_back(ModelEvent::TextDelta { text: text.to_owned() });
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = delta() {
                    self.item(event).told = true;
                    self.reasoned = true;
                    out.push_back(ModelEvent::ReasoningDelta { text: text.to_owned() });
                }
            }
            "response.reasoning_summary_part.added" if self.reasoned => {
                out.push_back(ModelEvent::ReasoningDelta { text: "\n\n".to_owned() });
            }
            "response.output_item.added" => {
                if let Some(item) = event.get("item") {
                    self.added(event, item, out);
                }
            }
            "response.function_call_arguments.delta" => {
                if let Some(fragment) = delta() {
                    self.argue(event, fragment, out)?;
                }
            }
            "response.function_call_arguments.done" => {
                if let Some(whole) = event.get("arguments").and_then(Value::as_str) {
                    self.argued(event, whole, out)?;
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.get("item") {
                    self.done(event, item, out)?;
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                self.whole(event.get("response").unwrap_or(event), out)?;
            }
            "error" => return Err(errors::in_turn(event)),
            _ if event.get("error").is_some_and(|error| !error.is_null()) => {
                return Err(errors::in_turn(event));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the whole answer: alone, or at the end of a stream, where it may hold what no event told of.
    pub(super) fn whole(
        &mut self,
        response: &Value,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let status = response.get("status").and_then(Value::as_str);
        let failed = response.get("error").is_some_and(|error| !error.is_null());
        if failed || matches!(status, Some("failed" | "cancelled")) {
            return Err(errors::in_turn(response));
        }
        if let Some("queued" | "in_progress") = status {
            return Err(errors::protocol("provider gave an answer that is not complete"));
        }
        for (index, item) in
            (0_u64..).zip(response.get("output").and_then(Value::as_array).into_iter().flatten())
        {
            let place = serde_json::json!({"output_index": index, "item_id": item.get("id")});
            if self.item(&place).whole.is_none() {
                self.done(&place, item, out)?;
            }
        }
        let reason = self.reason(status, response);
        if reason.calls_are_whole() {
            self.items.sort_by_key(|item| item.index.unwrap_or(u64::MAX));
            let items = self.items.iter_mut().filter_map(|item| item.whole.take());
            out.extend(items.map(|payload| {
                let (provider, endpoint) = (ITEMS.to_owned(), self.endpoint.clone());
                ModelEvent::ProviderItem(ProviderItem { provider, endpoint, payload })
            }));
        }
        if let Some(found) = response.get("usage").filter(|usage| usage.is_object()) {
            out.push_back(ModelEvent::Usage(usage::read(found)));
        }
        out.push_back(ModelEvent::Finished { reason });
        self.finished = true;
        Ok(())
    }

    fn reason(&self, status: Option<&str>, response: &Value) -> StopReason {
        let why = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
        match (status, why) {
            (_, Some("content_filter")) => StopReason::Filtered,
            // Whatever the reason is called: something is missing.
            (Some("incomplete"), _) | (_, Some(_)) => StopReason::Length,
            _ if self.refused => StopReason::Refused,
            _ if self.calls > 0 => StopReason::ToolCalls,
            (Some("completed") | None, None) => StopReason::EndTurn,
            (Some(_), None) => StopReason::Other,
        }
    }

    /// The item that an event is about: by its number, or by its id.
    fn item(&mut self, event: &Value) -> &mut Item {
        let index = event.get("output_index").and_then(Value::as_u64);
        let id = ["item_id", "/item/id"].into_iter().find_map(|path| match path.strip_prefix('/') {
            Some(_) => event.pointer(path)?.as_str(),
            None => event.get(path)?.as_str(),
        });
        let found = self.items.iter().position(|item| match (index, item.index) {
            (Some(index), Some(of)) => index == of,
            _ => id.is_some() && item.id.as_deref() == id,
        });
        let at = found.unwrap_or_else(|| {
            self.items.push(Item { index, id: id.map(str::to_owned), ..Item::default() });
            self.items.len().saturating_sub(1)
        });
        let end = self.items.len().saturating_sub(1);
        #[expect(
            clippy::indexing_slicing,
            reason = "by INVARIANT `at` was found in the list or is its last place"
        )]
        &mut self.items[at.min(end)]
    }

    fn added(&mut self, event: &Value, item: &Value, out: &mut VecDeque<ModelEvent>) {
        if item.get("type").and_then(Value::as_str) != Some("function_call")
            || self.item(event).call.is_some()
        {
            return;
        }
        let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let tool = self.names.own(text("name").unwrap_or_default());
        self.item(event).call = Some(index);
        let provider_id = text("call_id").or_else(|| text("id")).map(str::to_owned);
        out.push_back(ModelEvent::ToolCallStarted { index, provider_id, tool });
    }

    fn argue(
        &mut self,
        event: &Value,
        fragment: &str,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let item = self.item(event);
        let Some(index) = item.call else {
            return Err(errors::protocol("provider sent arguments of a call that did not begin"));
        };
        item.arguments.push_str(fragment);
        out.push_back(ModelEvent::ToolArgumentsDelta { index, fragment: fragment.to_owned() });
        Ok(())
    }

    /// The arguments are complete: what the pieces did not tell is told now, and what they told otherwise is an error.
    fn argued(
        &mut self,
        event: &Value,
        whole: &str,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let told = self.item(event).arguments.clone();
        match whole.strip_prefix(told.as_str()) {
            Some("") => Ok(()),
            Some(rest) => self.argue(event, rest, out),
            None => Err(errors::protocol("provider contradicted itself about a call's arguments")),
        }
    }

    fn done(
        &mut self,
        event: &Value,
        item: &Value,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        match item.get("type").and_then(Value::as_str) {
            Some("function_call") => {
                self.added(event, item, out);
                match item.get("arguments") {
                    Some(Value::String(whole)) => self.argued(event, whole, out)?,
                    Some(whole @ Value::Object(_)) => self.argued(event, &whole.to_string(), out)?,
                    _ => {}
                }
            }
            Some("message") => self.message_done(event, item, out),
            Some("reasoning") => self.reasoning_done(event, item, out),
            _ => {}
        }
        self.item(event).whole = Some(item.clone());
        Ok(())
    }

    fn message_done(&mut self, event: &Value, item: &Value, out: &mut VecDeque<ModelEvent>) {
        let told = std::mem::replace(&mut self.item(event).told, true);
        for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
            let refusal = part.get("refusal").and_then(Value::as_str);
            self.refused |= refusal.is_some();
            let text =
                refusal.or_else(|| part.get("text").and_then(Value::as_str)).filter(|text| !text.is_empty());
            if let (Some(text), false) = (text, told) {
                out.push_back(ModelEvent::TextDelta { text: text.to_owned() });
            }
        }
    }

    fn reasoning_done(&mut self, event: &Value, item: &Value, out: &mut VecDeque<ModelEvent>) {
        if std::mem::replace(&mut self.item(event).told, true) {
            return;
        }
        let parts =
            ["summary", "content"].into_iter().filter_map(|name| item.get(name)?.as_array()).flatten();
        for text in parts.filter_map(|part| part.get("text")?.as_str()).filter(|text| !text.is_empty()) {
            let text = if self.reasoned { format!("\n\n{text}") } else { text.to_owned() };
            self.reasoned = true;
            out.push_back(ModelEvent::ReasoningDelta { text });
        }
    }
}
