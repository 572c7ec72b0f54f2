//! One endpoint for the time of one look: of the right chain, and with one block at which everything is read.

use super::Finality;
use super::rpc::{Block, Log, Quantity, Rpc, RpcError};
use alloy::primitives::Address;
use serde_json::Value;
use std::collections::BTreeMap;

/// How much another clock may differ from ours.
pub(super) const CLOCK_SKEW_S: u64 = 900;
/// How many blocks one request for logs covers at most: what most public endpoints allow.
pub(super) const LOG_BLOCKS: u64 = 2_000;
/// The same where an endpoint allows more, as those do that go by who is in the log.
const LOG_BLOCKS_WIDE: u64 = 50_000;
/// By how much a range that was not answered is too long, as far as anybody knows: five such steps lead to one block.
const LOG_BLOCKS_DIVISOR: u64 = 4;
/// A binary search over 64-bit block numbers takes no more steps.
const SEARCH_STEPS_MAX: u32 = 64;

/// How many blocks the next request for logs covers, and how many one may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) blocks: u64,
    pub(super) most: u64,
}

impl Span {
    /// A range that most endpoints allow.
    pub(super) const fn usual() -> Self {
        Self { blocks: LOG_BLOCKS, most: LOG_BLOCKS }
    }

    /// More than most allow at first, and what is allowed then: for many blocks with little in them.
    pub(super) const fn wide() -> Self {
        Self { blocks: LOG_BLOCKS_WIDE, most: LOG_BLOCKS_WIDE }
    }
}

/// An endpoint, and the newest of its blocks that counts.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) rpc: Rpc<'a>,
    pub(super) finality: Finality,
    pub(super) head: u64,
    /// The head's time.
    pub(super) time_s: u64,
    times_s: BTreeMap<u64, u64>,
}

impl<'a> Node<'a> {
    /// Checks the chain and reads the block.
    pub(super) async fn open(rpc: Rpc<'a>, finality: Finality, chain_id: u64) -> Result<Self, String> {
        check_chain(&rpc, chain_id).await?;
        let tag = match finality {
            Finality::Finalized => "finalized",
            Finality::Latest => "latest",
        };
        let Block { number: Quantity(head), timestamp: Quantity(time_s) } = rpc.block(tag).await?;
        Ok(Self { rpc, finality, head, time_s, times_s: BTreeMap::from([(head, time_s)]) })
    }

    /// Logs of a token in the first `size` blocks of a range, or in fewer, and the last of these blocks. Where too many are
    /// asked for, or too much is in them, it asks for fewer; `size` is then what the next question asks for.
    pub(super) async fn logs_from(
        &self,
        token: Address,
        topics: &Value,
        (from, last): (u64, u64),
        size: &mut Span,
    ) -> Result<(u64, Vec<Log>), String> {
        loop {
            let to = from.saturating_add(size.blocks.max(1)).saturating_sub(1).min(last);
            match self.rpc.logs(token, topics.clone(), (from, to)).await {
                Ok(logs) => {
                    let more = size.blocks.saturating_add(size.blocks.div_ceil(LOG_BLOCKS_DIVISOR));
                    size.blocks = more.min(size.most);
                    return Ok((to, logs));
                }
                // Who asks on is put off for longer.
                Err(RpcError::Unreachable(problem)) => return Err(problem),
                Err(problem) if to <= from => return Err(problem.into()),
                Err(_) => {
                    let asked = to.saturating_sub(from).saturating_add(1);
                    size.blocks = asked.checked_div(LOG_BLOCKS_DIVISOR).unwrap_or(1).max(1);
                    // What was refused is not asked for again, as long as it is more than most endpoints allow.
                    size.most = size.blocks.max(LOG_BLOCKS);
                }
            }
        }
    }

    /// The time of a block.
    pub(super) async fn time_of(&mut self, number: u64) -> Result<u64, String> {
        self.read_times(&[number]).await?;
        self.times_s.get(&number).copied().ok_or_else(|| self.rpc.said("no time of a block"))
    }

    /// Reads the times of blocks, each once.
    pub(super) async fn read_times(&mut self, numbers: &[u64]) -> Result<(), String> {
        let mut new: Vec<u64> =
            numbers.iter().copied().filter(|number| !self.times_s.contains_key(number)).collect();
        new.sort_unstable();
        new.dedup();
        for (block, number) in self.rpc.blocks_at(&new).await.into_iter().zip(new) {
            self.times_s.insert(number, block?.timestamp.0);
        }
        Ok(())
    }

    /// The first block whose time is `time_s` or later, or the head.
    pub(super) async fn first_at(&mut self, time_s: u64) -> Result<u64, String> {
        let mut step = 64_u64;
        let mut early = self.head;
        for _ in 0..SEARCH_STEPS_MAX {
            early = self.head.saturating_sub(step);
            if early == 0 || self.time_of(early).await? < time_s {
                break;
            }
            step = step.saturating_mul(2);
        }
        self.first_after(time_s.saturating_sub(1), early).await
    }

    /// The first block from `low` on whose time is after `time_s`, or the head.
    pub(super) async fn first_after(&mut self, time_s: u64, low: u64) -> Result<u64, String> {
        let (mut low, mut high) = (low, self.head);
        for _ in 0..SEARCH_STEPS_MAX {
            if low >= high {
                break;
            }
            let middle = low.midpoint(high);
            match self.time_of(middle).await? > time_s {
                true => high = middle,
                false => low = middle.saturating_add(1),
            }
        }
        Ok(high)
    }
}

/// Checks that an endpoint is of a chain.
pub(super) async fn check_chain(rpc: &Rpc<'_>, chain_id: u64) -> Result<(), String> {
    match rpc.chain_id().await? {
        found if found == chain_id => Ok(()),
        found => Err(format!("{} is of chain {found}, not of {chain_id}", rpc.host())),
    }
}
