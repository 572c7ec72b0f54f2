//! The few calls the token answers.

use super::{state::State, token::Token};
use crate::primitives::{Address, Uint, Word, keccak};

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Returned {
    /// ABI-encoded result.
    Bytes(Vec<u8>),
    /// No such function, or arguments that do not decode.
    Reverted,
}

/// Answers a call to the token as of block `at`. `lie` replaces the answer of `authorizationState`.
pub(super) fn call(token: &Token, state: &State, input: &[u8], at: u64, lie: Option<bool>) -> Returned {
    let Some((selector, arguments)) = input.split_first_chunk::<4>() else { return Returned::Reverted };
    let is = |signature: &str| keccak(signature.as_bytes()).0.starts_with(selector);
    let Some(words) = words(arguments) else { return Returned::Reverted };
    let answer = match words.as_slice() {
        [] if is("name()") => Some(text(&token.name)),
        [] if is("version()") => Some(text(&token.version)),
        [] if is("symbol()") => Some(text(&token.symbol)),
        [] if is("decimals()") => Some(number(Uint::from(u64::from(token.decimals)))),
        [who] if is("balanceOf(address)") => {
            who.to_address().map(|who| number(Uint::from(state.balance(who, at))))
        }
        [who, nonce] if is("authorizationState(address,bytes32)") => who.to_address().map(|who: Address| {
            let used = lie.unwrap_or_else(|| state.nonce_used(who, *nonce, at));
            number(Uint::from(u64::from(used)))
        }),
        _ => None,
    };
    answer.map_or(Returned::Reverted, Returned::Bytes)
}

fn words(bytes: &[u8]) -> Option<Vec<Word>> {
    bytes.chunks(32).map(|chunk| chunk.try_into().ok().map(Word)).collect()
}

fn number(value: Uint) -> Vec<u8> {
    value.to_word().0.to_vec()
}

fn text(text: &str) -> Vec<u8> {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let mut bytes = number(Uint::from(32_u64));
    bytes.extend(number(Uint::from(length)));
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}
