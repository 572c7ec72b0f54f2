//! A turn that came in one piece.

use super::document::value;
use super::turn::{Piece, Turn, garbled};
use crate::model::{ModelError, ModelEvent};
use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::types::{
    CitationGeneratedContent, CitationsContentBlock, ContentBlock, ConverseOutput as Output,
    ConverseStreamMetadataEvent, ConverseStreamOutput, ConverseStreamTrace, ReasoningContentBlock,
    ToolUseType,
};

/// Its events, as if it had been streamed.
pub(super) fn events(reply: ConverseOutput, mut turn: Turn) -> Result<Vec<ModelEvent>, ModelError> {
    let Some(Output::Message(message)) = reply.output else {
        return Err(garbled("it holds no message"));
    };
    let mut events = Vec::new();
    for block in message.content {
        events.extend(turn.take_whole(piece(block)));
    }
    events.extend(turn.stop(reply.stop_reason)?);
    let trace = ConverseStreamTrace::builder().set_guardrail(reply.trace.and_then(|trace| trace.guardrail));
    let metadata = ConverseStreamMetadataEvent::builder().set_usage(reply.usage).trace(trace.build()).build();
    events.extend(turn.take(ConverseStreamOutput::Metadata(metadata))?);
    Ok(events)
}

fn piece(block: ContentBlock) -> Piece {
    match block {
        ContentBlock::Text(text) => Piece::Text(text),
        ContentBlock::CitationsContent(block) => Piece::Text(cited(&block)),
        ContentBlock::ToolUse(call) if call.r#type != Some(ToolUseType::ServerToolUse) => {
            Piece::Call { id: call.tool_use_id, name: call.name, input: value(&call.input).to_string() }
        }
        ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(block)) => Piece::Reasoning {
            text: block.text,
            signature: block.signature.unwrap_or_default(),
            redacted: Vec::new(),
        },
        ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(bytes)) => {
            Piece::Reasoning { text: String::new(), signature: String::new(), redacted: bytes.into_inner() }
        }
        _ => Piece::Foreign,
    }
}

fn cited(block: &CitationsContentBlock) -> String {
    let texts = block.content().iter().filter_map(|content| match content {
        CitationGeneratedContent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
