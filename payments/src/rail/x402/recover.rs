//! What the chain says about an authorization.
//!
//! All reads of one endpoint are at one block: the latest finalized, or on a chain of this machine the latest. The token's
//! `authorizationState` is true once the authorization was used *or* canceled; its events tell which. False at a block whose
//! time is past `validBefore` proves that it can never be used: later blocks are later still. Everything else is unknown.
//!
//! Where the events are looked for: on a local chain from its first block. On a real one no authorization is used before it
//! was made nor after its window, so the blocks of that time are found by their timestamps, starting a quarter of an hour
//! early in case our clock was fast, and only their logs are asked for. A cancellation after the window is not found
//! that way and stays unknown; nothing here signs cancellations.

use super::rpc::{
    AuthorizationCanceled, AuthorizationUsed, Block, Log, Rpc, Transfer as TransferEvent, word,
};
use super::terms::{Terms, Transfer};
use super::{Finality, X402Options};
use crate::rail::{Outcome, Prepared};
use alloy::primitives::{B256, U256};
use alloy::sol_types::SolEvent as _;
use bursar_types::Timestamp;

/// How much earlier than our clock said an authorization may have been used.
const CLOCK_SKEW_S: u64 = 900;
/// How many blocks one request for logs covers: what public endpoints allow.
const LOG_BLOCKS: u64 = 2_000;
/// How many such requests are made at most.
const LOG_REQUESTS_MAX: u64 = 50;
/// A binary search over 64-bit block numbers takes no more steps.
const SEARCH_STEPS_MAX: u32 = 64;

/// What one endpoint says, in terms that can be compared with another's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading {
    /// Used in this transaction, at this block; whether its transfer is the one authorized.
    Used {
        transaction: B256,
        as_authorized: bool,
    },
    Canceled {
        transaction: B256,
    },
    /// Unused, and the window is over.
    Expired {
        block: u64,
        time_s: u64,
    },
    /// Unused, and the window is open.
    Live {
        block: u64,
        time_s: u64,
    },
}

/// Asks every endpoint of the network. All must agree.
pub(super) async fn recover(options: &X402Options, prepared: &Prepared) -> Outcome {
    match agreed(options, prepared).await {
        Ok(outcome) => outcome,
        Err(problem) => Outcome::Unknown { problem },
    }
}

async fn agreed(options: &X402Options, prepared: &Prepared) -> Result<Outcome, String> {
    let terms = Terms::of(prepared)?;
    let transfer = terms.transfer()?;
    let reader = options
        .networks
        .iter()
        .find(|reader| reader.network == terms.network)
        .ok_or_else(|| format!("no reader is configured for `{}`", terms.network))?;
    let mut readings = Vec::with_capacity(reader.rpc_urls.len());
    for url in &reader.rpc_urls {
        let endpoint = Endpoint {
            rpc: Rpc { transport: options.transport.as_ref(), url },
            finality: reader.finality,
            transfer: &transfer,
        };
        readings.push(endpoint.read().await?);
    }
    let Some((first, others)) = readings.split_first() else {
        return Err(format!("no endpoint is configured for `{}`", terms.network));
    };
    if let Some(other) = others.iter().find(|other| !first.agrees(other)) {
        return Err(format!(
            "endpoints disagree: {}, and {}",
            first.sentence(&transfer),
            other.sentence(&transfer)
        ));
    }
    Ok(first.outcome(&transfer))
}

struct Endpoint<'a> {
    rpc: Rpc<'a>,
    finality: Finality,
    transfer: &'a Transfer,
}

impl Endpoint<'_> {
    async fn read(&self) -> Result<Reading, String> {
        let transfer = self.transfer;
        let chain_id = self.rpc.chain_id().await?;
        if chain_id != transfer.chain_id {
            return Err(format!("the endpoint is of chain {chain_id}, not of {}", transfer.chain_id));
        }
        let tag = match self.finality {
            Finality::Finalized => "finalized",
            Finality::Latest => "latest",
        };
        let head = self.rpc.block(tag).await?;
        let (block, time_s) = (head.number.0, head.timestamp.0);
        let (token, from, nonce) = (transfer.token, transfer.from, transfer.nonce);
        if !self.rpc.authorization_state(token, from, nonce, block).await? {
            return Ok(match time_s > transfer.valid_before {
                true => Reading::Expired { block, time_s },
                false => Reading::Live { block, time_s },
            });
        }
        let (log, used) = self.find_log(head).await?;
        let transaction = log.transaction_hash.ok_or("the event names no transaction")?;
        Ok(match used {
            true => {
                Reading::Used { transaction, as_authorized: self.as_authorized(transaction, block).await? }
            }
            false => Reading::Canceled { transaction },
        })
    }

    /// The one event that made the state true, and whether it says used.
    async fn find_log(&self, head: Block) -> Result<(Log, bool), String> {
        let kinds = [AuthorizationUsed::SIGNATURE_HASH, AuthorizationCanceled::SIGNATURE_HASH];
        let transfer = self.transfer;
        let (first, last) = self.range(head).await?;
        let mut from = first;
        let mut found = Vec::new();
        for _ in 0..LOG_REQUESTS_MAX {
            let to = match self.finality {
                Finality::Finalized => from.saturating_add(LOG_BLOCKS).saturating_sub(1).min(last),
                Finality::Latest => last,
            };
            let (token, payer, nonce) = (transfer.token, transfer.from, transfer.nonce);
            let logs = self.rpc.authorization_logs(token, kinds, payer, nonce, (from, to)).await?;
            for log in logs {
                self.check_log(&log, kinds, (from, to))?;
                found.push(log);
            }
            if !found.is_empty() || to >= last {
                break;
            }
            from = to.saturating_add(1);
        }
        let [log] = found.as_slice() else {
            return Err(match found.len() {
                0 => "the authorization was used or canceled, and no event between blocks says which"
                    .to_owned(),
                more => format!("the authorization has {more} events where there can be one"),
            });
        };
        let used = log.topics.first() == Some(&AuthorizationUsed::SIGNATURE_HASH);
        Ok((log.clone(), used))
    }

    /// A node that answers another question than the one asked has said nothing.
    fn check_log(&self, log: &Log, kinds: [B256; 2], range: (u64, u64)) -> Result<(), String> {
        let [kind, authorizer, nonce] = log.topics.as_slice() else {
            return Err("the node sent an event of another shape".to_owned());
        };
        let transfer = self.transfer;
        let asked_for = kinds.contains(kind)
            && *authorizer == transfer.from.into_word()
            && *nonce == transfer.nonce
            && log.address == transfer.token
            && log.block_number.is_some_and(|number| (range.0..=range.1).contains(&number.0))
            && !log.removed;
        match asked_for {
            true => Ok(()),
            false => Err("the node sent an event that was not asked for".to_owned()),
        }
    }

    /// The blocks in which the event can be.
    async fn range(&self, head: Block) -> Result<(u64, u64), String> {
        if self.finality == Finality::Latest {
            return Ok((0, head.number.0));
        }
        let since_s = self.transfer.from_s.saturating_sub(CLOCK_SKEW_S);
        let mut step = 64_u64;
        let mut early = head.number.0;
        for _ in 0..SEARCH_STEPS_MAX {
            early = head.number.0.saturating_sub(step);
            if early == 0 || self.rpc.block_at(early).await?.timestamp.0 < since_s {
                break;
            }
            step = step.saturating_mul(2);
        }
        let first = self.first_after(since_s.saturating_sub(1), early, head).await?;
        let last = self.first_after(self.transfer.valid_before, first, head).await?;
        let blocks = last.saturating_sub(first);
        if blocks >= LOG_BLOCKS.saturating_mul(LOG_REQUESTS_MAX) {
            return Err(format!("the window spans {blocks} blocks, more than are searched"));
        }
        Ok((first, last))
    }

    /// The first block from `low` on whose time is after `time_s`, or the head.
    async fn first_after(&self, time_s: u64, low: u64, head: Block) -> Result<u64, String> {
        let (mut low, mut high) = (low, head.number.0);
        for _ in 0..SEARCH_STEPS_MAX {
            if low >= high {
                break;
            }
            let middle = low.midpoint(high);
            match self.rpc.block_at(middle).await?.timestamp.0 > time_s {
                true => high = middle,
                false => low = middle.saturating_add(1),
            }
        }
        Ok(high)
    }

    /// Whether the transaction transferred the value to the payee. The nonce is spent either way; a token that takes a fee, for
    /// example, shows another value.
    async fn as_authorized(&self, transaction: B256, block: u64) -> Result<bool, String> {
        let receipt = self.rpc.receipt(transaction).await?;
        if receipt.status.0 != 1 || receipt.block_number.0 > block {
            return Err(
                "the node contradicts itself about the transaction that used the authorization".to_owned()
            );
        }
        let transfer = self.transfer;
        let (from, to) = (transfer.from.into_word(), transfer.to.into_word());
        Ok(receipt.logs.iter().any(|log| {
            log.address == transfer.token
                && log.topics == [TransferEvent::SIGNATURE_HASH, from, to]
                && word(&log.data) == Some(U256::from(transfer.value))
        }))
    }
}

impl Reading {
    /// Two nodes need not have the same newest block.
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Expired { .. }, Self::Expired { .. }) | (Self::Live { .. }, Self::Live { .. }) => true,
            _ => self == other,
        }
    }

    /// A reference starts with the transaction. That its transfer is another than the one authorized does not unmake the
    /// use, and is said behind it.
    fn outcome(&self, transfer: &Transfer) -> Outcome {
        match self {
            Self::Used { transaction, as_authorized: true } => {
                Outcome::Moved { reference: format!("{transaction:#x}"), observed: true }
            }
            Self::Used { transaction, as_authorized: false } => {
                let note = "the authorization was used, and no transfer of its value to the payee is in it";
                Outcome::Moved { reference: format!("{transaction:#x} ({note})"), observed: true }
            }
            Self::Canceled { .. } | Self::Expired { .. } => {
                Outcome::DidNotMove { proof: self.sentence(transfer) }
            }
            Self::Live { .. } => Outcome::Unknown { problem: self.sentence(transfer) },
        }
    }

    fn sentence(&self, transfer: &Transfer) -> String {
        let nonce = transfer.nonce;
        let at = |time_s: &u64| Timestamp::from_unix_ms(time_s.saturating_mul(1_000));
        let end = at(&transfer.valid_before);
        match self {
            Self::Used { transaction, .. } => {
                format!("authorization {nonce:#x} was used in {transaction:#x}")
            }
            Self::Canceled { transaction } => {
                format!("authorization {nonce:#x} was canceled in {transaction:#x}")
            }
            Self::Expired { block, time_s } => format!(
                "authorization {nonce:#x} was unused at block {block} of {}, after its end at {end}",
                at(time_s)
            ),
            Self::Live { block, time_s } => format!(
                "authorization {nonce:#x} was unused at block {block} of {}, and may be used until {end}",
                at(time_s)
            ),
        }
    }
}

/// What the payer has of a token, from the first endpoint that says so.
pub(super) async fn balance(
    options: &X402Options,
    network: &str,
    chain_id: u64,
    token: alloy::primitives::Address,
) -> Result<Option<u128>, String> {
    let Some(reader) = options.networks.iter().find(|reader| reader.network == network) else {
        return Ok(None);
    };
    let payer = options.payer.parse().map_err(|_| "the payer is no address".to_owned())?;
    let mut problems = Vec::new();
    for url in &reader.rpc_urls {
        let rpc = Rpc { transport: options.transport.as_ref(), url };
        match rpc.chain_id().await {
            Ok(found) if found == chain_id => {}
            Ok(found) => {
                problems.push(format!("the endpoint is of chain {found}"));
                continue;
            }
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        }
        match rpc.balance_of(token, payer).await {
            Ok(balance) => return Ok(Some(balance)),
            Err(problem) => problems.push(problem),
        }
    }
    match problems.is_empty() {
        true => Ok(None),
        false => Err(problems.join("; ")),
    }
}
