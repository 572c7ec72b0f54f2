//! The x402 rail and the transport under it, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails the test"
)]

mod chain;
mod common;
mod egress;
mod inflow;
mod malformed;
mod many;
mod node;
mod offers;
mod outcome;
mod outflow;
mod readers;
mod recover;
mod refunds;
mod server;
mod transport;
