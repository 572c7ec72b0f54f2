//! What the payer has.

use super::node::check_chain;
use super::{X402, network};
use alloy::primitives::Address;
use bursar_types::{Amount, AssetId};

/// What the payer has of a token, from the first endpoint that says so. `None` where the network is not read.
pub(super) async fn funds(rail: &X402, network: &str, asset: &AssetId) -> Result<Option<Amount>, String> {
    let (Some(chain_id), Ok(token)) = (network::chain_id(network), asset.reference().parse::<Address>())
    else {
        return Ok(None);
    };
    let Some(reader) = rail.reader(network) else { return Ok(None) };
    let payer: Address = rail.options.payer.parse().map_err(|_| "the payer is no address".to_owned())?;
    let mut problems = Vec::new();
    for url in &reader.rpc_urls {
        let rpc = rail.rpc(url);
        let balance = async {
            check_chain(&rpc, chain_id).await?;
            rpc.balance_of(token, payer).await.map_err(String::from)
        };
        match balance.await {
            Ok(balance) => return Ok(Some(Amount::from_atomic(asset.clone(), balance))),
            Err(problem) => problems.push(problem),
        }
    }
    match problems.is_empty() {
        true => Ok(None),
        false => Err(problems.join("; ")),
    }
}
