//! What one endpoint shows.
//!
//! Whoever wants to can send dust to the wallet, as much as fits into blocks. So ranges shrink where an answer is too long, a
//! look ends where there is much, and what was looked through before a block that cannot be read is not lost. Transfers of
//! nothing, which anybody can make in anybody's name, are no money that came.

use super::super::node::{Node, Span};
use super::super::rpc::{Log, Transfer as TransferEvent, word};
use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent as _;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How many blocks one look covers at most; the next look goes on where it ended.
const LOOK_BLOCKS_MAX: u64 = 100_000;
/// How many answers of logs one look takes at most: more than it needs where an endpoint allows whole ranges.
const ANSWERS_MAX: u32 = 200;
/// With so many transfers a look ends.
const SEEN_ENOUGH: usize = 2_000;

/// One transfer as an endpoint shows it; what tells two of them apart comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) block: u64,
    pub(super) index: u64,
    pub(super) transaction: B256,
    pub(super) from: Address,
    pub(super) value: u128,
}

/// The token and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) chain_id: u64,
    pub(super) token: Address,
    pub(super) payer: Address,
}

/// Where a look starts, and the last block that matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) from: Option<u64>,
    pub(super) since_s: u64,
    pub(super) last: u64,
}

/// Blocks that were looked through, both ends included, and what was found in them.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) first: u64,
    pub(super) last: u64,
    /// With the times of their blocks.
    pub(super) seen: BTreeMap<Seen, u64>,
}

impl Looked {
    /// The block behind the last.
    pub(super) fn end(&self) -> u64 {
        self.last.saturating_add(1).max(self.first)
    }
}

/// Looks through as many blocks as can be read, if any can.
pub(super) async fn look(
    node: Result<Node<'_>, String>,
    wanted: Wanted,
    start: Start,
) -> Result<Looked, String> {
    let mut node = node?;
    let first = match start.from {
        Some(from) => from,
        None => node.first_at(start.since_s).await?,
    };
    let most = first.saturating_add(LOOK_BLOCKS_MAX).saturating_sub(1);
    let mut last = node.head.min(start.last).min(most);
    let mut seen = BTreeSet::new();
    let (mut from, mut size, mut answers) = (first, Span::usual(), 0_u32);
    while from <= last {
        let topics = json!([TransferEvent::SIGNATURE_HASH, null, wanted.payer.into_word()]);
        let (to, logs) = match node.logs_from(wanted.token, &topics, (from, last), &mut size).await {
            Ok(found) => found,
            Err(problem) if from == first => return Err(problem),
            Err(_) => {
                last = from.saturating_sub(1);
                break;
            }
        };
        let host = || node.rpc.host();
        seen.extend(transfers(&logs, wanted, (from, to)).map_err(|what| format!("{}: {what}", host()))?);
        answers = answers.saturating_add(1);
        if answers >= ANSWERS_MAX || seen.len() >= SEEN_ENOUGH {
            last = to;
        }
        from = to.saturating_add(1);
    }
    let blocks: Vec<u64> = seen.iter().map(|seen| seen.block).collect();
    node.read_times(&blocks).await?;
    let mut timed = BTreeMap::new();
    for transfer in seen {
        let time_s = node.time_of(transfer.block).await?;
        timed.insert(transfer, time_s);
    }
    Ok(Looked { first, last, seen: timed })
}

/// The transfers of some money among the logs of a range.
fn transfers(logs: &[Log], wanted: Wanted, range: (u64, u64)) -> Result<Vec<Seen>, &'static str> {
    let mut places = BTreeSet::new();
    let mut found = Vec::new();
    for log in logs {
        let transfer = checked(log, wanted, range).ok_or("the node sent an event that was not asked for")?;
        if !places.insert((transfer.block, transfer.index)) {
            return Err("the node sent two events of one place");
        }
        if transfer.value > 0 {
            found.push(transfer);
        }
    }
    Ok(found)
}

/// A log as what was asked for; `None` if it is something else, or is not in a block for good.
fn checked(log: &Log, wanted: Wanted, range: (u64, u64)) -> Option<Seen> {
    let [kind, from, to] = log.topics.as_slice() else { return None };
    let block = log.block_number?.0;
    let asked_for = *kind == TransferEvent::SIGNATURE_HASH
        && *to == wanted.payer.into_word()
        && log.address == wanted.token
        && (range.0..=range.1).contains(&block)
        && !log.removed;
    let sender = Address::from_word(*from);
    if !asked_for || sender.into_word() != *from {
        return None;
    }
    Some(Seen {
        block,
        index: log.log_index?.0,
        transaction: log.transaction_hash?,
        from: sender,
        value: u128::try_from(word(&log.data)?).ok()?,
    })
}
