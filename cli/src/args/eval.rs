//! What `bursar eval` takes.

use clap::{Args, Subcommand};
use std::path::PathBuf;

const EVAL_EXIT_CODES: &str = "\
Exit codes:
  0    every case that ran passed
  1    a case failed, or the run says nothing since a control failed
  2    it could not run: a file is missing or wrong";

/// Plays scenarios with honest and hostile sellers, and judges what is spent.
///
/// Everything is played on this machine: a market in a box on loopback, a data file in a temporary folder, play money, and a
/// clock that moves when a scenario says so. The same seed gives the same report.
#[derive(Debug, Args)]
#[command(after_help = EVAL_EXIT_CODES, args_conflicts_with_subcommands = true)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) action: Option<EvalAction>,
    /// Files of cases, and folders of such files.
    #[arg(value_name = "PATH", default_value = "evals")]
    pub(crate) paths: Vec<PathBuf>,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Plays each case with so many seeds; it passes if it passes with all of them.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) seeds: u64,
    /// Plays only cases whose id, family or mode contains this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Prints the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvalAction {
    Init(EvalInitArgs),
}

/// Writes a first suite, a test of your own agent, and a workflow that runs both.
#[derive(Debug, Args)]
pub(crate) struct EvalInitArgs {
    /// The project.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
}
