//! `bursar policy`: checks rules, explains what they decided, and tells what others would have decided.

mod check;
mod explain;
mod list;
mod replay;

use crate::args::{AcceptArgs, PolicyCommand};
use crate::exit::{CliError, Exit};
use bursar::payments::{Policy, PolicyFile};
use bursar::types::SessionId;
use bursar::{BursarError, Config, report};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) async fn run(command: PolicyCommand) -> Result<Exit, CliError> {
    let (text, exit) = match command {
        PolicyCommand::Check(args) => check::run(&args)?,
        PolicyCommand::Explain(args) => explain::run(&args).await?,
        PolicyCommand::Replay(args) => replay::run(&args).await?,
        PolicyCommand::Accept(args) => (accept(&args).await?, Exit::Done),
        PolicyCommand::List(args) => (list::list(&args)?, Exit::Done),
        PolicyCommand::Show(args) => (list::show(&args)?, Exit::Done),
        PolicyCommand::Schema => (Policy::schema().to_owned(), Exit::Done),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

/// The rule files that a configuration names; none without one.
fn configured(path: Option<&Path>) -> Result<Vec<PolicyFile>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    config(path)?.read_policies(folder_of(path)).map_err(missing)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rule file, or shipped rules by their name.
fn file(name: &str) -> Result<PolicyFile, CliError> {
    if PolicyFile::is_bundled(name) {
        return Ok(PolicyFile::bundled(name)?);
    }
    let path = PathBuf::from(name);
    let text = std::fs::read_to_string(&path).map_err(|source| CliError::NoPolicyFile { path, source })?;
    Ok(PolicyFile::new(name, text))
}

/// A configuration.
fn config(path: &Path) -> Result<Config, CliError> {
    Config::read(path).map_err(missing)
}

/// What is missing is told as a file of rules, and not as what a market in a box could stand in for.
fn missing(error: BursarError) -> CliError {
    match error {
        BursarError::ConfigFile { path, source } => CliError::NoPolicyFile { path, source },
        BursarError::Policy(source) => source.into(),
        other => other.into(),
    }
}

/// Accepts the rules of a configuration for a session.
async fn accept(args: &AcceptArgs) -> Result<String, CliError> {
    let config = config(&args.config)?;
    let base = folder_of(&args.config);
    let policy = Policy::load(&config.read_policies(base).map_err(missing)?)?;
    let data = crate::data::existing(&base.join(&config.data))?;
    let session = SessionId::parse(&args.session).map_err(|_| CliError::NoSession(args.session.clone()))?;
    report::accept_policies(data, policy, session, &args.by).await?;
    Ok(format!("session {session} goes on under the rules of `{}`\n", args.config.display()))
}
