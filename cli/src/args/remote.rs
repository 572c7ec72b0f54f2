//! What `bursar purse` and `bursar fetch` take: the two sides of a purse in a process of its own.

use super::{EXIT_CODES, word};
use bursar::types::SessionId;
use clap::Args;
use std::path::PathBuf;

/// Lets agents in other processes, or of other users, use a purse over a Unix socket.
///
/// Key, ledger, mandate and rules stay with this process; the mandate is the configuration's. Prints one line when it listens, with
/// the session. Without --uid only this process's own user is let in.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct PurseArgs {
    /// The socket: a path that does not exist, in a folder that agents can read.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// The wallet, networks, rules and mandate.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Goes on with this session instead of beginning one.
    #[arg(long, value_name = "SESSION", value_parser = SessionId::parse)]
    pub(crate) session: Option<SessionId>,
    /// What the session is for.
    #[arg(long, value_name = "TEXT", default_value = "served over a socket", conflicts_with = "session")]
    pub(crate) purpose: String,
    /// Lets this user in, by number; may be given several times.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) uid: Vec<u32>,
    /// Lets the socket's group connect (mode 0660); who connects must be let in with --uid as well.
    #[arg(long, requires = "uid")]
    pub(crate) group: bool,
}

/// Gets a URL through a purse that another process serves, and pays for it if that purse's mandate and rules allow it.
///
/// Holds no key and reads no ledger. The body goes to stdout. The same URL under the same key is paid for once, however often this
/// is run.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0    here it is
  1    it was refused, or it failed: nothing was paid by this
  2    bad input or usage, or the purse does not let this process in
  3    something is open: it waits for an answer, or it was or may have been paid for and did not come")]
pub(crate) struct FetchArgs {
    /// What to get.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// The purse's socket, as `bursar purse` printed it.
    #[arg(long, value_name = "PATH")]
    pub(crate) purse: PathBuf,
    /// What it is for; whoever is asked reads it.
    #[arg(long, value_name = "TEXT", value_parser = word)]
    pub(crate) purpose: String,
    /// The name of this purchase: another one buys the same again [default: the URL].
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
}
