//! One turn, joined from blocks.

use super::items::{Block, keep};
use super::names::Names;
use super::stop::{reason, usage};
use crate::model::{ModelError, ModelErrorKind, ModelEvent, Retry};
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamMetadataEvent, ConverseStreamOutput,
    GuardrailTraceAssessment, ReasoningContentBlockDelta, StopReason, ToolUseBlockStart, ToolUseType,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// No turn is longer: a server that never ends is left.
const BYTES_MAX: usize = 32 << 20;
/// What a block costs besides its content.
const BLOCK_BYTES: usize = 64;

/// What has been said so far. A tool call is passed on when its block is closed, never before.
#[derive(Debug)]
pub(super) struct Turn {
    names: Names,
    model: String,
    endpoint: String,
    /// By the service's number.
    blocks: BTreeMap<i32, Held>,
    calls: u32,
    bytes: usize,
    stop: Option<StopReason>,
    trace: Option<GuardrailTraceAssessment>,
    counted: bool,
}

#[derive(Debug)]
enum Held {
    Open(Piece),
    Closed(Option<Block>),
}

/// A block while it grows.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Call {
        id: String,
        /// As the service knows it.
        name: String,
        /// JSON, once it is whole.
        input: String,
    },
    Reasoning {
        text: String,
        signature: String,
        redacted: Vec<u8>,
    },
    /// What this backend has no use for: calls that the service answers itself, pictures.
    Foreign,
}

impl Turn {
    pub(super) fn new(names: Names, model: &str, endpoint: &str) -> Self {
        Self {
            names,
            model: model.to_owned(),
            endpoint: endpoint.to_owned(),
            blocks: BTreeMap::new(),
            calls: 0,
            bytes: 0,
            stop: None,
            trace: None,
            counted: false,
        }
    }

    /// Whether the end was announced: what is still missing are counts.
    pub(super) const fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether everything is known.
    pub(super) const fn is_complete(&self) -> bool {
        self.stop.is_some() && self.counted
    }

    /// Takes one event of the service.
    pub(super) fn take(&mut self, event: ConverseStreamOutput) -> Result<Vec<ModelEvent>, ModelError> {
        match event {
            ConverseStreamOutput::Metadata(metadata) => return Ok(self.count(metadata)),
            _ if self.is_stopped() => return Err(garbled("a turn went on after its end")),
            ConverseStreamOutput::ContentBlockStart(event) => {
                if let Some(start) = event.start {
                    self.start(event.content_block_index, start)?;
                }
            }
            ConverseStreamOutput::ContentBlockDelta(event) => {
                if let Some(delta) = event.delta {
                    return self.grow(event.content_block_index, delta);
                }
            }
            ConverseStreamOutput::ContentBlockStop(event) => return self.close(event.content_block_index),
            ConverseStreamOutput::MessageStop(event) => return self.stop(event.stop_reason),
            // The role is always the assistant's; what is new is passed over.
            _ => {}
        }
        Ok(Vec::new())
    }

    fn has_room_for(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > BYTES_MAX {
            return Err(garbled("it is too long").retry(Retry::Never));
        }
        Ok(())
    }

    fn start(&mut self, index: i32, start: ContentBlockStart) -> Result<(), ModelError> {
        self.has_room_for(BLOCK_BYTES)?;
        let piece = match start {
            ContentBlockStart::ToolUse(ToolUseBlockStart {
                r#type: Some(ToolUseType::ServerToolUse),
                ..
            }) => Piece::Foreign,
            ContentBlockStart::ToolUse(call) => {
                Piece::Call { id: call.tool_use_id, name: call.name, input: String::new() }
            }
            ContentBlockStart::Image(_) | ContentBlockStart::ToolResult(_) => Piece::Foreign,
            // Its first piece will say what it is, as of texts that begin without a start.
            _ => return Ok(()),
        };
        match self.blocks.insert(index, Held::Open(piece)) {
            None => Ok(()),
            Some(_) => Err(garbled("a block began twice")),
        }
    }

    fn grow(&mut self, index: i32, delta: ContentBlockDelta) -> Result<Vec<ModelEvent>, ModelError> {
        if delta.is_unknown() {
            return Ok(Vec::new());
        }
        self.has_room_for(BLOCK_BYTES.saturating_add(length(&delta)))?;
        let Held::Open(piece) = self.blocks.entry(index).or_insert_with(|| Held::Open(first_piece(&delta)))
        else {
            return Err(garbled("a block went on after its end"));
        };
        Ok(match (piece, delta) {
            (Piece::Text(text), ContentBlockDelta::Text(more)) => {
                text.push_str(&more);
                vec![ModelEvent::TextDelta { text: more }]
            }
            (Piece::Call { input, .. }, ContentBlockDelta::ToolUse(fragment)) => {
                input.push_str(&fragment.input);
                Vec::new()
            }
            (piece @ Piece::Reasoning { .. }, ContentBlockDelta::ReasoningContent(delta)) => {
                reason_on(piece, delta)
            }
            // Sources of a text stand beside it in its block.
            (Piece::Foreign, _) | (Piece::Text(_), ContentBlockDelta::Citation(_)) => Vec::new(),
            _ => return Err(garbled("a piece of one kind in a block of another")),
        })
    }

    /// A block that is not known is an empty one: texts begin without saying so.
    fn close(&mut self, index: i32) -> Result<Vec<ModelEvent>, ModelError> {
        let Some(held) = self.blocks.get_mut(&index) else { return Ok(Vec::new()) };
        let Held::Open(piece) = std::mem::replace(held, Held::Closed(None)) else {
            return Err(garbled("a block ended twice"));
        };
        let (block, events) = self.whole(piece);
        self.blocks.insert(index, Held::Closed(block));
        Ok(events)
    }

    /// Takes a block that came in one piece.
    pub(super) fn take_whole(&mut self, piece: Piece) -> Vec<ModelEvent> {
        let mut events = match &piece {
            Piece::Text(text) => vec![ModelEvent::TextDelta { text: text.clone() }],
            Piece::Reasoning { text, .. } if !text.is_empty() => {
                vec![ModelEvent::ReasoningDelta { text: text.clone() }]
            }
            _ => Vec::new(),
        };
        let (block, more) = self.whole(piece);
        events.extend(more);
        let index = self.blocks.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        self.blocks.insert(index, Held::Closed(block));
        events
    }

    fn whole(&mut self, piece: Piece) -> (Option<Block>, Vec<ModelEvent>) {
        match piece {
            Piece::Text(text) => {
                (Some(text).filter(|text| !text.trim().is_empty()).map(Block::Text), Vec::new())
            }
            Piece::Call { id, name, input } => {
                let tool = self.names.own(&name).to_owned();
                let events = vec![
                    ModelEvent::ToolCallStarted {
                        index: self.calls,
                        provider_id: Some(id),
                        tool: tool.clone(),
                    },
                    ModelEvent::ToolArgumentsDelta { index: self.calls, fragment: input.clone() },
                ];
                self.calls = self.calls.saturating_add(1);
                (Some(Block::ToolUse { name: tool, input: arguments(input) }), events)
            }
            Piece::Reasoning { redacted, .. } if !redacted.is_empty() => {
                (Some(Block::redacted(&redacted)), Vec::new())
            }
            // Without a signature the service does not take it back.
            Piece::Reasoning { text, signature, .. } => {
                ((!signature.is_empty()).then_some(Block::Reasoning { text, signature }), Vec::new())
            }
            Piece::Foreign => (None, Vec::new()),
        }
    }

    /// Takes the reason why the turn ended.
    pub(super) fn stop(&mut self, stop: StopReason) -> Result<Vec<ModelEvent>, ModelError> {
        let mut cut_reasoning = false;
        for held in self.blocks.values_mut() {
            if matches!(held, Held::Closed(_)) {
                continue;
            }
            let Held::Open(piece) = std::mem::replace(held, Held::Closed(None)) else { continue };
            match piece {
                Piece::Call { .. } if reason(&stop, None).calls_are_whole() => {
                    return Err(garbled("a tool call was not finished"));
                }
                Piece::Reasoning { .. } => cut_reasoning = true,
                Piece::Text(text) if !text.trim().is_empty() => *held = Held::Closed(Some(Block::Text(text))),
                // Half a call is no call.
                Piece::Call { .. } | Piece::Text(_) | Piece::Foreign => {}
            }
        }
        self.stop = Some(stop);
        let blocks = std::mem::take(&mut self.blocks);
        let blocks = blocks.into_values().filter_map(|held| match held {
            Held::Closed(block) => block,
            Held::Open(_) => None,
        });
        let items =
            if cut_reasoning { Vec::new() } else { keep(blocks.collect(), &self.model, &self.endpoint) };
        let mut events: Vec<ModelEvent> = items.into_iter().map(ModelEvent::ProviderItem).collect();
        if self.counted {
            events.extend(self.finish());
        }
        Ok(events)
    }

    fn count(&mut self, metadata: ConverseStreamMetadataEvent) -> Vec<ModelEvent> {
        self.counted = true;
        self.trace = metadata.trace.and_then(|trace| trace.guardrail);
        let mut events = vec![ModelEvent::Usage(usage(metadata.usage.as_ref()))];
        if self.is_stopped() {
            events.extend(self.finish());
        }
        events
    }

    /// The last event, once the end was announced. What was not reported until then stays unknown.
    pub(super) fn finish(&self) -> Option<ModelEvent> {
        let stop = self.stop.as_ref()?;
        Some(ModelEvent::Finished { reason: reason(stop, self.trace.as_ref()) })
    }
}

fn length(delta: &ContentBlockDelta) -> usize {
    match delta {
        ContentBlockDelta::Text(text) => text.len(),
        ContentBlockDelta::ToolUse(fragment) => fragment.input.len(),
        ContentBlockDelta::ReasoningContent(delta) => match delta {
            ReasoningContentBlockDelta::Text(text) | ReasoningContentBlockDelta::Signature(text) => {
                text.len()
            }
            ReasoningContentBlockDelta::RedactedContent(bytes) => bytes.as_ref().len(),
            _ => 0,
        },
        _ => 0,
    }
}

/// Only a tool call must begin before it goes on.
fn first_piece(delta: &ContentBlockDelta) -> Piece {
    match delta {
        ContentBlockDelta::ReasoningContent(_) => {
            Piece::Reasoning { text: String::new(), signature: String::new(), redacted: Vec::new() }
        }
        ContentBlockDelta::Image(_) | ContentBlockDelta::ToolResult(_) => Piece::Foreign,
        _ => Piece::Text(String::new()),
    }
}

fn reason_on(piece: &mut Piece, delta: ReasoningContentBlockDelta) -> Vec<ModelEvent> {
    let Piece::Reasoning { text, signature, redacted } = piece else { return Vec::new() };
    match delta {
        ReasoningContentBlockDelta::Text(more) => {
            text.push_str(&more);
            return vec![ModelEvent::ReasoningDelta { text: more }];
        }
        ReasoningContentBlockDelta::Signature(more) => signature.push_str(&more),
        ReasoningContentBlockDelta::RedactedContent(more) => redacted.extend(more.into_inner()),
        _ => {}
    }
    Vec::new()
}

fn arguments(input: String) -> Value {
    if input.trim().is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    serde_json::from_str(&input).unwrap_or(Value::String(input))
}

/// What cannot be, but for a fault on the way: the same request may well go through.
pub(super) fn garbled(what: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Protocol, format!("Bedrock's answer cannot be read: {what}"))
        .retry(Retry::Backoff)
}
