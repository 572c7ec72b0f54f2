//! `bursar obligations`: what is owed, and what persons decide about it.

mod decide;
mod find;
mod list;
mod sagas;
mod story;

use crate::args::{ObligationAction, ObligationsArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use bursar::BursarError;
use bursar::payments::Payments;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: ObligationsArgs) -> Result<Exit, CliError> {
    let folder = match &args.action {
        None => &args.data.folder,
        Some(ObligationAction::Show(show)) => &show.data.folder,
        Some(ObligationAction::Settle(say) | ObligationAction::WriteOff(say)) => &say.data.folder,
        Some(ObligationAction::Extend(extend)) => &extend.data.folder,
        Some(ObligationAction::SettleStep(step)) => &step.data.folder,
        Some(ObligationAction::Credit(credit)) => &credit.data.folder,
        Some(ObligationAction::Dismiss(dismiss)) => &dismiss.data.folder,
    };
    let desk = data::desk(folder)?;
    let done = act(&desk, &args).await;
    desk.ledger().close().await.map_err(BursarError::from)?;
    let (text, exit) = done?;
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

/// What is printed, and how it ends.
async fn act(desk: &Payments, args: &ObligationsArgs) -> Result<(String, Exit), CliError> {
    match &args.action {
        None => list::list(desk, args).await,
        Some(ObligationAction::Show(show)) => story::show(desk, show).await,
        Some(ObligationAction::Settle(say)) => decide::settle(desk, say).await,
        Some(ObligationAction::WriteOff(say)) => decide::write_off(desk, say).await,
        Some(ObligationAction::Extend(extend)) => decide::extend(desk, extend).await,
        Some(ObligationAction::SettleStep(step)) => decide::settle_step(desk, step).await,
        Some(ObligationAction::Credit(credit)) => decide::credit(desk, credit).await,
        Some(ObligationAction::Dismiss(dismiss)) => decide::dismiss(desk, dismiss).await,
    }
}
