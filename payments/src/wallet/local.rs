//! A key on this machine.

/// A key held in memory.
#[derive(Debug)]
pub struct LocalWallet;
