//! Blocks of an earlier turn, given back as the service wrote them.

use super::document::object;
use super::names::{Ids, Names};
use super::request::{built, calls_of};
use crate::message::Part;
use crate::model::{ModelError, ProviderItem};
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{ContentBlock, ReasoningContentBlock, ReasoningTextBlock, ToolUseBlock};
use aws_smithy_types::base64;
use bursar_types::CallId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The provider of our items.
pub(super) const PROVIDER: &str = "bedrock.converse";

/// A block that can be given back. A tool's name is ours: names are mapped anew in each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block {
    Text(String),
    ToolUse {
        name: String,
        /// Text, if it was not JSON.
        input: Value,
    },
    Reasoning {
        text: String,
        signature: String,
    },
    /// In base64.
    RedactedReasoning(String),
}

/// A signature holds for the model that signed.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    model: String,
    block: Block,
}

impl Block {
    pub(super) fn redacted(bytes: &[u8]) -> Self {
        Self::RedactedReasoning(base64::encode(bytes))
    }

    const fn is_reasoning(&self) -> bool {
        matches!(self, Self::Reasoning { .. } | Self::RedactedReasoning(_))
    }
}

/// Items for the blocks of a turn; none, if no block of it is lost without them. Only signed reasoning is.
pub(super) fn keep(blocks: Vec<Block>, model: &str, endpoint: &str) -> Vec<ProviderItem> {
    if !blocks.iter().any(Block::is_reasoning) {
        return Vec::new();
    }
    let item = |block| {
        let payload = serde_json::to_value(Payload { model: model.to_owned(), block }).ok()?;
        Some(ProviderItem { provider: PROVIDER.to_owned(), endpoint: endpoint.to_owned(), payload })
    };
    // All or none.
    blocks.into_iter().map(item).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The blocks of an assistant's message from its items; `None`, if it has none of ours, or they do not fit the model, the place or
/// the calls.
pub(super) fn replay(
    parts: &[Part],
    model: &str,
    endpoint: &str,
    names: &Names,
    ids: &Ids,
) -> Result<Option<Vec<ContentBlock>>, ModelError> {
    let ours = parts.iter().filter_map(|part| match part {
        Part::ProviderItem(item) if item.provider == PROVIDER => Some(item),
        _ => None,
    });
    let read = |item: &ProviderItem| {
        let payload = Payload::deserialize(&item.payload).ok()?;
        (payload.model == model && item.endpoint == endpoint).then_some(payload.block)
    };
    let Some(blocks) = ours.map(read).collect::<Option<Vec<Block>>>() else { return Ok(None) };
    let uses = blocks.iter().filter_map(|block| match block {
        Block::ToolUse { name, .. } => Some(name.as_str()),
        _ => None,
    });
    if blocks.is_empty() || !uses.eq(calls_of(parts).map(|(_, tool)| tool)) {
        return Ok(None);
    }
    let mut calls = calls_of(parts).map(|(call, _)| call);
    let block = |block| give_back(block, &mut calls, names, ids);
    blocks.into_iter().map(block).collect()
}

/// `None` for a block that cannot be read.
fn give_back(
    block: Block,
    calls: &mut impl Iterator<Item = CallId>,
    names: &Names,
    ids: &Ids,
) -> Result<Option<ContentBlock>, ModelError> {
    Ok(Some(match block {
        Block::Text(text) => ContentBlock::Text(text),
        Block::ToolUse { name, input } => {
            let Some(call) = calls.next() else { return Ok(None) };
            let block = ToolUseBlock::builder()
                .tool_use_id(ids.wire(call))
                .name(names.wire(&name))
                .input(object(&input));
            ContentBlock::ToolUse(built(block.build())?)
        }
        Block::Reasoning { text, signature } => {
            let block = built(ReasoningTextBlock::builder().text(text).signature(signature).build())?;
            ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(block))
        }
        Block::RedactedReasoning(text) => {
            let Ok(bytes) = base64::decode(&text) else { return Ok(None) };
            ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(Blob::new(bytes)))
        }
    }))
}
