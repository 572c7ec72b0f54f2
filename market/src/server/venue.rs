//! Where the services of a market are reached: each on a port of loopback, or all by a call.

use super::{
    listen::{Bound, Listening},
    switchboard::{Host, Switchboard},
};
use std::io;

/// The services of one market that are open.
#[derive(Debug)]
pub(crate) struct Venue {
    in_process: bool,
    board: Switchboard,
    servers: Vec<Listening>,
}

/// An origin that is ours, not yet served.
#[derive(Debug)]
pub(crate) enum Stand {
    /// A port of loopback.
    Port(Bound),
    /// A name that only the switchboard knows.
    Name(String),
}

impl Stand {
    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Port(bound) => bound.url(),
            Self::Name(url) => url,
        }
    }
}

impl Venue {
    /// An empty one, with sockets or without.
    pub(crate) fn new(in_process: bool) -> Self {
        Self { in_process, board: Switchboard::default(), servers: Vec::new() }
    }

    /// Takes an origin: the port, 0 for a free one; in process, the name, and no port.
    pub(crate) async fn reserve(&self, port: u16, name: &str) -> io::Result<Stand> {
        if self.in_process {
            return Ok(Stand::Name(format!("http://{name}.market.test")));
        }
        Bound::new(port).await.map(Stand::Port)
    }

    /// Serves there until the venue is closed or dropped.
    pub(crate) fn open(&mut self, stand: Stand, host: Host) {
        self.board.connect(stand.url(), host.clone());
        if let Stand::Port(bound) = stand {
            self.servers.push(bound.serve(host));
        }
    }

    /// Who listens where.
    pub(crate) const fn board(&self) -> &Switchboard {
        &self.board
    }

    /// Stops serving, and waits until the ports are free.
    pub(crate) async fn close(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}
