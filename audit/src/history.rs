//! Every checkpoint that was ever signed.

use crate::error::PublishError;
use crate::folder::{LogFolder, sync_folder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_proof::{Checkpoint, SignedNote, VerifierKey};
use bursar_types::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};

const FILE: &str = "history";

/// The checkpoints that a log signed, a line for each: when, and the note in base64. Only appended to.
///
/// It is what a journal is compared with: whoever rewrites the journal has to rewrite this too, and everything that others
/// keep of it.
#[derive(Debug, Clone)]
pub struct History(LogFolder);

/// A checkpoint that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When, by the signer's clock.
    pub at: Timestamp,
    /// What was signed, with the signatures that it had by then.
    pub note: SignedNote,
}

impl History {
    /// The history of a log.
    #[must_use]
    pub const fn of(folder: LogFolder) -> Self {
        Self(folder)
    }

    /// Adds one, before it is published: what is out is always here.
    pub(crate) fn add(&self, past: &Past) -> Result<(), PublishError> {
        let path = self.0.file(FILE);
        let line = format!("{} {}\n", past.at.unix_ms(), STANDARD.encode(past.note.to_string()));
        let add = || {
            let torn = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            // A crash in the middle of a line: the next one begins anew.
            if torn {
                file.write_all(b"\n")?;
            }
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            sync_folder(self.0.path())
        };
        add().map_err(|source| PublishError::File { path: path.clone(), source })
    }

    /// Reads them, the oldest first. A line that a crash cut short is left out; the checkpoint in it was never published.
    ///
    /// # Errors
    /// [`PublishError::File`].
    pub fn read(&self) -> Result<Vec<Past>, PublishError> {
        let path = self.0.file(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(parse).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(PublishError::File { path, source }),
        }
    }

    /// Reads those that this key signed, as checkpoints; the others are counted.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn signed_by(&self, log: &VerifierKey) -> Result<(Vec<Checkpoint>, usize), PublishError> {
        let mut signed = Vec::new();
        let mut others: usize = 0;
        for past in self.read()? {
            match Checkpoint::check(&past.note, log) {
                Ok(checkpoint) => signed.push(checkpoint),
                Err(_) => others = others.saturating_add(1),
            }
        }
        Ok((signed, others))
    }
}

fn parse(line: &str) -> Option<Past> {
    let (at, note) = line.split_once(' ')?;
    let note = String::from_utf8(STANDARD.decode(note).ok()?).ok()?;
    Some(Past { at: Timestamp::from_unix_ms(at.parse().ok()?), note: SignedNote::parse(&note).ok()? })
}
