//! A claim as a buyer writes it, read strictly.

use crate::primitives::{Address, Uint, Word};
use serde::Deserialize;

const DETAIL_BYTES_MAX: usize = 4_096;

/// Why money is asked back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    NotDelivered,
    Partial,
    FailedLater,
    Other,
}

/// What is asked: so much of that settlement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) network: String,
    pub(super) asset: Address,
    pub(super) payer: Address,
    pub(super) payee: Address,
    pub(super) nonce: Word,
    /// The settlement's transaction; empty from a buyer that never learnt it.
    pub(super) transaction: String,
    pub(super) amount: Uint,
    pub(super) paid: Uint,
    pub(super) resource: String,
    reason: Reason,
    detail: String,
}

impl Claim {
    /// Reads a claim; else says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let claim: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !crate::seller::purchase::is_identifier(&claim.id) {
            return Err("the id must be 16 to 128 letters, digits, `_` or `-`".to_owned());
        }
        if !claim.transaction.is_empty() && claim.transaction.parse::<Word>().is_err() {
            return Err("the transaction must be a hash, or empty".to_owned());
        }
        if claim.amount == Uint::default() {
            return Err("the amount must be more than nothing".to_owned());
        }
        if claim.detail.len() > DETAIL_BYTES_MAX {
            return Err("the detail is too long".to_owned());
        }
        Ok(claim)
    }
}
