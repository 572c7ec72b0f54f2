//! Money through the real path: real HTTP on loopback, a real SQLite file, real signatures, and a market that is stricter
//! than the real thing.

mod buys;
mod faults;
mod governs;
mod world;
