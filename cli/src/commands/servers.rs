//! `bursar servers`: the MCP servers of the configuration, and what they say about their tools.

use crate::args::{ServersArgs, ServersCommand};
use crate::exit::{CliError, Exit};
use crate::screen::{Notes, line};
use bursar::Bursar;
use bursar::mcp::{McpError, McpServer, McpSignIn, McpTools, OAuthClient};
use bursar::types::{Digest, Effect};
use std::fmt::Write as _;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: ServersArgs) -> Result<Exit, CliError> {
    let bursar = Bursar::open(&args.config).await?;
    let done = match &args.command {
        None => list(&bursar).await,
        Some(ServersCommand::Accept { server, tool, digest }) => accept(&bursar, server, tool, *digest).await,
        Some(ServersCommand::Login { server, client }) => login(&bursar, server, client.as_deref()).await,
    };
    bursar.close().await?;
    done
}

async fn list(bursar: &Bursar) -> Result<Exit, CliError> {
    let (mut text, mut exit) = (String::new(), Exit::Done);
    for (name, connected) in bursar.mcp_servers().await {
        let _ = writeln!(text, "{name}");
        match connected {
            Ok(tools) => shown(&mut text, &name, &tools)?,
            Err(error) => {
                exit = Exit::Failed;
                let _ = writeln!(text, "  {}", line(&error.to_string(), 300));
                if matches!(error, McpError::Unauthorized { .. }) {
                    let _ = writeln!(text, "  sign in: bursar servers login {name}");
                }
            }
        }
    }
    if text.is_empty() {
        text.push_str("the configuration declares no MCP server; add one as a table [[mcp]]\n");
    }
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

fn shown(text: &mut String, server: &str, tools: &McpTools) -> Result<(), CliError> {
    let set = tools.tools().map_err(|error| CliError::Server(error.to_string()))?;
    for spec in set.specs() {
        let does = match spec.effect {
            Effect::Read => "reads",
            Effect::Write => "may change something",
            Effect::Spend => "is paid for",
        };
        let _ = writeln!(text, "  {:<40} {does}", spec.name);
    }
    for tool in tools.withheld() {
        let _ = writeln!(text, "  {:<40} withheld: {} ({})", line(&tool.name, 40), tool.why, tool.why.code());
    }
    for tool in tools.changed() {
        let name = line(&tool.name, 40);
        let what = if tool.accepted.is_some() {
            "changed since it was accepted"
        } else {
            "is new since the server was accepted"
        };
        let _ = writeln!(text, "  {name:<40} {what} (MCP_TOOL_CHANGED), and is not used");
        let _ = writeln!(text, "    it says now: {}", line(&tool.description, 1_200));
        let _ = writeln!(text, "    it takes: {}", line(&tool.schema.to_string(), 4_000));
        let _ = writeln!(
            text,
            "    if that is what you want: bursar servers accept {server} {name} {}",
            tool.now
        );
    }
    Ok(())
}

async fn connected(bursar: &Bursar, server: &str) -> Result<McpTools, CliError> {
    Ok(bursar.mcp(declared(bursar, server)?.clone()).await?)
}

fn declared<'a>(bursar: &'a Bursar, name: &str) -> Result<&'a McpServer, CliError> {
    let mut declared = bursar.declared_mcp_servers();
    declared.find(|server| server.name() == name).ok_or_else(|| {
        CliError::Server(format!("the configuration declares no MCP server `{}`", line(name, 40)))
    })
}

async fn accept(bursar: &Bursar, server: &str, tool: &str, read: Digest) -> Result<Exit, CliError> {
    let tools = connected(bursar, server).await?;
    let changed = tools.changed().iter().find(|changed| changed.name == tool);
    let changed = changed.ok_or_else(|| {
        CliError::Server(format!("`{}` of `{server}` is what was accepted, or is not there", line(tool, 40)))
    })?;
    if changed.now != read {
        return Err(CliError::Server(format!(
            "`{}` of `{server}` is not what you have read: its server describes it differently again; look with `bursar servers`",
            line(tool, 40)
        )));
    }
    tools.accept(changed)?;
    Notes.say(format!("accepted: {} of {server}, as it is described now ({})", line(tool, 40), changed.now));
    Ok(Exit::Done)
}

async fn login(bursar: &Bursar, server: &str, client: Option<&str>) -> Result<Exit, CliError> {
    let client = match client {
        Some(id) => OAuthClient::known(id, None),
        None => OAuthClient::registered_by_server(),
    };
    let Some(begun) = McpSignIn::begin(declared(bursar, server)?, &client, None).await? else {
        Notes.say(format!("{server} lets you in as it is"));
        return Ok(Exit::Done);
    };
    let _ = writeln!(anstream::stdout().lock(), "open this in a browser on this machine:\n{}", begun.url());
    begun.finish().await?;
    Notes.say(format!("signed in to {server}"));
    Ok(Exit::Done)
}
