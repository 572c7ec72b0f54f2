//! What nodes answer, read strictly.

use alloy::primitives::{Address, B256, U256};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `0x` and hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rail::x402) struct Quantity(pub(in super::super) u64);

/// `0x` and hex digits, for balances and prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rail::x402) struct Wei(pub(in crate::rail::x402) u128);

#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::rail::x402) struct Block {
    pub(in crate::rail::x402) number: Quantity,
    pub(in crate::rail::x402) timestamp: Quantity,
}

/// A block with what sending a transaction after it costs at least.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::rail::x402) struct FeeBlock {
    pub(in crate::rail::x402) number: Quantity,
    pub(in crate::rail::x402) timestamp: Quantity,
    pub(in crate::rail::x402) base_fee_per_gas: Wei,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::rail::x402) struct Log {
    pub(in crate::rail::x402) address: Address,
    pub(in crate::rail::x402) topics: Vec<B256>,
    pub(in crate::rail::x402) data: String,
    pub(in crate::rail::x402) block_number: Option<Quantity>,
    pub(in crate::rail::x402) transaction_hash: Option<B256>,
    pub(in crate::rail::x402) log_index: Option<Quantity>,
    #[serde(default)]
    pub(in crate::rail::x402) removed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::rail::x402) struct TransactionReceipt {
    pub(in crate::rail::x402) status: Quantity,
    pub(in crate::rail::x402) block_number: Quantity,
    pub(in crate::rail::x402) transaction_hash: B256,
    pub(in crate::rail::x402) logs: Vec<Log>,
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wei(number) = Wei::deserialize(deserializer)?;
        u64::try_from(number).map(Self).map_err(|_| D::Error::custom("a hex quantity of 64 bits is needed"))
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        digits
            .and_then(|digits| u128::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("a hex quantity is needed"))
    }
}

/// One 32-byte word.
pub(in crate::rail::x402) fn word(text: &str) -> Option<U256> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(U256::from_be_bytes(bytes))
}
