//! A seller.
mod config;
use crate::Faults;
pub use config::*;
/// What happened at a seller.
#[derive(Debug, Clone)]
pub struct SellerLog {}
/// One request.
#[derive(Debug, Clone)]
pub struct LogEntry {}
/// What a buyer did that it must not.
#[derive(Debug, Clone)]
pub struct Violation {}
/// Kinds of violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViolationKind {}
/// Handle on a seller; clones share it.
#[derive(Debug, Clone)]
pub struct Seller {}
impl Seller {
    /// Base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        todo!()
    }
    /// Faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        todo!()
    }
    /// Log.
    #[must_use]
    pub fn log(&self) -> SellerLog {
        todo!()
    }
    /// Violations.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        todo!()
    }
}
