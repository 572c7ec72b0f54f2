//! x402 over HTTP, versions 2 and 1, scheme `exact` with EIP-3009.
//!
//! # Source
//! x402 specification v2 and v1; EIP-3009; EIP-712; CAIP-2, CAIP-19.

mod cancel;
mod check;
mod funds;
mod header;
mod inflow;
mod network;
mod node;
mod offers;
mod outflow;
mod receipt;
mod recover;
mod refund;
mod renewal;
mod rpc;
mod safeguards;
mod signed;
mod terms;
mod text;
mod wire;

pub(crate) use cancel::Cancellation;
pub use safeguards::Safeguards;

use super::{
    Authorization, AuthorizeError, Exchange, Inflow, InflowQuery, Offer, OfferError, Order, Outcome, Outflow,
    OutflowQuery, PayeeStatements, Prepared, PreparedVoid, Rail, RefundAnswer, RefundRequest, RemedyError,
};
use crate::purse::{Clearance, VoidClearance};
use crate::wallet::Wallet;
use async_trait::async_trait;
use bursar_types::{Amount, AssetRegistry, HttpResponse, LedgerId, PaymentId, Transport, TransportError};
use std::fmt;
use std::sync::Arc;

const RAIL: &str = "x402";

/// What an [`X402`] rail is built with.
#[derive(Debug, Clone)]
pub struct X402Options {
    /// The assets that can be paid with, and the names under which their tokens sign.
    pub assets: Arc<AssetRegistry>,
    /// Where each network can be read. A network without a reader is not payable.
    pub networks: Vec<NetworkReader>,
    /// How the readers are reached: at the operator's addresses, wherever they are.
    pub transport: Arc<dyn Transport>,
    /// The wallet's address.
    pub payer: String,
    /// How long a quote may be used before it must be asked again.
    pub quote_ttl_ms: u64,
}

/// How one network is read.
#[derive(Clone)]
pub struct NetworkReader {
    /// CAIP-2, such as `eip155:84532`.
    pub network: String,
    /// JSON-RPC endpoints, asked in this order. How many must say the same is for [`Safeguards`] to say.
    pub rpc_urls: Vec<String>,
    /// Which block counts as settled.
    pub finality: Finality,
}

/// Which block counts as settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// The latest block that the network calls finalized.
    Finalized,
    /// The latest block: for chains on this machine, where nothing is ever undone.
    Latest,
}

impl fmt::Debug for NetworkReader {
    /// Endpoints often carry an API key in their path: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkReader({}, {} endpoints, {:?})", self.network, self.rpc_urls.len(), self.finality)
    }
}

/// The x402 rail.
#[derive(Debug)]
pub struct X402 {
    options: X402Options,
    safeguards: Safeguards,
    vendors: Option<Arc<dyn Transport>>,
}

impl X402 {
    /// Makes the rail, with no safeguards beyond the rules that always hold.
    #[must_use]
    pub fn new(options: X402Options) -> Self {
        Self { options, safeguards: Safeguards::default(), vendors: None }
    }

    /// Asks vendors for refunds through another transport than the readers': one that reaches only where agents may go.
    #[must_use]
    pub fn asking_vendors_through(self, transport: Arc<dyn Transport>) -> Self {
        Self { vendors: Some(transport), ..self }
    }

    pub(super) fn vendors(&self) -> &dyn Transport {
        self.vendors.as_ref().unwrap_or(&self.options.transport).as_ref()
    }

    /// Guards it.
    #[must_use]
    pub fn guarded_by(self, safeguards: Safeguards) -> Self {
        Self { safeguards, ..self }
    }
}

#[async_trait]
impl Rail for X402 {
    fn name(&self) -> &'static str {
        RAIL
    }

    fn offers(&self, exchange: &Exchange<'_>) -> Result<Vec<Offer>, OfferError> {
        offers::offers(self, exchange)
    }

    async fn funds(&self, offer: &Offer) -> Result<Option<Amount>, String> {
        funds::funds(self, &offer.quote.network, offer.quote.price.asset()).await
    }

    fn prepare(&self, order: &Order) -> Result<Prepared, OfferError> {
        terms::prepare(self, order)
    }

    async fn authorize(
        &self,
        clearance: Clearance,
        wallet: &dyn Wallet,
    ) -> Result<Authorization, AuthorizeError> {
        let terms =
            header::cleared_terms(clearance.prepared(), clearance.order()).map_err(AuthorizeError::Terms)?;
        let signature = wallet.sign(clearance.into_signable()).await?;
        let (name, value) = header::build(&terms, &signature).map_err(AuthorizeError::Terms)?;
        Ok(Authorization::from_header(name, value))
    }

    fn outcome(&self, prepared: &Prepared, answer: Result<&HttpResponse, &TransportError>) -> Outcome {
        match terms::Terms::of(prepared) {
            Ok(terms) => receipt::outcome(&terms, answer),
            Err(problem) => Outcome::Unknown { problem },
        }
    }

    fn statements(
        &self,
        order: &Order,
        prepared: &Prepared,
        answer: Result<&HttpResponse, &TransportError>,
    ) -> PayeeStatements {
        signed::statements(order, prepared, answer)
    }

    async fn recover(&self, prepared: &Prepared) -> Outcome {
        let mut outcomes = recover::recover_all(self, std::slice::from_ref(prepared)).await;
        let unasked = || Outcome::Unknown { problem: "nothing was asked".to_owned() };
        outcomes.pop().unwrap_or_else(unasked)
    }

    async fn recover_all(&self, prepared: &[Prepared]) -> Vec<Outcome> {
        recover::recover_all(self, prepared).await
    }

    async fn prepare_void(&self, prepared: &Prepared) -> Result<PreparedVoid, RemedyError> {
        cancel::prepare(self, prepared).await
    }

    async fn void(&self, clearance: VoidClearance, wallet: &dyn Wallet) -> Result<(), RemedyError> {
        cancel::void(self, clearance, wallet).await
    }

    async fn request_refund(&self, request: &RefundRequest) -> Result<RefundAnswer, RemedyError> {
        refund::request_refund(self, request).await
    }

    async fn inflow(&self, query: &InflowQuery) -> Result<Inflow, RemedyError> {
        inflow::inflow(self, query).await
    }

    async fn outflow(&self, query: &OutflowQuery) -> Result<Outflow, RemedyError> {
        outflow::outflow(self, query).await
    }

    fn handle(&self, ledger: LedgerId, payment: PaymentId, attempt: u32) -> Option<String> {
        Some(format!("{:#x}", terms::nonce(ledger, payment, attempt)))
    }

    fn is_handle_of(&self, ledger: LedgerId, handle: &str) -> bool {
        handle.parse().is_ok_and(|nonce| terms::is_marked(ledger, nonce))
    }
}
