//! The log as its readers, its witnesses and its forgers see it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod anchors;
mod folder;
mod keys;
mod support;
mod witnesses;
