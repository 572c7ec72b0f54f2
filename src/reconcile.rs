//! The books against what others say: the chain, or a statement. Four lists: matched, missing here, missing there, different.
//!
//! Nothing here pays, and nothing marks money as not moved. What left the wallet and is missing here can be taken into the journal
//! by a person, as spent ([`Reconciler::accept`]).

mod chain;
mod lists;
mod statement;

pub use chain::ChainVerified;
pub use lists::{Here, Item, List, Reconciliation, There, against_statement};
pub use statement::{Statement, StatementError, StatementRow};

use crate::config::{Config, FinalityConfig};
use crate::error::BursarError;
use crate::report;
use crate::system::{SystemClock, SystemEntropy};
use bursar_ledger::Ledger;
use bursar_payments::x402::{Finality, NetworkReader, X402, X402Options};
use bursar_payments::{
    HttpTransport, OutflowAccepted, OutflowError, OutflowLook, OutflowRules, Payments, Policy, Rail,
    attempts, networks, wallets,
};
use bursar_types::{AssetRegistry, Transport};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A quote's life matters to nobody here.
const NO_QUOTES_MS: u64 = 0;

/// Compares a data folder with the chain. It holds no key, so nothing can be paid with it.
#[derive(Debug)]
pub struct Reconciler {
    data: PathBuf,
    networks: Vec<NetworkReader>,
    rpc_urls: Vec<String>,
    registry: AssetRegistry,
    rules: OutflowRules,
    wallets: Vec<String>,
}

impl Reconciler {
    /// Of a data folder.
    pub fn of(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            networks: Vec::new(),
            rpc_urls: Vec::new(),
            registry: AssetRegistry::pinned(),
            rules: OutflowRules::default(),
            wallets: Vec::new(),
        }
    }

    /// Of the data folder, networks and assets of a configuration; paths are relative to `base`, the folder it is in. Its wallet is
    /// not opened.
    pub fn configured(config: &Config, base: &Path) -> Self {
        let mut reconciler = Self::of(base.join(&config.data));
        for asset in config.assets.clone() {
            reconciler.registry.insert(asset.into_asset());
        }
        for network in config.networks.clone() {
            let finality = match network.finality {
                FinalityConfig::Finalized => Finality::Finalized,
                FinalityConfig::Latest => Finality::Latest,
            };
            reconciler.networks.push(NetworkReader {
                network: network.network,
                rpc_urls: network.rpc,
                finality,
            });
        }
        reconciler.rules = config.outflow.rules();
        reconciler
    }

    /// Knows these assets too.
    #[must_use]
    pub fn assets(mut self, assets: &AssetRegistry) -> Self {
        for asset in assets.iter() {
            self.registry.insert(asset.clone());
        }
        self
    }

    /// Reads every network that the journal names at these endpoints. One of another network is told in the answer, as what could not
    /// be read.
    #[must_use]
    pub fn read_at(mut self, rpc_urls: &[String]) -> Self {
        self.rpc_urls = rpc_urls.to_vec();
        self
    }

    /// Says whose outflow is compared, beside the wallets that the journal names.
    #[must_use]
    pub fn wallet(mut self, address: impl Into<String>) -> Self {
        self.wallets.push(address.into());
        self
    }

    /// The assets that amounts are shown and statements are read in.
    #[must_use]
    pub const fn registry(&self) -> &AssetRegistry {
        &self.registry
    }

    /// Compares the chain with the journal: what is new since everything matched, or all of it since the journal began. What the
    /// journal does not know stops all spending, as on opening.
    ///
    /// # Errors
    /// [`BursarError::NoOutflow`] if no wallet is known or no network can be read. [`BursarError::Ledger`]. What cannot be read
    /// now is in the answer.
    pub async fn chain(&self, look: OutflowLook) -> Result<Reconciliation, BursarError> {
        let ledger = self.ledger()?;
        let done = self.compare(&ledger, look).await;
        ledger.close().await?;
        done
    }

    async fn compare(&self, ledger: &Ledger, look: OutflowLook) -> Result<Reconciliation, BursarError> {
        let known = attempts(ledger).await?;
        let mut all = Reconciliation::default();
        for payments in self.watching(ledger).await? {
            let found = payments.look_at_outflow(look).await?;
            all.add_chain(found, &known);
        }
        all.finish_chain(&known);
        Ok(all)
    }

    /// Takes what left the wallet, and the journal does not know, into the journal: it counts as spent in every budget that it could
    /// have touched. Spending goes on if it stood still because of it.
    ///
    /// # Errors
    /// [`BursarError::Outflow`], and as [`Reconciler::chain`]. What was taken in before it stays.
    ///
    /// # Idempotency
    /// What was taken in is not taken in again.
    pub async fn accept(&self, by: &str, reason: &str) -> Result<Vec<OutflowAccepted>, BursarError> {
        let ledger = self.ledger()?;
        let mut accepted = Vec::new();
        let done = async {
            for payments in self.watching(&ledger).await? {
                accepted.push(payments.accept_outflow(by, reason).await.map_err(BursarError::from)?);
            }
            Ok(accepted)
        };
        let done: Result<_, BursarError> = done.await;
        ledger.close().await?;
        done
    }

    /// Compares a statement with the journal.
    ///
    /// # Errors
    /// [`BursarError::Ledger`].
    pub async fn statement(&self, statement: &Statement) -> Result<Reconciliation, BursarError> {
        let ledger = self.ledger()?;
        let known = attempts(&ledger).await;
        ledger.close().await?;
        Ok(against_statement(&known?, statement))
    }

    /// Compares the chain with the journal for an auditor: whether what the journal says was paid is there, and whether something left
    /// the wallet that the journal does not know. All of it since the journal began. Writes nothing.
    ///
    /// # Errors
    /// As [`Reconciler::chain`].
    pub async fn verify(&self, ledger: &Ledger) -> Result<ChainVerified, BursarError> {
        let known = attempts(ledger).await?;
        let mut all = Reconciliation::default();
        for payments in self.watching(ledger).await? {
            all.add_chain(payments.read_outflow().await?, &known);
        }
        all.finish_chain(&known);
        Ok(ChainVerified::of(&all))
    }

    fn ledger(&self) -> Result<Ledger, BursarError> {
        report::open_ledger(&self.data)
    }

    /// Payments over the ledger that see what leaves a wallet, one for each wallet.
    async fn watching(&self, ledger: &Ledger) -> Result<Vec<Payments>, BursarError> {
        let mut readers = self.networks.clone();
        if !self.rpc_urls.is_empty() {
            let (rpc_urls, finality) = (&self.rpc_urls, Finality::Finalized);
            let reader = |network| NetworkReader { network, rpc_urls: rpc_urls.clone(), finality };
            readers.extend(networks(ledger).await?.into_iter().map(reader));
        }
        if readers.is_empty() {
            return Err(BursarError::NoOutflow("no network can be read: give a configuration or --rpc"));
        }
        let mut addresses = wallets(ledger).await?;
        addresses.extend(self.wallets.iter().map(|wallet| wallet.to_ascii_lowercase()));
        if addresses.is_empty() {
            return Err(BursarError::NoOutflow(
                "the journal names no wallet: give its address with --wallet",
            ));
        }
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new()?);
        let registry = Arc::new(self.registry.clone());
        let policy = Arc::new(Policy::shipped()?);
        let each = addresses.into_iter().map(|address| {
            let rail: Arc<dyn Rail> = Arc::new(X402::new(X402Options {
                assets: registry.clone(),
                networks: readers.clone(),
                transport: transport.clone(),
                payer: address.clone(),
                quote_ttl_ms: NO_QUOTES_MS,
            }));
            Payments::watching(
                policy.clone(),
                ledger.clone(),
                vec![rail],
                address,
                registry.clone(),
                Arc::new(SystemClock),
                Arc::new(SystemEntropy),
            )
            .guarding_outflow(self.rules)
        });
        Ok(each.collect())
    }
}

impl From<OutflowError> for BursarError {
    fn from(error: OutflowError) -> Self {
        Self::Outflow(error)
    }
}
