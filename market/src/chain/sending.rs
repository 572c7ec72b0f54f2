//! Sending a transaction: whether it may enter a block, and what it does there. The refusals are geth's.

use super::{kept::Change, revert::Revert, state::State, token::Token, transaction::Transaction};
use crate::{
    primitives::{Address, Uint, Word, keccak},
    signing::{Signature, SignatureError, cancel_digest},
};
use thiserror::Error;

/// The base fee of a chain that nobody has set another one for, in wei.
pub(super) const BASE_FEE: u64 = 5_000_000;
/// The tip that the chain suggests, and that the facilitator gives, in wei.
pub(super) const TIP: u64 = 1_000_000;
/// The gas of a block.
pub(super) const BLOCK_GAS: u64 = 30_000_000;
/// Gas of a transaction that has no input and does nothing.
const START_GAS: u64 = 21_000;
/// Gas of `cancelAuthorization` beyond that of any transaction with its input.
const CANCEL_GAS: u64 = 33_000;
/// Gas of finding out that there is nothing to do.
const REVERT_GAS: u64 = 9_000;

/// Why a transaction was not taken; then nothing was spent, and its sender's count has not moved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The bytes are no canonical encoding.
    #[error("rlp: {0}")]
    Rlp(&'static str),
    /// Only type 2 is taken.
    #[error("transaction type not supported")]
    Type,
    /// An access list is more than this chain understands.
    #[error("access lists are not supported here")]
    AccessList,
    /// There are no contracts to be made.
    #[error("contract creation is not supported here")]
    Creation,
    /// It was signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// Its chain.
        have: u64,
        /// This chain.
        want: u64,
    },
    /// Nobody's signature, or a malleable one.
    #[error("invalid transaction v, r, s values")]
    Signature,
    /// The same bytes were taken before.
    #[error("already known")]
    AlreadyKnown,
    /// It would tip more than it pays at most.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFee,
    /// No block has as much gas.
    #[error("exceeds block gas limit")]
    BlockGas,
    /// Its gas is not enough for a transaction with its input, whatever it does.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// Its gas limit.
        have: u64,
        /// What it would take.
        want: u64,
    },
    /// Its sender has sent one with that number.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The next number.
        next: u64,
        /// Its number.
        nonce: u64,
    },
    /// Its sender has not sent the one before. Real nodes keep it for later; here, nothing waits.
    #[error("nonce too high: next nonce {next}, tx nonce {nonce}")]
    NonceTooHigh {
        /// The next number.
        next: u64,
        /// Its number.
        nonce: u64,
    },
    /// It pays less than the base fee. Real nodes may keep it for later; here, nothing waits.
    #[error("max fee per gas less than block base fee: maxFeePerGas: {have}, baseFee: {want}")]
    FeeTooLow {
        /// What it pays at most, in wei.
        have: u128,
        /// The base fee, in wei.
        want: u64,
    },
    /// Its sender has less than it could cost.
    #[error("insufficient funds for gas * price + value: balance {balance}")]
    Funds {
        /// What its sender has, in wei.
        balance: u128,
    },
    /// The chain is kept in a file that cannot be written.
    #[error(transparent)]
    NotKept(Revert),
}

/// A call of `cancelAuthorization`.
#[derive(Debug, Clone)]
pub(super) struct CancelCall {
    authorizer: Address,
    nonce: Word,
    signer: Result<Address, SignatureError>,
}

impl CancelCall {
    /// Reads the input of a call, and recovers who signed; `None` if it is no such call.
    pub(super) fn read(token: &Token, input: &[u8]) -> Option<Self> {
        let (selector, arguments) = input.split_first_chunk::<4>()?;
        if !keccak(b"cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)").0.starts_with(selector) {
            return None;
        }
        let words: Vec<Word> =
            arguments.chunks(32).map(|chunk| chunk.try_into().ok().map(Word)).collect::<Option<_>>()?;
        let [authorizer, nonce, v, r, s] = words.as_slice() else { return None };
        let authorizer = authorizer.to_address()?;
        let v = Uint::from_word(*v).to_u128().and_then(|v| u8::try_from(v).ok())?;
        let signature = Signature::new([r.0.as_slice(), &s.0, &[v]].concat());
        let signer = signature.recover(cancel_digest(token, authorizer, *nonce));
        Some(Self { authorizer, nonce: *nonce, signer })
    }
}

/// What a transaction would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    /// The gas it takes.
    pub(super) gas: u64,
    /// Whose nonce it burns; else the token's word, if it has one.
    pub(super) effect: Result<(Address, Word), Option<Revert>>,
}

/// Executes a call to `to`; `cancel` is its input, as read.
pub(super) fn execute(
    state: &State,
    token: &Token,
    (to, value, input): (Address, Uint, &[u8]),
    cancel: Option<&CancelCall>,
) -> Execution {
    let effect = match cancel {
        Some(call) if to == token.address && value == Uint::default() => {
            state.require_unused(call.authorizer, call.nonce).and_then(|()| match call.signer {
                Ok(signer) if signer == call.authorizer => Ok((call.authorizer, call.nonce)),
                Ok(_) => Err(Revert::InvalidSignature),
                Err(error) => Err(error.into()),
            })
        }
        .map_err(Some),
        _ => Err(None),
    };
    let work = if effect.is_ok() { CANCEL_GAS } else { REVERT_GAS };
    let gas = (START_GAS + 4 * tokens(input) + work).max(floor(input));
    Execution { gas, effect }
}

/// The gas of any transaction with that input, whatever it does: a floor that lies above 4 and 16 a byte (EIP-7623).
fn floor(input: &[u8]) -> u64 {
    START_GAS + 10 * tokens(input)
}

/// One for a zero byte, four for another.
fn tokens(input: &[u8]) -> u64 {
    input.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum()
}

/// Whether a transaction may enter the next block; then, what it changes.
pub(super) fn admit(
    state: &State,
    token: &Token,
    raw: &[u8],
    transaction: &Transaction,
    cancel: Option<&CancelCall>,
) -> Result<Change, SendError> {
    let Transaction {
        hash, sender, nonce, max_priority_fee, max_fee, gas_limit, to, value, ref input, ..
    } = *transaction;
    if state.made(hash).is_some() {
        return Err(SendError::AlreadyKnown);
    }
    if max_priority_fee > max_fee {
        return Err(SendError::TipAboveFee);
    }
    if gas_limit > BLOCK_GAS {
        return Err(SendError::BlockGas);
    }
    let least = floor(input);
    if gas_limit < least {
        return Err(SendError::IntrinsicGas { have: gas_limit, want: least });
    }
    let next = state.accounts.count(sender, state.head());
    if nonce < next {
        return Err(SendError::NonceTooLow { next, nonce });
    }
    if nonce > next {
        return Err(SendError::NonceTooHigh { next, nonce });
    }
    let base_fee = state.base_fee();
    if max_fee < u128::from(base_fee) {
        return Err(SendError::FeeTooLow { have: max_fee, want: base_fee });
    }
    let balance = state.accounts.balance(sender, state.head());
    let most = u128::from(gas_limit)
        .checked_mul(max_fee)
        .and_then(|gas| gas.checked_add(value.to_u128()?))
        .filter(|most| *most <= balance);
    if most.is_none() {
        return Err(SendError::Funds { balance });
    }
    let done = execute(state, token, (to, value, input), cancel);
    let tip = max_priority_fee.min(max_fee.saturating_sub(u128::from(base_fee)));
    Ok(Change::Sent {
        raw: hex::encode(raw),
        from: sender,
        to,
        // What takes more than it has takes all it has, and does nothing.
        gas_used: done.gas.min(gas_limit),
        price: Uint::from(u128::from(base_fee).saturating_add(tip)),
        cancels: done.effect.ok().filter(|_| done.gas <= gas_limit),
    })
}
