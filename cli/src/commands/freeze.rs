//! `bursar freeze` and `bursar thaw`.

use crate::args::{FreezeArgs, ThawArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::BursarError;
use std::io::Write as _;

/// Stops spending, or lists what stands still.
pub(crate) async fn freeze(args: FreezeArgs) -> Result<Exit, CliError> {
    let desk = data::desk(&args.data.folder)?;
    let text = match (&args.scope, &args.by, &args.reason) {
        (Some(scope), Some(by), Some(reason)) => {
            desk.freeze(scope, by, reason).await.map_err(BursarError::from)?;
            format!("frozen: {scope}, as {} says; `bursar thaw {scope}` lets it go on\n", line(by, 80))
        }
        // `--list` says the same as nothing.
        _ => {
            let freezes = desk.freezes().await.map_err(BursarError::from)?;
            let lines = freezes.iter().map(|freeze| {
                let (by, reason) = (line(&freeze.by, 80), line(&freeze.reason, 200));
                format!("{}  since {}, {by}: {reason}\n", line(&freeze.scope.to_string(), 120), freeze.at)
            });
            let listed: String = lines.collect();
            if listed.is_empty() { "nothing is frozen\n".to_owned() } else { listed }
        }
    };
    desk.ledger().close().await.map_err(BursarError::from)?;
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

/// Lets spending go on.
pub(crate) async fn thaw(args: ThawArgs) -> Result<Exit, CliError> {
    let desk = data::desk(&args.data.folder)?;
    desk.thaw(&args.scope, &args.by, &args.reason).await.map_err(BursarError::from)?;
    desk.ledger().close().await.map_err(BursarError::from)?;
    let _ = writeln!(anstream::stdout().lock(), "thawed: {}, as {} says", args.scope, line(&args.by, 80));
    Ok(Exit::Done)
}
