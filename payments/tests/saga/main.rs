//! Sagas: chains of paid and free steps over the real purse, and thousands of small ones without money.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod chains;
mod crashes;
mod pure_world;
mod small_worlds;
mod stubborn;
mod support;
#[path = "../money/traps.rs"]
#[expect(dead_code, reason = "the traps of all tests of money; these use a part of them")]
mod traps;
mod undoing;
#[path = "../money/world.rs"]
#[expect(dead_code, reason = "the world of all tests of money; these use a part of it")]
mod world;
