//! `bursar.toml`.

use crate::error::BursarError;
use bursar_payments::{Mandate, MandateFile, PolicyFile, RecoveryRules};
use bursar_types::{Asset, AssetId, AssetRegistry, Eip712Name};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What `bursar.toml` holds. Paths are relative to the file.
///
/// ```
/// let config: bursar::Config = toml::from_str(r#"
///     data = ".bursar"
///     [wallet]
///     keystore = "wallet.json"
///     [[network]]
///     network = "eip155:84532"
///     rpc = ["https://sepolia.base.org"]
///     [mandate]
///     purpose = "research"
///     assets = ["eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"]
///     budget = [{ scope = "session", limit = "0.50" }]
/// "#)?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the data file and the library's index.
    pub data: PathBuf,
    /// The high-water mark's file, outside `data`; by default beside it.
    pub mark: Option<PathBuf>,
    /// The wallet.
    pub wallet: Option<WalletConfig>,
    /// The networks that can be paid on.
    #[serde(default, rename = "network")]
    pub networks: Vec<NetworkConfig>,
    /// Assets trusted beside the pinned ones.
    #[serde(default, rename = "asset")]
    pub assets: Vec<AssetConfig>,
    /// Cedar files beside the rules that always hold, and optional rules that are shipped, such as `bursar:review`.
    #[serde(default)]
    pub policies: Vec<String>,
    /// The same, one by one, where more is to be said of a file.
    #[serde(default, rename = "policy")]
    pub policy: Vec<PolicyConfig>,
    /// Discovery services that agents search.
    #[serde(default)]
    pub discovery: Vec<String>,
    /// Above this worth in US dollars, such as `"10.00"` (the default), two endpoints must say the same about a payment.
    pub two_readers_above: Option<String>,
    /// How patiently what is open is looked after; each field has a default.
    #[serde(default)]
    pub recovery: RecoveryRules,
    /// Which addresses agents may reach beside the public internet.
    #[serde(default)]
    pub network_access: NetworkAccess,
    /// Whether money that is worth something may be spent: off unless this says `true`, and the mandate too.
    #[serde(default)]
    pub live: bool,
    /// What the user authorised.
    pub mandate: Option<MandateFile>,
}

/// Which addresses agents may reach beside the public internet. RPC endpoints are not meant: they may be anywhere.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAccess {
    /// This machine: for development only.
    #[serde(default)]
    pub loopback: bool,
}

/// A policy file of which more is said than its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The file, or the name of optional rules that are shipped.
    pub file: String,
    /// Whether it is only tried out: decided and recorded, and not enforced.
    #[serde(default)]
    pub shadow: bool,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`BursarError::ConfigFile`] or [`BursarError::Config`], naming the file and the line.
    pub fn read(path: &Path) -> Result<Self, BursarError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BursarError::ConfigFile { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| BursarError::Config { path: path.to_owned(), source: Box::new(source) })
    }

    /// Its mandate, checked.
    ///
    /// # Errors
    /// [`BursarError::Mandate`], naming the field.
    pub fn checked_mandate(&self) -> Result<Option<Mandate>, BursarError> {
        let mut registry = AssetRegistry::pinned();
        for asset in &self.assets {
            registry.insert(asset.clone().into_asset());
        }
        Ok(self.mandate.clone().map(|mandate| mandate.into_mandate(&registry)).transpose()?)
    }

    /// The policy files it names, in order, and whether each is only tried out.
    pub fn policy_files(&self) -> impl Iterator<Item = (&str, bool)> {
        let plain = self.policies.iter().map(|name| (name.as_str(), false));
        plain.chain(self.policy.iter().map(|policy| (policy.file.as_str(), policy.shadow)))
    }

    /// Reads its policy files; names are relative to `base`, the folder of the configuration.
    ///
    /// # Errors
    /// [`BursarError::ConfigFile`] names the file that cannot be read; [`BursarError::Policy`] a name that is not shipped.
    pub fn read_policies(&self, base: &Path) -> Result<Vec<PolicyFile>, BursarError> {
        let read = |(name, shadow): (&str, bool)| {
            let file = match PolicyFile::is_bundled(name) {
                true => PolicyFile::bundled(name)?,
                false => {
                    let path = base.join(name);
                    let text = std::fs::read_to_string(&path)
                        .map_err(|source| BursarError::ConfigFile { path, source })?;
                    PolicyFile::new(name, text)
                }
            };
            Ok(PolicyFile { shadow, ..file })
        };
        self.policy_files().map(read).collect()
    }
}

/// Where the wallet's key is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
pub enum WalletConfig {
    /// An encrypted keystore (Web3 Secret Storage).
    Keystore {
        /// The file.
        keystore: PathBuf,
        /// The variable that holds its password.
        #[serde(default = "password_variable")]
        password_env: String,
    },
    /// A key in a variable: for tests, never for money.
    Environment {
        /// The variable.
        key_env: String,
    },
}

/// How one network is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// CAIP-2, such as `eip155:84532`.
    pub network: String,
    /// JSON-RPC endpoints. Above `two_readers_above` two of different hosts must say the same.
    pub rpc: Vec<String>,
    /// The most that taking one authorization back may cost in fees, in the smallest unit of the chain's own coin; without
    /// it nothing is taken back.
    pub cancel_fee_wei_max: Option<u64>,
    /// `finalized`, or `latest` for a chain on this machine.
    #[serde(default)]
    pub finality: FinalityConfig,
}

/// Which block counts as settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalityConfig {
    /// The latest block that the network calls finalized.
    #[default]
    Finalized,
    /// The latest block.
    Latest,
}

/// An asset trusted beside the pinned ones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetConfig {
    /// CAIP-19.
    pub id: AssetId,
    /// Symbol for screens.
    pub symbol: String,
    /// Decimals.
    pub decimals: u8,
    /// Name and version of the token's EIP-712 domain.
    pub eip712: Eip712Name,
    /// Whether it is worth money.
    pub live: bool,
}

impl AssetConfig {
    pub(crate) fn into_asset(self) -> Asset {
        Asset::dollar_token(self.id, &self.symbol, self.decimals, self.eip712, self.live)
    }
}

fn password_variable() -> String {
    "BURSAR_WALLET_PASSWORD".to_owned()
}
