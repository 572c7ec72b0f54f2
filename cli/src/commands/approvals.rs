//! `bursar approvals`: what waits for an approver, and their signed answers.

mod answer;
mod list;
mod serve;

use crate::args::{ApprovalAction, ApprovalsArgs, KeyArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use bursar::payments::{Answer, ApproverKey, Outside};
use bursar::{BursarError, SystemEntropy};
use std::io::Write as _;
use std::path::Path;

/// Runs the command.
pub(crate) async fn run(args: ApprovalsArgs) -> Result<Exit, CliError> {
    let (text, exit) = match args.action {
        ApprovalAction::Key(args) => (make_key(&args)?, Exit::Done),
        ApprovalAction::Serve(args) => return serve::serve(&args).await,
        ApprovalAction::List { json, data } => {
            let desk = data::desk(&data.folder)?;
            let listed = list::list(&desk, json).await;
            desk.ledger().close().await.map_err(BursarError::from)?;
            listed?
        }
        ApprovalAction::Approve(args) => (answer::answer(&args, Answer::Approve).await?, Exit::Done),
        ApprovalAction::Deny(args) => (answer::answer(&args, Answer::Deny).await?, Exit::Done),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

fn make_key(args: &KeyArgs) -> Result<String, CliError> {
    let password = password();
    let outside = outside(&args.data.folder)?;
    let key = ApproverKey::create(&args.file, password.as_deref(), &outside, &SystemEntropy)?;
    let name = args.name.escape_default();
    Ok(format!(
        "made {}; keep it where no agent can read it. In the mandate:\n\
         approvers = [{{ name = \"{name}\", key = \"{}\" }}]\n",
        args.file.display(),
        key.public()
    ))
}

/// The folders in which no approver's key may lie: the data folder, and where an agent would work.
pub(super) fn outside(data: &Path) -> Result<Outside, CliError> {
    let data = data::folder(Some(data))?;
    let here = std::env::current_dir().map_err(|source| CliError::File {
        doing: "read",
        path: ".".into(),
        source,
    })?;
    Ok(Outside::of([data, here]))
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
pub(super) fn password() -> Option<String> {
    std::env::var("BURSAR_APPROVER_PASSWORD").ok().filter(|password| !password.is_empty())
}
