//! What market to start, and starting it.

use super::Market;
use crate::{
    chain::{Chain, ChainSettings, Revert, Rpc, StateFileError, Token},
    clock::TimeSource,
    facilitator::{Facilitator, FacilitatorService},
    faults::FaultError,
    library::{FolderError, Library, SourceDocument},
    primitives::Address,
    seller::{Pricing, Seller, SellerConfig, SellerService, WireVersion},
    server::{Host, Stand, Venue},
};
use std::{io, path::PathBuf};
use thiserror::Error;

/// Seconds between the blocks of the chain that the market's is modelled on.
const BLOCK_TIME_S: u64 = 2;

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
    /// An address cannot be given what it was to be given.
    #[error("mint for {address}: {revert}")]
    Funds {
        /// The address.
        address: Address,
        /// What the token said.
        revert: Revert,
    },
    /// A seller was given a fault that is not a seller's.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The chain cannot be kept in its file.
    #[error(transparent)]
    State(#[from] StateFileError),
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

/// Says what market to start.
#[derive(Debug, Clone)]
pub struct MarketBuilder {
    source_dir: Option<PathBuf>,
    documents: Vec<SourceDocument>,
    main_seller: bool,
    signed: bool,
    reseller: bool,
    sellers: Vec<SellerConfig>,
    funds: Vec<(Address, u128)>,
    gas: Vec<(Address, u128)>,
    chain: ChainSettings,
    ports: Ports,
    admin: bool,
    wire: WireVersion,
    state_file: Option<PathBuf>,
    in_process: bool,
}

impl MarketBuilder {
    pub(super) fn new() -> Self {
        let chain = ChainSettings {
            token: Token::default(),
            clock: TimeSource::default(),
            finality_depth: 0,
            block_time_s: BLOCK_TIME_S,
            log_range_max: u64::MAX,
        };
        Self {
            source_dir: None,
            documents: Vec::new(),
            main_seller: true,
            signed: false,
            reseller: true,
            sellers: Vec::new(),
            funds: Vec::new(),
            gas: Vec::new(),
            chain,
            ports: Ports::default(),
            admin: false,
            wire: WireVersion::default(),
            state_file: None,
            in_process: false,
        }
    }

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

    /// Whether the main seller, of all documents, is there; by default it is.
    #[must_use]
    pub const fn main_seller(mut self, yes: bool) -> Self {
        self.main_seller = yes;
        self
    }

    /// Whether these two sign their offers and receipts; by default they do not.
    #[must_use]
    pub const fn signed(mut self, yes: bool) -> Self {
        self.signed = yes;
        self
    }

    /// Whether a second seller offers every third document, some cheaper and some dearer; by default it does.
    #[must_use]
    pub const fn resellers(mut self, yes: bool) -> Self {
        self.reseller = yes;
        self
    }

    /// Gives an address that many atomic units, unless its chain has given it some before.
    #[must_use]
    pub fn buyer_funds(mut self, address: impl Into<Address>, atomic: u128) -> Self {
        self.funds.push((address.into(), atomic));
        self
    }

    /// Gives an address that many wei to pay gas with, unless its chain has given it some before. By default nobody has any.
    #[must_use]
    pub fn buyer_gas(mut self, address: impl Into<Address>, wei: u128) -> Self {
        self.gas.push((address.into(), wei));
        self
    }

    /// Sets the time that chain, facilitator and sellers share; by default the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<TimeSource>) -> Self {
        self.chain.clock = clock.into();
        self
    }

    /// Sets the chain id; by default 31337.
    #[must_use]
    pub const fn chain_id(mut self, chain_id: u64) -> Self {
        self.chain.token.chain_id = chain_id;
        self
    }

    /// Sets the token's address and the name and version of its EIP-712 domain; by default "USD Coin", "2".
    #[must_use]
    pub fn token(mut self, address: impl Into<Address>, name: &str, version: &str) -> Self {
        self.chain.token.address = address.into();
        name.clone_into(&mut self.chain.token.name);
        version.clone_into(&mut self.chain.token.version);
        self
    }

    /// How many blocks `safe` and `finalized` lie behind `latest`; by default 0.
    #[must_use]
    pub const fn finality_depth(mut self, blocks: u64) -> Self {
        self.chain.finality_depth = blocks;
        self
    }

    /// How many blocks one `eth_getLogs` may span, as public nodes limit it; by default any number.
    #[must_use]
    pub const fn log_range_max(mut self, blocks: u64) -> Self {
        self.chain.log_range_max = blocks;
        self
    }

    /// Sets the ports; by default free ones.
    #[must_use]
    pub const fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Whether `/admin/faults` and `/admin/log` are served; by default not.
    #[must_use]
    pub const fn admin(mut self, yes: bool) -> Self {
        self.admin = yes;
        self
    }

    /// Sets the version of x402 that the honest sellers speak; by default 2.
    #[must_use]
    pub const fn wire(mut self, wire: WireVersion) -> Self {
        self.wire = wire;
        self
    }

    /// Keeps the chain in a file: balances, nonces, transfers and blocks survive a restart. By default it is forgotten.
    ///
    /// The file has a JSON line for everything that was applied, written before it is applied; what moves money is synced.
    /// One market at a time has it open.
    #[must_use]
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_file = Some(path.into());
        self
    }

    /// Starts without sockets: no port is bound and no task spawned, the ports asked for do not count, and the market is
    /// reached by [`Market::exchange`] alone, under names such as `http://rpc.market.test`,
    /// `http://facilitator.market.test` and `http://seller-0.market.test`.
    #[must_use]
    pub const fn in_process(mut self) -> Self {
        self.in_process = true;
        self
    }

    /// Starts everything.
    ///
    /// # Errors
    ///
    /// [`MarketError`]: a bad folder, nothing to sell, a port that is taken, a fault that is not a seller's, a file
    /// that the chain cannot be kept in.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops what was started.
    pub async fn start(self) -> Result<Market, MarketError> {
        let library = self.library()?;
        let configs = self.configs();
        if configs.is_empty()
            || (library.documents().is_empty()
                && configs.iter().all(|config| config.documents.is_none() && config.goods.is_empty()))
        {
            return Err(MarketError::NothingToSell);
        }
        let chain = match &self.state_file {
            Some(path) => Chain::open(self.chain, path)?,
            None => Chain::new(self.chain),
        };
        let funded: Vec<bool> =
            self.funds.iter().map(|(address, _)| chain.was_minted_for(*address)).collect();
        let new = self.funds.into_iter().zip(funded).filter(|(_, funded)| !funded);
        for ((address, atomic), _) in new {
            chain.mint(address, atomic).map_err(|revert| MarketError::Funds { address, revert })?;
        }
        let given: Vec<bool> = self.gas.iter().map(|(address, _)| chain.was_given_gas(*address)).collect();
        for ((address, wei), _) in self.gas.into_iter().zip(given).filter(|(_, given)| !given) {
            chain.give_gas(address, wei).map_err(|revert| MarketError::Funds { address, revert })?;
        }
        let admin = self.admin;
        let facilitator = Facilitator::new(chain.clone());
        let mut venue = Venue::new(self.in_process);
        let mut sellers = Vec::new();
        for (index, config) in configs.into_iter().enumerate() {
            let stand = reserve(&venue, config.port, &format!("seller-{index}")).await?;
            let url = stand.url().to_owned();
            let seller = Seller::new(config, url, library.documents(), chain.clone(), facilitator.clone())?;
            venue.open(stand, Host::Seller(SellerService { seller: seller.clone(), admin }));
            sellers.push(seller);
        }
        facilitator.publish(sellers.iter().flat_map(Seller::listings).collect());
        let stand = reserve(&venue, self.ports.facilitator, "facilitator").await?;
        let facilitator_url = stand.url().to_owned();
        let service = FacilitatorService { facilitator: facilitator.clone(), admin };
        venue.open(stand, Host::Facilitator(service));
        let stand = reserve(&venue, self.ports.rpc, "rpc").await?;
        let rpc_url = stand.url().to_owned();
        venue.open(stand, Host::Rpc(Rpc { chain: chain.clone(), admin }));
        tracing::info!(rpc_url, facilitator_url, sellers = sellers.len(), "market open");
        let skipped = library.skipped().to_vec();
        Ok(Market { chain, facilitator, sellers, venue, rpc_url, facilitator_url, skipped })
    }

    fn library(&self) -> Result<Library, MarketError> {
        let given = Library::from_sources(self.documents.clone());
        let Some(folder) = &self.source_dir else { return Ok(given) };
        Ok(Library::read(folder)?.with(&given))
    }

    fn configs(&self) -> Vec<SellerConfig> {
        let main = SellerConfig::new("Main Library").port(self.ports.seller).wire(self.wire);
        let reseller = SellerConfig::new("The Reseller")
            .port(self.ports.reseller)
            .wire(self.wire)
            .every(3, 0)
            .pricing(Pricing::default().percents(&[80, 130, 90]));
        let main = self.main_seller.then_some(main);
        let reseller = self.reseller.then_some(reseller);
        // Without texts of the market's own, the honest sellers have nothing to sell.
        let honest = self.source_dir.is_some() || !self.documents.is_empty();
        let honest = main.into_iter().chain(reseller).filter(|_| honest);
        let honest = honest.map(|seller| if self.signed { seller.signed() } else { seller });
        honest.chain(self.sellers.iter().cloned()).collect()
    }
}

async fn reserve(venue: &Venue, port: u16, name: &str) -> Result<Stand, MarketError> {
    venue.reserve(port, name).await.map_err(|source| MarketError::Port { port, source })
}
