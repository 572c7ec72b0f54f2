//! What was said about each tool when it was first seen.

use bursar_types::Digest;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Pins could not be read or written.
#[derive(Debug, Error)]
#[error("the pins of MCP tools in `{}` cannot be used: {problem}", path.display())]
pub struct PinError {
    path: PathBuf,
    problem: String,
}

/// Remembers the digest of what a server said about a tool: name, description, schemas and annotations.
///
/// # What implementers guarantee
/// What was set is found again, also by a later process where it is to last. An error is never "there is none".
pub trait Pins: Send + Sync + fmt::Debug {
    /// The digest that was accepted; `None` if the tool was never seen.
    ///
    /// # Errors
    /// [`PinError`].
    fn get(&self, server: &str, tool: &str) -> Result<Option<Digest>, PinError>;

    /// Whether any tool of this server was ever accepted: what it says on the first day is, and what it adds later is not by itself.
    ///
    /// # Errors
    /// [`PinError`].
    fn knows(&self, server: &str) -> Result<bool, PinError>;

    /// Accepts a digest, instead of an earlier one.
    ///
    /// # Errors
    /// [`PinError`]: it may or may not be set.
    fn set(&self, server: &str, tool: &str, digest: Digest) -> Result<(), PinError>;
}

const _: Option<&dyn Pins> = None;

type Digests = BTreeMap<String, BTreeMap<String, Digest>>;

/// Pins for as long as the process runs.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<Digests>);

impl Pins for MemoryPins {
    fn get(&self, server: &str, tool: &str) -> Result<Option<Digest>, PinError> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pins.get(server).and_then(|tools| tools.get(tool)).copied())
    }

    fn knows(&self, server: &str) -> Result<bool, PinError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(server))
    }

    fn set(&self, server: &str, tool: &str, digest: Digest) -> Result<(), PinError> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.entry(server.to_owned()).or_default().insert(tool.to_owned(), digest);
        Ok(())
    }
}

/// Pins in a file that is written anew with each change, and read at each question: several processes may share it.
#[derive(Debug)]
pub struct FilePins {
    path: PathBuf,
    turn: Mutex<()>,
}

impl FilePins {
    /// Keeps them in this file. It is made with the first pin.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Mutex::new(()) }
    }

    fn failed(&self, problem: impl fmt::Display) -> PinError {
        PinError { path: self.path.clone(), problem: problem.to_string() }
    }

    fn read(&self) -> Result<Digests, PinError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.failed(error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Digests::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn write(&self, pins: &Digests) -> std::io::Result<()> {
        let bytes = serde_json::to_vec_pretty(pins)?;
        let beside = self.path.with_extension(format!("{}.new", std::process::id()));
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Pins for FilePins {
    fn get(&self, server: &str, tool: &str) -> Result<Option<Digest>, PinError> {
        Ok(self.read()?.get(server).and_then(|tools| tools.get(tool)).copied())
    }

    fn knows(&self, server: &str) -> Result<bool, PinError> {
        Ok(self.read()?.contains_key(server))
    }

    fn set(&self, server: &str, tool: &str, digest: Digest) -> Result<(), PinError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Held until it is dropped, against other processes: a pin that is lost would count as never seen.
        let lock =
            std::fs::File::create(self.path.with_extension("lock")).map_err(|error| self.failed(error))?;
        lock.lock().map_err(|error| self.failed(error))?;
        let mut pins = self.read()?;
        pins.entry(server.to_owned()).or_default().insert(tool.to_owned(), digest);
        self.write(&pins).map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_a_file_outlive_the_process_and_a_damaged_file_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins.json");
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        FilePins::new(&path).set("a", "t", first).unwrap();
        FilePins::new(&path).set("b", "t", second).unwrap();
        let pins = FilePins::new(&path);
        assert_eq!(pins.get("a", "t").unwrap(), Some(first));
        assert_eq!(pins.get("b", "t").unwrap(), Some(second));
        assert_eq!(pins.get("b", "other").unwrap(), None);
        std::fs::write(&path, "{\"a\":").unwrap();
        assert!(pins.get("a", "t").is_err());
        assert!(pins.set("a", "t", second).is_err());
    }
}
