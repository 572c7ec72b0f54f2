//! Every checkpoint that was ever signed.

use crate::error::PublishError;
use crate::folder::{LogFolder, sync_folder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_proof::{Checkpoint, SignedNote, VerifierKey};
use bursar_types::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};

const FILE: &str = "history";
/// No line is longer: a checkpoint is signed by one key here.
const LINE_MAX: u64 = 64 << 10;

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
            let mut file =
                OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            // A crash in the middle of a line: the checkpoint in it was never published, and it goes.
            let length = file.seek(SeekFrom::End(0))?;
            let tail = length.saturating_sub(LINE_MAX);
            file.seek(SeekFrom::Start(tail))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
            let whole = tail.saturating_add(u64::try_from(whole).map_err(std::io::Error::other)?);
            if whole < length {
                file.set_len(whole)?;
            }
            file.seek(SeekFrom::End(0))?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            sync_folder(self.0.path())
        };
        add().map_err(|source| PublishError::File { path: path.clone(), source })
    }

    /// Reads them, the oldest first; a line that cannot be read is given as its number, from 1.
    ///
    /// What stands after the last end of a line was cut short by a crash, and never published: it is left out.
    ///
    /// # Errors
    /// [`PublishError::File`].
    pub fn read(&self) -> Result<Vec<Result<Past, usize>>, PublishError> {
        let path = self.0.file(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(PublishError::File { path, source }),
        };
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        Ok((1..).zip(lines).map(|(number, line)| parse(line).ok_or(number)).collect())
    }

    /// Reads those that this key signed, as checkpoints; the others, and lines that cannot be read, are counted.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn signed_by(&self, log: &VerifierKey) -> Result<(Vec<Checkpoint>, usize), PublishError> {
        let mut signed = Vec::new();
        let mut others: usize = 0;
        for past in self.read()? {
            match past.ok().and_then(|past| Checkpoint::check(&past.note, log).ok()) {
                Some(checkpoint) => signed.push(checkpoint),
                None => others = others.saturating_add(1),
            }
        }
        Ok((signed, others))
    }
}

fn parse(line: &[u8]) -> Option<Past> {
    let (at, note) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let note = String::from_utf8(STANDARD.decode(note).ok()?).ok()?;
    Some(Past { at: Timestamp::from_unix_ms(at.parse().ok()?), note: SignedNote::parse(&note).ok()? })
}
