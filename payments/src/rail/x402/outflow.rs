//! What went out: transfers of a token from the wallet, with the authorizations under which they left.
//!
//! One question shows both kinds of events, since both name the wallet in the same place. Blocks that are not final are
//! looked at too: an old journal that was put back is to be noticed at once, and not when the chain has settled. The next look
//! begins before them.
//!
//! The first endpoint that answers is read, and a second one of another host where there is one: what either of them shows is
//! reported. So an endpoint that hides something is found out where another is honest, and one that makes something up can stop
//! spending, and nothing else.

use super::inflow::{Place, place};
use super::node::{CLOCK_SKEW_S, Node, Span};
use super::rpc::{AuthorizationUsed, Log, Transfer as TransferEvent, word};
use super::{Finality, X402};
use crate::rail::{ChainEvent, Outflow, OutflowQuery, Outgoing, RemedyError};
use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent as _;
use bursar_types::{Amount, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

/// How many answers of logs one look takes at most; the next look goes on where it ended.
const ANSWERS_MAX: u32 = 100;
/// With so many events a look ends.
const SEEN_ENOUGH: usize = 2_000;

/// One event as an endpoint shows it, by its place.
type Events = BTreeMap<(u64, u64), Event>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    transaction: B256,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Money went to somebody.
    Sent { to: Address, value: u128 },
    /// An authorization was used.
    Used { nonce: B256 },
}

/// What one endpoint shows.
#[derive(Debug)]
struct Looked {
    first: u64,
    /// The last block that was looked at.
    last: u64,
    /// The last block that is final.
    settled: u64,
    whole: bool,
    events: Events,
    times_s: BTreeMap<u64, u64>,
}

/// Where a look starts.
#[derive(Debug, Clone, Copy)]
struct Start {
    from: Option<u64>,
    since_s: u64,
}

/// Looks for what went out.
pub(super) async fn outflow(rail: &X402, query: &OutflowQuery) -> Result<Outflow, RemedyError> {
    let place = place(rail, &query.asset)?;
    let since_s = query.since.unix_s().saturating_sub(CLOCK_SKEW_S);
    let start = Start { from: query.from, since_s };
    let mut problems = Vec::new();
    let mut looks: Vec<(String, Looked)> = Vec::new();
    for url in &place.reader.rpc_urls {
        let rpc = rail.rpc(url);
        let witness = rpc.witness();
        if looks.iter().any(|(known, _)| *known == witness) {
            continue;
        }
        let start = looks.first().map_or(start, |(_, first)| Start { from: Some(first.first), ..start });
        match look(Node::open(rpc, place.reader.finality, place.chain_id).await, place, start).await {
            Ok(looked) => looks.push((witness, looked)),
            Err(problem) => problems.push(problem),
        }
        if looks.len() >= 2 {
            break;
        }
    }
    match looks.is_empty() {
        true => Err(RemedyError::Failed(problems.join("; "))),
        false => Ok(told(query, place.payer, looks.into_iter().map(|(_, looked)| looked).collect())),
    }
}

/// Looks through as many blocks as one look takes, and as can be read, if any can.
async fn look(node: Result<Node<'_>, String>, place: Place<'_>, start: Start) -> Result<Looked, String> {
    let mut node = node?;
    let settled = node.head;
    let newest = match node.finality {
        Finality::Latest => settled,
        Finality::Finalized => node.rpc.block("latest").await?.number.0,
    };
    let first = match start.from {
        Some(from) => from,
        None => node.first_at(start.since_s).await?,
    };
    if newest < first.saturating_sub(1) {
        let host = node.rpc.host();
        return Err(format!("{host} is at block {newest}, and the blocks before {first} were read already"));
    }
    let topics =
        json!([[TransferEvent::SIGNATURE_HASH, AuthorizationUsed::SIGNATURE_HASH], place.payer.into_word()]);
    let mut events = Events::new();
    let (mut from, mut size, mut answers) = (first, Span::wide(), 0_u32);
    while from <= newest && answers < ANSWERS_MAX && events.len() < SEEN_ENOUGH {
        let (to, logs) = match node.logs_from(place.token, &topics, (from, newest), &mut size).await {
            Ok(found) => found,
            Err(problem) if from == first => return Err(problem),
            // What was read counts; the next look goes on here, and fails if it must.
            Err(_) => break,
        };
        for log in &logs {
            let (at, event) = checked(log, place, (from, to)).ok_or_else(|| {
                format!("{}: the node sent an event that was not asked for", node.rpc.host())
            })?;
            if events.insert(at, event).is_some() {
                return Err(format!("{}: the node sent two events of one place", node.rpc.host()));
            }
        }
        answers = answers.saturating_add(1);
        from = to.saturating_add(1);
    }
    let blocks: Vec<u64> = events.keys().map(|(block, _)| *block).collect();
    node.read_times(&blocks).await?;
    let mut times_s = BTreeMap::new();
    for block in blocks {
        times_s.insert(block, node.time_of(block).await?);
    }
    let last = from.saturating_sub(1);
    Ok(Looked { first, last, settled, whole: from > newest, events, times_s })
}

/// A log as what was asked for, with its place; `None` if it is something else, or is in no block.
fn checked(log: &Log, place: Place<'_>, range: (u64, u64)) -> Option<((u64, u64), Event)> {
    let [kind, of, which] = log.topics.as_slice() else { return None };
    let block = log.block_number?.0;
    let asked_for = *of == place.payer.into_word()
        && log.address == place.token
        && (range.0..=range.1).contains(&block)
        && !log.removed;
    if !asked_for {
        return None;
    }
    let what = if *kind == TransferEvent::SIGNATURE_HASH {
        let to = Address::from_word(*which);
        if to.into_word() != *which {
            return None;
        }
        What::Sent { to, value: u128::try_from(word(&log.data)?).ok()? }
    } else if *kind == AuthorizationUsed::SIGNATURE_HASH {
        What::Used { nonce: *which }
    } else {
        return None;
    };
    Some(((block, log.log_index?.0), Event { transaction: log.transaction_hash?, what }))
}

/// What is reported of one look, or of two over the same blocks.
fn told(query: &OutflowQuery, payer: Address, looks: Vec<Looked>) -> Outflow {
    let from = looks.iter().map(|looked| looked.first).min().unwrap_or(0);
    let last = looks.iter().map(|looked| looked.last).min().unwrap_or(0);
    let settled = looks.iter().map(|looked| looked.settled).min().unwrap_or(0);
    let whole = looks.iter().all(|looked| looked.whole);
    let mut sent = Vec::new();
    for looked in looks {
        for one in pair(query, payer, &looked, settled) {
            if !sent.contains(&one) {
                sent.push(one);
            }
        }
    }
    sent.sort_by_key(|one: &Outgoing| (one.height, one.event.index));
    Outflow { sent, from, upto: last.min(settled).saturating_add(1).max(from), whole }
}

/// Joins each authorization with the transfer it made: the next of the same transaction, or the one before it where there is
/// none, since tokens write the two in either order.
fn pair(query: &OutflowQuery, payer: Address, looked: &Looked, settled: u64) -> Vec<Outgoing> {
    let mut sent = Vec::new();
    let mut transactions: BTreeMap<(u64, B256), Vec<(u64, &What)>> = BTreeMap::new();
    for ((block, index), event) in &looked.events {
        transactions.entry((*block, event.transaction)).or_default().push((*index, &event.what));
    }
    for ((block, transaction), events) in transactions {
        let at_s = looked.times_s.get(&block).copied().unwrap_or_default();
        let outgoing = |index: u64, to: String, value: u128, nonce: Option<B256>| Outgoing {
            event: ChainEvent {
                network: query.asset.network().to_owned(),
                transaction: format!("{transaction:#x}"),
                index,
            },
            height: block,
            to,
            amount: Amount::from_atomic(query.asset.clone(), value),
            at: Timestamp::from_unix_ms(at_s.saturating_mul(1_000)),
            handle: nonce.map(|nonce| format!("{nonce:#x}")),
            confirmed: block <= settled,
        };
        let mut transfers: Vec<(u64, &Address, u128)> = Vec::new();
        for (index, what) in &events {
            if let What::Sent { to, value } = what {
                transfers.push((*index, to, *value));
            }
        }
        for (index, what) in &events {
            let What::Used { nonce } = what else { continue };
            let after = transfers.iter().position(|(place, _, _)| place > index);
            let own = after.or_else(|| transfers.len().checked_sub(1)).map(|place| transfers.remove(place));
            sent.push(match own {
                Some((place, to, value)) => outgoing(place, format!("{to:#x}"), value, Some(*nonce)),
                None => outgoing(*index, String::new(), 0, Some(*nonce)),
            });
        }
        // Transfers of nothing, which anybody can make in anybody's name, and what the wallet sends to itself.
        let away = transfers.into_iter().filter(|(_, to, value)| *value > 0 && **to != payer);
        sent.extend(away.map(|(place, to, value)| outgoing(place, format!("{to:#x}"), value, None)));
    }
    sent
}
