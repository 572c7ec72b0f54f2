//! What has been claimed at one seller, and what was said to it.

use super::claim::Claim;
use crate::{
    chain::Revert,
    primitives::{Address, Uint, Word},
    server::Answer,
};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use thiserror::Error;

/// A claim that a seller has decided, in either way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundClaim {
    /// The buyer's name for it.
    pub id: String,
    /// Who paid.
    pub payer: Address,
    /// The nonce of the payment.
    pub nonce: Word,
    /// What was asked for, in atomic units.
    pub asked: Uint,
    /// What was accepted, in atomic units; `None` if the claim was refused.
    pub accepted: Option<u128>,
    /// Why it was refused.
    pub refused: Option<String>,
    /// The transactions that sent money to the payer at once.
    pub transactions: Vec<Word>,
}

/// Why [`Seller::refund_now`](crate::Seller::refund_now) sent nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefundError {
    /// This seller was never paid under the nonce.
    #[error("refund the payment {nonce}: this seller was never paid under that nonce")]
    NeverPaid {
        /// The nonce.
        nonce: Word,
    },
    /// The token refuses.
    #[error("refund a payment: {0}")]
    Revert(#[from] Revert),
}

/// What has been claimed at one seller.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Every claim that could be read, by its id.
    pub(super) known: BTreeMap<String, Known>,
    /// Under which id a settlement was claimed first.
    pub(super) claimed: BTreeMap<(Address, Word), String>,
    /// How often it has failed.
    pub(super) failures: u32,
    pub(super) decided: Vec<RefundClaim>,
}

impl Desk {
    /// Notes what was decided.
    pub(super) fn note(&mut self, claim: &Claim, outcome: Result<Sent, String>) {
        let (sent, refused) = match outcome {
            Ok(sent) => (Some(sent), None),
            Err(reason) => (None, Some(reason)),
        };
        self.decided.push(RefundClaim {
            id: claim.id.clone(),
            payer: claim.payer,
            nonce: claim.nonce,
            asked: claim.amount,
            accepted: sent.as_ref().map(|sent| sent.accepted),
            refused,
            transactions: sent.map(|sent| sent.transactions).unwrap_or_default(),
        });
    }
}

/// A claim, and what it came to, once that is decided.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) claim: Claim,
    pub(super) verdict: Option<Verdict>,
}

/// What a seller says to a claim.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Accepted { id: String, amount: u128 },
    Refused { status: u16, reason: String },
}

impl Verdict {
    pub(super) fn refused(status: u16, reason: &str) -> Self {
        Self::Refused { status, reason: reason.to_owned() }
    }

    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Accepted { id, amount } => {
                Answer::json(200, &json!({ "status": "accepted", "id": id, "amount": amount.to_string() }))
            }
            Self::Refused { status, reason } => {
                Answer::json(*status, &json!({ "status": "refused", "reason": reason }))
            }
        }
    }
}

/// What a rule made of a claim.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) accepted: u128,
    pub(super) transactions: Vec<Word>,
}
