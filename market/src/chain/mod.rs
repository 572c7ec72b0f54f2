//! An in-process chain with one EIP-3009 token, and its JSON-RPC.

mod abi;
mod accounts;
mod books;
mod handle;
mod json;
mod kept;
mod revert;
mod rlp;
mod rpc;
mod sending;
mod state;
mod token;
mod transaction;
mod transfers;

pub use handle::Chain;
pub(crate) use handle::ChainSettings;
pub use kept::StateFileError;
pub use revert::Revert;
pub(crate) use rpc::Rpc;
pub use sending::SendError;
pub use state::ChainLog;
pub use token::Token;
pub use transfers::{PlainTransfer, Transfer};
