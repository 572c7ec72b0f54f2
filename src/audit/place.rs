//! Where a data folder's log is, remembered in the folder.

use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The file in the data folder that says what was chosen, so that whoever reads the folder finds the same log.
const FILE: &str = "log.place";

/// What was chosen of a log; the rest is as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) origin: Option<String>,
    pub(super) log: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Place {
    /// What is chosen now, else what was chosen before. A new choice is remembered.
    pub(super) fn remembered(self, data: &Path) -> Result<Self> {
        let before = Self::before(data)?;
        let now = self.chosen(data)?;
        if now != before {
            let text = toml::to_string(&now).map_err(std::io::Error::other)?;
            std::fs::write(data.join(FILE), text)?;
        }
        Ok(now)
    }

    /// The same, and nothing is remembered.
    pub(super) fn chosen(self, data: &Path) -> Result<Self> {
        let before = Self::before(data)?;
        let whole = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        Ok(Self {
            origin: self.origin.or(before.origin),
            log: whole(self.log)?.or(before.log),
            key: whole(self.key)?.or(before.key),
        })
    }

    fn before(data: &Path) -> Result<Self> {
        match std::fs::read_to_string(data.join(FILE)) {
            Ok(text) => toml::from_str(&text).map_err(|error| Error::new(ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_found_again_by_whoever_reads_the_folder_later() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = || Place::default().remembered(folder.path()).unwrap();
        assert_eq!(nothing(), Place::default());
        let log = folder.path().join("www");
        let chosen = Place { log: Some(log.clone()), ..Place::default() };
        assert_eq!(chosen.clone().remembered(folder.path()).unwrap(), chosen);
        assert_eq!(nothing(), chosen);
        let named = Place { origin: Some("example.com/log".to_owned()), ..Place::default() };
        assert_eq!(named.remembered(folder.path()).unwrap().log, Some(log));
        std::fs::write(folder.path().join(FILE), "elsewhere").unwrap();
        assert!(Place::default().remembered(folder.path()).is_err());
    }
}
