//! `bursar.toml`.

use crate::audit::{AuditConfig, AuditOptions};
use crate::callers::CallerConfig;
use crate::erase::parse_age_ms;
use crate::error::BursarError;
use crate::mandate_file;
use crate::model_config::ModelConfig;
use crate::telemetry::TelemetryConfig;
use bursar_payments::{Mandate, MandateFile, OutflowRules, PinnedKey, PolicyFile, RecoveryRules, Unread};
use bursar_types::{Amount, Asset, AssetId, AssetRegistry, Eip712Name, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
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
    /// Where the journal is published, and who sees it; each field has a default.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Whether money that is worth something may be spent: off unless this says `true`, and the mandate too.
    #[serde(default)]
    pub live: bool,
    /// Where spans and metrics go, and what is in them: see [`telemetry`](crate::telemetry).
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// How what leaves the wallet is compared with the journal.
    #[serde(default)]
    pub outflow: OutflowConfig,
    /// How long what is finished is kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// The model that agents ask, for whoever takes it from here: [`ModelConfig::open`].
    pub model: Option<ModelConfig>,
    /// APIs whose operations agents may use.
    #[serde(default, rename = "api")]
    pub apis: Vec<ApiConfig>,
    /// MCP servers whose tools agents may use.
    #[serde(default, rename = "mcp")]
    pub mcp: Vec<McpServerConfig>,
    /// What the user authorised.
    pub mandate: Option<MandateFile>,
    /// The same in a file of its own, which can be signed: its signature lies beside it, with `.sig` after the name.
    pub mandate_file: Option<PathBuf>,
    /// Who may issue mandates. If anybody is named here, only `mandate_file` counts, with a signature of theirs.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<PinnedKey>,
    /// Who may spend through `bursar mcp` and `bursar gateway`.
    #[serde(default, rename = "caller")]
    pub callers: Vec<CallerConfig>,
}

/// An MCP server whose tools agents may use: see `Bursar::mcp_servers`, with the feature `mcp`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpServerConfig {
    /// Its name, which stands before the names of its tools: lower-case letters, digits and hyphens.
    pub name: String,
    /// Where it is, if it is reached over HTTP.
    pub url: Option<String>,
    /// The variable that holds its bearer token.
    pub token_env: Option<String>,
    /// The program and its arguments, if it runs on this machine.
    #[serde(default)]
    pub command: Vec<String>,
    /// Variables of the program's environment: under the name that it knows, the variable that holds the value.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its tools that are paid for; `*` for all.
    #[serde(default)]
    pub paid: Vec<String>,
    /// Its tools that only read; `*` for all. What the server says of them counts for nothing.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The only tools that are used; without it, all.
    pub only: Option<Vec<String>>,
    /// Longest time of a call.
    pub call_ms: Option<u64>,
}

/// Which addresses agents may reach beside the public internet. RPC endpoints are not meant: they may be anywhere.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAccess {
    /// This machine: for development only.
    #[serde(default)]
    pub loopback: bool,
}

/// How what leaves the wallet is compared with the journal, on opening and from time to time.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutflowConfig {
    /// Whether others pay from this wallet too. What leaves it then stops spending only where this ledger authorized it.
    #[serde(default)]
    pub shared: bool,
    /// What to do where the chain cannot be read: `refuse` to pay, or `pay`, which is journaled.
    #[serde(default)]
    pub unread: UnreadConfig,
}

/// What to do where the chain cannot be read.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadConfig {
    /// Nothing is paid until it can be.
    #[default]
    Refuse,
    /// Pay.
    Pay,
}

impl OutflowConfig {
    pub(crate) const fn rules(self) -> OutflowRules {
        let unread = match self.unread {
            UnreadConfig::Refuse => Unread::Refuse,
            UnreadConfig::Pay => Unread::Pay,
        };
        OutflowRules { shared: self.shared, unread }
    }
}

/// How long what is finished is kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Texts, URLs, bodies, quotes, mandates and runs, such as `90d`, `12h` or `2w`; without it they are kept for ever. Looked
    /// at on opening and by `bursar watch`.
    pub payloads: Option<String>,
}

impl RetentionConfig {
    /// The age in milliseconds, if there is one that reads as an age.
    pub(crate) fn payloads_ms(&self) -> Option<u64> {
        parse_age_ms(self.payloads.as_deref()?)
    }
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

/// An API whose operations agents may use: see `Bursar::apis`, with the feature `openapi`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Its name, which stands before the names of its tools: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its OpenAPI document, beside the configuration.
    pub document: PathBuf,
    /// Where it is, such as `https://api.example/v1`. What the document says about servers counts for nothing.
    pub server: String,
    /// For each security scheme of the document, the variable that holds its credential.
    #[serde(default)]
    pub credentials: BTreeMap<String, String>,
    /// The variable that holds a bearer token to be sent with every request, for a document without security schemes.
    pub bearer_env: Option<String>,
    /// Headers that are sent with every request, each with the variable that holds its value.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Operations that are paid for: an `operationId`, or `METHOD /path`; `*` stands for anything.
    #[serde(default)]
    pub paid: Vec<String>,
    /// Operations that only read, whatever their method.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Operations that change something, whatever their method.
    #[serde(default)]
    pub writes: Vec<String>,
    /// Path parameters whose values may hold slashes.
    #[serde(default)]
    pub slashes: Vec<String>,
    /// The only operations that are used; without it, all.
    pub only: Option<Vec<String>>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`BursarError::ConfigFile`], [`BursarError::Config`] or [`BursarError::ConfigValue`], naming the file and, where it is
    /// known, the line.
    pub fn read(path: &Path) -> Result<Self, BursarError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BursarError::ConfigFile { path: path.to_owned(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|error| BursarError::malformed(path, &text, &error))?;
        match config.problem() {
            None => Ok(config),
            Some(problem) => {
                let line = line_of(&text, &problem);
                Err(BursarError::ConfigValue { path: path.to_owned(), line, problem })
            }
        }
    }

    /// What can be seen to be wrong before anything is opened.
    fn problem(&self) -> Option<String> {
        // One in a file of its own is checked where it is read, with its signature.
        if let Some(Err(error)) = self.mandate.clone().map(|mandate| mandate.into_mandate(&self.registry())) {
            return Some(BursarError::from(error).to_string());
        }
        if let Err(error) = self.two_readers() {
            return Some(error.to_string());
        }
        if let (Some(age), None) = (&self.retention.payloads, self.retention.payloads_ms()) {
            let age = age.escape_debug();
            return Some(format!("retention.payloads: `{age}` is not an age such as `90d`, `12h` or `2w`"));
        }
        for (at, network) in self.networks.iter().enumerate() {
            let name = network.network.escape_debug();
            let known = network.network.strip_prefix("eip155:").is_some_and(|id| id.parse::<u64>().is_ok());
            if !known {
                return Some(format!(
                    "network[{at}].network: `{name}` is not a CAIP-2 id such as `eip155:84532`"
                ));
            }
            if network.rpc.is_empty() {
                return Some(format!(
                    "network[{at}].rpc: `{name}` has no endpoint, so it could never be paid on"
                ));
            }
            if let Some(url) = network.rpc.iter().find(|url| !is_http(url)) {
                let url = url.escape_debug();
                return Some(format!(
                    "network[{at}].rpc: `{url}` is not a URL such as `https://sepolia.base.org`"
                ));
            }
        }
        if let Some(problem) = self.audit.problem().or_else(|| self.telemetry.problem()) {
            return Some(problem);
        }
        if let Some(problem) = self.model.as_ref().and_then(|model| model.problem("model")) {
            return Some(problem);
        }
        let service = self.discovery.iter().find(|url| !is_http(url))?;
        Some(format!("discovery: `{}` is not a URL such as `https://api.example`", service.escape_debug()))
    }

    /// Its `[audit]`; paths are relative to `base`, the folder of the configuration.
    pub fn audit_options(&self, base: &Path) -> AuditOptions {
        self.audit.options(base)
    }

    /// Above which worth two endpoints must say the same, if the file says so.
    pub(crate) fn two_readers(&self) -> Result<Option<Amount>, BursarError> {
        let read = |text: &String| {
            let problem = |source| BursarError::TwoReaders { text: text.clone(), source };
            Amount::parse_decimal(&Asset::micro_usd(), text).map_err(problem)
        };
        self.two_readers_above.as_ref().map(read).transpose()
    }

    /// The pinned assets with those that it adds.
    #[must_use]
    pub fn registry(&self) -> AssetRegistry {
        let mut registry = AssetRegistry::pinned();
        for asset in &self.assets {
            registry.insert(asset.clone().into_asset());
        }
        registry
    }

    /// Its mandate, checked: also its signature at `now`, where issuers are named. Names are relative to `base`, the folder of the
    /// configuration.
    ///
    /// # Errors
    /// [`BursarError::Mandate`], naming the field; [`BursarError::MandateSignature`].
    pub fn checked_mandate(&self, base: &Path, now: Timestamp) -> Result<Option<Mandate>, BursarError> {
        Ok(mandate_file::read(self, base, &self.registry(), now)?.map(|read| read.mandate))
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
#[serde(try_from = "WrittenWallet")]
pub enum WalletConfig {
    /// An encrypted keystore (Web3 Secret Storage).
    Keystore {
        /// The file.
        keystore: PathBuf,
        /// The variable that holds its password.
        password_env: String,
    },
    /// A key in a variable: for tests, never for money.
    Environment {
        /// The variable.
        key_env: String,
    },
}

/// The table as it is written: which kind it is follows from its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWallet {
    keystore: Option<PathBuf>,
    password_env: Option<String>,
    key_env: Option<String>,
}

impl TryFrom<WrittenWallet> for WalletConfig {
    type Error = &'static str;

    fn try_from(written: WrittenWallet) -> Result<Self, Self::Error> {
        match (written.keystore, written.password_env, written.key_env) {
            (Some(keystore), password, None) => {
                let password_env = password.unwrap_or_else(|| "BURSAR_WALLET_PASSWORD".to_owned());
                Ok(Self::Keystore { keystore, password_env })
            }
            (None, None, Some(key_env)) => Ok(Self::Environment { key_env }),
            _ => Err("give either `keystore`, with `password_env` if you like, or `key_env`"),
        }
    }
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

/// The line that a problem is about, if that is certain: the only one that holds what it quotes first, or else that of its field.
fn line_of(text: &str, problem: &str) -> Option<usize> {
    line_of_quoted(text, problem).or_else(|| line_of_field(text, problem))
}

/// The line of the field that a problem names first, such as `model.name: …`; of its section, if the field is not there.
fn line_of_field(text: &str, problem: &str) -> Option<usize> {
    let (section, field) = problem.split_once(':')?.0.rsplit_once('.')?;
    let (mut inside, mut header) = (false, None);
    for (number, line) in (1_usize..).zip(text.lines().map(str::trim)) {
        if let Some(name) = line.strip_prefix('[') {
            inside = name.split(']').next().is_some_and(|name| name.trim() == section);
            header = header.or(inside.then_some(number));
        } else if inside && line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return Some(number);
        }
    }
    header
}

fn line_of_quoted(text: &str, problem: &str) -> Option<usize> {
    let quoted = problem.split('`').nth(1).filter(|quoted| !quoted.is_empty())?;
    let quoted = format!("\"{quoted}\"");
    let mut found = (1_usize..).zip(text.lines()).filter(|(_, line)| line.contains(&quoted));
    match (found.next(), found.next()) {
        (Some((line, _)), None) => Some(line),
        _ => None,
    }
}

pub(crate) fn is_http(text: &str) -> bool {
    let scheme = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    text.parse::<http::Uri>().is_ok_and(|uri| scheme(&uri) && uri.host().is_some())
}
