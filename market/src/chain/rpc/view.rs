//! What one call sees of the chain.

use super::args::{Failure, address, word};
use crate::{
    chain::state::{ChainLog, State},
    primitives::Word,
};
use serde_json::{Value, json};

/// The chain as this call is allowed to see it.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) head: u64,
    pub(super) finality_depth: u64,
    /// How many blocks one question for logs may span.
    pub(super) log_range_max: u64,
}

impl View<'_> {
    /// The block a tag, number or hash names; `None` if this chain has no such block.
    pub(super) fn number(&self, tag: Option<&Value>) -> Result<Option<u64>, Failure> {
        let refuse = || Failure::params("invalid block: give a tag or a hex number without leading zeros");
        let tag = match tag {
            None | Some(Value::Null) => return Ok(Some(self.head)),
            Some(Value::Object(fields)) => {
                if let Some(hash) = fields.get("blockHash") {
                    let block = self.state.block_by_hash(word(Some(hash))?);
                    return Ok(block.map(|block| block.number).filter(|number| *number <= self.head));
                }
                fields.get("blockNumber").and_then(Value::as_str).ok_or_else(refuse)?
            }
            Some(tag) => tag.as_str().ok_or_else(refuse)?,
        };
        let number = match tag {
            "latest" | "pending" => self.head,
            "safe" | "finalized" => self.head.saturating_sub(self.finality_depth),
            "earliest" => 0,
            text => {
                let digits = text.strip_prefix("0x").ok_or_else(refuse)?;
                if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
                    return Err(refuse());
                }
                u64::from_str_radix(digits, 16).map_err(|_| refuse())?
            }
        };
        Ok((number <= self.head).then_some(number))
    }

    /// As [`View::number`], and the block exists.
    pub(super) fn known(&self, tag: Option<&Value>) -> Result<u64, Failure> {
        self.number(tag)?.ok_or_else(|| Failure::new(-32000, "header not found"))
    }

    /// The logs that pass a filter.
    pub(super) fn logs(&self, filter: &Value) -> Result<Vec<&ChainLog>, Failure> {
        let (from, to) = if let Some(hash) = filter.get("blockHash") {
            let block = self.known(Some(&json!({ "blockHash": hash })))?;
            (block, block)
        } else {
            let to = self.number(filter.get("toBlock"))?.unwrap_or(self.head);
            // A range that begins beyond the head is empty, not an error, as long as it is a range.
            (self.number(filter.get("fromBlock"))?.unwrap_or(self.head.saturating_add(1)), to)
        };
        if from > to && from <= self.head {
            return Err(Failure::params("invalid block range params"));
        }
        if to.saturating_sub(from) >= self.log_range_max {
            let most = self.log_range_max;
            return Err(Failure::new(-32005, format!("exceed maximum block range: {most}")));
        }
        let addresses = match filter.get("address") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(many)) => {
                many.iter().map(|one| address(Some(one))).collect::<Result<_, _>>()?
            }
            one => vec![address(one)?],
        };
        let topics = topics(filter.get("topics"))?;
        let fits = |log: &&ChainLog| {
            (from..=to).contains(&log.block)
                && (addresses.is_empty() || addresses.contains(&log.address))
                && topics.len() <= log.topics.len()
                && topics.iter().zip(&log.topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
        };
        Ok(self.state.logs().iter().filter(fits).collect())
    }
}

/// One list for each position; an empty list takes any topic.
fn topics(filter: Option<&Value>) -> Result<Vec<Vec<Word>>, Failure> {
    let positions = match filter {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(positions)) if positions.len() <= 4 => positions,
        Some(_) => return Err(Failure::params("topics must be an array of at most four")),
    };
    let position = |position: &Value| match position {
        Value::Null => Ok(Vec::new()),
        Value::Array(any) => any.iter().map(|topic| word(Some(topic))).collect(),
        topic => Ok(vec![word(Some(topic))?]),
    };
    positions.iter().map(position).collect()
}
