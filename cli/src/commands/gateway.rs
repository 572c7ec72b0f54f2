//! `bursar gateway`: a governed purse over REST.

use super::served::{self, Served, open};
use crate::args::GatewayArgs;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::screen::Notes;
use bursar_gateway::rest;

const STOPPING: &str = "\nstopping: payments in flight are waited for; Ctrl-C again leaves at once";

/// Runs the command.
pub(crate) async fn run(args: GatewayArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, STOPPING);
    let refuse = |problem: String| CliError::Listen { address: args.listen.to_string(), problem };
    let opened = open(&args.served, Served::WithTokens).await?;
    let listener =
        tokio::net::TcpListener::bind(args.listen).await.map_err(|error| refuse(error.to_string()))?;
    let at = listener.local_addr().map_err(|error| refuse(error.to_string()))?;
    served::say(&opened, &format!("http://{at}"));
    let stop = async move { interrupt.wait().await };
    let served = rest::serve(opened.teller.clone(), listener, args.host.clone(), stop).await;
    opened.close().await?;
    served.map_err(|error| refuse(error.to_string()))?;
    Ok(Exit::Done)
}
