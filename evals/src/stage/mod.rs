//! The stage: a market on loopback, a data file in a temporary folder, and the buyer's processes over it.

mod copies;
mod crash;
mod log;
mod market;
mod process;
mod set;
mod street;

pub(crate) use crash::Life;
pub(crate) use market::{CHAIN_ID, TOKEN, payee, range, sellers};
pub(crate) use set::Floor;
pub use set::{Stage, StageError};
