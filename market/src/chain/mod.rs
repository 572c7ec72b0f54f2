//! An in-process chain with one EIP-3009 token, and its JSON-RPC.

mod abi;
mod books;
mod handle;
mod json;
mod kept;
mod revert;
mod rpc;
mod state;
mod token;
mod transfers;

pub use handle::Chain;
pub(crate) use handle::ChainSettings;
pub use kept::StateFileError;
pub use revert::Revert;
pub(crate) use rpc::Rpc;
pub use state::ChainLog;
pub use token::Token;
pub use transfers::{PlainTransfer, Transfer};
