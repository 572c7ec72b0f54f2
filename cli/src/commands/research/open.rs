//! Opening what a run needs: the data folder, with the market in a box or with a configuration.

use crate::args::{DEFAULT_DATA, ModelArgs};
use crate::data;
use crate::exit::CliError;
use crate::market_box::{self, MarketBox};
use crate::screen::Notes;
use crate::telemetry;
use bursar::types::{ApprovalId, AssetId, SessionId};
use bursar::{Bursar, BursarBuilder, BursarError, Config, ModelConfig};
use bursar_market::Address;
use std::path::{Path, PathBuf};

/// Everything a run needs, open.
pub(crate) struct Open {
    pub(crate) bursar: Bursar,
    pub(crate) data: PathBuf,
    pub(crate) market: Option<(MarketBox, Address)>,
    /// What the market in a box is paid with.
    pub(crate) token: Option<AssetId>,
    pub(crate) place: String,
    /// The configuration's section `[model]`.
    pub(crate) model: Option<ModelConfig>,
    /// What a command needs to open the same, as words of a command line.
    flags: String,
    /// What a command needs to find the data folder alone.
    data_flag: String,
}

impl Open {
    /// The same for a run of this model, which the commands that go on with it name too.
    pub(crate) fn asking(mut self, model: &ModelArgs) -> Self {
        for (flag, value) in model.given() {
            self.flags.push_str(&format!(" {flag}"));
            if let Some(value) = value {
                self.flags.push_str(&format!(" {}", word(Path::new(&value))));
            }
        }
        self
    }

    /// The command that goes on with a session.
    pub(crate) fn go_on(&self, session: SessionId) -> String {
        format!("bursar resume {session}{}", self.flags)
    }

    /// The command that says yes to a question with an approver's key.
    pub(super) fn answer(&self, approval: ApprovalId) -> String {
        format!("bursar approvals approve {approval} --key FILE{}", self.data_flag)
    }
}

/// Starts the market in a box, and opens the data folder beside it.
pub(crate) async fn in_a_box(given: Option<&Path>, sources: Option<&Path>) -> Result<Open, CliError> {
    in_a_box_as(given, sources, |builder| builder).await
}

/// The same, with what `also` adds before it is opened.
pub(crate) async fn in_a_box_as(
    given: Option<&Path>,
    sources: Option<&Path>,
    also: impl FnOnce(BursarBuilder) -> BursarBuilder,
) -> Result<Open, CliError> {
    // Sources are looked at before anything is made, so that a wrong folder leaves nothing behind.
    if let Some(folder) = sources {
        bursar_market::Library::read(folder).map_err(bursar_market::MarketError::from)?;
    }
    let data = data::folder(given)?;
    let builder = Bursar::builder(&data).play_wallet()?.reach_loopback();
    let address = builder.address().unwrap_or_default().to_owned();
    let buyer: Address = address.parse().map_err(|_| CliError::Address(address))?;
    let market = MarketBox::start(&data, sources, buyer).await?;
    if market.moved {
        Notes.say("note: the ports this market had before are taken, so it has other addresses now; what was bought at the old ones is still owned");
    }
    for skipped in market.market.skipped() {
        Notes.say(format!("note: left out `{}`: it {}", skipped.path, skipped.reason));
    }
    let token = market_box::asset(&market.market);
    let builder = builder
        .asset(token.clone())
        .network(market.market.network(), vec![market.market.rpc_url().to_owned()], true)
        .discovery(market.market.discovery_url());
    let bursar = also(telemetry::attach(builder)).open().await?;
    let place = format!(
        "{} documents from {} sellers on this machine, for play money ({})",
        market.market.sellers().first().map_or(0, |seller| seller.documents().count()),
        market.market.sellers().len(),
        market.market.network()
    );
    let flags = given.map(data_flag).unwrap_or_default();
    Ok(Open {
        bursar,
        data,
        market: Some((market, buyer)),
        token: Some(token.id().clone()),
        place,
        model: None,
        data_flag: flags.clone(),
        flags,
    })
}

/// Opens what a configuration file describes.
pub(crate) async fn with_config(path: &Path) -> Result<Open, CliError> {
    with_config_as(path, |builder| builder).await
}

/// The same, with what `also` adds before it is opened.
pub(crate) async fn with_config_as(
    path: &Path,
    also: impl FnOnce(BursarBuilder) -> BursarBuilder,
) -> Result<Open, CliError> {
    let bursar = also(telemetry::attach(Bursar::configured(path)?)).open().await?;
    let model = Config::read(path)?.model;
    let data = data_of(path)?;
    let place = format!("as `{}` says", path.display());
    let flags = format!(" --config {}", word(path));
    let data_flag = data_flag(&data);
    Ok(Open { bursar, data, market: None, token: None, place, model, flags, data_flag })
}

/// The data folder that a configuration names.
pub(crate) fn data_of(path: &Path) -> Result<PathBuf, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    let config: Config =
        toml::from_str(&text).map_err(|error| BursarError::malformed(path, &text, &error))?;
    Ok(path.parent().unwrap_or(Path::new(".")).join(config.data))
}

/// What names a data folder to a command; nothing for the one that it takes anyway.
fn data_flag(data: &Path) -> String {
    if data == Path::new(DEFAULT_DATA) { String::new() } else { format!(" --data {}", word(data)) }
}

/// A path as one word of a command line.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        assert_eq!(word(Path::new("/tmp/a-b_c.d")), "/tmp/a-b_c.d");
        assert_eq!(word(Path::new("my notes")), "'my notes'");
        assert_eq!(word(Path::new("it's")), "'it'\\''s'");
    }
}
