//! `bursar mcp`: a governed purse for agents that speak the Model Context Protocol.

use super::served::{Served, open};
use crate::args::McpArgs;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::screen::Notes;
use bursar_gateway::mcp;
use std::net::SocketAddr;

const STOPPING: &str = "\nstopping: payments in flight are waited for; Ctrl-C again leaves at once";

/// Runs the command.
pub(crate) async fn run(args: McpArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, STOPPING);
    match args.http {
        Some(address) => over_http(&args, address, interrupt).await,
        None => over_stdio(&args, &interrupt).await,
    }
}

/// Standard output carries the protocol and nothing else.
async fn over_stdio(args: &McpArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let opened = open(&args.served, Served::One(args.caller.as_deref())).await?;
    let name = opened.teller.callers().next().map(|caller| caller.name().to_owned()).unwrap_or_default();
    let ended = tokio::select! {
        ended = mcp::serve_stdio(opened.teller.clone(), &name) => ended,
        () = interrupt.wait() => Ok(()),
    };
    opened.close().await?;
    if let Err(error) = ended {
        // Whoever spoke is gone; what was begun is finished.
        Notes.say(format!("note: the connection broke off: {error}"));
    }
    Ok(Exit::Done)
}

async fn over_http(args: &McpArgs, address: SocketAddr, interrupt: Interrupt) -> Result<Exit, CliError> {
    let refuse = |problem: String| CliError::Listen { address: address.to_string(), problem };
    let opened = open(&args.served, Served::WithTokens).await?;
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| refuse(error.to_string()))?;
    let at = listener.local_addr().map_err(|error| refuse(error.to_string()))?;
    super::served::say(&opened, &format!("http://{at}{}", mcp::PATH));
    let stop = async move { interrupt.wait().await };
    let served = mcp::serve(opened.teller.clone(), listener, args.host.clone(), stop).await;
    opened.close().await?;
    served.map_err(|error| refuse(error.to_string()))?;
    Ok(Exit::Done)
}
