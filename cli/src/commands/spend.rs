//! `bursar spend`: every payment, as the ledger tells it, or sums by what finance asks for.

mod list;
mod sums;

use crate::args::SpendArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line};
use bursar::BursarError;
use bursar::ledger::Ledger;
use bursar::report::{self, SpendFilter};
use bursar::types::SessionId;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: SpendArgs) -> Result<Exit, CliError> {
    let ledger = data::ledger(&args.data.folder)?;
    let session = match &args.session {
        Some(given) => Some(session(&ledger, given).await?),
        None => None,
    };
    let filter = SpendFilter {
        session,
        from: args.from,
        until: args.to.map(|last| last.plus_ms(1_000)),
        only: args.only.into_pairs(),
    };
    if let Some(program) = args.export {
        let amounts = Amounts::pinned();
        let books = report::export_books(&ledger, amounts.registry(), &filter, program.into()).await;
        ledger.close().await.map_err(BursarError::from)?;
        let _ = write!(anstream::stdout().lock(), "{}", books?);
        return Ok(Exit::Done);
    }
    let mut purchases = report::purchases(&ledger, None).await?;
    let models = report::model_spend(&ledger, &filter).await?;
    let mut adopted = report::adopted_outflow(&ledger, None).await?;
    ledger.close().await.map_err(BursarError::from)?;
    purchases.retain(|purchase| filter.means(purchase));
    adopted.retain(|adopted| filter.means_adopted(adopted));
    let text = match (args.by.as_slice(), args.json, args.csv) {
        ([], true, _) => list::json(&purchases, &adopted) + &list::models_json(&models),
        ([], false, true) => list::csv(&purchases, &adopted, &models),
        ([], false, false) => list::people(&purchases, &adopted) + &list::models(&models),
        (keys, true, _) => sums::json(&purchases, &adopted, keys) + &list::models_json(&models),
        (keys, false, true) => sums::csv(&purchases, &adopted, &models, keys),
        (keys, false, false) => sums::people(&purchases, &adopted, keys) + &list::models(&models),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    let open = purchases.iter().any(|purchase| purchase.payment.state.is_open());
    Ok(if open { Exit::Open } else { Exit::Done })
}

async fn session(ledger: &Ledger, given: &str) -> Result<SessionId, CliError> {
    let id = SessionId::parse(given).map_err(|_| CliError::NoSession(line(given, 80)))?;
    let known = report::sessions(ledger).await?.iter().any(|known| known.id == id);
    if known { Ok(id) } else { Err(CliError::NoSession(id.to_string())) }
}
