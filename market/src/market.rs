//! The whole market: a chain, a facilitator and sellers, started and stopped together.

use crate::{
    chain::{Chain, Token},
    clock::TimeSource,
    facilitator::Facilitator,
    faults::FaultError,
    library::{FolderError, Skipped, SourceDocument},
    primitives::Address,
    seller::{Seller, SellerConfig},
};
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a market did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MarketError {
    /// The folder of sources is no good.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is nothing to sell.
    #[error("start a market without documents; give it a folder, texts, or a seller with its own texts")]
    NothingToSell,
    /// A port cannot be had.
    #[error("listen on 127.0.0.1:{port}: {source}; give another port, or 0 for a free one")]
    Port {
        /// The port that was asked for.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// A seller was given a fault that is not a seller's.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

/// The ports to listen on; 0 is a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports {
    /// The chain's JSON-RPC.
    pub rpc: u16,
    /// The facilitator and its discovery.
    pub facilitator: u16,
    /// The main seller.
    pub seller: u16,
    /// The reseller.
    pub reseller: u16,
}

/// Sellers that take the money and misbehave, ready to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostileKind {
    /// Takes the payment and drops the connection.
    TakesAndVanishes,
    /// Takes the payment and answers 402, for ever.
    AsksForEver,
    /// Doubles the price whenever a payment arrives.
    Surges,
    /// Names another payee whenever a payment arrives.
    SwapsPayee,
    /// Takes the payment and delivers something else.
    DeliversSomethingElse,
    /// Delivers with a receipt for a settlement that never was.
    LiesAboutSettlement,
    /// Sends the buyer to another origin as soon as it pays.
    Redirects,
}

impl HostileKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::TakesAndVanishes,
        Self::AsksForEver,
        Self::Surges,
        Self::SwapsPayee,
        Self::DeliversSomethingElse,
        Self::LiesAboutSettlement,
        Self::Redirects,
    ];

    /// A seller of this kind, selling all the market's documents.
    #[must_use]
    pub fn seller(self) -> SellerConfig {
        todo!()
    }
}

/// Says what market to start.
#[derive(Debug, Clone)]
pub struct MarketBuilder {
    source_dir: Option<PathBuf>,
    documents: Vec<SourceDocument>,
    sellers: Vec<SellerConfig>,
}

impl MarketBuilder {
    /// Sells the .md, .txt and .html files of a folder.
    #[must_use]
    pub fn source_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.source_dir = Some(path.into());
        self
    }
    /// Sells these texts (besides the folder's, if both are given).
    #[must_use]
    pub fn documents(mut self, documents: Vec<SourceDocument>) -> Self {
        self.documents.extend(documents);
        self
    }
    /// Adds a seller after the honest ones.
    #[must_use]
    pub fn add_seller(mut self, seller: SellerConfig) -> Self {
        self.sellers.push(seller);
        self
    }
    /// Whether the main seller of all documents is there; by default it is.
    #[must_use]
    pub fn main_seller(self, _yes: bool) -> Self {
        self
    }
    /// Whether a second seller offers every third document at another price; by default it does.
    #[must_use]
    pub fn resellers(self, _yes: bool) -> Self {
        self
    }
    /// Gives an address that many atomic units at the start.
    #[must_use]
    pub fn buyer_funds(self, _address: impl Into<Address>, _atomic: u128) -> Self {
        self
    }
    /// Sets the time that chain, facilitator and sellers share; by default the machine's.
    #[must_use]
    pub fn clock(self, _clock: impl Into<TimeSource>) -> Self {
        self
    }
    /// Sets the chain id; by default 31337.
    #[must_use]
    pub fn chain_id(self, _chain_id: u64) -> Self {
        self
    }
    /// Sets address, name and version of the token; by default a fixed address, "USD Coin", "2".
    #[must_use]
    pub fn token(self, _address: impl Into<Address>, _name: &str, _version: &str) -> Self {
        self
    }
    /// How many blocks `safe` and `finalized` lie behind `latest`; by default 0.
    #[must_use]
    pub fn finality_depth(self, _blocks: u64) -> Self {
        self
    }
    /// Sets the ports; by default free ones.
    #[must_use]
    pub fn ports(self, _ports: Ports) -> Self {
        self
    }
    /// Whether `/admin/faults` and `/admin/log` are served; by default not.
    #[must_use]
    pub fn admin(self, _yes: bool) -> Self {
        self
    }
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// [`MarketError`]: a bad folder, nothing to sell, a port that is taken.
    pub async fn start(self) -> Result<Market, MarketError> {
        todo!()
    }
}

/// A running market. Stops when dropped; [`Market::stop`] also waits for it.
#[derive(Debug)]
pub struct Market {
    chain: Chain,
    facilitator: Facilitator,
    sellers: Vec<Seller>,
}

impl Market {
    /// Begins to describe a market.
    #[must_use]
    pub fn builder() -> MarketBuilder {
        todo!()
    }
    /// The chain's JSON-RPC.
    #[must_use]
    pub fn rpc_url(&self) -> &str {
        todo!()
    }
    /// The facilitator, without a slash at the end.
    #[must_use]
    pub fn facilitator_url(&self) -> &str {
        todo!()
    }
    /// Where an agent begins: `…/discovery/search`.
    #[must_use]
    pub fn discovery_url(&self) -> String {
        todo!()
    }
    /// The sellers, without a slash at the end: the main one, the reseller, then those added.
    #[must_use]
    pub fn seller_urls(&self) -> Vec<String> {
        todo!()
    }
    /// The CAIP-2 network: `eip155:31337`.
    #[must_use]
    pub fn network(&self) -> String {
        todo!()
    }
    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        todo!()
    }
    /// Makes money.
    pub fn mint(&self, _to: impl Into<Address>, _atomic: u128) {
        todo!()
    }
    /// The balance at the newest block.
    #[must_use]
    pub fn balance_of(&self, _who: impl Into<Address>) -> u128 {
        todo!()
    }
    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
    /// The facilitator.
    #[must_use]
    pub fn facilitator(&self) -> &Facilitator {
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
        todo!()
    }
    /// Stops everything, and waits until the ports are free.
    pub async fn stop(self) {
        todo!()
    }
}
