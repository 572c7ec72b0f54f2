//! The published log: where it lies, who sees it, what follows when it is contradicted, and how it is checked.
//!
//! What publishes is [`bursar_audit`], and what checks is [`bursar_proof`]; here they meet a configuration and a purse. An alarm
//! (the journal and what was published contradict each other) freezes all spending, in every process.

mod config;
mod git;
mod keeper;
mod options;
mod place;
mod verify;

pub use bursar_audit::*;
pub use config::{AnchorConfig, AuditConfig, WitnessConfig};
pub use git::GitAnchor;
pub use options::{AnchorAt, AuditOptions};
pub use verify::{Brought, LogVerified, verify_log};

pub(crate) use keeper::Keeper;

use crate::error::BursarError;
use crate::report::open_ledger;
use crate::system::{SystemClock, SystemEntropy};
use bursar_payments::{HttpTransport, Payments};
use bursar_types::AssetRegistry;
use std::path::Path;
use std::sync::Arc;

/// Opens the journal of a data folder to publish it: without wallet, rules or mandate, so that nothing can be paid.
///
/// # Errors
/// [`BursarError::Ledger`], [`BursarError::LogKey`].
pub fn open_log(data: impl AsRef<Path>, options: &AuditOptions) -> Result<Publisher, BursarError> {
    let ledger = open_ledger(data.as_ref())?;
    let transport = Arc::new(HttpTransport::new()?);
    options.publisher(data.as_ref(), ledger, Arc::new(SystemClock), &SystemEntropy, transport)
}

/// Publishes now. An alarm freezes all spending, as in a process that pays.
///
/// # Errors
/// As [`crate::Bursar::publish`].
pub async fn publish(log: &Publisher) -> Result<Published, BursarError> {
    let registry = Arc::new(AssetRegistry::pinned());
    let ledger = log.ledger().clone();
    let desk = Payments::offline(ledger, registry, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    Keeper::new(log.clone(), desk).publish().await
}
