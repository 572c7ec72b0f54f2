//! Why the token refuses, in the words of FiatTokenV2_2.

use crate::signing::SignatureError;
use thiserror::Error;

/// Why the token refused; shown as the contract's own revert string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Revert {
    /// The block's time is not greater than `validAfter`.
    #[error("FiatTokenV2: authorization is not yet valid")]
    NotYetValid,
    /// The block's time is not smaller than `validBefore`.
    #[error("FiatTokenV2: authorization is expired")]
    Expired,
    /// The nonce was used or cancelled before.
    #[error("FiatTokenV2: authorization is used or canceled")]
    UsedOrCanceled,
    /// The signature is of another key or of other terms.
    #[error("FiatTokenV2: invalid signature")]
    InvalidSignature,
    /// The signature is none, or a malleable one.
    #[error(transparent)]
    Malformed(#[from] SignatureError),
    /// The payer is the zero address.
    #[error("ERC20: transfer from the zero address")]
    FromZero,
    /// The payee is the zero address.
    #[error("ERC20: transfer to the zero address")]
    ToZero,
    /// The payer has less.
    #[error("ERC20: transfer amount exceeds balance")]
    InsufficientBalance,
    /// The payee would have more than the token can count.
    #[error("FiatTokenV2_2: Balance exceeds (2^255 - 1)")]
    BalanceTooBig,
    /// Payer or payee is on the issuer's list.
    #[error("Blacklistable: account is blacklisted")]
    Blacklisted,
    /// The chain is kept in a file that cannot be written: no contract's word, but nothing moves without a trace.
    #[error("the chain's file cannot be written")]
    NotKept,
}
