//! From what rig read to the events of a turn.

use super::item_of;
use bursar_agent_core::{ModelEvent, StopReason, Usage};
use rig_core::completion::{CompletionResponse, FinishReason};
use rig_core::message::{AssistantContent, CallId, ToolCall};
use rig_core::streaming::{CompletionStream, Item, Part, StreamEvent};
use std::collections::{HashMap, VecDeque};

/// A streamed reply on its way.
pub(super) struct Reading {
    pub(super) stream: Option<CompletionStream>,
    pub(super) account: String,
    pub(super) ready: VecDeque<ModelEvent>,
    /// Whether anything was passed on, which may have a price whatever comes after it.
    pub(super) said_something: bool,
    /// What was passed on of each part.
    said: HashMap<Part, String>,
}

impl Reading {
    pub(super) fn new(stream: CompletionStream, account: String) -> Self {
        let (stream, ready, said) = (Some(stream), VecDeque::new(), HashMap::new());
        Self { stream, account, ready, said_something: false, said }
    }

    /// Takes one item. Calls are passed on at the end of the turn, where they are whole; what rig does not model says nothing here.
    pub(super) fn take(&mut self, item: Item<StreamEvent>) {
        let Item::Event(event) = item else { return };
        match event {
            StreamEvent::Text { part, text } => {
                self.said.entry(part).or_default().push_str(&text);
                self.ready.push_back(ModelEvent::TextDelta { text });
            }
            StreamEvent::Reasoning { part, text } => {
                self.said.entry(part).or_default().push_str(&text);
                self.ready.push_back(ModelEvent::ReasoningDelta { text });
            }
            StreamEvent::End { part, content } => self.end(part, &content),
            StreamEvent::Start { .. } | StreamEvent::Arguments { .. } => {}
        }
    }

    /// A part may end with more than its fragments said: some wires give a block in one piece.
    fn end(&mut self, part: Part, content: &AssistantContent) {
        let said = self.said.remove(&part).unwrap_or_default();
        let rest = |whole: &str| whole.strip_prefix(said.as_str()).map(str::to_owned);
        let event = match content {
            AssistantContent::Text(text) => rest(&text.text).map(|text| ModelEvent::TextDelta { text }),
            AssistantContent::Reasoning(reasoning) => {
                rest(&reasoning.text).map(|text| ModelEvent::ReasoningDelta { text })
            }
            _ => None,
        };
        let is_empty = |event: &ModelEvent| matches!(event, ModelEvent::TextDelta { text } | ModelEvent::ReasoningDelta { text } if text.is_empty());
        self.ready.extend(event.filter(|event| !is_empty(event)));
    }
}

/// A whole turn; kept as rig wrote it, if it is said for which account.
pub(crate) fn events_of(response: &CompletionResponse, account: Option<&str>) -> Vec<ModelEvent> {
    let mut events = Vec::new();
    for content in &response.choice {
        match content {
            AssistantContent::Text(text) => {
                events.push(ModelEvent::TextDelta { text: text.text.clone() });
            }
            AssistantContent::Reasoning(reasoning) => {
                events.push(ModelEvent::ReasoningDelta { text: reasoning.text.clone() });
            }
            _ => {}
        }
    }
    events.extend(calls_and_end(response, account));
    events
}

/// What follows the text of a turn: its calls, the turn as rig keeps it, what it used and why it ended.
pub(super) fn calls_and_end(response: &CompletionResponse, account: Option<&str>) -> Vec<ModelEvent> {
    let mut events = Vec::new();
    for (index, call) in (0_u32..).zip(response.tool_calls()) {
        events.extend(events_of_call(index, call));
    }
    if let Some(account) = account
        && let Some(payload) = response.message().and_then(|message| serde_json::to_value(message).ok())
    {
        events.push(item_of(account, payload));
    }
    events.push(ModelEvent::Usage(usage_of(response)));
    events.push(ModelEvent::Finished { reason: stop_of(response) });
    events
}

fn events_of_call(index: u32, call: &ToolCall) -> [ModelEvent; 2] {
    let provider_id = match &call.id {
        CallId::Provider(id) => Some(id.as_str().to_owned()),
        CallId::Local(_) => None,
    };
    // What is no object stays the text that it came as, so that it is refused and not guessed at.
    let fragment = match &call.function.invalid_arguments {
        Some(text) => text.clone(),
        None => call.function.arguments_value().to_string(),
    };
    [
        ModelEvent::ToolCallStarted { index, provider_id, tool: call.function.name.to_string() },
        ModelEvent::ToolArgumentsDelta { index, fragment },
    ]
}

/// What the provider reported. Rig counts caches into what was read, and reasoning into what was written, as we do.
pub(crate) fn usage_of(response: &CompletionResponse) -> Usage {
    let usage = response.usage;
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_input_tokens,
        cache_write_tokens: usage.cache_creation_input_tokens,
        reasoning_tokens: usage.reasoning_tokens,
    }
}

/// Why the turn ended. A reply that the provider did not end never comes here: rig calls it cut short.
pub(crate) fn stop_of(response: &CompletionResponse) -> StopReason {
    let has_calls = response.tool_calls().next().is_some();
    match response.finish_reason() {
        Some(FinishReason::Length) => StopReason::Length,
        Some(FinishReason::ContentFilter) => StopReason::Filtered,
        _ if response.error.is_some() => StopReason::Refused,
        _ if response.aborted.is_some() => StopReason::Other,
        Some(FinishReason::ToolCalls) => StopReason::ToolCalls,
        Some(FinishReason::Other(said)) => other(&said),
        Some(FinishReason::Stop) | None if has_calls => StopReason::ToolCalls,
        Some(FinishReason::Stop) | None => StopReason::EndTurn,
        Some(_) => StopReason::Other,
    }
}

/// Reasons that rig has no word for.
fn other(said: &str) -> StopReason {
    match said.to_ascii_lowercase().as_str() {
        "refusal" | "refused" => StopReason::Refused,
        "stop_sequence" => StopReason::StopSequence,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "malformed_function_call" | "malformed_tool_use" => StopReason::MalformedCall,
        _ => StopReason::Other,
    }
}
