//! The tools of one server.

use super::client::{McpClient, McpError};
use super::listing::{self, Listed, WithheldTool};
use super::paid::McpTransport;
use super::pins::Pins;
use super::server::McpServer;
use super::tool::McpTool;
use bursar_agent_core::{DuplicateTool, ToolError, ToolSet};
use bursar_types::{AssetRegistry, Clock, Digest, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long what was listed counts as what is still said, where the server gives no notice of changes.
const LISTED_FOR_MS: u64 = 30_000;

/// A tool is not the one that was accepted.
const TOOL_CHANGED: &str = "MCP_TOOL_CHANGED";
/// A tool is not listed any more.
const TOOL_GONE: &str = "MCP_TOOL_GONE";

/// A tool that is not the one that was accepted any more, or that its server added after others were accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedTool {
    /// The server's own name for it.
    pub name: String,
    /// What is said about it now, for a person to read.
    pub description: String,
    /// The schema of its arguments now.
    pub schema: Value,
    /// Digest of what was accepted; `None` if it is new.
    pub accepted: Option<Digest>,
    /// Digest of what is said now.
    pub now: Digest,
}

/// What servers are connected with.
#[derive(Debug, Clone)]
pub struct McpParts {
    /// What was accepted of each tool.
    pub pins: Arc<dyn Pins>,
    /// Shows amounts.
    pub assets: AssetRegistry,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The transport that the purse sends through, which learns of paid tools; without one, no paid tool can be bought.
    pub transport: Option<McpTransport>,
}

/// What all tools of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    client: Arc<McpClient>,
    parts: McpParts,
    last: Mutex<Option<Last>>,
}

/// What the server last said.
#[derive(Debug, Clone)]
struct Last {
    changes: u64,
    at: Timestamp,
    digests: Arc<BTreeMap<String, Digest>>,
}

impl Shared {
    pub(super) fn client(&self) -> &McpClient {
        &self.client
    }

    pub(super) const fn assets(&self) -> &AssetRegistry {
        &self.parts.assets
    }

    /// Asks what the server says about its tools now.
    async fn list(&self) -> Result<(Vec<Listed>, Vec<WithheldTool>), McpError> {
        let mut changes = self.client.changes();
        let tools = match self.client.list().await {
            // A connection that broke is made anew once: nothing was asked that does harm twice.
            Err(McpError::NoAnswer { .. }) => self.client.list().await?,
            tools => tools?,
        };
        if self.last.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            // Connecting counts as a change, and this list came after it.
            changes = self.client.changes();
        }
        let (listed, withheld) = listing::sort(self.client.server(), &tools);
        let digests = listed.iter().map(|tool| (tool.name.clone(), tool.digest)).collect();
        let last = Last { changes, at: self.parts.clock.now(), digests: Arc::new(digests) };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok((listed, withheld))
    }

    /// Whether a tool is still what was accepted. A list that is old, or that the server says has changed, is asked for again.
    ///
    /// # Errors
    /// [`ToolError`]: nothing was called.
    pub(super) async fn still(&self, tool: &Listed) -> Result<(), ToolError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.parts.clock.now();
        // A clock that was set back makes no list young.
        let young = |at: Timestamp| at <= now && now < at.plus_ms(LISTED_FOR_MS);
        let fresh = last.filter(|last| last.changes == self.client.changes() && young(last.at));
        let digests = match fresh {
            Some(last) => last.digests,
            None => {
                let failed = |error: McpError| ToolError::not_executed(format!("{error}; go on without it"));
                let (listed, _) = self.list().await.map_err(failed)?;
                Arc::new(listed.into_iter().map(|tool| (tool.name, tool.digest)).collect())
            }
        };
        let accepted = self.parts.pins.get(self.client.server().name(), &tool.name);
        let accepted = accepted.map_err(|error| ToolError::not_executed(error.to_string()))?;
        match digests.get(&tool.name) {
            Some(now) if *now == tool.digest && accepted == Some(tool.digest) => Ok(()),
            Some(_) => Err(ToolError::not_executed(format!(
                "`{}` is not the tool any more that was accepted: its server describes it differently, so it was not called \
                 ({TOOL_CHANGED}); go on without it, and say in the answer that somebody has to accept the change",
                tool.model_name
            ))),
            None => Err(ToolError::not_executed(format!(
                "`{}` is gone: its server does not list it any more, or not as it can be used ({TOOL_GONE}); go on without it",
                tool.model_name
            ))),
        }
    }
}

/// The tools of one server, as they were listed and accepted.
#[derive(Debug)]
pub struct McpTools {
    shared: Arc<Shared>,
    tools: Vec<Listed>,
    withheld: Vec<WithheldTool>,
    changed: Vec<ChangedTool>,
}

impl McpTools {
    /// Connects to a server and asks for its tools. The first time all are accepted: to declare a server is to accept what it says on
    /// the first day. What changes or is added later is not among the tools; see [`changed`](Self::changed).
    ///
    /// # Errors
    /// [`McpError`]: nothing was called.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub async fn connect(server: McpServer, parts: McpParts) -> Result<Self, McpError> {
        let client = Arc::new(McpClient::new(server));
        if let Some(transport) = &parts.transport {
            transport.register(client.clone());
        }
        let shared = Arc::new(Shared { client, parts, last: Mutex::new(None) });
        let (listed, withheld) = shared.list().await?;
        let (mut tools, mut changed) = (Vec::new(), Vec::new());
        let name = shared.client.server().name();
        let first_day = !shared.parts.pins.knows(name)?;
        for tool in listed {
            let accepted = shared.parts.pins.get(name, &tool.name)?;
            if accepted.is_none() && first_day {
                shared.parts.pins.set(name, &tool.name, tool.digest)?;
            } else if accepted != Some(tool.digest) {
                let Listed { name, description, schema, digest, .. } = tool;
                changed.push(ChangedTool { name, description, schema, accepted, now: digest });
                continue;
            }
            tools.push(tool);
        }
        Ok(Self { shared, tools, withheld, changed })
    }

    /// Them, for an agent.
    ///
    /// # Errors
    /// [`DuplicateTool`] if two have one name, which the way they are named rules out.
    pub fn tools(&self) -> Result<ToolSet, DuplicateTool> {
        let tools = self.tools.iter().map(|tool| McpTool::new(self.shared.clone(), tool.clone()));
        tools.into_iter().try_fold(ToolSet::new(), |set, tool| set.with_dyn(Arc::new(tool)))
    }

    /// What an agent does not get, and why.
    #[must_use]
    pub fn withheld(&self) -> &[WithheldTool] {
        &self.withheld
    }

    /// Tools that are not what was accepted any more, or are new since. An agent does not get them until they are [accepted](Self::accept).
    #[must_use]
    pub fn changed(&self) -> &[ChangedTool] {
        &self.changed
    }

    /// What the server said when it last turned a call away for want of a sign-in, or of one for more: see
    /// [`McpSignIn`](super::McpSignIn).
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        self.shared.client.challenge()
    }

    /// Accepts a change that somebody has read. Connect again to have the tool.
    ///
    /// # Errors
    /// [`McpError::Pins`].
    pub fn accept(&self, changed: &ChangedTool) -> Result<(), McpError> {
        Ok(self.shared.parts.pins.set(self.shared.client.server().name(), &changed.name, changed.now)?)
    }
}
