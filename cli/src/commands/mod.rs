//! The commands, one file each.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod clock;
pub(crate) mod eval;
#[cfg(unix)]
pub(crate) mod fetch;
pub(crate) mod freeze;
pub(crate) mod gateway;
pub(crate) mod init;
pub(crate) mod mandate;
pub(crate) mod market;
pub(crate) mod mcp;
pub(crate) mod obligations;
pub(crate) mod policy;
pub(crate) mod prompts;
#[cfg(unix)]
pub(crate) mod purse;
pub(crate) mod receipt;
pub(crate) mod reconcile;
pub(crate) mod research;
pub(crate) mod resume;
mod served;
#[cfg(feature = "mcp")]
pub(crate) mod servers;
pub(crate) mod sessions;
pub(crate) mod spend;
pub(crate) mod wallet;
pub(crate) mod watch;
pub(crate) mod witness;
