//! What `bursar mcp` and `bursar gateway` take: the entrances for agents of other programs.

use super::{EXIT_CODES, budget};
use bursar::types::Amount;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Gives agents of other programs a governed purse, over the Model Context Protocol.
///
/// Without --http it speaks over standard input and output, as a program that an MCP client starts, for the one caller that --caller
/// names. With --http it serves every caller of the configuration that has a token. Without --config it starts a market in a box
/// on this machine, with play money, to try it out.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    /// Serves this caller of the configuration, over standard input and output.
    #[arg(long, value_name = "NAME", conflicts_with = "http")]
    pub(crate) caller: Option<String>,
    /// Serves streamable HTTP at this address instead; port 0 is a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// Another name that it answers to, such as `purse.example:8402`; may be given several times.
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(crate) host: Vec<String>,
}

/// Gives everybody else a governed purse, over REST with an OpenAPI document.
///
/// Serves every caller of the configuration that has a token. Without --config it starts a market in a box on this machine, with
/// play money, to try it out.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    /// Where it listens; port 0 is a free one. Beyond this machine, put TLS before it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8402")]
    pub(crate) listen: SocketAddr,
    /// Another name that it answers to, such as `purse.example:8402`; may be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
}

/// Whose money it is.
#[derive(Debug, Args)]
pub(crate) struct ServedArgs {
    /// The wallet, networks, rules, mandate and callers.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where ledger and library of the market in a box are kept [default: .bursar].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) data: Option<PathBuf>,
    /// Sells the .md, .txt and .html files of this folder instead of Bursar's own documents.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) sources: Option<PathBuf>,
    /// Most that may be spent in the market in a box, in US dollars [default: 0.50].
    #[arg(long, value_name = "USD", value_parser = budget, allow_negative_numbers = true, conflicts_with = "config")]
    pub(crate) budget: Option<Amount>,
}
