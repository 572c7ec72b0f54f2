//! The side of the purse.

use super::RemoteError;
use super::wire::{
    CALL_BYTES_MAX, Call, Go, Hello, PROTOCOL, REPLY_BYTES_MAX, Reply, Welcome, WireError, read, write,
};
use crate::session::Session;
use bursar_payments::SessionPurse;
use bursar_types::{Action, FetchError, Gate as _, ModelHold, ModelMeter as _, canonical_digest};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a caller may take for each of its frames.
const FRAME_TIME: Duration = Duration::from_secs(10);
/// How many callers are served at a time; the others wait in the socket's own queue.
const CALLERS_MAX: usize = 64;

/// Where a purse listens, and who may call it.
#[derive(Debug, Clone)]
#[must_use = "a purse is served by `Session::serve`"]
pub struct PurseSocket {
    path: PathBuf,
    mode: u32,
    uids: BTreeSet<u32>,
}

impl PurseSocket {
    /// A socket that only the purse's own user may call (mode 0600).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o600, uids: BTreeSet::new() }
    }

    /// Lets the socket's group connect as well (mode 0660). Who connects must still be a user that is let in.
    pub fn group(mut self) -> Self {
        self.mode = 0o660;
        self
    }

    /// Lets a user in, by number, as the kernel knows who is on the other side. Once one is let in, the purse's own user is let
    /// in only if it is named too.
    pub fn let_in(mut self, uid: u32) -> Self {
        self.uids.insert(uid);
        self
    }

    /// Begins to listen. A socket that a dead process left is replaced.
    async fn bind(mut self) -> Result<Bound, RemoteError> {
        let failed = |source| RemoteError::Socket { path: self.path.clone(), source };
        if let Ok(found) = std::fs::symlink_metadata(&self.path) {
            if !found.file_type().is_socket() {
                return Err(failed(io::Error::other("something else is there, and is left alone")));
            }
            if UnixStream::connect(&self.path).await.is_ok() {
                return Err(RemoteError::InUse { path: self.path });
            }
            std::fs::remove_file(&self.path).map_err(failed)?;
        }
        let listener = UnixListener::bind(&self.path).map_err(failed)?;
        let permissions = std::fs::Permissions::from_mode(self.mode);
        std::fs::set_permissions(&self.path, permissions).map_err(failed)?;
        if self.uids.is_empty() {
            self.uids.insert(rustix::process::geteuid().as_raw());
        }
        Ok(Bound { listener, path: self.path, uids: self.uids })
    }
}

#[derive(Debug)]
struct Bound {
    listener: UnixListener,
    path: PathBuf,
    uids: BTreeSet<u32>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Whoever looks for it later finds nobody there either way.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A purse that listens. Dropping it stops listening; what runs goes on, and `Bursar::close` waits for it.
#[derive(Debug)]
pub struct PurseServer {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl PurseServer {
    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PurseServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Lets another process use this session's purse over a Unix socket, with the session's own mandate.
    ///
    /// # Errors
    /// [`RemoteError::InUse`], [`RemoteError::Socket`].
    pub async fn serve(&self, socket: PurseSocket) -> Result<PurseServer, RemoteError> {
        let bound = socket.bind().await?;
        let path = bound.path.clone();
        let purse = self.session_purse();
        Ok(PurseServer { path, task: tokio::spawn(listen(bound, purse)) })
    }
}

async fn listen(bound: Bound, purse: Arc<SessionPurse>) {
    let places = Arc::new(Semaphore::new(CALLERS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match bound.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a caller of the purse could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let caller = match stream.peer_cred() {
            Ok(caller) if bound.uids.contains(&caller.uid()) => Ok(()),
            Ok(caller) => Err(format!("user {} is not let in", caller.uid())),
            Err(_) => Err("the system does not say who you are".to_owned()),
        };
        let purse = purse.clone();
        // On a task of its own: a caller that goes away takes nothing with it.
        tokio::spawn(async move {
            let result = match caller {
                Ok(()) => answer(stream, &purse).await,
                Err(why) => turn_away(stream, why).await,
            };
            if let Err(error) = result {
                tracing::debug!(%error, "a caller of the purse went away, or said what cannot be read");
            }
            drop(place);
        });
    }
}

async fn turn_away(mut stream: UnixStream, why: String) -> io::Result<()> {
    tracing::warn!(why, "a caller of the purse was turned away");
    say(&mut stream, &Welcome::Refused { why }).await
}

async fn answer(mut stream: UnixStream, purse: &Arc<SessionPurse>) -> io::Result<()> {
    let Hello { protocol } = match timeout(FRAME_TIME, read(&mut stream, CALL_BYTES_MAX)).await? {
        Ok(hello) => hello,
        Err(error) => return turn_away(stream, error.to_string()).await,
    };
    if protocol != PROTOCOL {
        let why = format!("it speaks version {PROTOCOL}, and not {protocol}");
        return turn_away(stream, why).await;
    }
    let welcome = Welcome::Welcome { protocol: PROTOCOL, principal: purse.principal().clone() };
    say(&mut stream, &welcome).await?;
    let call = match timeout(FRAME_TIME, read(&mut stream, CALL_BYTES_MAX)).await? {
        Ok(call) => call,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let failed = Reply::Failed(WireError::Request(error.to_string()));
            return say(&mut stream, &failed).await;
        }
        Err(error) => return Err(error),
    };
    let reply = match perform(&mut stream, purse, call).await? {
        Ok(reply) => reply,
        Err(error) => {
            tracing::debug!(%error, "a call of the purse failed");
            Reply::Failed(error.into())
        }
    };
    say(&mut stream, &reply).await
}

/// Says one thing. A caller that does not listen is not waited for: it would keep a place from others.
async fn say<T: Serialize>(stream: &mut UnixStream, what: &T) -> io::Result<()> {
    say_within(FRAME_TIME, stream, what).await
}

async fn say_within<T: Serialize>(time: Duration, stream: &mut UnixStream, what: &T) -> io::Result<()> {
    timeout(time, write(stream, what, REPLY_BYTES_MAX)).await?
}

/// Does what was asked. The outer error is the connection's.
async fn perform(
    stream: &mut UnixStream,
    purse: &Arc<SessionPurse>,
    call: Call,
) -> io::Result<Result<Reply, FetchError>> {
    let handle = purse.handle();
    Ok(match call {
        Call::Nothing => Ok(Reply::Withdrawn(Vec::new())),
        Call::Fetch { request, key } => {
            let named = request.open().map_err(FetchError::Request).and_then(|request| {
                let payment = purse.payment_of(&request, &key)?;
                Ok((request, payment))
            });
            let (request, payment) = match named {
                Ok(named) => named,
                Err(error) => return Ok(Err(error)),
            };
            say(stream, &Reply::Named { payment }).await?;
            // Without this word nothing begins, and the caller knows that nothing did.
            let go: Go = timeout(FRAME_TIME, read(stream, CALL_BYTES_MAX)).await??;
            if go.payment != payment {
                return Ok(Err(FetchError::Request("another payment was named".to_owned())));
            }
            handle.fetch(request, key).await.map(|fetched| Reply::Fetched(Box::new(fetched.into())))
        }
        Call::Quote { request } => match request.open() {
            Ok(request) => handle.quote(request).await.map(Reply::from),
            Err(problem) => Err(FetchError::Request(problem)),
        },
        Call::Proposed { proposal } => handle
            .proposed(proposal)
            .await
            .map(|plan| plan.map_or(Reply::NoPlan, |plan| Reply::Plan(Box::new(plan)))),
        Call::Propose { proposal } => handle.propose(proposal).await.map(|plan| Reply::Plan(Box::new(plan))),
        Call::WithdrawPlans => handle.withdraw_plans().await.map(Reply::Withdrawn),
        Call::Standing => handle.standing().await.map(Reply::Standing),
        Call::Decide { action } => Ok(match purse.decide(&action).await {
            Ok(decision) => Reply::Decision(decision),
            Err(_) => Reply::Failed(WireError::Gate),
        }),
        Call::Ask { action, shown } => match what_is_shown(&action, &shown) {
            Err(problem) => Err(FetchError::Request(problem.to_owned())),
            Ok(shown) => Ok(match purse.ask(&action, &shown).await {
                Ok(asked) => Reply::Asked(asked.into()),
                Err(_) => Reply::Failed(WireError::Gate),
            }),
        },
        Call::HoldModel { charge } => Ok(match purse.hold(&charge).await {
            Ok(ModelHold::Held) => Reply::ModelHeld { refused: None },
            Ok(ModelHold::Refused(decision)) => Reply::ModelHeld { refused: Some(decision) },
            Err(_) => Reply::Failed(WireError::Meter),
        }),
        Call::SettleModel { charge, cost } => Ok(match purse.settle_within(&charge, &cost.into()).await {
            Ok(booked) => Reply::ModelSettled { booked },
            Err(_) => Reply::Failed(WireError::Meter),
        }),
    })
}

/// A person answers for what is shown, so it has to be what the action names, and nothing beside it: the caller's own text may name a
/// field twice, of which the last counts.
fn what_is_shown(action: &Action, shown: &str) -> Result<String, &'static str> {
    let value: serde_json::Value =
        serde_json::from_str(shown).map_err(|_| "what is shown is no JSON, so it is no arguments")?;
    let digest = canonical_digest(&value).map_err(|_| "what is shown has no canonical form")?;
    if digest != action.arguments {
        return Err("what is shown is not the arguments that the action names");
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_that_does_not_listen_is_not_waited_for() {
        let (mut purse, caller) = UnixStream::pair().unwrap();
        let much = "x".repeat(4 << 20);
        let said = say_within(Duration::from_millis(50), &mut purse, &much).await;
        assert_eq!(said.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(caller);
    }
}
