//! `bursar audit`: what the journal proves, and to whom.

mod check;
mod checkpoint;
mod erase;
mod explain;
mod prove;
mod verify;

use crate::args::{AuditCommand, LogArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use bursar::Config;
use bursar::audit::AuditOptions;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) async fn run(command: AuditCommand) -> Result<Exit, CliError> {
    match command {
        AuditCommand::Verify(args) => verify::verify(args).await,
        AuditCommand::Explain(args) => explain::explain(args).await,
        AuditCommand::Checkpoint(args) => checkpoint::checkpoint(args).await,
        AuditCommand::Key(args) => checkpoint::key(args).await,
        AuditCommand::Prove(args) => prove::prove(args).await,
        AuditCommand::Check(args) => check::check(&args),
        AuditCommand::Erase(args) => erase::erase(args).await,
    }
}

/// The data folder that is meant, and where its log is.
fn log_of(args: &LogArgs) -> Result<(PathBuf, AuditOptions), CliError> {
    match &args.config {
        Some(path) => {
            let config = Config::read(path)?;
            let base = path.parent().unwrap_or(Path::new("."));
            Ok((data::existing(&base.join(&config.data))?, config.audit_options(base)))
        }
        None => Ok((data::existing(&args.data.folder)?, AuditOptions::default())),
    }
}
