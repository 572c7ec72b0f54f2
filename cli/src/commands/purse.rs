//! `bursar purse`: lets agents of another process, or another user, use a purse over a Unix socket.

use super::research;
use crate::args::PurseArgs;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::screen::Notes;
use bursar::{Approve, PurseSocket};
use std::io::Write as _;

const STOPPING: &str = "\nstopping: payments in flight are waited for; Ctrl-C again leaves at once";

/// Runs the command.
pub(crate) async fn run(args: PurseArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, STOPPING);
    let open = research::with_config(&args.config).await?;
    let session = match args.session {
        Some(session) => open.bursar.resume(session, Approve::Rule).await?,
        None => open.bursar.session(args.purpose).approve(Approve::Rule).start().await?,
    };
    let mut socket = PurseSocket::new(&args.socket);
    if args.group {
        socket = socket.group();
    }
    for uid in args.uid {
        socket = socket.let_in(uid);
    }
    let server = session.serve(socket).await.map_err(CliError::Purse)?;
    // Whoever starts it waits for this line, and then knows that the purse listens.
    let _ = writeln!(anstream::stdout(), "session {} at {}", session.id(), server.path().display());
    interrupt.wait().await;
    drop(server);
    open.bursar.close().await.map_err(CliError::Afterwards)?;
    Ok(Exit::Done)
}
