//! The x402 rail and the transport under it, from outside.

mod common;
mod malformed;
mod offers;
mod outcome;
mod recover;
mod server;
mod transport;
