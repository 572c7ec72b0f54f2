//! Making an authorization worthless that nobody used yet.
//!
//! The payer calls `cancelAuthorization` on the token itself. That costs gas, in the chain's own coin, so it is done only on
//! networks for which the operator set what it may cost; a chain's fee for its own data, which some chains take beside gas,
//! is beyond that bound and small. Terms are fixed before anything is signed: number, gas and fees of the transaction too.
//!
//! Gas cannot be asked for: nodes run what they estimate, and a cancellation that is not signed yet fails. What a node says of
//! a harmless call to the same token, with room for what a cancellation does beside that, is taken, and never less than a
//! cancellation of a known token takes twice.

mod cancellation;

pub(crate) use cancellation::Cancellation;

use super::node::check_chain;
use super::rpc::{Rpc, RpcError};
use super::terms::{Terms, Transfer};
use super::{RAIL, X402};
use crate::purse::VoidClearance;
use crate::rail::{Prepared, PreparedVoid, RemedyError};
use crate::wallet::Wallet;
use alloy::primitives::keccak256;

/// Twice what USDC takes for it.
const GAS_MIN: u64 = 120_000;
/// What recovering a signer, storing a word and writing an event take, with room.
const CANCEL_GAS: u64 = 60_000;
/// More than any cancellation should take.
const GAS_MAX: u64 = 1_000_000;

/// Fixes the terms of a cancellation.
pub(super) async fn prepare(rail: &X402, prepared: &Prepared) -> Result<PreparedVoid, RemedyError> {
    let terms = Terms::of(prepared).map_err(RemedyError::Refused)?;
    let transfer = terms.transfer().map_err(RemedyError::Refused)?;
    let network = &terms.network;
    let Some(fee_max) = rail.safeguards.cancel_fee_wei_max.get(network).copied() else {
        return Err(RemedyError::Unsupported(format!(
            "canceling on `{network}` costs a fee and is not switched on; to allow it, set how much it may cost for the \
             network (`cancel_fee_wei_max`) and put some of the chain's own coin on the wallet"
        )));
    };
    let reader = rail.reader(network).filter(|reader| !reader.rpc_urls.is_empty());
    let reader = reader
        .ok_or_else(|| RemedyError::Unsupported(format!("no endpoint is configured for `{network}`")))?;
    let mut problems = Vec::new();
    for url in &reader.rpc_urls {
        match Chain::read(rail.rpc(url), &transfer).await {
            Ok(chain) => return chain.cancellation(&terms, &transfer, fee_max),
            Err(problem) => problems.push(problem),
        }
    }
    Err(RemedyError::Failed(problems.join("; ")))
}

/// Has it signed, and submits it.
pub(super) async fn void(
    rail: &X402,
    clearance: VoidClearance,
    wallet: &dyn Wallet,
) -> Result<(), RemedyError> {
    let network = Cancellation::network_of(clearance.prepared()).map_err(RemedyError::Refused)?;
    let reader = rail.reader(&network).filter(|reader| !reader.rpc_urls.is_empty());
    let reader = reader
        .ok_or_else(|| RemedyError::Unsupported(format!("no endpoint is configured for `{network}`")))?;
    let chain_id = super::network::chain_id(&network).unwrap_or_default();
    let raw = clearance.sign(wallet).await?;
    let mut problems = Vec::new();
    for url in &reader.rpc_urls {
        match submit(rail.rpc(url), chain_id, &raw).await {
            Ok(()) => return Ok(()),
            Err(problem) => problems.push(problem),
        }
    }
    Err(RemedyError::Failed(problems.join("; ")))
}

async fn submit(rpc: Rpc<'_>, chain_id: u64, raw: &[u8]) -> Result<(), String> {
    check_chain(&rpc, chain_id).await?;
    match rpc.submit(raw).await {
        Ok(hash) if hash == keccak256(raw) => Ok(()),
        Ok(_) => Err(rpc.said("the hash of another transaction")),
        Err(RpcError::Refused { sentence, message }) => {
            let said = message.to_ascii_lowercase();
            let known = ["already known", "known transaction", "already imported"];
            if known.iter().any(|known| said.contains(known)) {
                return Ok(());
            }
            if !said.contains("nonce too low") {
                return Err(sentence);
            }
            // It was mined, or another transaction of the payer took its number and it never will be. What became of the
            // authorization is for recovery to see.
            match rpc.receipt(keccak256(raw)).await {
                Ok(_) => Ok(()),
                Err(problem) => {
                    Err(format!("{sentence}: another transaction has its number ({})", String::from(problem)))
                }
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// What a cancellation needs to know of the chain.
#[derive(Debug)]
struct Chain {
    host: String,
    spent: bool,
    time_s: u64,
    transaction: u64,
    base_fee: u128,
    tip: u128,
    coin: u128,
    gas: u64,
}

impl Chain {
    async fn read(rpc: Rpc<'_>, transfer: &Transfer) -> Result<Self, String> {
        check_chain(&rpc, transfer.chain_id).await?;
        let head = rpc.fee_block().await?;
        let authorization = (transfer.token, transfer.from, transfer.nonce);
        let states = rpc.authorization_states([authorization], head.number.0).await;
        let spent = states.into_iter().next().ok_or_else(|| rpc.said("nothing"))??;
        let gas = match rpc.gas_of_a_question(transfer).await {
            Ok(gas) => gas.saturating_add(CANCEL_GAS).saturating_mul(5).saturating_div(4).max(GAS_MIN),
            Err(RpcError::Unreachable(problem) | RpcError::NoAnswer(problem)) => return Err(problem),
            // Nodes that estimate nothing but what changes something.
            Err(RpcError::Refused { .. } | RpcError::Unusable(_)) => GAS_MIN,
        };
        Ok(Self {
            host: rpc.host(),
            spent,
            time_s: head.timestamp.0,
            transaction: rpc.next_transaction(transfer.from).await?,
            base_fee: head.base_fee_per_gas.0,
            tip: rpc.tip().await?,
            coin: rpc.coin(transfer.from).await?,
            gas,
        })
    }

    fn cancellation(
        &self,
        terms: &Terms,
        transfer: &Transfer,
        fee_max: u128,
    ) -> Result<PreparedVoid, RemedyError> {
        let refused = |why: String| Err(RemedyError::Refused(why));
        if self.spent {
            return refused(format!("{} says that the authorization was used or canceled", self.host));
        }
        if self.time_s > transfer.valid_before {
            return refused("the authorization's window is over: it can move nothing any more".to_owned());
        }
        // A base fee rises by an eighth a block: twice of it is good for six full blocks.
        let price = self.base_fee.checked_mul(2).and_then(|fee| fee.checked_add(self.tip));
        let cost = price.and_then(|price| Some((price, price.checked_mul(u128::from(self.gas))?)));
        let Some((max_fee, cost)) = cost.filter(|_| self.gas <= GAS_MAX) else {
            return refused(format!("{} gives fees or gas beyond all measure", self.host));
        };
        if cost > fee_max {
            return refused(format!(
                "canceling may cost {cost} wei and at most {fee_max} are allowed; allow more, or wait until the window is over"
            ));
        }
        if self.coin < cost {
            return refused(format!(
                "canceling may cost {cost} wei and the wallet has {}; put more of the chain's own coin on it, or wait until \
                 the window is over",
                self.coin
            ));
        }
        let cancellation = Cancellation {
            network: terms.network.clone(),
            token: terms.token.clone(),
            token_name: terms.token_name.clone(),
            token_version: terms.token_version.clone(),
            payer: terms.from.clone(),
            nonce: terms.nonce.clone(),
            transaction: self.transaction.to_string(),
            gas_limit: self.gas.to_string(),
            max_fee_per_gas: max_fee.to_string(),
            max_priority_fee_per_gas: self.tip.to_string(),
        };
        Ok(PreparedVoid {
            rail: RAIL.to_owned(),
            signing: vec![cancellation.digest().map_err(RemedyError::Refused)?],
            terms: serde_json::to_value(&cancellation)
                .map_err(|error| RemedyError::Refused(format!("the terms cannot be stored: {error}")))?,
        })
    }
}

#[cfg(test)]
mod tests;
