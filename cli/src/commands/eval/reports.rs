//! Reports in files, and the baseline.

use crate::exit::CliError;
use crate::screen::line;
use bursar_evals::{Baseline, Diff, SuiteReport};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::args::ReportFile;

/// What is different from a baseline.
pub(super) fn against(path: &Path, report: &SuiteReport) -> Result<Diff, CliError> {
    let file = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(file)?;
    let baseline =
        Baseline::read(&text).map_err(|source| CliError::Baseline { path: path.to_owned(), source })?;
    Ok(baseline.against(report))
}

/// Keeps how the suite came out.
pub(super) fn keep(path: &Path, report: &SuiteReport) -> Result<(), CliError> {
    write(path, &Baseline::of(report).written())
}

/// Writes the reports that were asked for.
pub(super) fn write_all(
    files: &[ReportFile],
    report: &SuiteReport,
    diff: Option<&Diff>,
) -> Result<(), CliError> {
    files.iter().try_for_each(|file| write(&file.path, &file.format.write(report, diff)))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let file = |source| CliError::File { doing: "write", path: PathBuf::from(path), source };
    std::fs::write(path, text).map_err(file)
}

/// What is different, for the terminal.
pub(super) fn told(diff: &Diff) -> String {
    if diff.changes.is_empty() {
        return "against the baseline: nothing changed\n".to_owned();
    }
    let mut text = String::from("against the baseline:\n");
    for (case, change) in &diff.changes {
        let (what, before, now) = change.told();
        let mark = if change.is_worse() { '!' } else { ' ' };
        let arrow = if before.is_empty() || now.is_empty() { "" } else { " -> " };
        let _ = writeln!(text, "{mark} {} {what}: {before}{arrow}{now}", line(case, 60));
    }
    text
}
