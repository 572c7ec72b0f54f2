//! What one endpoint says about one authorization, in terms that can be compared with another's.

use super::super::terms::Transfer;
use crate::rail::Outcome;
use alloy::primitives::B256;
use bursar_types::Timestamp;

/// What one endpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// Used in this transaction, in this block; whether its transfer is the one authorized.
    Used { block: u64, transaction: B256, as_authorized: bool },
    /// Canceled in this transaction, in this block.
    Canceled { block: u64, transaction: B256 },
    /// Used or canceled at this block or before; why nobody knows which.
    Spent { block: u64, problem: String },
    /// Unused at this block, and the window is over.
    Expired { block: u64, time_s: u64 },
    /// Unused at this block, and the window is open.
    Live { block: u64, time_s: u64 },
}

impl Reading {
    /// Whether nothing that comes later can change it.
    pub(super) const fn is_decisive(&self) -> bool {
        matches!(self, Self::Used { .. } | Self::Canceled { .. } | Self::Expired { .. })
    }

    /// The block it is about.
    pub(super) const fn block(&self) -> u64 {
        match self {
            Self::Used { block, .. }
            | Self::Canceled { block, .. }
            | Self::Spent { block, .. }
            | Self::Expired { block, .. }
            | Self::Live { block, .. } => *block,
        }
    }

    /// Whether both say the same. Two nodes need not have the same newest block.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Expired { .. }, Self::Expired { .. })) || self == other
    }

    /// Whether no chain can be as both say.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let one_way = |one: &Self, other: &Self| match (one, other) {
            (Self::Used { .. } | Self::Canceled { .. }, Self::Used { .. } | Self::Canceled { .. }) => {
                one != other
            }
            // Used after the window's end, or before the block at which it was unused: neither can be.
            (Self::Used { .. }, Self::Expired { .. }) => true,
            (
                Self::Used { block: spent, .. }
                | Self::Canceled { block: spent, .. }
                | Self::Spent { block: spent, .. },
                Self::Expired { block: unused, .. } | Self::Live { block: unused, .. },
            ) => unused >= spent,
            // A later block is not an earlier moment.
            (Self::Expired { block: over, .. }, Self::Live { block: open, .. }) => open >= over,
            _ => false,
        };
        one_way(self, other) || one_way(other, self)
    }

    /// A reference starts with the transaction. That its transfer is another than the one authorized does not unmake the
    /// use, and is said behind it.
    pub(super) fn outcome(&self, transfer: &Transfer) -> Outcome {
        match self {
            Self::Used { transaction, as_authorized: true, .. } => {
                Outcome::Moved { reference: format!("{transaction:#x}"), observed: true }
            }
            Self::Used { transaction, as_authorized: false, .. } => {
                let note = "the authorization was used, and no transfer of its value to the payee is in it";
                Outcome::Moved { reference: format!("{transaction:#x} ({note})"), observed: true }
            }
            Self::Canceled { .. } | Self::Expired { .. } => {
                Outcome::DidNotMove { proof: self.sentence(transfer) }
            }
            Self::Live { .. } | Self::Spent { .. } => Outcome::Unknown { problem: self.sentence(transfer) },
        }
    }

    pub(super) fn sentence(&self, transfer: &Transfer) -> String {
        let nonce = transfer.nonce;
        let end = at(transfer.valid_before);
        match self {
            Self::Used { transaction, .. } => {
                format!("authorization {nonce:#x} was used in {transaction:#x}")
            }
            Self::Canceled { transaction, .. } => {
                format!("authorization {nonce:#x} was canceled in {transaction:#x}")
            }
            Self::Spent { problem, .. } => problem.clone(),
            Self::Expired { block, time_s } => format!(
                "authorization {nonce:#x} was unused at block {block} of {}, after its end at {end}",
                at(*time_s)
            ),
            Self::Live { block, time_s } => format!(
                "authorization {nonce:#x} was unused at block {block} of {}, and may be used until {end}",
                at(*time_s)
            ),
        }
    }
}

pub(super) const fn at(time_s: u64) -> Timestamp {
    Timestamp::from_unix_ms(time_s.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(block: u64) -> Reading {
        Reading::Used { block, transaction: B256::with_last_byte(1), as_authorized: true }
    }

    fn canceled(block: u64) -> Reading {
        Reading::Canceled { block, transaction: B256::with_last_byte(2) }
    }

    fn spent(block: u64) -> Reading {
        Reading::Spent { block, problem: "no event".to_owned() }
    }

    fn over(block: u64) -> Reading {
        Reading::Expired { block, time_s: block }
    }

    fn open(block: u64) -> Reading {
        Reading::Live { block, time_s: block }
    }

    #[test]
    fn being_behind_is_no_contradiction_and_everything_else_that_cannot_be_is() {
        let elsewhere = Reading::Used { block: 5, transaction: B256::with_last_byte(9), as_authorized: true };
        let less = Reading::Used { block: 5, transaction: B256::with_last_byte(1), as_authorized: false };
        for (one, other, contradicts) in [
            (used(5), used(5), false),
            (used(5), elsewhere, true),
            (used(5), less, true),
            (used(5), used(6), true),
            (used(5), canceled(5), true),
            (used(5), over(4), true),
            (used(5), over(9), true),
            (used(5), open(4), false),
            (used(5), open(5), true),
            (used(5), spent(9), false),
            (canceled(5), canceled(5), false),
            // Canceled after its end.
            (canceled(5), over(4), false),
            (canceled(5), over(5), true),
            (canceled(5), open(4), false),
            (canceled(5), open(5), true),
            (spent(5), over(4), false),
            (spent(5), over(5), true),
            (spent(5), open(4), false),
            (spent(5), open(6), true),
            (over(5), over(900), false),
            (over(5), open(4), false),
            (over(5), open(5), true),
            (open(4), open(400), false),
        ] {
            assert_eq!(one.contradicts(&other), contradicts, "{one:?} and {other:?}");
            assert_eq!(other.contradicts(&one), contradicts, "{other:?} and {one:?}");
        }
    }
}
