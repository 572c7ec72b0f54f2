//! Reading the arguments of a call, and refusing them.

use crate::primitives::{Address, Word};
use serde_json::Value;

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: i64,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Arguments that cannot be read.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }
}

pub(super) fn address(value: Option<&Value>) -> Result<Address, Failure> {
    let text = value.and_then(Value::as_str).ok_or_else(|| Failure::params("missing an address"))?;
    text.parse().map_err(|error| Failure::params(format!("invalid argument: {error}")))
}

pub(super) fn word(value: Option<&Value>) -> Result<Word, Failure> {
    let text = value.and_then(Value::as_str).ok_or_else(|| Failure::params("missing a 32-byte word"))?;
    text.parse().map_err(|error| Failure::params(format!("invalid argument: {error}")))
}

pub(super) fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let digits = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    digits.ok_or_else(|| Failure::params("invalid argument: data must be 0x and hex digits"))
}
