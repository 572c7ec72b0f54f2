//! Encrypted key files: Web3 Secret Storage, version 3.

use super::WalletError;
use alloy::signers::k256::elliptic_curve::rand_core;
use bursar_types::Entropy;
use eth_keystore::{EthKeystore, KdfparamsType, KeystoreError};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// No keystore is as long as this; a mistaken path may be.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// scrypt needs `128 * n * r` bytes: 512 MiB at most, twice what the usual wallets ask.
const SCRYPT_MEMORY_MAX: u64 = 512 << 20;

/// Decrypts a key.
pub(crate) fn open(path: &Path, password: &str) -> Result<Zeroizing<[u8; 32]>, WalletError> {
    check(path).map_err(|source| unreadable(path, source))?;
    let secret = eth_keystore::decrypt_key(path, password).map_err(|error| match error {
        KeystoreError::MacMismatch => WalletError::Password { path: path.display().to_string() },
        other => unreadable(path, other.into()),
    })?;
    let secret = Zeroizing::new(secret);
    let mut key = Zeroizing::new([0; 32]);
    if secret.len() != key.len() {
        return Err(WalletError::Key);
    }
    key.copy_from_slice(&secret);
    Ok(key)
}

/// Encrypts a key into a new file.
pub(crate) fn create(
    path: &Path,
    password: &str,
    secret: &[u8; 32],
    entropy: &dyn Entropy,
) -> Result<(), WalletError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(directory), Some(name)) = (path.parent(), name) else {
        return Err(unreadable(path, "the path names no file".into()));
    };
    // Made empty and private first: the library writes into the file that is there, and its mode stays.
    let file = private(path).map_err(|error| unreadable(path, error.into()))?;
    let mut rng = EntropyRng(entropy);
    let written = eth_keystore::encrypt_key(directory, &mut rng, secret, password, Some(name))
        .map_err(Into::into)
        .and_then(|_| file.sync_all().map_err(Into::into))
        .and_then(|()| sync_directory(directory).map_err(Into::into));
    written.map_err(|source: Box<dyn std::error::Error + Send + Sync>| {
        // Half a keystore would be taken for a whole one later. That it cannot be removed changes nothing here.
        let _ = std::fs::remove_file(path);
        unreadable(path, source)
    })
}

/// Refuses what the library would stumble over: it trusts the lengths that a file states.
fn check(path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let keystore: EthKeystore = serde_json::from_str(&text)?;
    let crypto = &keystore.crypto;
    if keystore.version != 3 || crypto.cipher != "aes-128-ctr" {
        return Err("only version 3 with aes-128-ctr can be opened".into());
    }
    if crypto.cipherparams.iv.len() != 16 || crypto.ciphertext.len() != 32 || crypto.mac.len() != 32 {
        return Err("its initialisation vector, key or checksum has a wrong length".into());
    }
    let (length, fits) = match &crypto.kdfparams {
        KdfparamsType::Pbkdf2 { dklen, prf, .. } => (*dklen, prf == "hmac-sha256"),
        KdfparamsType::Scrypt { dklen, n, r, p, .. } => {
            let memory = u64::from(*n).saturating_mul(u64::from(*r)).saturating_mul(128);
            (*dklen, n.is_power_of_two() && *n > 1 && memory <= SCRYPT_MEMORY_MAX && *p <= 16)
        }
    };
    if length != 32 || !fits {
        return Err("its key derivation is unknown or asks for too much".into());
    }
    Ok(())
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A new name is durable only once its directory is.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}

fn unreadable(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> WalletError {
    WalletError::Keystore { path: path.display().to_string(), source }
}

/// Hands the entropy to a library that wants a random number generator. Its caller promises what [`Entropy`] promises.
struct EntropyRng<'a>(&'a dyn Entropy);

impl rand_core::CryptoRng for EntropyRng<'_> {}

impl rand_core::RngCore for EntropyRng<'_> {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}
