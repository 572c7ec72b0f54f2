//! An in-process chain with one EIP-3009 token, and its JSON-RPC.

mod abi;
mod books;
mod handle;
mod json;
mod kept;
mod revert;
mod rpc;
mod state;

pub(crate) use handle::ChainSettings;
pub use handle::{Chain, Token, Transfer};
pub use kept::StateFileError;
pub use revert::Revert;
pub(crate) use rpc::Rpc;
pub use state::ChainLog;
