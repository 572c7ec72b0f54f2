//! Tools of MCP servers, over a data file: declared by the operator, pinned in the data folder, paid through the purse.
//!
//! A server is declared in `bursar.toml` (`[[mcp]]`) or in code ([`BursarBuilder::mcp`](crate::BursarBuilder::mcp)), and connected with
//! [`Bursar::mcp_servers`] or [`Bursar::mcp`]. What holds for its tools stands in [`bursar_tools::mcp`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bursar::{Bursar, mcp::McpServer};
//! let bursar = Bursar::open("bursar.toml").await?;
//! let server = McpServer::http("sources", "https://mcp.example/mcp")?.paid("read_document").reads("search");
//! let sources = bursar.mcp(server).await?;
//! let tools = sources.tools()?; // `sources__read_document`, `sources__search`, for an agent of yours
//! # Ok(())
//! # }
//! ```

pub use bursar_tools::mcp::{
    ChangedTool, McpError, McpLimits, McpServer, McpServerError, McpSignIn, McpTools, OAuthClient, PinError,
    WithheldTool, Withholding,
};

use crate::config::McpServerConfig;
use crate::error::BursarError;
use crate::handle::Bursar;
use crate::tools::child_environment;
use crate::wallet_file::secret;
use bursar_tools::mcp::{FilePins, McpParts, McpTransport, Pins};
use bursar_types::Transport;
use std::path::Path;
use std::sync::Arc;

/// What was accepted of MCP tools, in the data folder.
const PINS: &str = "mcp-pins.json";
/// Tokens of servers that somebody signed in to, a file each, in the data folder.
const TOKENS: &str = "mcp-tokens";

/// The MCP side of an open data file.
#[derive(Debug)]
pub(crate) struct Mcp {
    servers: Vec<McpServer>,
    transport: McpTransport,
    pins: Arc<dyn Pins>,
}

impl Mcp {
    /// Stands before the transport that the purse sends through.
    pub(crate) fn around(
        vendors: Arc<dyn Transport>,
        servers: Vec<McpServer>,
        data: &Path,
    ) -> (Arc<dyn Transport>, Self) {
        let transport = McpTransport::new(vendors);
        let tokens = |server: McpServer| {
            if server.has_credential() { server } else { server.tokens_in(data.join(TOKENS)) }
        };
        let servers: Vec<McpServer> = servers.into_iter().map(tokens).collect();
        // What a crash left of a paid call is asked for again over them, before anybody connects.
        for server in &servers {
            transport.declare(server.clone());
        }
        let pins = Arc::new(FilePins::new(data.join(PINS)));
        (Arc::new(transport.clone()), Self { servers, transport, pins })
    }
}

impl Bursar {
    /// Connects to an MCP server, whose paid tools can be bought from then on.
    ///
    /// # Errors
    /// [`McpError`]: nothing was called.
    ///
    /// # Idempotency
    /// Connecting again makes another connection; purchases go over the latest of a name.
    pub async fn mcp(&self, server: McpServer) -> Result<McpTools, McpError> {
        let mcp = &self.0.mcp;
        let parts = McpParts {
            pins: mcp.pins.clone(),
            assets: self.registry().clone(),
            clock: self.0.clock.clone(),
            transport: Some(mcp.transport.clone()),
        };
        McpTools::connect(server, parts).await
    }

    /// The servers that were declared. Those without a token of their own keep one in the data folder, once somebody
    /// [signed in](McpSignIn).
    pub fn declared_mcp_servers(&self) -> impl Iterator<Item = &McpServer> {
        self.0.mcp.servers.iter()
    }

    /// Connects to the declared servers, one after the other: each by its name, with its tools or why it gives none.
    pub async fn mcp_servers(&self) -> Vec<(String, Result<McpTools, McpError>)> {
        let mut connected = Vec::new();
        for server in &self.0.mcp.servers {
            connected.push((server.name().to_owned(), self.mcp(server.clone()).await));
        }
        connected
    }
}

/// A server as the configuration declares it. Secrets are read from the environment now.
pub(crate) fn declared(config: &McpServerConfig) -> Result<McpServer, BursarError> {
    let refuse = |problem: String| BursarError::Mcp { server: config.name.clone(), problem };
    let wrong = |error: McpServerError| refuse(error.to_string());
    let server = match (&config.url, config.command.split_first()) {
        (Some(url), None) => {
            let server = McpServer::http(&config.name, url).map_err(wrong)?;
            match &config.token_env {
                Some(variable) => {
                    server.bearer(&secret(variable, "an MCP server's token")?).map_err(wrong)?
                }
                None => server,
            }
        }
        (None, Some((program, arguments))) => {
            let server = McpServer::program(&config.name, child_environment(), program, arguments);
            let mut server = server.map_err(wrong)?;
            for (name, variable) in &config.env {
                server = server.variable(name, secret(variable, "a variable of an MCP server's program")?);
            }
            server
        }
        _ => {
            return Err(refuse(
                "give either `url`, or `command` with the program and its arguments".to_owned(),
            ));
        }
    };
    if config.url.is_some() && !config.env.is_empty() {
        return Err(refuse("`env` is for a server that is a program; leave it out".to_owned()));
    }
    if config.url.is_none() && config.token_env.is_some() {
        return Err(refuse("`token_env` is for a server with a `url`; use `env`".to_owned()));
    }
    let server = config.paid.iter().fold(server, McpServer::paid);
    let server = config.reads.iter().fold(server, McpServer::reads);
    let server = match &config.only {
        Some(only) => server.only(only),
        None => server,
    };
    let limits = McpLimits::default();
    Ok(server.limits(McpLimits { call_ms: config.call_ms.unwrap_or(limits.call_ms), ..limits }))
}
