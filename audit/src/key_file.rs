//! The keys that sign checkpoints, on disk.

use bursar_proof::{KeyError, KeyKind, NoteKey};
use bursar_types::{Entropy, LedgerId};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a key file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("others can read or change `{}`; `chmod 600` it, and make a new key if they may have read it", .0.display())]
    Open(PathBuf),
    /// It holds no key, or another's.
    #[error("`{}` holds no key for `{name}`: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Whose key was looked for.
        name: String,
        /// What is wrong.
        source: KeyError,
    },
}

/// What a ledger's log is called where nobody gave it another name: unique, and owned by no one.
#[must_use]
pub fn origin_of(ledger: LedgerId) -> String {
    format!("bursar.invalid/{ledger}")
}

/// Reads the key of a log or witness, or makes one that only its owner can read.
///
/// # Errors
/// [`KeyFileError`]. A file that is there is never written over.
pub fn read_or_make_key(
    path: &Path,
    name: &str,
    kind: KeyKind,
    entropy: &dyn Entropy,
) -> Result<NoteKey, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let wrong = |source| KeyFileError::Key { path: path.to_owned(), name: name.to_owned(), source };
    loop {
        match read(path) {
            Ok(Some(text)) => {
                let key = NoteKey::parse(&text).map_err(wrong)?;
                let (found, is) = (key.verifier().name().to_owned(), key.verifier().kind());
                return if found == name && is == kind { Ok(key) } else { Err(wrong(KeyError::Name)) };
            }
            Ok(None) => return Err(KeyFileError::Open(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        let key = NoteKey::from_seed(name, kind, &seed).map_err(wrong)?;
        let mut unlike = [0; 8];
        entropy.fill(&mut unlike);
        match make(path, &key.secret(), &hex::encode(unlike)) {
            // Another process made one meanwhile: it is that one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| key).map_err(io),
        }
    }
}

/// Reads a key that is there, whatever its name; `None` if there is no file.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_key(path: &Path) -> Result<Option<NoteKey>, KeyFileError> {
    match read(path) {
        Ok(Some(text)) => NoteKey::parse(&text).map(Some).map_err(|source| KeyFileError::Key {
            path: path.to_owned(),
            name: "a log or a witness".to_owned(),
            source,
        }),
        Ok(None) => Err(KeyFileError::Open(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Io { path: path.to_owned(), source }),
    }
}

/// The text of a key file; `None` if others can read or change it.
fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let text = Zeroizing::new(fs::read_to_string(path)?);
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path)?.permissions()) & 0o077 != 0 {
        return Ok(None);
    }
    Ok(Some(text))
}

/// Makes the file with all of its text, or not at all: a half-written key would be no key for ever.
///
/// `unlike` sets the file apart that it is written to first.
fn make(path: &Path, text: &str, unlike: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{unlike}"));
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    drop(file);
    // Unlike a rename, a link does not replace what is there.
    let made = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    made
}
