//! What moved, and by which of the two ways: signed by its owner for somebody else to send, or sent by its owner.

use crate::primitives::{Address, Word};

/// One transfer by authorization that the chain has mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// Atomic units.
    pub value: u128,
    /// The authorization's nonce.
    pub nonce: Word,
    /// The transaction.
    pub transaction: Word,
    /// The block.
    pub block: u64,
    /// The block's time, in Unix seconds.
    pub timestamp_s: u64,
}

/// One transfer without an authorization, as a refund is. Money that was made is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainTransfer {
    /// Whose money it was, and who sent the transaction.
    pub from: Address,
    /// Who has it now.
    pub to: Address,
    /// Atomic units.
    pub value: u128,
    /// The transaction.
    pub transaction: Word,
    /// The block.
    pub block: u64,
    /// The block's time, in Unix seconds.
    pub timestamp_s: u64,
}

/// A plain transfer that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheduled {
    /// When, in Unix seconds.
    pub(super) at_s: u64,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: u128,
}
