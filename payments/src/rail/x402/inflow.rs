//! What came in: transfers of a token to the wallet, in blocks that count.
//!
//! One endpoint is read, the first that answers. Where a worth is set above which two are needed, a second one is read over
//! the same blocks: what either shows is reported, and what is above that worth only if both show it. The next look begins
//! behind the last block that both were read at, and before what only one of them shows, so that nothing is passed over:
//! what is small enough for one may be reported again. A lone endpoint that hides what came in is not found out.

mod look;

use super::node::{CLOCK_SKEW_S, Node};
use super::{NetworkReader, RAIL, X402, network};
use crate::rail::{ChainEvent, Inflow, InflowQuery, RemedyError, Transfer};
use alloy::primitives::Address;
use bursar_types::{Amount, AssetId, Timestamp};
use look::{Looked, Seen, Start, Wanted, look};
use std::collections::BTreeMap;

/// Looks for what came in.
pub(super) async fn inflow(rail: &X402, query: &InflowQuery) -> Result<Inflow, RemedyError> {
    let asset = &query.asset;
    let Place { reader, chain_id, token, payer } = place(rail, asset)?;
    let from = query.from.as_deref().map(|text| {
        let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        number
            .ok_or_else(|| RemedyError::Refused("the place where the last look ended is no block".to_owned()))
    });
    let from = from.transpose()?;
    let wanted = Wanted { chain_id, token, payer };
    let since_s = query.since.unix_s().saturating_sub(CLOCK_SKEW_S);
    let (place, first) = look_any(rail, reader, wanted, Start { from, since_s, last: u64::MAX }, 0, &[])
        .await
        .map_err(RemedyError::Failed)?;
    let second = second_look(rail, reader, wanted, (place, &first)).await;
    Ok(judged(rail, asset, &first, second.as_ref()))
}

/// Where the wallet's money in an asset is seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) reader: &'a NetworkReader,
    pub(super) chain_id: u64,
    pub(super) token: Address,
    pub(super) payer: Address,
}

/// Finds it, if the rail can see it at all.
pub(super) fn place<'a>(rail: &'a X402, asset: &AssetId) -> Result<Place<'a>, RemedyError> {
    let unseen = |why: &str| {
        RemedyError::Unsupported(format!("{RAIL} cannot see what comes in or goes out of {asset}: {why}"))
    };
    let is_token =
        *asset == AssetId::erc20(network::chain_id(asset.network()).unwrap_or(0), asset.reference());
    let chain_id = network::chain_id(asset.network()).filter(|_| is_token);
    let chain_id = chain_id.ok_or_else(|| unseen("it is no token of an EVM chain"))?;
    let token = asset.reference().parse().map_err(|_| unseen("its address cannot be read"))?;
    let payer = rail.options.payer.parse().map_err(|_| unseen("the payer is no address"))?;
    let reader = rail.reader(asset.network()).filter(|reader| !reader.rpc_urls.is_empty());
    let reader = reader.ok_or_else(|| unseen("no endpoint reads its network"))?;
    Ok(Place { reader, chain_id, token, payer })
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

/// Whether there may be something that one host's word is not enough for.
fn needs_second(rail: &X402, reader: &NetworkReader) -> bool {
    rail.safeguards.two_readers_above.is_some() && rail.witnesses(reader) > 1
}

/// What another host shows of the same blocks, where somebody wants to know. Endpoints before the first have failed.
async fn second_look(
    rail: &X402,
    reader: &NetworkReader,
    wanted: Wanted,
    (place, first): (usize, &Looked),
) -> Option<Looked> {
    if !needs_second(rail, reader) || first.first > first.last {
        return None;
    }
    let known = reader.rpc_urls.get(place).map(|url| rail.rpc(url).witness());
    let start = Start { from: Some(first.first), since_s: 0, last: first.last };
    let after = place.saturating_add(1);
    let found = look_any(rail, reader, wanted, start, after, known.as_slice()).await;
    found.ok().map(|(_, looked)| looked)
}

/// What of it is reported, and where the next look begins.
fn judged(rail: &X402, asset: &AssetId, first: &Looked, second: Option<&Looked>) -> Inflow {
    let both = rail.reader(asset.network()).is_some_and(|reader| needs_second(rail, reader));
    let payer = rail.options.payer.parse().ok();
    let end = first.end();
    // What the second has not seen yet may be more than one host's word is enough for.
    let shared_end = match second {
        Some(second) => end.min(second.end()),
        None if both => first.first,
        None => end,
    };
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
    let certain = all.keys().filter(|seen| !counts(seen)).map(|seen| seen.block).min().unwrap_or(end);
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
    let transfers = all.into_iter().filter(|(seen, _)| seen.block < certain).map(transfer).collect();
    Inflow { transfers, upto: certain.min(shared_end).to_string() }
}
