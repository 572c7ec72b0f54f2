//! The data folder.

use crate::args::DEFAULT_DATA;
use crate::exit::CliError;
use bursar::ledger::Ledger;
use bursar::payments::Payments;
use bursar::report::{open_desk, open_ledger};
use std::path::{Path, PathBuf};

/// The folder in its one form: absolute, so that the mark beside it has a name of its own.
pub(crate) fn folder(given: Option<&Path>) -> Result<PathBuf, CliError> {
    let given = given.unwrap_or(Path::new(DEFAULT_DATA));
    let absolute = std::path::absolute(given).map_err(|source| CliError::File {
        doing: "read",
        path: given.to_owned(),
        source,
    })?;
    Ok(absolute.components().collect())
}

/// Opens what is owed in a folder, to look at it and decide about it.
pub(crate) fn desk(given: &Path) -> Result<Payments, CliError> {
    Ok(open_desk(existing(given)?)?)
}

/// Opens the ledger of a folder that has one, to read it.
pub(crate) fn ledger(given: &Path) -> Result<Ledger, CliError> {
    Ok(open_ledger(existing(given)?)?)
}

/// A folder that has a ledger.
pub(crate) fn existing(given: &Path) -> Result<PathBuf, CliError> {
    let folder = folder(Some(given))?;
    if !folder.join("ledger.sqlite").exists() {
        return Err(CliError::NoData { path: given.to_owned() });
    }
    Ok(folder)
}
