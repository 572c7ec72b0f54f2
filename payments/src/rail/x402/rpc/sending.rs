//! What sending a transaction asks.

use super::super::terms::Transfer;
use super::calls::authorization_state;
use super::{Call, FeeBlock, Quantity, Rpc, RpcError, Wei};
use alloy::primitives::{Address, B256};
use serde_json::json;

/// The selector and five words.
const CANCEL_BYTES: usize = 164;

impl Rpc<'_> {
    /// The newest block with its fee.
    pub(in crate::rail::x402) async fn fee_block(&self) -> Result<FeeBlock, RpcError> {
        self.ask(&Call { method: "eth_getBlockByNumber", params: json!(["latest", false]) }).await
    }

    /// What the node thinks a transaction must pay on top of the base fee, for each unit of gas.
    pub(in crate::rail::x402) async fn tip(&self) -> Result<u128, RpcError> {
        let Wei(tip) = self.ask(&Call { method: "eth_maxPriorityFeePerGas", params: json!([]) }).await?;
        Ok(tip)
    }

    /// The number of the account's next transaction, those not mined yet counted.
    pub(in crate::rail::x402) async fn next_transaction(&self, account: Address) -> Result<u64, RpcError> {
        let params = json!([account, "pending"]);
        let Quantity(count) = self.ask(&Call { method: "eth_getTransactionCount", params }).await?;
        Ok(count)
    }

    /// What the account has of the chain's own coin.
    pub(in crate::rail::x402) async fn coin(&self, account: Address) -> Result<u128, RpcError> {
        let params = json!([account, "latest"]);
        let Wei(coin) = self.ask(&Call { method: "eth_getBalance", params }).await?;
        Ok(coin)
    }

    /// The gas of a harmless call to the token, as long as a cancellation is.
    pub(in crate::rail::x402) async fn gas_of_a_question(
        &self,
        transfer: &Transfer,
    ) -> Result<u64, RpcError> {
        let mut data = authorization_state(transfer.from, transfer.nonce);
        data.resize(CANCEL_BYTES, 0xff);
        let data = format!("0x{}", hex::encode(data));
        let params = json!([{"from": transfer.from, "to": transfer.token, "data": data}]);
        let Quantity(gas) = self.ask(&Call { method: "eth_estimateGas", params }).await?;
        Ok(gas)
    }

    /// Hands a signed transaction over. Answers the hash that the node gives it.
    pub(in crate::rail::x402) async fn submit(&self, raw: &[u8]) -> Result<B256, RpcError> {
        let params = json!([format!("0x{}", hex::encode(raw))]);
        self.ask(&Call { method: "eth_sendRawTransaction", params }).await
    }
}
