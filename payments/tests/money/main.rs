//! Money through the real path: real HTTP on loopback, a real SQLite file, real signatures, and a market that is stricter
//! than the real thing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod approvals;
mod attacked;
mod attacks;
mod buys;
mod claims;
mod clocks;
mod delegates;
mod faults;
mod freezes;
mod governs;
mod hostile;
mod limits;
mod machine;
mod meaning;
mod models;
mod outflow;
mod processes;
mod pseudonyms;
mod rails;
mod retold;
mod rules;
#[path = "../rail/server.rs"]
mod server;
mod traps;
mod uncompensated;
mod withdraws;
mod world;
