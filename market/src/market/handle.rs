//! A running market.

use super::builder::MarketBuilder;
use crate::{
    chain::{Chain, Token},
    facilitator::Facilitator,
    library::Skipped,
    primitives::Address,
    seller::Seller,
    server::{Broken, Venue},
};
use axum::http;
use bytes::Bytes;

/// A running market. Stops when dropped; [`Market::stop`] also waits for it. To share it, put it into an `Arc`.
#[derive(Debug)]
#[must_use = "a market stops when it is dropped"]
pub struct Market {
    pub(super) chain: Chain,
    pub(super) facilitator: Facilitator,
    pub(super) sellers: Vec<Seller>,
    pub(super) venue: Venue,
    pub(super) rpc_url: String,
    pub(super) facilitator_url: String,
    pub(super) skipped: Vec<Skipped>,
}

impl Market {
    /// Begins to describe a market.
    #[must_use]
    pub fn builder() -> MarketBuilder {
        MarketBuilder::new()
    }

    /// The chain's JSON-RPC.
    #[must_use]
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// The facilitator, without a slash at the end.
    #[must_use]
    pub fn facilitator_url(&self) -> &str {
        &self.facilitator_url
    }

    /// Where an agent begins: `…/discovery/search`.
    #[must_use]
    pub fn discovery_url(&self) -> String {
        format!("{}/discovery/search", self.facilitator_url)
    }

    /// The sellers, without a slash at the end: the main one, the reseller, then those added.
    #[must_use]
    pub fn seller_urls(&self) -> Vec<String> {
        self.sellers.iter().map(|seller| seller.url().to_owned()).collect()
    }

    /// The CAIP-2 network: `eip155:31337`.
    #[must_use]
    pub fn network(&self) -> String {
        self.token().network()
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        self.chain.token()
    }

    /// Hands a request to the service that its host names, and gives back what a client would have got of the answer:
    /// no sockets, no tasks, no waiting. Works however the market was started; one that is [in process] is reached no
    /// other way, needs no runtime, and with a clock in hand answers the same requests with the same bytes.
    ///
    /// A pause in the middle of a body, or before a quote, is left out.
    ///
    /// # Errors
    ///
    /// [`Broken`], which says whether the request was processed.
    ///
    /// # Cancellation
    ///
    /// Nothing happens before the future is first polled, and everything has happened after.
    ///
    /// [in process]: MarketBuilder::in_process
    pub async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Broken> {
        self.venue.board().exchange(request)
    }

    /// Makes money. An amount beyond what the token can count changes nothing.
    pub fn mint(&self, to: impl Into<Address>, atomic: u128) {
        if let Err(revert) = self.chain.mint(to, atomic) {
            tracing::warn!(%revert, atomic, "nothing was minted");
        }
    }

    /// Sends the refunds whose time has come, as the chain also does when it is asked anything over its JSON-RPC. Answers
    /// how many moved money.
    pub fn send_due_refunds(&self) -> usize {
        self.chain.send_due()
    }

    /// The balance at the newest block.
    #[must_use]
    pub fn balance_of(&self, who: impl Into<Address>) -> u128 {
        self.chain.balance_of(who)
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The facilitator.
    #[must_use]
    pub const fn facilitator(&self) -> &Facilitator {
        &self.facilitator
    }

    /// One seller.
    #[must_use]
    pub fn seller(&self, index: usize) -> Option<&Seller> {
        self.sellers.get(index)
    }

    /// All sellers.
    #[must_use]
    pub fn sellers(&self) -> &[Seller] {
        &self.sellers
    }

    /// The files of the folder that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Stops everything, and waits until the ports are free.
    pub async fn stop(self) {
        self.venue.close().await;
    }
}
