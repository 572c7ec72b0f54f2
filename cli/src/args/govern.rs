//! What `bursar approvals`, `bursar freeze` and `bursar thaw` take.

use super::{DataArg, word};
use bursar::payments::FreezeScope;
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `bursar approvals` says at the end of its help.
const APPROVALS: &str = "\
Keys lie in files that only you can read, outside the data folder and the folder that you are in. A key in an encrypted
keystore needs its password in BURSAR_APPROVER_PASSWORD.

Exit codes:
  0    done; for list: nothing waits
  1    somebody else changed it at the same time, or the data file cannot be read
  2    bad input or usage, or the answer does not count: nothing was changed
  3    for list: something waits for an answer";

/// Lists questions that wait for an approver, and answers them with a signature.
///
/// Needs no wallet and no network, and can pay nothing. An answer is bound to exactly what is shown, counts once, and ends.
#[derive(Debug, Args)]
#[command(after_help = APPROVALS, disable_help_subcommand = true)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    pub(crate) action: ApprovalAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalAction {
    /// Lists what waits.
    List {
        /// Prints one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArg,
    },
    /// Says yes to one question.
    Approve(AnswerArgs),
    /// Says no to one question. The same thing is not asked again in its session.
    Deny(AnswerArgs),
    /// Makes a key, and prints what the mandate needs to know it.
    Key(KeyArgs),
    /// Takes signed answers over HTTP, on this machine only. Holds no key.
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The question, or the beginning of its id.
    #[arg(value_name = "QUESTION")]
    pub(crate) question: String,
    /// The file of the approver's key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT", value_parser = word)]
    pub(crate) reason: Option<String>,
    /// Prints the signed answer instead of giving it: to be sent to `bursar approvals serve`.
    #[arg(long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The file to make. With BURSAR_APPROVER_PASSWORD set it is an encrypted keystore.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Whose key it is, as the mandate will name it.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port, of this machine only; port 0 is a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Stops spending of an agent, a session, a wallet or everybody, in every process, until it is thawed.
///
/// Nothing is planned, held, signed or presented again. Without a scope it lists what stands still.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// `all`, `session:ID`, `agent:USER/NAME`, `agent:ID` or `wallet:ADDRESS`.
    #[arg(value_name = "SCOPE", value_parser = FreezeScope::parse, requires = "by", requires = "reason")]
    pub(crate) scope: Option<FreezeScope>,
    /// Who decides.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) by: Option<String>,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT", value_parser = word)]
    pub(crate) reason: Option<String>,
    /// Lists what stands still, as without a scope.
    #[arg(long, conflicts_with_all = ["scope", "by", "reason"])]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Shows the clock beside the journal's time, and turns that back where the clock had once been ahead.
///
/// A purse whose clock is more than a minute behind what the journal was written at buys nothing (CLOCK_BEHIND): what has run out could count again.
/// If the clock is wrong, set it right. Exits with 1 while it is behind.
#[derive(Debug, Args)]
pub(crate) struct ClockArgs {
    /// The clock is right: turns the journal's time back to it. What was spent later than now counts as spent now.
    #[arg(long, requires = "by", requires = "reason")]
    pub(crate) accept: bool,
    /// Who decides.
    #[arg(long, value_name = "NAME", value_parser = word, requires = "accept")]
    pub(crate) by: Option<String>,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT", value_parser = word, requires = "accept")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Lets spending go on that was frozen.
#[derive(Debug, Args)]
pub(crate) struct ThawArgs {
    /// `all`, `session:ID`, `agent:USER/NAME`, `agent:ID` or `wallet:ADDRESS`, as it was frozen.
    #[arg(value_name = "SCOPE", value_parser = FreezeScope::parse)]
    pub(crate) scope: FreezeScope,
    /// Who decides.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) by: String,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT", value_parser = word)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
