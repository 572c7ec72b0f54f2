//! The log as files.

use crate::error::PublishError;
use bursar_proof::{SignedNote, Tile};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The checkpoint's file name, as C2SP tlog-tiles has it.
const CHECKPOINT: &str = "checkpoint";

/// A folder that any web server can serve as a log.
///
/// `checkpoint` is replaced in one step and never before the tiles it needs are there, so that whoever reads at any moment,
/// after a crash too, finds a whole log.
///
/// # Source
/// C2SP tlog-tiles: `checkpoint`, `tile/LEVEL/INDEX`, `tile/entries/INDEX`.
#[derive(Debug, Clone)]
pub struct LogFolder {
    path: PathBuf,
}

/// Keeps other publishers of the same log out until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "the lock ends with it")] File);

impl LogFolder {
    /// The folder; it is made when something is written.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint that was published last. Nobody has checked its signature yet.
    ///
    /// # Errors
    /// [`PublishError::File`], [`PublishError::Note`].
    pub fn checkpoint(&self) -> Result<Option<SignedNote>, PublishError> {
        let path = self.path.join(CHECKPOINT);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(SignedNote::parse(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PublishError::File { path, source }),
        }
    }

    /// A file inside.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until no other process publishes this log.
    pub(crate) fn turn(&self) -> Result<Turn, PublishError> {
        let path = self.path.join("lock");
        let lock = || {
            make_folder(&self.path)?;
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map(Turn).map_err(|source| PublishError::File { path: path.clone(), source })
    }

    pub(crate) fn write_checkpoint(&self, note: &SignedNote) -> Result<(), PublishError> {
        self.write(CHECKPOINT, note.to_string().as_bytes())
    }

    /// Writes a tile. A full one makes its parts needless, and they go.
    pub(crate) fn write_tile(&self, tile: Tile, bytes: &[u8]) -> Result<(), PublishError> {
        self.write(&tile.to_string(), bytes)?;
        if tile.is_full() {
            let parts = self.path.join(format!("{tile}.p"));
            match fs::remove_dir_all(&parts) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(PublishError::File { path: parts, source }),
            }
        }
        Ok(())
    }

    /// Writes a file whole or not at all, durably.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.path.join(name);
        replace(&path, bytes).map_err(|source| PublishError::File { path, source })
    }
}

/// Replaces a file in one step: whoever reads it finds the old bytes or the new ones, after a crash too.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    sync_folder(folder)
}

/// The name of a file is durable when its folder is.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems cannot open a folder as a file, and have no such thing.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}
