//! An in-process chain with one EIP-3009 token.
use crate::{Address, Authorization, Faults, Signature, Word};
/// The token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its contract.
    pub address: Address,
    /// EIP-712 domain name.
    pub name: String,
    /// EIP-712 domain version.
    pub version: String,
    /// The chain it lives on.
    pub chain_id: u64,
    /// Decimals.
    pub decimals: u8,
    /// Symbol.
    pub symbol: String,
}
/// Why the token refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revert {}
/// An event log.
#[derive(Debug, Clone)]
pub struct ChainLog {}
/// One settled transfer.
#[derive(Debug, Clone)]
pub struct Transfer {}
/// Handle on the chain; clones share it.
#[derive(Debug, Clone)]
pub struct Chain {}
impl Chain {
    /// Mines an empty block.
    pub fn mine(&self) {
        todo!()
    }
    /// Transfers.
    ///
    /// # Errors
    ///
    /// [`Revert`].
    pub fn transfer_with_authorization(&self, _a: &Authorization, _s: &Signature) -> Result<Word, Revert> {
        todo!()
    }
    /// Cancels.
    ///
    /// # Errors
    ///
    /// [`Revert`].
    pub fn cancel_authorization(&self, _who: Address, _nonce: Word, _s: &Signature) -> Result<Word, Revert> {
        todo!()
    }
    /// Used or cancelled, now.
    #[must_use]
    pub fn authorization_state(&self, _who: impl Into<Address>, _nonce: Word) -> bool {
        todo!()
    }
    /// All settled transfers.
    #[must_use]
    pub fn transfers(&self) -> Vec<Transfer> {
        todo!()
    }
    /// Faults of the RPC.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        todo!()
    }
}
