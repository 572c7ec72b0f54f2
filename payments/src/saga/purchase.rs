//! What a paid step buys, how it is looked at, and what it gave.

use super::event::{OnFailure, WantedClaim};
use crate::rail::ClaimReason;
use bursar_types::{Amount, ArtifactRef, HttpRequest, PaymentId, PaymentView};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a look at bought bytes says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Everything is there.
    Whole,
    /// A part is there and is used; the money for the rest is asked back.
    Part {
        /// How many of the things came.
        delivered: u64,
        /// Of how many.
        of: u64,
        /// What is missing.
        problem: String,
    },
    /// It is not what was bought: the step fails, and all the money is asked back.
    Wrong {
        /// What is wrong.
        problem: String,
    },
}

impl Check {
    /// What is asked back of `price`: for a part that is missing its share, rounded down. `None` if nothing is missing, or
    /// its share is less than the smallest unit.
    ///
    /// # Example
    /// ```
    /// use bursar_payments::Check;
    /// use bursar_types::{Amount, AssetId};
    /// let price = Amount::from_atomic(AssetId::micro_usd(), 1_000);
    /// let part = Check::Part { delivered: 7, of: 10, problem: "three rows are missing".into() };
    /// let claim = part.claim(&price).unwrap();
    /// assert_eq!(claim.amount.unwrap().atomic(), 300);
    /// assert_eq!(Check::Whole.claim(&price), None);
    /// ```
    #[must_use]
    pub fn claim(&self, price: &Amount) -> Option<WantedClaim> {
        match self {
            Self::Whole => None,
            Self::Wrong { problem } => {
                Some(WantedClaim { amount: None, reason: ClaimReason::NotDelivered, detail: problem.clone() })
            }
            Self::Part { delivered, of, problem } => {
                let missing = of.checked_sub(*delivered).filter(|missing| *missing > 0)?;
                let share = share(price.atomic(), missing, *of)?;
                let amount = Amount::from_atomic(price.asset().clone(), share);
                let detail = format!("{delivered} of {of} came: {problem}");
                (share > 0).then_some(WantedClaim {
                    amount: Some(amount),
                    reason: ClaimReason::PartDelivered,
                    detail,
                })
            }
        }
    }
}

/// `price * missing / of`, rounded down, without overflow: `missing` is at most `of`.
fn share(price: u128, missing: u64, of: u64) -> Option<u128> {
    let (missing, of) = (u128::from(missing), u128::from(of));
    let whole = price.checked_div(of)?.checked_mul(missing)?;
    let rest = price.checked_rem(of)?.checked_mul(missing)?.checked_div(of)?;
    whole.checked_add(rest)
}

type Look = Box<dyn Fn(&Bytes) -> Check + Send + Sync>;

/// What a paid step buys. A plain request is one, too: it is taken as it comes, and asked back if the saga fails.
pub struct Purchase {
    pub(crate) request: HttpRequest,
    pub(crate) on_failure: OnFailure,
    pub(crate) look: Option<Look>,
}

impl Purchase {
    /// Buys what this request gives.
    #[must_use]
    pub fn of(request: HttpRequest) -> Self {
        Self { request, on_failure: OnFailure::AskBack, look: None }
    }

    /// Looks at what came before the step counts as done. The same bytes must always give the same answer.
    #[must_use]
    pub fn checked(mut self, look: impl Fn(&Bytes) -> Check + Send + Sync + 'static) -> Self {
        self.look = Some(Box::new(look));
        self
    }

    /// Says what is done about it if the saga fails later.
    #[must_use]
    pub const fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }
}

impl From<HttpRequest> for Purchase {
    fn from(request: HttpRequest) -> Self {
        Self::of(request)
    }
}

impl fmt::Debug for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut purchase = f.debug_struct("Purchase");
        purchase.field("request", &self.request).field("on_failure", &self.on_failure);
        purchase.field("checked", &self.look.is_some()).finish()
    }
}

/// What a paid step gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// The bytes.
    pub body: Bytes,
    /// The payment it came with; `None` where it was free.
    pub payment: Option<PaymentView>,
    /// Where it is kept; `None` where it was free.
    pub artifact: Option<ArtifactRef>,
    /// What is asked back, because not everything came.
    pub claim: Option<WantedClaim>,
}

/// What the journal keeps of it. What was bought lies in the library already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PurchaseRecord {
    /// The payment that paid for it: the step's own, or one it joined.
    pub(crate) payment: Option<PaymentId>,
    /// The bytes of something free, in base64.
    pub(crate) free: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar_types::AssetId;

    #[test]
    fn the_share_of_what_is_missing_is_rounded_down_and_never_overflows() {
        let cases = [
            (1_000, 3, 10, Some(300)),
            (1_000, 1, 3, Some(333)),
            (1, 9, 10, Some(0)),
            (1_000, 10, 10, Some(1_000)),
            (u128::MAX, 1, 2, Some(u128::MAX / 2)),
            (u128::MAX, u64::MAX, u64::MAX, Some(u128::MAX)),
            (1_000, 1, 0, None),
        ];
        for (price, missing, of, wanted) in cases {
            assert_eq!(share(price, missing, of), wanted, "{missing} of {of} missing for {price}");
        }
    }

    #[test]
    fn nothing_is_asked_back_for_nothing() {
        let price = Amount::from_atomic(AssetId::micro_usd(), 5);
        let part = |delivered, of| Check::Part { delivered, of, problem: "rows".to_owned() };
        for check in [Check::Whole, part(10, 10), part(11, 10), part(0, 0), part(9, 10)] {
            assert_eq!(check.claim(&price), None, "{check:?}");
        }
        let wrong = Check::Wrong { problem: "it is another year".to_owned() };
        assert_eq!(wrong.claim(&price).and_then(|claim| claim.amount), None);
    }
}
