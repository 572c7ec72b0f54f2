//! What `bursar eval` takes.

use bursar_evals::Format;
use clap::{Args, Subcommand};
use std::path::PathBuf;

const EVAL_EXIT_CODES: &str = "\
Exit codes:
  0    every case that ran passed
  1    a case failed, or the run says nothing since a control failed; with --mutate: something moved that was not
       allowed, or more than 0.1 % were blocked falsely; with --mutate-policy: too few checks were missed
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
    /// Writes a report: json, junit, sarif, markdown or html. Can be given more than once.
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    pub(crate) reports: Vec<ReportFile>,
    /// Compares with how the suite came out once.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Keeps how the suite came out.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Plays this many cases mutated from the suite instead, from the seed on.
    #[arg(long, value_name = "N", conflicts_with_all = ["mutate_policy", "seeds", "reports", "baseline", "write_baseline"])]
    pub(crate) mutate: Option<u64>,
    /// Takes out one check of rules and mandates at a time instead, and tells which case notices.
    #[arg(long, conflicts_with_all = ["seeds", "reports", "baseline", "write_baseline"])]
    pub(crate) mutate_policy: bool,
    /// Takes out only checks with this in their names.
    #[arg(long, value_name = "TEXT", requires = "mutate_policy")]
    pub(crate) check: Option<String>,
    /// Least share of checks that must be missed, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 95, requires = "mutate_policy",
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) kill_rate: u8,
    /// How many mutated cases are played side by side.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: u8,
}

/// A report and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportFile {
    pub(crate) format: Format,
    pub(crate) path: PathBuf,
}

impl std::str::FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "write it as FORMAT=FILE, such as junit=eval.xml";
        let (format, path) = text.split_once('=').filter(|(_, path)| !path.is_empty()).ok_or(wrong)?;
        let format = format.parse().map_err(|error: bursar_evals::UnknownFormat| error.to_string())?;
        Ok(Self { format, path: PathBuf::from(path) })
    }
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
