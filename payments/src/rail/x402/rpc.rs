//! JSON-RPC to an Ethereum node, over the transport handed in.

use super::text::{host_of, shown};
use crate::transport::causes;
use alloy::primitives::{Address, B256, U256};
use alloy::sol;
use alloy::sol_types::SolCall;
use bursar_types::{Limits, Transport};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

sol! {
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
    function balanceOf(address account) external view returns (uint256);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
    event Transfer(address indexed from, address indexed to, uint256 value);
}

const LIMITS: Limits = Limits { body_bytes_max: 2 << 20, head_bytes_max: 32 << 10, timeout_ms: 10_000 };

/// One endpoint. Every failure is a sentence that names its host and not its path, which may hold a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rpc<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) url: &'a str,
}

/// `0x` and hex digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantity(pub(super) u64);

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Block {
    pub(super) number: Quantity,
    pub(super) timestamp: Quantity,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: String,
    pub(super) block_number: Option<Quantity>,
    pub(super) transaction_hash: Option<B256>,
    #[serde(default)]
    pub(super) removed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionReceipt {
    pub(super) status: Quantity,
    pub(super) block_number: Quantity,
    pub(super) transaction_hash: B256,
    pub(super) logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Answer {
    id: Value,
    result: Option<Value>,
    error: Option<Value>,
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        digits
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("a hex quantity is needed"))
    }
}

impl Rpc<'_> {
    pub(super) async fn chain_id(&self) -> Result<u64, String> {
        let Quantity(id) = self.present("eth_chainId", json!([])).await?;
        Ok(id)
    }

    /// A block by number or tag.
    pub(super) async fn block(&self, which: &str) -> Result<Block, String> {
        self.present("eth_getBlockByNumber", json!([which, false])).await
    }

    pub(super) async fn block_at(&self, number: u64) -> Result<Block, String> {
        let block = self.block(&format!("{number:#x}")).await?;
        match block.number.0 == number {
            true => Ok(block),
            false => Err(self.said("another block than the one asked for")),
        }
    }

    pub(super) async fn authorization_state(
        &self,
        token: Address,
        authorizer: Address,
        nonce: B256,
        block: u64,
    ) -> Result<bool, String> {
        let call = authorizationStateCall { authorizer, nonce };
        match self.word(token, &call, &format!("{block:#x}")).await? {
            word if word == U256::ZERO => Ok(false),
            word if word == U256::from(1) => Ok(true),
            _ => Err(self.said("something else than yes or no")),
        }
    }

    pub(super) async fn balance_of(&self, token: Address, account: Address) -> Result<u128, String> {
        let word = self.word(token, &balanceOfCall { account }, "latest").await?;
        u128::try_from(word).map_err(|_| self.said("a balance beyond any count"))
    }

    /// Logs of a token about one authorization, both ends of the range included.
    pub(super) async fn authorization_logs(
        &self,
        token: Address,
        kinds: [B256; 2],
        authorizer: Address,
        nonce: B256,
        range: (u64, u64),
    ) -> Result<Vec<Log>, String> {
        let filter = json!({
            "address": token,
            "fromBlock": format!("{:#x}", range.0),
            "toBlock": format!("{:#x}", range.1),
            "topics": [kinds, authorizer.into_word(), nonce],
        });
        self.present("eth_getLogs", json!([filter])).await
    }

    pub(super) async fn receipt(&self, transaction: B256) -> Result<TransactionReceipt, String> {
        let receipt: TransactionReceipt =
            self.present("eth_getTransactionReceipt", json!([transaction])).await?;
        match receipt.transaction_hash == transaction {
            true => Ok(receipt),
            false => Err(self.said("another transaction than the one asked for")),
        }
    }

    async fn word<C: SolCall>(&self, to: Address, call: &C, block: &str) -> Result<U256, String> {
        let data = format!("0x{}", hex::encode(call.abi_encode()));
        let text: String = self.present("eth_call", json!([{"to": to, "data": data}, block])).await?;
        word(&text).ok_or_else(|| self.said("a result that is not one word; is the token there?"))
    }

    async fn present<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, String> {
        let said = |what: &str| format!("{method}: {}", self.said(what));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let request = http::Request::builder()
            .method(http::Method::POST)
            .uri(self.url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .map_err(|_| format!("{} is no address of an endpoint", host_of(self.url)))?;
        let response = self
            .transport
            .send(request, LIMITS)
            .await
            .map_err(|error| format!("{method}: {}", shown(&causes(&error), 200)))?;
        if response.status() != http::StatusCode::OK {
            return Err(said(&format!("status {}", response.status().as_u16())));
        }
        let answer: Answer =
            serde_json::from_slice(response.body()).map_err(|_| said("something else than JSON-RPC"))?;
        if let Some(error) = answer.error {
            return Err(said(&format!("an error: {}", shown(&error.to_string(), 200))));
        }
        let result = answer.result.filter(|_| answer.id == json!(1)).ok_or_else(|| said("nothing"))?;
        serde_json::from_value(result).map_err(|error| said(&format!("an unreadable result: {error}")))
    }

    fn said(&self, what: &str) -> String {
        format!("{} answered {what}", host_of(self.url))
    }
}

/// One 32-byte word.
pub(super) fn word(text: &str) -> Option<U256> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(U256::from_be_bytes(bytes))
}
