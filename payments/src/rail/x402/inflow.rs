//! What came in: transfers of a token to the wallet, in blocks that count.
//!
//! One endpoint is read, the first that answers. Where a worth is set above which two are needed, a second one is read over
//! the same blocks: what either shows is reported, and what is above that worth only if both show it. Until they do, the
//! next look begins at its block, so that nothing is passed over. A lone endpoint that hides what came in is not found out.

use super::node::{CLOCK_SKEW_S, LOG_BLOCKS, Node};
use super::rpc::{Log, Transfer as TransferEvent, word};
use super::{NetworkReader, RAIL, X402, network};
use crate::rail::{ChainEvent, Inflow, InflowQuery, RemedyError, Transfer};
use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent as _;
use bursar_types::{Amount, AssetId, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How many requests for logs one look makes at most; the next look goes on where it ended.
const LOG_REQUESTS_MAX: u64 = 50;

/// One transfer as an endpoint shows it; what tells two of them apart comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    block: u64,
    index: u64,
    transaction: B256,
    from: Address,
    value: u128,
}

/// The token and whose it is.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    chain_id: u64,
    token: Address,
    payer: Address,
}

/// Blocks that were looked through, both ends included, and what was found in them.
#[derive(Debug)]
struct Looked {
    first: u64,
    last: u64,
    /// With the times of their blocks.
    seen: BTreeMap<Seen, u64>,
}

/// Looks for what came in.
pub(super) async fn inflow(rail: &X402, query: &InflowQuery) -> Result<Inflow, RemedyError> {
    let asset = &query.asset;
    let unseen =
        |why: &str| RemedyError::Unsupported(format!("{RAIL} cannot see what comes in of {asset}: {why}"));
    let is_token =
        *asset == AssetId::erc20(network::chain_id(asset.network()).unwrap_or(0), asset.reference());
    let chain_id = network::chain_id(asset.network()).filter(|_| is_token);
    let chain_id = chain_id.ok_or_else(|| unseen("it is no token of an EVM chain"))?;
    let token = asset.reference().parse().map_err(|_| unseen("its address cannot be read"))?;
    let payer = rail.options.payer.parse().map_err(|_| unseen("the payer is no address"))?;
    let reader = rail.reader(asset.network()).filter(|reader| !reader.rpc_urls.is_empty());
    let reader = reader.ok_or_else(|| unseen("no endpoint reads its network"))?;
    let from = query.from.as_deref().map(|text| {
        let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        number
            .ok_or_else(|| RemedyError::Refused("the place where the last look ended is no block".to_owned()))
    });
    let from = from.transpose()?;
    let wanted = Wanted { chain_id, token, payer };
    let since_s = query.since.unix_s().saturating_sub(CLOCK_SKEW_S);
    let (place, first) =
        look_any(rail, reader, wanted, Start { from, since_s }, 0, &[]).await.map_err(RemedyError::Failed)?;
    let second = second_look(rail, reader, wanted, (place, &first)).await;
    Ok(judged(rail, asset, &first, second.as_ref()))
}

/// Where a look starts.
#[derive(Debug, Clone, Copy)]
struct Start {
    from: Option<u64>,
    since_s: u64,
}

/// The first of the endpoints from `skip` on that answers, its place, and what it shows.
async fn look_any(
    rail: &X402,
    reader: &NetworkReader,
    wanted: Wanted,
    start: Start,
    skip: usize,
    known: &[String],
) -> Result<(usize, Looked), String> {
    let mut problems = Vec::new();
    for (place, url) in reader.rpc_urls.iter().enumerate().skip(skip) {
        let rpc = rail.rpc(url);
        if known.contains(&rpc.witness()) {
            continue;
        }
        match look(Node::open(rpc, reader.finality, wanted.chain_id).await, wanted, start).await {
            Ok(looked) => return Ok((place, looked)),
            Err(problem) => problems.push(problem),
        }
    }
    Err(problems.join("; "))
}

/// What another host shows of the same blocks, where somebody wants to know. Endpoints before the first have failed.
async fn second_look(
    rail: &X402,
    reader: &NetworkReader,
    wanted: Wanted,
    (place, first): (usize, &Looked),
) -> Option<Looked> {
    let both = rail.safeguards.two_readers_above.is_some() && rail.witnesses(reader) > 1;
    if !both || first.first > first.last {
        return None;
    }
    let known = reader.rpc_urls.get(place).map(|url| rail.rpc(url).witness());
    let start = Start { from: Some(first.first), since_s: 0 };
    let after = place.saturating_add(1);
    let found = look_any(rail, reader, wanted, start, after, known.as_slice()).await;
    found.ok().map(|(_, looked)| looked)
}

async fn look(node: Result<Node<'_>, String>, wanted: Wanted, start: Start) -> Result<Looked, String> {
    let mut node = node?;
    let first = match start.from {
        Some(from) => from,
        None => node.first_at(start.since_s).await?,
    };
    let most = LOG_BLOCKS.saturating_mul(LOG_REQUESTS_MAX);
    let last = node.head.min(first.saturating_add(most).saturating_sub(1));
    let mut seen = BTreeSet::new();
    let mut from = first;
    while from <= last {
        let to = from.saturating_add(LOG_BLOCKS).saturating_sub(1).min(last);
        let topics = json!([TransferEvent::SIGNATURE_HASH, null, wanted.payer.into_word()]);
        for log in node.rpc.logs(wanted.token, topics, (from, to)).await? {
            let transfer = checked(&log, wanted, (from, to)).ok_or_else(|| {
                format!("{}: the node sent an event that was not asked for", node.rpc.host())
            })?;
            let again = seen
                .iter()
                .any(|other: &Seen| (other.block, other.index) == (transfer.block, transfer.index));
            if again {
                return Err(format!("{}: the node sent two events of one place", node.rpc.host()));
            }
            seen.insert(transfer);
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

/// What of it is reported, and where the next look begins.
fn judged(rail: &X402, asset: &AssetId, first: &Looked, second: Option<&Looked>) -> Inflow {
    let both = rail.reader(asset.network()).is_some_and(|reader| rail.witnesses(reader) > 1);
    let payer = rail.options.payer.parse().ok();
    let end = first.last.saturating_add(1).max(first.first);
    let amount_of = |seen: &Seen| Amount::from_atomic(asset.clone(), seen.value);
    let others = second.into_iter().flat_map(|second| &second.seen).filter(|(seen, _)| seen.block < end);
    let all: BTreeMap<&Seen, u64> = first
        .seen
        .iter()
        .chain(others)
        .filter(|(seen, _)| Some(seen.from) != payer)
        .map(|(seen, time_s)| (seen, *time_s))
        .collect();
    let counts = |seen: &Seen| {
        let needs_two = both && rail.two_readers_for(&amount_of(seen)).is_some();
        let by_both =
            first.seen.contains_key(seen) && second.is_some_and(|second| second.seen.contains_key(seen));
        // Two events of one place: one of them is a lie.
        let one_of_two =
            all.keys().any(|other| (other.block, other.index) == (seen.block, seen.index) && *other != seen);
        !one_of_two && (by_both || !needs_two)
    };
    let upto = all.keys().filter(|seen| !counts(seen)).map(|seen| seen.block).min().unwrap_or(end);
    let transfer = |(seen, time_s): (&Seen, u64)| Transfer {
        event: ChainEvent {
            network: asset.network().to_owned(),
            transaction: format!("{:#x}", seen.transaction),
            index: seen.index,
        },
        from: format!("{:#x}", seen.from),
        amount: amount_of(seen),
        at: Timestamp::from_unix_ms(time_s.saturating_mul(1_000)),
    };
    let transfers = all.into_iter().filter(|(seen, _)| seen.block < upto).map(transfer).collect();
    Inflow { transfers, upto: upto.to_string() }
}
