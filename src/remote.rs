//! A purse in another process, under another user: key, ledger, mandate and rules stay where no tool of an agent reaches.
//!
//! The process with the purse serves one session over a Unix socket ([`PurseSocket`], `bursar purse`). An agent's process
//! connects ([`RemoteSession`]) and gets the same [`Purse`](bursar_types::Purse) as everywhere. It names requests, keys and plans,
//! and nothing else: the mandate is the one that the purse's process was configured with.
//!
//! Each call is a connection of its own, so a caller that goes away takes nothing with it: what runs in the purse goes on, and
//! the same request under the same key joins it.

mod client;
mod serve;
mod wire;

pub use client::RemoteSession;
pub use serve::{PurseServer, PurseSocket};

use std::path::PathBuf;
use thiserror::Error;

/// Why a purse could not be served or reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Another process serves this socket.
    #[error("another process serves `{}`", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made or reached.
    #[error("the purse's socket `{}` cannot be used", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The purse does not talk to this caller, and says why.
    #[error("the purse refused: {0}")]
    Refused(String),
    /// What came over the socket is not what a purse says.
    #[error("the purse's answer cannot be read: {0}")]
    Unreadable(String),
}
