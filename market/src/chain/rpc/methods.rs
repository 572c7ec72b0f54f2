//! The methods.

use super::{
    Rpc,
    args::{Failure, address, bytes, word},
    gas,
    view::View,
};
use crate::{
    chain::{
        abi::{self, Returned},
        json,
        sending::TIP,
    },
    faults::Fault,
};
use serde_json::{Value, json};

impl Rpc {
    /// What a method answers.
    pub(super) fn perform(
        &self,
        method: &str,
        params: &[Value],
        fault: Option<&Fault>,
    ) -> Result<Value, Failure> {
        let token = self.chain.token();
        let lag = if let Some(Fault::RpcLag { blocks }) = fault { *blocks } else { 0 };
        if method == "eth_sendRawTransaction" {
            let raw = params.first().and_then(Value::as_str);
            let raw = bytes(raw.ok_or_else(|| Failure::params("missing the transaction"))?)?;
            let sent = self.chain.send_raw_transaction(&raw);
            return sent.map(|hash| json!(hash)).map_err(|error| Failure::new(-32000, error.to_string()));
        }
        self.chain.read(|state| {
            let view = View {
                state,
                head: state.head().saturating_sub(lag),
                finality_depth: self.chain.finality_depth(),
                log_range_max: self.chain.log_range_max(),
            };
            match method {
                "eth_chainId" | "net_version" => {
                    let other = if let Some(Fault::RpcWrongChain { chain_id }) = fault {
                        Some(*chain_id)
                    } else {
                        None
                    };
                    let id = other.unwrap_or(token.chain_id);
                    Ok(if method == "net_version" {
                        id.to_string().into()
                    } else {
                        json::quantity(id).into()
                    })
                }
                "web3_clientVersion" => Ok("bursar-market".into()),
                "eth_blockNumber" => Ok(json::quantity(view.head).into()),
                "eth_gasPrice" => Ok(json::quantity(u128::from(state.base_fee()) + u128::from(TIP)).into()),
                "eth_maxPriorityFeePerGas" => Ok(json::quantity(TIP).into()),
                "eth_feeHistory" => gas::fee_history(&view, params),
                "eth_estimateGas" => gas::estimate(&view, token, params),
                "eth_getBalance" => {
                    let (who, at) = (address(params.first())?, view.known(params.get(1))?);
                    Ok(json::quantity(state.accounts.balance(who, at)).into())
                }
                "eth_getTransactionCount" => {
                    let (who, at) = (address(params.first())?, view.known(params.get(1))?);
                    Ok(json::quantity(state.accounts.count(who, at)).into())
                }
                "eth_getCode" => {
                    let code = if address(params.first())? == token.address { "0xfe" } else { "0x" };
                    Ok(code.into())
                }
                "eth_getBlockByNumber" => {
                    let number = view.number(params.first())?;
                    let block = number.and_then(|number| state.block(number));
                    Ok(block.map_or(Value::Null, |block| json::block(block, state)))
                }
                "eth_call" => {
                    let lie = if let Some(Fault::RpcLiesAuthorizationState { used }) = fault {
                        Some(*used)
                    } else {
                        None
                    };
                    let at = view.known(params.get(1))?;
                    let call = params.first().ok_or_else(|| Failure::params("missing the call"))?;
                    let input = call.get("input").or_else(|| call.get("data")).and_then(Value::as_str);
                    let input = bytes(input.unwrap_or("0x"))?;
                    if address(call.get("to"))? != token.address {
                        return Ok("0x".into());
                    }
                    match abi::call(token, state, &input, at, lie) {
                        Returned::Bytes(bytes) => Ok(format!("0x{}", hex::encode(bytes)).into()),
                        Returned::Reverted => Err(Failure::new(3, "execution reverted")),
                    }
                }
                "eth_getLogs" => {
                    let filter = params.first().ok_or_else(|| Failure::params("missing the filter"))?;
                    let found = view.logs(filter)?;
                    let hidden = matches!(fault, Some(Fault::RpcHidesLogs));
                    let shown = found.into_iter().filter(|_| !hidden);
                    Ok(shown.map(|log| json::log(log, state)).collect())
                }
                "eth_getTransactionReceipt" => {
                    let transaction = word(params.first())?;
                    let block = state.block_of(transaction).filter(|block| block.number <= view.head);
                    let made = block.zip(state.made(transaction));
                    Ok(made.map_or(Value::Null, |(block, made)| json::receipt(made, block, state)))
                }
                _ => {
                    Err(Failure::new(-32601, format!("the method {method} does not exist/is not available")))
                }
            }
        })
    }
}
