//! Copies of data folders: put back in place of the newer one, or used beside it.

use super::set::{Stage, StageError};
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

impl Stage {
    /// Where a process keeps its data: all in one folder, but those that were forked.
    pub(crate) fn folder_of(&self, process: &str) -> PathBuf {
        let forks = self.forks.lock().unwrap_or_else(PoisonError::into_inner);
        forks.get(process).cloned().unwrap_or_else(|| self.data.path().join("data"))
    }

    /// Keeps or puts back a copy of the data file.
    pub(crate) async fn copy(&self, process: &str, back: bool) -> std::result::Result<(), StageError> {
        if !back {
            // There may be nothing to keep yet.
            self.bursar(process).await?;
        }
        self.close(process).await;
        let (data, copy) = (self.data.path().join("data"), self.data.path().join("copy"));
        let (from, to) = if back { (copy, data) } else { (data, copy) };
        if !from.exists() {
            let problem = "there is no copy of the data file to put back";
            return Err(StageError::Scenario(problem.to_owned()));
        }
        copied(&from, &to, false)?;
        Ok(())
    }

    /// Copies a process's whole data folder, with the log in it, for another process.
    pub(crate) async fn fork(&self, process: &str, into: &str) -> std::result::Result<(), StageError> {
        self.bursar(process).await?;
        self.close(process).await;
        self.close(into).await;
        let from = self.folder_of(process);
        let mut forks = self.forks.lock().unwrap_or_else(PoisonError::into_inner);
        if into == process || forks.contains_key(into) {
            return Err(StageError::Scenario(format!("`{into}` has a data folder of its own already")));
        }
        let to = self.data.path().join(format!("fork-{}", forks.len()));
        copied(&from, &to, true)?;
        forks.insert(into.to_owned(), to);
        Ok(())
    }
}

/// Copies the files of a folder; with `deep`, also those of the folders in it.
fn copied(from: &Path, to: &Path, deep: bool) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()? {
            kind if kind.is_dir() && deep => copied(&path, &to, deep)?,
            kind if kind.is_file() => match std::fs::copy(path, to) {
                Ok(_) => {}
                // A log that the last reader took away when it left.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            _ => {}
        }
    }
    Ok(())
}
