//! Which event made a state true.
//!
//! Where it is looked for: on a local chain from its first block. On a real one no authorization is used before it was made
//! nor after its window, so the blocks of that time are found by their timestamps, starting a quarter of an hour early in
//! case our clock was fast, and only their logs are asked for. A cancellation can also be mined after the window: if nothing
//! is found in it, cancellations are looked for from its end on.

use super::super::Finality;
use super::super::node::{CLOCK_SKEW_S, LOG_BLOCKS, Node};
use super::super::rpc::{AuthorizationCanceled, AuthorizationUsed, Log, Transfer as TransferEvent, word};
use super::super::terms::Transfer;
use super::reading::Reading;
use alloy::primitives::{B256, U256};
use alloy::sol_types::SolEvent as _;
use serde_json::json;

/// How many requests for logs are made in the window at most.
const WINDOW_REQUESTS_MAX: u64 = 50;
/// How many are made after it: 50,000 blocks, more than a day where a block takes two seconds.
const AFTER_REQUESTS_MAX: u64 = 25;

const USED: B256 = AuthorizationUsed::SIGNATURE_HASH;
const CANCELED: B256 = AuthorizationCanceled::SIGNATURE_HASH;

/// Reads which of the two it was, at a node whose state says that it was one.
pub(super) async fn used_or_canceled(node: &mut Node<'_>, transfer: &Transfer) -> Result<Reading, String> {
    let log = find(node, transfer).await?;
    let of_node = |what: &str| format!("{}: {what}", node.rpc.host());
    let transaction = log.transaction_hash.ok_or_else(|| of_node("the event names no transaction"))?;
    let block = log.block_number.ok_or_else(|| of_node("the event names no block"))?.0;
    match log.topics.first() == Some(&USED) {
        true => {
            let as_authorized = as_authorized(node, transfer, transaction, block).await?;
            Ok(Reading::Used { block, transaction, as_authorized })
        }
        false => Ok(Reading::Canceled { block, transaction }),
    }
}

/// The one event there can be.
async fn find(node: &mut Node<'_>, transfer: &Transfer) -> Result<Log, String> {
    let mut found = Vec::new();
    if node.finality == Finality::Latest {
        found = logs(node, transfer, &[USED, CANCELED], (0, node.head)).await?;
    } else {
        let since_s = transfer.from_s.saturating_sub(CLOCK_SKEW_S);
        let first = node.first_at(since_s).await?;
        let last = node.first_after(transfer.valid_before, first).await?;
        let blocks = last.saturating_sub(first);
        if blocks >= LOG_BLOCKS.saturating_mul(WINDOW_REQUESTS_MAX) {
            let host = node.rpc.host();
            return Err(format!("{host}: the window spans {blocks} blocks, more than are searched"));
        }
        let searches: [(&[B256], u64, u64, u64); 2] = [
            (&[USED, CANCELED], first, last, WINDOW_REQUESTS_MAX),
            (&[CANCELED], last.saturating_add(1), node.head, AFTER_REQUESTS_MAX),
        ];
        for (kinds, mut from, last, requests_max) in searches {
            for _ in 0..requests_max {
                if from > last || !found.is_empty() {
                    break;
                }
                let to = from.saturating_add(LOG_BLOCKS).saturating_sub(1).min(last);
                found = logs(node, transfer, kinds, (from, to)).await?;
                from = to.saturating_add(1);
            }
        }
    }
    let host = node.rpc.host();
    let mut found = found.into_iter();
    match (found.next(), found.len()) {
        (Some(log), 0) => Ok(log),
        (None, _) => {
            Err(format!("{host}: the authorization was used or canceled, and no event found says which"))
        }
        (Some(_), others) => Err(format!(
            "{host}: the authorization has {} events where there can be one",
            others.saturating_add(1)
        )),
    }
}

/// The events of one range, each checked: a node that answers another question than the one asked has said nothing.
async fn logs(
    node: &Node<'_>,
    transfer: &Transfer,
    kinds: &[B256],
    range: (u64, u64),
) -> Result<Vec<Log>, String> {
    let authorizer = transfer.from.into_word();
    let topics = json!([kinds, authorizer, transfer.nonce]);
    let logs = node.rpc.logs(transfer.token, topics, range).await?;
    for log in &logs {
        let [kind, by, nonce] = log.topics.as_slice() else {
            return Err(format!("{}: the node sent an event of another shape", node.rpc.host()));
        };
        let asked_for = kinds.contains(kind)
            && *by == authorizer
            && *nonce == transfer.nonce
            && log.address == transfer.token
            && log.block_number.is_some_and(|number| (range.0..=range.1).contains(&number.0))
            && !log.removed;
        if !asked_for {
            return Err(format!("{}: the node sent an event that was not asked for", node.rpc.host()));
        }
    }
    Ok(logs)
}

/// Whether the transaction transferred the value to the payee. The nonce is spent either way; a token that takes a fee, for
/// example, shows another value.
async fn as_authorized(
    node: &Node<'_>,
    transfer: &Transfer,
    transaction: B256,
    block: u64,
) -> Result<bool, String> {
    let receipt = node.rpc.receipt(transaction).await?;
    if receipt.status.0 != 1 || receipt.block_number.0 != block {
        return Err(format!(
            "{}: the node contradicts itself about the transaction that used the authorization",
            node.rpc.host()
        ));
    }
    let (from, to) = (transfer.from.into_word(), transfer.to.into_word());
    Ok(receipt.logs.iter().any(|log| {
        log.address == transfer.token
            && log.topics == [TransferEvent::SIGNATURE_HASH, from, to]
            && word(&log.data) == Some(U256::from(transfer.value))
    }))
}
