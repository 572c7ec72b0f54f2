//! The crate as others see it, and as others would do it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::indexing_slicing, reason = "a test that looks beyond stops")]

mod log;
mod notes;
mod peers;
mod proofs;
mod witness;
