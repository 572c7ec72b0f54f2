//! Callers of a gateway: real HTTP and real streams, real signatures, a market in a box.

#[cfg(test)]
mod callers;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod support;
