//! Approver keys on disk: outside everything an agent can read.

use super::key::{ApproverKey, KeyError};
use crate::wallet::{WalletError, keystore};
use bursar_types::Entropy;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// No key file is as long as this; a mistaken path may be.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Why a key file cannot be used. Each says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It lies where an agent's tools can reach it.
    #[error("`{}` lies in `{}`, which an agent can reach; keep approver keys outside of it", path.display(), root.display())]
    Inside {
        /// The file.
        path: PathBuf,
        /// The folder that it must not be in.
        root: PathBuf,
    },
    /// Others can read or change it.
    #[error("others can read or change `{}`; `chmod 600` it, and make a new key if they may have read it", .0.display())]
    Open(PathBuf),
    /// It is no plain file.
    #[error("`{}` is not a plain file", .0.display())]
    NoFile(PathBuf),
    /// It cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds no key.
    #[error("`{}` holds no key: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// It is encrypted, and no password was given.
    #[error("`{}` is encrypted: give its password in BURSAR_APPROVER_PASSWORD", .0.display())]
    Password(PathBuf),
    /// It is encrypted and does not open.
    #[error(transparent)]
    Keystore(#[from] WalletError),
}

/// The folders that an agent or its tools can reach: the data folder, the working root. No approver key may be in them.
#[derive(Debug, Clone, Default)]
pub struct Outside(Vec<PathBuf>);

impl Outside {
    /// Names the folders. One that does not exist yet counts as well.
    #[must_use]
    pub fn of(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(roots.into_iter().map(|root| resolved(&root)).collect())
    }

    /// Refuses a path in one of the folders, through whatever links it is reached.
    fn check(&self, path: &Path) -> Result<(), KeyFileError> {
        let found = resolved(path);
        match self.0.iter().find(|root| found.starts_with(root)) {
            Some(root) => Err(KeyFileError::Inside { path: path.to_owned(), root: root.clone() }),
            None => Ok(()),
        }
    }
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for known in absolute.ancestors() {
        if let Ok(real) = known.canonicalize() {
            let rest = absolute.strip_prefix(known).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

impl ApproverKey {
    /// Makes a key in a new file that only this user can read; with a password it is an encrypted keystore.
    ///
    /// # Errors
    /// [`KeyFileError`]; a file that exists is never touched.
    pub fn create(
        path: &Path,
        password: Option<&str>,
        outside: &Outside,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyFileError> {
        outside.check(path)?;
        let key = Self::random(entropy);
        if let Some(password) = password {
            keystore::create(path, password, &key.secret(), entropy)?;
            return Ok(key);
        }
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let text = zeroize::Zeroizing::new(hex::encode(key.secret().as_slice()));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        Ok(key)
    }

    /// Reads a key from a file: an encrypted keystore, or 64 hex digits. Files that others can read, and files in a folder
    /// that an agent can reach, are refused.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path, password: Option<&str>, outside: &Outside) -> Result<Self, KeyFileError> {
        outside.check(path)?;
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        // Asked before it is opened: opening a pipe would wait.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(KeyFileError::NoFile(path.to_owned()));
        }
        let mut file = std::fs::File::open(path).map_err(io)?;
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(io)?.permissions()) & 0o077 != 0 {
            return Err(KeyFileError::Open(path.to_owned()));
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        std::io::Read::by_ref(&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?;
        if text.trim_start().starts_with('{') {
            let password = password.ok_or_else(|| KeyFileError::Password(path.to_owned()))?;
            return Ok(Self::from_secret(&*keystore::open(path, password)?));
        }
        Self::parse(&text).map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
    }
}
