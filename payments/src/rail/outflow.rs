//! Money that left the wallet, as the rail itself shows it: what a journal is compared with.

use super::ChainEvent;
use bursar_types::{Amount, AssetId, Timestamp};
use serde::{Deserialize, Serialize};

/// Money that left the wallet, or an authorization of the wallet's that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The event.
    pub event: ChainEvent,
    /// Its place in the rail's order: the block, where the rail is a chain.
    pub height: u64,
    /// Who got it. Empty where an authorization was used and moved nothing.
    pub to: String,
    /// How much. Zero only where an authorization was used and moved nothing, or nothing was authorized.
    pub amount: Amount,
    /// When, by the chain's clock.
    pub at: Timestamp,
    /// The authorization under which it left, as [`Rail::handle`](super::Rail::handle) names it; `None` if it left in another way.
    pub handle: Option<String>,
    /// Whether it is final. What is not may still be undone by the chain.
    pub confirmed: bool,
}

impl Outgoing {
    /// What it is called for good: its authorization, which moves money once and for which the chain may find another block as
    /// long as it is not final; else its event.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.handle {
            Some(handle) => format!("{}/{handle}", self.event.network),
            None => self.event.to_string(),
        }
    }
}

/// Which money to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutflowQuery {
    /// The asset, which names its network.
    pub asset: AssetId,
    /// Where the last look ended, as [`Outflow::upto`] said; `None` looks from `since` on.
    pub from: Option<u64>,
    /// Nothing before this moment matters.
    pub since: Timestamp,
}

/// What left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outflow {
    /// Everything that left between the two ends, oldest first, also what is not final.
    pub sent: Vec<Outgoing>,
    /// Where the look began.
    pub from: u64,
    /// Where the next look begins: behind all that is final and was looked at.
    pub upto: u64,
    /// Whether all was looked at that there is now. If not, another look goes on from `upto`.
    pub whole: bool,
}
