//! The market in a box: started on loopback with the data folder's chain, on the ports it had before.

use crate::exit::CliError;
use crate::sources::documents;
use bursar::Asset;
use bursar::types::SessionId;
use bursar_market::{Address, Market, MarketBuilder, MarketError, Ports};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// 1000 USDC, worth nothing.
pub(crate) const PLAY_FUNDS: u128 = 1_000_000_000;

/// The name of the market of the documents that come with the command.
const BUILT_IN: &str = "built in";

/// A market with what a buyer must know of it.
#[derive(Debug)]
pub(crate) struct MarketBox {
    pub(crate) market: Market,
    /// The ports it had before were taken.
    pub(crate) moved: bool,
}

impl MarketBox {
    /// Starts the market of a data folder: the same chain, and the same addresses for the same sources.
    pub(crate) async fn start(data: &Path, sources: Option<&Path>, buyer: Address) -> Result<Self, CliError> {
        let describe = |ports: Ports| {
            builder(sources).state_file(data.join("chain.jsonl")).buyer_funds(buyer, PLAY_FUNDS).ports(ports)
        };
        let path = file(data);
        let mut known = Known::read(&path)?;
        let name = name(sources);
        let wanted = known.markets.get(&name).copied().map(Ports::from);
        let (market, moved) = match describe(wanted.unwrap_or_default()).start().await {
            Err(MarketError::Port { .. }) if wanted.is_some() => {
                (describe(Ports::default()).start().await?, true)
            }
            started => (started?, false),
        };
        if wanted.is_none() || moved {
            known.markets.insert(name, KnownPorts::of(&market));
            known.write(&path)?;
        }
        Ok(Self { market, moved })
    }
}

/// Keeps which market a session buys from, so that the session can be resumed.
pub(crate) fn remember(data: &Path, session: SessionId, sources: Option<&Path>) -> Result<(), CliError> {
    let path = file(data);
    let mut known = Known::read(&path)?;
    known.sessions.insert(session, name(sources));
    known.write(&path)
}

/// What the market that a session bought from sells; `None` if it was none in a box.
pub(crate) fn remembered(data: &Path, session: SessionId) -> Result<Option<Sources>, CliError> {
    let known = Known::read(&file(data))?;
    Ok(known.sessions.get(&session).map(|name| Sources::named(name)))
}

/// What a market that the data folder had sells; `None` if it had none.
pub(crate) fn any(data: &Path) -> Result<Option<Sources>, CliError> {
    let known = Known::read(&file(data))?;
    Ok(known.markets.keys().next().map(|name| Sources::named(name)))
}

/// What a market sells.
#[derive(Debug)]
pub(crate) enum Sources {
    /// The documents that come with the command.
    BuiltIn,
    /// The files of a folder.
    Folder(PathBuf),
}

impl Sources {
    /// The way back from [`name`].
    fn named(name: &str) -> Self {
        match name {
            BUILT_IN => Self::BuiltIn,
            folder => Self::Folder(PathBuf::from(folder)),
        }
    }

    /// The folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::Folder(folder) => Some(folder),
        }
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("market.json")
}

/// A market of a folder, or of the documents that come with the command.
pub(crate) fn builder(sources: Option<&Path>) -> MarketBuilder {
    match sources {
        Some(folder) => Market::builder().source_dir(folder),
        None => Market::builder().documents(documents()),
    }
}

/// The market's token as an asset.
pub(crate) fn asset(market: &Market) -> Asset {
    let token = market.token();
    let name = (token.name.as_str(), token.version.as_str());
    Asset::stablecoin(token.chain_id, &token.address.to_string(), &token.symbol, token.decimals, name, false)
}

/// Sources are told apart by their folder, so that one folder's addresses are never another's.
fn name(sources: Option<&Path>) -> String {
    sources.map_or_else(
        || BUILT_IN.to_owned(),
        |folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string(),
    )
}

/// `market.json`: the ports of every market of a data folder, and the sessions that bought there.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    markets: BTreeMap<String, KnownPorts>,
    /// Which of them each session bought from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sessions: BTreeMap<SessionId, String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownPorts {
    rpc: u16,
    facilitator: u16,
    seller: u16,
    reseller: u16,
}

impl From<KnownPorts> for Ports {
    fn from(known: KnownPorts) -> Self {
        Self {
            rpc: known.rpc,
            facilitator: known.facilitator,
            seller: known.seller,
            reseller: known.reseller,
        }
    }
}

impl KnownPorts {
    fn of(market: &Market) -> Self {
        let sellers = market.seller_urls();
        let seller = |index: usize| sellers.get(index).map_or(0, |url| port(url));
        Self {
            rpc: port(market.rpc_url()),
            facilitator: port(market.facilitator_url()),
            seller: seller(0),
            reseller: seller(1),
        }
    }
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

impl Known {
    fn read(path: &Path) -> Result<Self, CliError> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| CliError::Damaged { path: path.to_owned(), problem: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(CliError::File { doing: "read", path: path.to_owned(), source }),
        }
    }

    /// Replaces the file whole, so that a crash leaves the old or the new one.
    fn write(&self, path: &Path) -> Result<(), CliError> {
        let failed = |source| CliError::File { doing: "write", path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let new: PathBuf = path.with_extension("json.new");
        std::fs::write(&new, text + "\n").map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)
    }
}
