//! What `bursar reconcile` takes.

use super::{DataArg, word};
use clap::Args;
use std::path::PathBuf;

/// What `bursar reconcile` says at the end of its help.
const RECONCILE: &str = "\
A statement is a CSV file with a header: date (2026-11-22), amount (decimal, such as 0.25), asset (CAIP-19), and, if it has them,
payee, reference and tx. Thousand separators, signs, exponents and unknown assets or columns are errors with their line.

Exit codes:
  0    both sides say the same, or what was missing here was taken in
  1    something is missing on a side, or different
  2    bad input or usage: nothing was changed
  3    nothing disagrees as far as it was compared, and something could not be read";

/// Compares the journal with the chain, or with a statement: matched, missing here, missing there, different.
///
/// Needs no wallet, and can pay nothing. What left the wallet and is missing here stops all spending (`OUTFLOW_UNKNOWN`). --accept is the
/// way back, for example after an old data folder was put back: it takes what is missing into the journal, as spent in every budget that it
/// could have touched, and lets spending go on. Nothing is ever taken for not paid.
#[derive(Debug, Args)]
#[command(after_help = RECONCILE)]
pub(crate) struct ReconcileArgs {
    /// Compares with this statement instead of the chain; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["accept", "all", "rpc", "wallet"])]
    pub(crate) statement: Option<PathBuf>,
    /// Looks at all since the journal began, not only at what is new since everything matched.
    #[arg(long)]
    pub(crate) all: bool,
    /// Takes what is missing here into the journal, as spent, and lets spending go on.
    #[arg(long, requires = "by", requires = "reason")]
    pub(crate) accept: bool,
    /// Who decides it.
    #[arg(long, value_name = "NAME", value_parser = word, requires = "accept")]
    pub(crate) by: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", value_parser = word, requires = "accept")]
    pub(crate) reason: Option<String>,
    /// Prints one JSON object a line.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Prints comma-separated values.
    #[arg(long)]
    pub(crate) csv: bool,
    /// Uses the data folder, networks and assets of this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "rpc"])]
    pub(crate) config: Option<PathBuf>,
    /// Reads the chain here; may be given several times. Without --config.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Vec<String>,
    /// The wallet's address, beside those that the journal names.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) wallet: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
