//! Which MCP servers.

use bursar::types::Digest;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `bursar servers` says at the end of its help.
const SERVERS: &str = "\
Exit codes:
  0    done
  1    a server cannot be used
  2    bad input or usage";

/// Shows the MCP servers of the configuration, with each tool and what it may do; signs in to one, or accepts a tool that changed.
///
/// What a server says about a tool is pinned when it is first seen. A tool that it describes differently later is not used until that is accepted.
#[derive(Debug, Args)]
#[command(after_help = SERVERS, disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
pub(crate) struct ServersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ServersCommand>,
    /// The configuration that declares them.
    #[arg(long, value_name = "FILE", default_value = "bursar.toml", global = true)]
    pub(crate) config: PathBuf,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServersCommand {
    /// Accepts a tool as its server describes it now.
    Accept {
        /// The server.
        server: String,
        /// The tool, under the server's own name for it.
        tool: String,
        /// The digest of what you have read, as `bursar servers` shows it.
        #[arg(value_parser = digest)]
        digest: Digest,
    },
    /// Signs in to a server that wants to know who asks, in a browser on this machine.
    Login {
        /// The server.
        server: String,
        /// The client's id, where the server does not register clients by itself.
        #[arg(long, value_name = "ID")]
        client: Option<String>,
    },
}
