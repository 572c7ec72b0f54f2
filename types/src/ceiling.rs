//! The most that one request may cost.

use crate::amount::Amount;
use crate::asset::AssetId;
use crate::transport::HttpRequest;

/// The most that a request may cost, in micro-USD, whatever plans and budgets allow: an offer above it is never bought for it.
///
/// It is set by code in the request's extensions, as a [`DataLabel`](crate::DataLabel) is, and never leaves the machine. It only
/// narrows. It holds for what this request would buy; a payment that is open for the same request, or was made under the same key,
/// is joined or given as it is.
///
/// # Example
/// ```
/// use bursar_types::{Amount, AssetId, Ceiling};
/// let cents = |n: u128| Amount::from_atomic(AssetId::micro_usd(), n * 10_000);
/// let request = http::Request::get("https://api.example/a").body(bytes::Bytes::new())?;
/// assert_eq!(Ceiling::of(&request), None);
/// let request = Ceiling::micro_usd(50_000).on(request);
/// let ceiling = Ceiling::of(&request).unwrap();
/// assert!(ceiling.allows(Some(&cents(5))) && !ceiling.allows(Some(&cents(6))));
/// assert!(!ceiling.allows(None), "a price that is not known is above any ceiling");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling(Amount);

impl Ceiling {
    /// So many millionths of a US dollar.
    #[must_use]
    pub fn micro_usd(micro: u64) -> Self {
        Self(Amount::from_atomic(AssetId::micro_usd(), u128::from(micro)))
    }

    /// Says it of a request; what was said before is replaced.
    #[must_use]
    pub fn on(self, mut request: HttpRequest) -> HttpRequest {
        request.extensions_mut().insert(self);
        request
    }

    /// What was said of a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request.extensions().get()
    }

    /// Whether something of this cost, in micro-USD, may be bought. A cost that is not known, or counted in anything else, may not.
    #[must_use]
    pub fn allows(&self, cost: Option<&Amount>) -> bool {
        cost.is_some_and(|cost| matches!(cost.at_most(&self.0), Ok(true)))
    }

    /// The amount, in micro-USD.
    #[must_use]
    pub const fn amount(&self) -> &Amount {
        &self.0
    }
}
