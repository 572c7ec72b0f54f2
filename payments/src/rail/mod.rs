//! What a rail is: how one kind of money moves.

mod offer;
mod outflow;
mod remedy;
mod statement;
pub mod x402;

pub use offer::{Exchange, Offer, OfferError, Order, Prepared};
pub use outflow::{Outflow, OutflowQuery, Outgoing};
pub use remedy::{
    ChainEvent, ClaimReason, Inflow, InflowQuery, PreparedVoid, RefundAnswer, RefundRequest, RemedyError,
    Transfer,
};
pub use statement::{PayeeStatement, PayeeStatements};

use crate::purse::{Clearance, VoidClearance};
use crate::wallet::{Wallet, WalletError};
use async_trait::async_trait;
use bursar_types::{Amount, HttpRequest, HttpResponse, LedgerId, PaymentId, TransportError};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// What a rail knows about money that was signed for. There is no fourth answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[must_use]
pub enum Outcome {
    /// It moved.
    Moved {
        /// The transaction or charge.
        reference: String,
        /// Seen on the chain or at the rail itself; otherwise the payee's claim.
        observed: bool,
    },
    /// It did not move and cannot move any more under this authorization.
    DidNotMove {
        /// What proves it.
        proof: String,
    },
    /// Nobody can say yet. A failed read is this, never "no".
    Unknown {
        /// Why.
        problem: String,
    },
}

/// An authorization ready to be presented: a bearer instrument while it lives, so it has no `Debug` of its content and is
/// never written down.
pub struct Authorization {
    header: (http::HeaderName, http::HeaderValue),
}

impl Authorization {
    /// Wraps the header that presents it.
    #[must_use]
    pub fn from_header(name: http::HeaderName, mut value: http::HeaderValue) -> Self {
        value.set_sensitive(true);
        Self { header: (name, value) }
    }

    /// The header's name.
    #[must_use]
    pub const fn header_name(&self) -> &http::HeaderName {
        &self.header.0
    }

    /// Puts it on a request.
    pub fn attach(&self, request: &mut HttpRequest) {
        request.headers_mut().insert(self.header.0.clone(), self.header.1.clone());
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorization({}: …)", self.header.0)
    }
}

/// Why no authorization was made. Nothing was presented, so nothing moved.
#[derive(Debug, Error)]
pub enum AuthorizeError {
    /// The wallet did not sign.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The stored terms cannot be turned into an authorization.
    #[error("authorization cannot be built: {0}")]
    Terms(String),
}

/// How one kind of money moves.
///
/// A rail parses, prices, prepares, builds one credential for one clearance, and reports the outcome truthfully. Policy,
/// choice between offers, journal, retries and HTTP stay in the purse.
///
/// # What implementers guarantee
/// `offers` and `prepare` are pure. `authorize` turns exactly the prepared terms into bytes, the same bytes each time.
/// `recover` answers `DidNotMove` only if the authorization can never move money again. A failed read is `Unknown`.
///
/// # What recovery does with it
/// The same for every rail. A payment whose terms are durable is asked about with `recover` until it answers
/// something else than `Unknown`: on start, on a timer, and before anything is presented again. Within
/// [`Prepared::expires_at`] the same terms may be authorized and presented again, never others. Long after it, what is still
/// unknown counts as spent, and is asked about on. What was paid and not delivered is asked back with `request_refund`; a
/// refund counts when `inflow` has seen it and not when somebody promised it. `void` makes an authorization worthless that
/// nobody used yet; whether it did is for `recover` to see.
#[async_trait]
pub trait Rail: Send + Sync + fmt::Debug {
    /// Short name, such as `x402`.
    fn name(&self) -> &'static str;

    /// Every alternative that an answer offers, also those that cannot be paid (with the reason). Empty if the
    /// answer is not of this rail.
    ///
    /// # Errors
    /// [`OfferError`] if the answer is of this rail and its terms cannot be read.
    fn offers(&self, exchange: &Exchange<'_>) -> Result<Vec<Offer>, OfferError>;

    /// What the wallet has of the offer's asset; `None` if the rail cannot tell.
    ///
    /// # Errors
    /// A sentence saying why it could not be read.
    async fn funds(&self, offer: &Offer) -> Result<Option<Amount>, String>;

    /// The exact terms to sign for an order: nonce, window and recovery handle, derived from payment and attempt.
    ///
    /// # Errors
    /// [`OfferError`] if the order's offer is not payable on this rail.
    fn prepare(&self, order: &Order) -> Result<Prepared, OfferError>;

    /// Makes the authorization by consuming the clearance.
    ///
    /// # Errors
    /// [`AuthorizeError`]: nothing exists that could move money.
    async fn authorize(
        &self,
        clearance: Clearance,
        wallet: &dyn Wallet,
    ) -> Result<Authorization, AuthorizeError>;

    /// Reads the answer to a presented authorization. Never `DidNotMove`: the payee still has it.
    fn outcome(&self, prepared: &Prepared, answer: Result<&HttpResponse, &TransportError>) -> Outcome;

    /// What the payee signed beside the payment, with its terms and with its answer, checked. It never says whether money moved:
    /// that is [`Rail::outcome`]'s, and a statement that is missing or wrong changes nothing about it.
    fn statements(
        &self,
        order: &Order,
        prepared: &Prepared,
        answer: Result<&HttpResponse, &TransportError>,
    ) -> PayeeStatements {
        let _ = (order, prepared, answer);
        PayeeStatements::default()
    }

    /// Asks the rail itself what became of an authorization.
    async fn recover(&self, prepared: &Prepared) -> Outcome;

    /// Asks about many at once, for rails that can do so in fewer round trips; the answers are in the order of the
    /// questions.
    async fn recover_all(&self, prepared: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(prepared.len());
        for one in prepared {
            outcomes.push(self.recover(one).await);
        }
        outcomes
    }

    /// The exact terms of making an unused authorization worthless.
    ///
    /// # Errors
    /// [`RemedyError::Unsupported`] where the rail cannot, which is the default.
    async fn prepare_void(&self, prepared: &Prepared) -> Result<PreparedVoid, RemedyError> {
        let _ = prepared;
        Err(RemedyError::Unsupported(format!("{} cannot take an authorization back", self.name())))
    }

    /// Makes an unused authorization worthless by consuming the clearance. `Ok` says that it was submitted; whether it came
    /// before the payee is what [`Rail::recover`] sees.
    ///
    /// # Errors
    /// [`RemedyError`].
    ///
    /// # Idempotency
    /// The same prepared terms give the same bytes: submitting them twice has the effect of once.
    async fn void(&self, clearance: VoidClearance, wallet: &dyn Wallet) -> Result<(), RemedyError> {
        let _ = (clearance, wallet);
        Err(RemedyError::Unsupported(format!("{} cannot take an authorization back", self.name())))
    }

    /// Asks the payee, or the rail, to give money back. An acceptance is a promise: it counts when [`Rail::inflow`] sees it.
    ///
    /// # Errors
    /// [`RemedyError`].
    ///
    /// # Idempotency
    /// The request's id: the same request asked twice is one claim.
    async fn request_refund(&self, request: &RefundRequest) -> Result<RefundAnswer, RemedyError> {
        let _ = request;
        Err(RemedyError::Unsupported(format!("{} has no refunds", self.name())))
    }

    /// Money that came to the wallet and is final.
    ///
    /// # Errors
    /// [`RemedyError`]; a failed read is `Failed`, never "nothing came".
    async fn inflow(&self, query: &InflowQuery) -> Result<Inflow, RemedyError> {
        let _ = query;
        Err(RemedyError::Unsupported(format!("{} cannot see what comes in", self.name())))
    }

    /// Money that left the wallet, whoever sent it, also what is not final yet.
    ///
    /// # Errors
    /// [`RemedyError`]; a failed read is `Failed`, never "nothing left".
    async fn outflow(&self, query: &OutflowQuery) -> Result<Outflow, RemedyError> {
        let _ = query;
        Err(RemedyError::Unsupported(format!("{} cannot see what goes out", self.name())))
    }

    /// The name under which [`Rail::outflow`] shows the authorization of a payment's attempt: the same whenever it is asked, and
    /// another for any other ledger, payment or attempt. `None` where the rail shows none.
    fn handle(&self, ledger: LedgerId, payment: PaymentId, attempt: u32) -> Option<String> {
        let _ = (ledger, payment, attempt);
        None
    }

    /// Whether an authorization is one that this ledger made, whatever its journal knows of it.
    fn is_handle_of(&self, ledger: LedgerId, handle: &str) -> bool {
        let _ = (ledger, handle);
        false
    }
}

const _: Option<&dyn Rail> = None;
