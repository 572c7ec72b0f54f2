//! The token everybody pays with.

use crate::primitives::Address;
use serde::Serialize;

/// The token everybody pays with, and the fields of its EIP-712 domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its contract.
    pub address: Address,
    /// Name in the domain.
    pub name: String,
    /// Version in the domain.
    pub version: String,
    /// What people call it.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
    /// The chain it lives on.
    pub chain_id: u64,
}

impl Default for Token {
    /// A look-alike of USDC on chain 31337, where its signatures are worth nothing anywhere else.
    fn default() -> Self {
        Self {
            address: Address::new([
                0x5f, 0xbd, 0xb2, 0x31, 0x56, 0x78, 0xaf, 0xec, 0xb3, 0x67, 0xf0, 0x32, 0xd9, 0x3f, 0x64,
                0x2f, 0x64, 0x18, 0x0a, 0xa3,
            ]),
            name: "USD Coin".to_owned(),
            version: "2".to_owned(),
            symbol: "USDC".to_owned(),
            decimals: 6,
            chain_id: 31_337,
        }
    }
}

impl Token {
    /// The CAIP-2 name of its chain.
    #[must_use]
    pub fn network(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }
}
