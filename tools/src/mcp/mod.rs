//! Tools of MCP servers, under the same gate and the same purse as every other tool.
//!
//! An operator declares a server ([`McpServer`]): where it is, which of its tools may be used, which only read, and which are paid
//! for. [`McpTools::connect`] asks it for its tools and makes an agent's tools of them. What a server says is data with a label:
//!
//! - Its annotations decide nothing. A tool is a `Write` unless the operator says that it only reads, and a `Spend` where the operator
//!   says that it is paid for.
//! - Names begin with the name that the operator gave the server, so that no tool can pass for another's; descriptions are bounded and
//!   labelled; schemas that are too large, or point elsewhere, are withheld with the reason.
//! - Each tool is pinned by the digest of what was said about it ([`Pins`]). One that changed is not called until somebody accepts it.
//! - A server that asks for something (a text of the user's, a model's turn, a wallet) is told no.
//!
//! # Paid tools
//! A paid tool has an address, such as `https://mcp.example/mcp?mcp-tool=search`, and is bought as a page is: quotes, plan, decision,
//! hold, one signature. [`McpTransport`] stands in the purse's way to the network and makes MCP calls of requests for such addresses, with
//! the payment in `_meta` (x402 specification, transport `mcp`). A failed settlement looks like a first demand for payment there; what
//! became of the money is asked of the chain, as everywhere.

mod client;
mod convert;
mod listing;
mod paid;
mod pins;
mod server;
mod sign_in;
#[cfg(test)]
mod tests;
mod tool;
mod tools;

pub use client::McpError;
pub use listing::{WithheldTool, Withholding};
pub use paid::McpTransport;
pub use pins::{FilePins, MemoryPins, PinError, Pins};
pub use server::{McpLimits, McpServer, McpServerError};
pub use sign_in::{McpSignIn, OAuthClient};
pub use tools::{ChangedTool, McpParts, McpTools};
