//! `bursar eval`: plays scenarios and judges what is spent.

mod init;
mod mutate;
mod reports;
mod table;

use crate::args::{EvalAction, EvalArgs};
use crate::exit::{CliError, Exit};
use bursar_evals::{Options, Suite, SuiteVerdict, run_suite};
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: EvalArgs) -> Result<Exit, CliError> {
    if let Some(EvalAction::Init(args)) = &args.action {
        return init::run(args);
    }
    let mut suite = Suite::load(&args.paths)?;
    if let Some(filter) = &args.filter {
        suite = suite.filtered(filter);
        if suite.cases.is_empty() {
            return Err(CliError::NoCase(filter.clone()));
        }
    }
    if let Some(cases) = args.mutate {
        return mutate::cases(suite, cases, &args).await;
    }
    if args.mutate_policy {
        return mutate::policy(suite, &args).await;
    }
    let options = Options { seed: args.seed, seeds: args.seeds, ..Options::default() };
    // A suite makes its own threads and runtimes.
    let report = tokio::task::spawn_blocking(move || run_suite(&suite, &options)).await;
    let report = report.map_err(|error| CliError::Runtime(std::io::Error::other(error)))?;
    let diff = args.baseline.as_deref().map(|path| reports::against(path, &report)).transpose()?;
    reports::write_all(&args.reports, &report, diff.as_ref())?;
    if let Some(path) = &args.write_baseline {
        reports::keep(path, &report)?;
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).map(|json| json + "\n"),
        false => Ok(table::text(&report) + &diff.as_ref().map(reports::told).unwrap_or_default()),
    };
    let text = text.map_err(|error| CliError::Runtime(std::io::Error::other(error)))?;
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(match report.verdict {
        SuiteVerdict::Pass => Exit::Done,
        SuiteVerdict::Fail | SuiteVerdict::Invalid => Exit::Failed,
    })
}
