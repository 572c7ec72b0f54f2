//! A turn of rig's model, on its way to the twin.

use crate::model::events_of;
use bursar_agent_core::{ModelDescriptor, ModelEvent, StopReason, Usage};
use rig_core::completion::CompletionResponse;
use rig_core::message::{CallId as RigCallId, ToolCall};
use serde_json::Value;

/// What rig's model said in one turn.
#[derive(Debug)]
pub(crate) struct Said {
    pub(super) events: Vec<ModelEvent>,
    pub(super) calls: Vec<Asked>,
    usage: Usage,
}

/// A call that rig's model asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: RigCallId,
    pub(super) tool: String,
    /// `None` if what was written is no object: rig then answers by itself.
    pub(super) arguments: Option<Value>,
}

impl Said {
    pub(crate) fn of(response: &CompletionResponse) -> Self {
        let asked = |call: &ToolCall| Asked {
            id: call.id.clone(),
            tool: call.function.name.to_string(),
            arguments: call.function.invalid_arguments.is_none().then(|| call.function.arguments_value()),
        };
        // The agent knows its model by a label only; the turn says who it is.
        let name = response.model().unwrap_or(&response.origin.model);
        let model = ModelDescriptor::new(response.provider(), name);
        let mut events = vec![ModelEvent::AnsweredBy { model }];
        events.extend(events_of(response, None));
        let usage = events.iter().rev().find_map(|event| match event {
            ModelEvent::Usage(usage) => Some(*usage),
            _ => None,
        });
        Self { calls: response.tool_calls().map(asked).collect(), usage: usage.unwrap_or_default(), events }
    }

    /// The last word of a run, as rig gives it out; `before` is the turn that it was said in.
    pub(super) fn last(text: String, before: Option<Self>) -> Self {
        let usage = before.as_ref().map(Self::usage).unwrap_or_default();
        let said = before.into_iter().flat_map(|said| said.events);
        let mut events: Vec<_> =
            said.filter(|event| matches!(event, ModelEvent::AnsweredBy { .. })).collect();
        events.extend([
            ModelEvent::TextDelta { text },
            ModelEvent::Usage(usage),
            ModelEvent::Finished { reason: StopReason::EndTurn },
        ]);
        Self { events, calls: Vec::new(), usage }
    }

    pub(super) const fn usage(&self) -> Usage {
        self.usage
    }

    /// The same with what turns used that rig sent back to its model before this one.
    pub(super) fn after(mut self, carried: Option<Usage>) -> Self {
        let Some(carried) = carried else { return self };
        self.usage = sum(self.usage, carried);
        for event in &mut self.events {
            if let ModelEvent::Usage(usage) = event {
                *usage = self.usage;
            }
        }
        self
    }
}

/// What is unknown of one is unknown of both.
pub(super) fn sum(one: Usage, other: Usage) -> Usage {
    let add = |one: Option<u64>, other: Option<u64>| one.zip(other).and_then(|(a, b)| a.checked_add(b));
    Usage {
        input_tokens: add(one.input_tokens, other.input_tokens),
        output_tokens: add(one.output_tokens, other.output_tokens),
        cached_tokens: add(one.cached_tokens, other.cached_tokens),
        cache_write_tokens: add(one.cache_write_tokens, other.cache_write_tokens),
        reasoning_tokens: add(one.reasoning_tokens, other.reasoning_tokens),
    }
}
