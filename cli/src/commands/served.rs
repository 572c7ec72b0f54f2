//! What `bursar mcp` and `bursar gateway` share: opening a teller, and saying who is served.

use super::research;
use crate::args::{ServedArgs, default_budget};
use crate::exit::CliError;
use crate::market_box::MarketBox;
use crate::screen::Notes;
use bursar::types::{Digest, Entropy as _};
use bursar::{Bursar, BursarError, Caller, Mandate, SystemEntropy};
use bursar_gateway::Teller;
use std::io::Write as _;

/// The one caller of a market in a box.
pub(super) const LOCAL: &str = "local";

/// Who is served.
pub(super) enum Served<'a> {
    /// This caller; in a market in a box there is only one.
    One(Option<&'a str>),
    /// All who have a token.
    WithTokens,
}

/// A teller with what it stands on.
pub(super) struct Opened {
    pub(super) teller: Teller,
    pub(super) bursar: Bursar,
    /// The token of the one caller of a market in a box.
    pub(super) token: Option<String>,
    _market: Option<MarketBox>,
}

/// Opens it.
pub(super) async fn open(args: &ServedArgs, served: Served<'_>) -> Result<Opened, CliError> {
    let Some(config) = &args.config else { return in_a_box(args, served).await };
    let open = research::with_config(config).await?;
    let bursar = open.bursar;
    let teller = match served {
        Served::One(Some(name)) => Teller::open_for(bursar.clone(), name).await,
        Served::One(None) => {
            let [only] = bursar.callers() else { return Err(CliError::WhichCaller(names(bursar.callers()))) };
            let name = only.name().to_owned();
            Teller::open_for(bursar.clone(), &name).await
        }
        Served::WithTokens => {
            for caller in bursar.callers().iter().filter(|caller| !caller.has_token()) {
                let why = caller.missing_variable().map_or_else(
                    || "it has neither `token_sha256` nor `token_env`".to_owned(),
                    |variable| format!("`{variable}` is not set"),
                );
                Notes.say(format!("note: caller `{}` is not served over HTTP: {why}", caller.name()));
            }
            let with = bursar.callers().iter().filter(|caller| caller.has_token()).cloned().collect();
            Teller::open_with(bursar.clone(), with).await
        }
    }?;
    Ok(Opened { teller, bursar, token: None, _market: None })
}

fn names(callers: &[Caller]) -> Vec<String> {
    callers.iter().map(|caller| caller.name().to_owned()).collect()
}

async fn in_a_box(args: &ServedArgs, served: Served<'_>) -> Result<Opened, CliError> {
    let open = research::in_a_box(args.data.as_deref(), args.sources.as_deref()).await?;
    let budget = args.budget.clone().unwrap_or_else(default_budget);
    let mut mandate =
        Mandate::new("tried out in a market in a box", LOCAL).session_budget(budget.clone()).agent(LOCAL);
    if let Some(token) = &open.token {
        mandate = mandate.asset(token.clone());
    }
    // Another budget is another mandate, and so another session.
    let generation = u32::try_from(budget.atomic() % u128::from(u32::MAX)).unwrap_or(1);
    let name = match served {
        Served::One(Some(name)) => name,
        Served::One(None) | Served::WithTokens => LOCAL,
    };
    let (mut caller, mut token) = (Caller::new(name, mandate).generation(generation), None);
    if matches!(served, Served::WithTokens) {
        let mut secret = [0; 32];
        SystemEntropy.fill(&mut secret);
        let fresh = Digest::from_bytes(secret).to_string();
        caller = caller.token(&fresh);
        token = Some(fresh);
    }
    let teller = Teller::open_with(open.bursar.clone(), vec![caller]).await?;
    Ok(Opened { teller, bursar: open.bursar, token, _market: open.market.map(|(market, _)| market) })
}

/// Says where it listens, whom it serves, and the token of a market in a box. Whoever starts it waits for the first line.
pub(super) fn say(opened: &Opened, address: &str) {
    let mut out = anstream::stdout().lock();
    // Nobody there to read it is no fault.
    let _ = writeln!(out, "listens at {address}");
    for caller in opened.teller.callers() {
        let session = opened.teller.session(caller.name()).map(|session| session.id().to_string());
        let _ = writeln!(out, "serves {} in session {}", caller.name(), session.unwrap_or_default());
    }
    if let Some(token) = &opened.token {
        let _ = writeln!(out, "token {token}");
    }
    let _ = out.flush();
}

impl Opened {
    /// Waits for calls and payments at work, and closes the data file.
    pub(super) async fn close(self) -> Result<(), CliError> {
        self.teller.close().await;
        self.bursar.close().await.map_err(|error: BursarError| CliError::Afterwards(error))
    }
}
