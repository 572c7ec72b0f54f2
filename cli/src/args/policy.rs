//! Arguments of `bursar policy` and `bursar init`.

use super::{DataArg, word};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Writes a commented configuration with a mandate, budgets and rules into a project.
///
/// Writes `bursar.toml` and `policies/house.cedar`, and adds what must not be checked in to `.gitignore`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The project's folder [default: .].
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Writes over files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Rules: checks them, explains what they decided, and tells what others would have decided.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(CheckArgs),
    Explain(ExplainArgs),
    Replay(ReplayArgs),
    Accept(AcceptArgs),
    /// Lists the rules that hold, and the shipped ones that one line adds.
    List(ListArgs),
    /// Prints a shipped file of rules, such as `pay.cedar` or `bursar:roles`.
    Show(ShowPolicyArgs),
    /// Prints the schema: every fact that rules can be about.
    Schema,
}

/// Checks policy files and runs the examples in their comments.
///
/// Without FILES it checks the configuration, its mandate and every rule file it names. An example is a comment such as
/// `// @example deny action=pay host="evil.example" micro_usd=5000000`: it changes a request, plan, payment or call that the
/// shipped rules allow, and says what these rules and those of its own file make of it.
///
/// Exits with 0 if everything loads and every example holds, 1 if an example does not, 2 if something cannot be loaded.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Cedar files [default: those of the configuration].
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,
    /// The configuration [default: bursar.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    pub(crate) config: Option<PathBuf>,
}

/// Tells which rules determined each decision about a payment, over which facts.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The payment, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// The configuration whose rules are shown beside the shipped ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Tells what a policy file would have decided on the journaled plans, payments and requests of the last days.
///
/// The file is taken beside the shipped rules, and with --config beside those of the configuration, whose file of the same
/// name it replaces. Nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A Cedar file, or the name of shipped rules such as `bursar:review`.
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
    /// How many days back.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) days: u32,
    /// Prints one JSON object a line: every decision that would be another.
    #[arg(long)]
    pub(crate) json: bool,
    /// The configuration whose rules hold beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Lets a session go on under rules that were changed since it was opened: an operator's word, which is journaled.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The session.
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
    /// The configuration whose rules are accepted.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Who accepts them.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) by: String,
}

/// Which rules are listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The configuration whose rules are listed too.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which file is printed.
#[derive(Debug, Args)]
pub(crate) struct ShowPolicyArgs {
    /// The name of the file.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
