//! `bursar sessions`: the sessions of a data folder.

use crate::args::SessionsArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line, table};
use bursar::{BursarError, report};
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: SessionsArgs) -> Result<Exit, CliError> {
    let ledger = data::ledger(&args.data.folder)?;
    let sessions = report::sessions(&ledger).await?;
    ledger.close().await.map_err(BursarError::from)?;
    let amounts = Amounts::pinned();
    let mut out = anstream::stdout().lock();
    if sessions.is_empty() {
        let _ = writeln!(out, "no sessions yet");
        return Ok(Exit::Done);
    }
    let mut rows = table(["session", "opened", "purpose", "phase", "spent", "budget", "payments"]);
    for session in &sessions {
        let budget = session.budget.as_ref().map_or_else(|| "-".to_owned(), |budget| amounts.show(budget));
        let payments = match session.open {
            0 => session.paid.to_string(),
            open => format!("{} ({open} open)", session.paid),
        };
        rows.add_row([
            session.id.to_string(),
            session.at.to_string(),
            line(&session.purpose, 40),
            session.phase.to_string(),
            amounts.show(&session.spent),
            budget,
            payments,
        ]);
    }
    let _ = writeln!(out, "{}", rows.trim_fmt());
    Ok(Exit::Done)
}
