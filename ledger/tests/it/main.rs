//! The ledger as its users see it: one suite for every store, a model, and what happens to files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that cannot go on says so by panicking"
)]

mod attacks;
mod children;
mod concurrency;
mod conformance;
mod erasure;
mod files;
mod machine;
mod model;
mod proofs;
mod run_journal;
mod support;
mod tampering;
mod torn;
