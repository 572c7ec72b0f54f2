//! Tests of the whole: the house's floors, and money through the facade.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

mod agents;
mod alerts;
mod cancels;
mod claims;
mod configured;
mod erasure;
mod examples;
mod house;
mod mcp;
mod readme;
mod reasons;
#[cfg(unix)]
mod remote;
mod telemetry;
