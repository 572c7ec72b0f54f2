//! The whole market: a chain, a facilitator and sellers, started and stopped together.

mod builder;
mod handle;

pub use builder::{MarketBuilder, MarketError, Ports};
pub use handle::Market;
