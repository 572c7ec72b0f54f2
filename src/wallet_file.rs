//! Wallets on disk, and their binding to one ledger.

use crate::config::WalletConfig;
use crate::error::BursarError;
use bursar_payments::LocalWallet;
use bursar_types::{Entropy, LedgerId};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Opens the wallet that the configuration names, with the file that binds it to its ledger.
pub(crate) fn open(
    config: &WalletConfig,
    base: &Path,
) -> Result<(LocalWallet, Option<PathBuf>), BursarError> {
    match config {
        WalletConfig::Keystore { keystore, password_env } => {
            let path = base.join(keystore);
            let password = secret(password_env, "the keystore's password")?;
            Ok((LocalWallet::open(&path, &password)?, Some(binding_of(&path))))
        }
        WalletConfig::Environment { key_env } => {
            let key = secret(key_env, "the wallet's private key, for tests")?;
            Ok((LocalWallet::from_private_key(&key)?, None))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the composition root is where the environment is read")]
pub(crate) fn secret(variable: &str, what: &'static str) -> Result<String, BursarError> {
    std::env::var(variable).map_err(|_| BursarError::NoSecret { variable: variable.to_owned(), what })
}

fn binding_of(wallet: &Path) -> PathBuf {
    let mut name = wallet.as_os_str().to_owned();
    name.push(".ledger");
    PathBuf::from(name)
}

/// A key for play money, made at first use and kept in a file that only its owner reads.
///
/// The file is not encrypted: it is for chains on this machine, where nothing is worth anything.
pub(crate) fn play_wallet(path: &Path, entropy: &dyn Entropy) -> Result<(LocalWallet, PathBuf), BursarError> {
    let write = |source| BursarError::Write { path: path.to_owned(), source };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            entropy.fill(&mut key);
            let text = key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(write)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(write)?;
            text
        }
        Err(error) => return Err(write(error)),
    };
    Ok((LocalWallet::from_private_key(text.trim())?, binding_of(path)))
}

/// Binds a wallet to a ledger at first use, and refuses another ledger later: a second ledger over the same wallet would
/// forget what the first one spent.
pub(crate) fn bind(binding: &Path, ledger: LedgerId) -> Result<(), BursarError> {
    let write = |source| BursarError::Write { path: binding.to_owned(), source };
    // Written whole under another name and then linked: of two first openings one binds and the other finds it bound, and
    // a crash leaves either nothing or the whole.
    let mut draft = binding.as_os_str().to_owned();
    draft.push(format!(".{ledger}"));
    let draft = PathBuf::from(draft);
    if !binding.exists() {
        let mut file = std::fs::File::create(&draft).map_err(write)?;
        file.write_all(format!("{ledger}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(write)?;
        let linked = std::fs::hard_link(&draft, binding);
        std::fs::remove_file(&draft).map_err(write)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(write(error)),
            _ => {}
        }
    }
    let bound = std::fs::read_to_string(binding).map_err(write)?;
    match bound.trim() == ledger.to_string() {
        true => Ok(()),
        false => Err(BursarError::OtherLedger { bound: bound.trim().to_owned(), found: ledger }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_bound_to_its_first_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let binding = folder.path().join("wallet.ledger");
        let (first, second) = (LedgerId::derived(&[b"first"]), LedgerId::derived(&[b"second"]));
        assert!(bind(&binding, first).is_ok());
        assert!(bind(&binding, first).is_ok());
        assert!(matches!(bind(&binding, second), Err(BursarError::OtherLedger { .. })));
    }
}
