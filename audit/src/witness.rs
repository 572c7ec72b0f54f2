//! A witness for other people's logs.

use crate::folder::replace;
use bursar_proof::{Checkpoint, Cosignature, NoteKey, SignedNote, Submission, Turned, VerifierKey};
use bursar_types::Clock;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// Keeps the last checkpoint it cosigned of each log it knows, and cosigns only what continues it.
///
/// Its whole worth is that somebody else runs it, on another machine. A folder that is lost must not be begun anew under the
/// same key: it would cosign a second history.
#[derive(Debug)]
pub struct Witness {
    key: NoteKey,
    logs: Vec<VerifierKey>,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    one_at_a_time: Mutex<()>,
}

/// What it answers over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why it could not answer at all; over HTTP it is a 500.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// A file.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it cosigned last cannot be read: it cosigns nothing until that is known.
    #[error("`{}` is damaged; what was cosigned last is not known, so nothing is cosigned", .0.display())]
    Damaged(PathBuf),
    /// It could not sign.
    #[error(transparent)]
    Note(#[from] bursar_proof::NoteError),
}

impl WitnessAnswer {
    fn text(status: u16, body: String) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

impl Witness {
    /// A witness of these logs, which keeps what it saw in a folder.
    #[must_use]
    pub fn new(
        key: NoteKey,
        logs: Vec<VerifierKey>,
        folder: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { key, logs, folder: folder.into(), clock, one_at_a_time: Mutex::new(()) }
    }

    /// What checks its cosignatures.
    #[must_use]
    pub fn key(&self) -> VerifierKey {
        self.key.verifier()
    }

    /// Answers `POST /add-checkpoint`. What it cosigns is durable before it answers. It blocks on files.
    ///
    /// # Errors
    /// [`WitnessError`].
    ///
    /// # Source
    /// C2SP tlog-witness, "add-checkpoint".
    pub fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, WitnessError> {
        let asked = match Submission::parse(body) {
            Ok(asked) => asked,
            Err(error) => return Ok(WitnessAnswer::text(400, format!("{error}\n"))),
        };
        let Some(checkpoint) = asked.checkpoint() else { return Ok(WitnessAnswer::text(400, String::new())) };
        let path = self.path(&checkpoint.origin);
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        // Other processes over the same folder take turns too.
        let file = |source| WitnessError::File { path: path.clone(), source };
        let _turn = self.turn().map_err(file)?;
        let seen = self.seen(&path)?;
        let new = match asked.judge(seen.as_ref(), &self.logs) {
            Ok(new) => new,
            Err(turned) => return Ok(turned_away(turned)),
        };
        let line = Cosignature::sign(asked.note.text(), self.clock.now().unix_s(), &self.key)?;
        let mut note = signed_by_its_log(&asked.note, &self.logs, &new)?;
        note.add([line.clone()])?;
        replace(&path, note.to_string().as_bytes()).map_err(file)?;
        Ok(WitnessAnswer::text(200, format!("{line}\n")))
    }

    /// Answers `GET /<origin hash>/checkpoint`: what it cosigned last of that log.
    ///
    /// # Errors
    /// [`WitnessError::File`].
    pub fn latest(&self, origin_hash: &str) -> Result<WitnessAnswer, WitnessError> {
        let plain = origin_hash.len() == 64 && origin_hash.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain {
            return Ok(WitnessAnswer::text(404, String::new()));
        }
        let path = self.folder.join(origin_hash.to_ascii_lowercase());
        match fs::read_to_string(&path) {
            Ok(note) => Ok(WitnessAnswer::text(200, note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(WitnessAnswer::text(404, String::new())),
            Err(source) => Err(WitnessError::File { path, source }),
        }
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.folder.join(bursar_types::Digest::of(origin.as_bytes()).to_string())
    }

    fn turn(&self) -> io::Result<fs::File> {
        fs::create_dir_all(&self.folder)?;
        let lock = self.folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
        file.lock()?;
        Ok(file)
    }

    /// What it cosigned last, by its own cosignature. A file that is there and says nothing is not "never".
    fn seen(&self, path: &Path) -> Result<Option<Checkpoint>, WitnessError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WitnessError::File { path: path.to_owned(), source }),
        };
        let damaged = || WitnessError::Damaged(path.to_owned());
        let note = SignedNote::parse(&text).map_err(|_| damaged())?;
        Cosignature::check(&note, &self.key()).map_err(|_| damaged())?;
        Checkpoint::parse(note.text()).map(Some).map_err(|_| damaged())
    }
}

/// The note with the signatures of its log alone: what others may have added is theirs to answer for.
fn signed_by_its_log(
    note: &SignedNote,
    logs: &[VerifierKey],
    checkpoint: &Checkpoint,
) -> Result<SignedNote, WitnessError> {
    let of_log = |line: &&bursar_proof::NoteSignature| {
        logs.iter()
            .any(|key| key.name() == checkpoint.origin && line.name == key.name() && line.id == key.id())
    };
    let mut text = format!("{}\n", note.text());
    for line in note.signatures().iter().filter(of_log) {
        text.push_str(&format!("{line}\n"));
    }
    Ok(SignedNote::parse(&text)?)
}

fn turned_away(turned: Turned) -> WitnessAnswer {
    match turned {
        Turned::Conflict { seen } => WitnessAnswer {
            status: turned.status(),
            content_type: "text/x.tlog.size",
            body: format!("{seen}\n"),
        },
        _ => WitnessAnswer::text(turned.status(), format!("{turned}\n")),
    }
}
