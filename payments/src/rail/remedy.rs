//! What a rail can do about money that was signed for or paid: take it back, ask for it back, see it come back.

use super::{Offer, Prepared};
use bursar_types::{Amount, AssetId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Why a remedy did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case", tag = "remedy", content = "problem")]
pub enum RemedyError {
    /// Neither the rail nor the payee has such a thing. Asking again is of no use.
    #[error("not possible: {0}")]
    Unsupported(String),
    /// It was understood and refused. Asking again is of no use.
    #[error("refused: {0}")]
    Refused(String),
    /// It failed, or nobody can say whether it arrived. The same may be asked again.
    #[error("failed: {0}")]
    Failed(String),
}

impl RemedyError {
    /// Whether the same may be asked again.
    #[must_use]
    pub const fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// The exact terms of making an authorization worthless: durable before anything is signed for it, and enough to make the
/// same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedVoid {
    /// The rail.
    pub rail: String,
    /// What the rail signs and submits, as the rail's own JSON.
    pub terms: serde_json::Value,
    /// The 32-byte digests that will be signed and are known before anything is: what a later one depends on a signature
    /// for is made from the terms when the clearance is consumed, and from nothing else.
    pub signing: Vec<Digest>,
}

/// Why money is asked back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimReason {
    /// It was paid and nothing usable came.
    NotDelivered,
    /// A part came.
    PartDelivered,
    /// What it was bought for could not be done.
    FailedLater,
}

impl ClaimReason {
    /// The name used in requests to payees.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotDelivered => "not_delivered",
            Self::PartDelivered => "partial",
            Self::FailedLater => "failed_later",
        }
    }
}

/// A refund to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The claim's name: the same for every repetition. Letters and digits, at most 64.
    pub id: String,
    /// What was paid for.
    pub offer: Offer,
    /// The terms under which it was paid.
    pub prepared: Prepared,
    /// The transaction or charge that moved the money.
    pub reference: String,
    /// How much is asked back, in the asset that was paid with.
    pub amount: Amount,
    /// Why.
    pub reason: ClaimReason,
    /// Why, in words.
    pub detail: String,
}

/// What was answered to a refund request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "refund")]
pub enum RefundAnswer {
    /// Promised. It counts when it is seen.
    Accepted {
        /// How much, if the payee said so.
        amount: Option<Amount>,
    },
}

/// One event of a chain or rail that moved money to the wallet. It credits one claim, once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainEvent {
    /// The network, CAIP-2 where it is a chain.
    pub network: String,
    /// The transaction or charge.
    pub transaction: String,
    /// Its place among the events of the transaction's block.
    pub index: u64,
}

impl fmt::Display for ChainEvent {
    /// As it is written on a command line: `eip155:8453/0x…/3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.transaction, self.index)
    }
}

impl ChainEvent {
    /// Reads the text form. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, index) = text.rsplit_once('/')?;
        let (network, transaction) = rest.rsplit_once('/')?;
        let whole = !network.is_empty() && !transaction.is_empty();
        let event = Self {
            network: network.to_owned(),
            transaction: transaction.to_owned(),
            index: index.parse().ok()?,
        };
        (whole && event.to_string() == text).then_some(event)
    }
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The event.
    pub event: ChainEvent,
    /// Who sent it.
    pub from: String,
    /// How much.
    pub amount: Amount,
    /// When, by the chain's clock.
    pub at: Timestamp,
}

/// Which money to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InflowQuery {
    /// The asset, which names its network.
    pub asset: AssetId,
    /// Where the last look ended, as [`Inflow::upto`] said; `None` looks from `since` on.
    pub from: Option<String>,
    /// Nothing before this moment matters.
    pub since: Timestamp,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflow {
    /// Every transfer to the wallet between the two ends, oldest first.
    pub transfers: Vec<Transfer>,
    /// Where the next look begins, in the rail's own words.
    pub upto: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_event_reads_back_as_it_is_written() {
        let event = ChainEvent { network: "eip155:8453".into(), transaction: "0xab".into(), index: 3 };
        assert_eq!(ChainEvent::parse(&event.to_string()), Some(event));
        for text in ["", "eip155:1/0xab", "eip155:1/0xab/x", "//1", "eip155:1/0xab/03"] {
            assert_eq!(ChainEvent::parse(text), None, "`{text}`");
        }
    }
}
