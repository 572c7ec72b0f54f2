//! The market over real HTTP on loopback, and without it.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod support;

#[cfg(test)]
mod chain;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod facilitator;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod purchase;
#[cfg(test)]
mod refunds;
#[cfg(test)]
mod rpc;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod state_file;
#[cfg(test)]
mod wire;
