//! `bursar audit checkpoint` and `bursar audit key`.

use super::log_of;
use crate::args::LogArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::BursarError;
use bursar::audit::{Published, open_log, publish};
use std::io::Write as _;

/// Publishes the journal now.
pub(super) async fn checkpoint(args: LogArgs) -> Result<Exit, CliError> {
    let (data, options) = log_of(&args)?;
    let log = open_log(data, &options)?;
    let published = publish(&log).await;
    let folder = log.folder().path().display().to_string();
    log.ledger().close().await.map_err(BursarError::from)?;
    let mut out = anstream::stdout().lock();
    match published {
        Ok(published) => {
            let _ = write!(out, "{}", shown(&published, &folder));
            let alarm = published.concerns.iter().any(bursar::audit::Concern::is_alarm);
            Ok(if alarm { Exit::Failed } else { Exit::Done })
        }
        Err(BursarError::Publish(error)) if error.is_alarm() => {
            let _ = writeln!(out, "ALARM: {error}\nall spending is frozen; nothing was signed");
            Ok(Exit::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

fn shown(published: &Published, folder: &str) -> String {
    let Some((checkpoint, _)) = &published.checkpoint else {
        return "the journal is empty: there is nothing to publish yet\n".to_owned();
    };
    let word = if published.fresh { "published" } else { "nothing happened since" };
    let mut text = format!(
        "{word}: {} entries, root {}\n  log     {}\n  folder  {folder}\n",
        checkpoint.size,
        checkpoint.root,
        line(&checkpoint.origin, 200)
    );
    for name in &published.cosigned {
        text.push_str(&format!("  cosigned by {}\n", line(name, 200)));
    }
    for concern in &published.concerns {
        let word = if concern.is_alarm() { "ALARM" } else { "note" };
        text.push_str(&format!("  {word}: {}\n", line(&concern.to_string(), 600)));
    }
    if published.concerns.iter().any(bursar::audit::Concern::is_alarm) {
        text.push_str("all spending is frozen, unless a person let it go on after this very alarm\n");
    }
    text
}

/// Prints the public key.
pub(super) async fn key(args: LogArgs) -> Result<Exit, CliError> {
    let (data, options) = log_of(&args)?;
    let log = open_log(data, &options)?;
    log.ledger().close().await.map_err(BursarError::from)?;
    let _ = writeln!(anstream::stdout().lock(), "{}", log.key());
    Ok(Exit::Done)
}
