//! The questions that are asked.

use super::{Block, Call, Log, Quantity, Rpc, RpcError, TransactionReceipt, word};
use alloy::primitives::{Address, B256, U256};
use alloy::sol;
use alloy::sol_types::SolCall;
use serde_json::{Value, json};

sol! {
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
    function balanceOf(address account) external view returns (uint256);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
    event Transfer(address indexed from, address indexed to, uint256 value);
}

impl Rpc<'_> {
    pub(in crate::rail::x402) async fn chain_id(&self) -> Result<u64, RpcError> {
        let Quantity(id) = self.ask(&Call { method: "eth_chainId", params: json!([]) }).await?;
        Ok(id)
    }

    /// A block by its tag.
    pub(in crate::rail::x402) async fn block(&self, tag: &str) -> Result<Block, RpcError> {
        self.ask(&Call { method: "eth_getBlockByNumber", params: json!([tag, false]) }).await
    }

    /// Blocks by their numbers, in their order.
    pub(in crate::rail::x402) async fn blocks_at(&self, numbers: &[u64]) -> Vec<Result<Block, RpcError>> {
        let call = |number: &u64| Call {
            method: "eth_getBlockByNumber",
            params: json!([format!("{number:#x}"), false]),
        };
        let calls: Vec<_> = numbers.iter().map(call).collect();
        let blocks = self.ask_all::<Block>(&calls).await.into_iter().zip(numbers);
        let check = |(block, number): (Result<Block, RpcError>, &u64)| match block {
            Ok(block) if block.number.0 != *number => {
                Err(RpcError::Unusable(self.said("another block than the one asked for")))
            }
            block => block,
        };
        blocks.map(check).collect()
    }

    /// Whether authorizations are used or canceled at a block, in the order of the questions.
    pub(in crate::rail::x402) async fn authorization_states(
        &self,
        questions: impl IntoIterator<Item = (Address, Address, B256)>,
        block: u64,
    ) -> Vec<Result<bool, RpcError>> {
        let block = format!("{block:#x}");
        let calls: Vec<_> = questions
            .into_iter()
            .map(|(token, authorizer, nonce)| {
                call(token, &authorizationStateCall { authorizer, nonce }, &block)
            })
            .collect();
        let yes_or_no = |word: U256| match word {
            word if word == U256::ZERO => Ok(false),
            word if word == U256::from(1) => Ok(true),
            _ => Err(RpcError::Unusable(self.said("something else than yes or no"))),
        };
        let answers = self.ask_all::<String>(&calls).await.into_iter();
        answers.map(|text| self.one_word(&text?).and_then(yes_or_no)).collect()
    }

    pub(in crate::rail::x402) async fn balance_of(
        &self,
        token: Address,
        account: Address,
    ) -> Result<u128, RpcError> {
        let text: String = self.ask(&call(token, &balanceOfCall { account }, "latest")).await?;
        u128::try_from(self.one_word(&text)?)
            .map_err(|_| RpcError::Unusable(self.said("a balance beyond any count")))
    }

    /// Logs of a token, both ends of the range included.
    pub(in crate::rail::x402) async fn logs(
        &self,
        token: Address,
        topics: Value,
        range: (u64, u64),
    ) -> Result<Vec<Log>, RpcError> {
        let filter = json!({
            "address": token,
            "fromBlock": format!("{:#x}", range.0),
            "toBlock": format!("{:#x}", range.1),
            "topics": topics,
        });
        self.ask(&Call { method: "eth_getLogs", params: json!([filter]) }).await
    }

    pub(in crate::rail::x402) async fn receipt(
        &self,
        transaction: B256,
    ) -> Result<TransactionReceipt, RpcError> {
        let call = Call { method: "eth_getTransactionReceipt", params: json!([transaction]) };
        let receipt: TransactionReceipt = self.ask(&call).await?;
        match receipt.transaction_hash == transaction {
            true => Ok(receipt),
            false => Err(RpcError::Unusable(self.said("another transaction than the one asked for"))),
        }
    }

    fn one_word(&self, text: &str) -> Result<U256, RpcError> {
        let missing = || {
            let what = self.said("a result that is not one word; is the token there?");
            RpcError::Unusable(format!("eth_call: {what}"))
        };
        word(text).ok_or_else(missing)
    }
}

fn call<C: SolCall>(to: Address, call: &C, block: &str) -> Call {
    let data = format!("0x{}", hex::encode(call.abi_encode()));
    Call { method: "eth_call", params: json!([{"to": to, "data": data}, block]) }
}

/// The calldata of the question whether an authorization is used or canceled.
pub(super) fn authorization_state(authorizer: Address, nonce: B256) -> Vec<u8> {
    authorizationStateCall { authorizer, nonce }.abi_encode()
}
