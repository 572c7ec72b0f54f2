//! A key on this machine.

use super::keystore;
use super::{Wallet, WalletError};
use crate::approval::PublicKey;
use crate::purse::Signable;
use alloy::primitives::B256;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use bursar_types::{Digest, Entropy};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A key held in memory.
///
/// Signing is deterministic (RFC 6979) with the lower of the two possible `s`, so one [`Signable`] has one signature. The
/// key is wiped from memory when the wallet is dropped, and nothing here prints it.
pub struct LocalWallet {
    signer: PrivateKeySigner,
    address: String,
}

impl LocalWallet {
    /// Reads a private key: 64 hex digits, with `0x` or without. For tests and for keys from the environment, which every
    /// process of the same user may read; [`LocalWallet::open`] is for everything else.
    ///
    /// # Errors
    /// [`WalletError::Key`] if the text is anything else, or no key of the curve. The text is not repeated.
    pub fn from_private_key(text: &str) -> Result<Self, WalletError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| WalletError::Key)?;
        Self::from_secret(&secret)
    }

    /// Opens an encrypted keystore (Web3 Secret Storage, version 3). Takes a noticeable time by design: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`WalletError::Keystore`] if the file cannot be read or is no such keystore, [`WalletError::Password`] if the password
    /// does not fit, [`WalletError::Key`] if what it holds is no key.
    pub fn open(path: &Path, password: &str) -> Result<Self, WalletError> {
        let secret = keystore::open(path, password)?;
        Self::from_secret(&secret)
    }

    /// Writes `secret` as a new encrypted keystore that only this user can read, and opens it. Takes a noticeable time by
    /// design.
    ///
    /// The secret is the caller's 32 random bytes: nothing below the root crate draws randomness. `entropy` fills salt and
    /// initialisation vector, which are no secrets and must not repeat.
    ///
    /// # Errors
    /// [`WalletError::Key`] if the secret is no key of the curve (draw another), [`WalletError::Keystore`] if the file exists
    /// or cannot be written. A file that exists is never touched.
    pub fn create_keystore(
        path: &Path,
        password: &str,
        secret: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Result<Self, WalletError> {
        let wallet = Self::from_secret(secret)?;
        keystore::create(path, password, secret, entropy)?;
        Ok(wallet)
    }

    fn from_secret(secret: &[u8; 32]) -> Result<Self, WalletError> {
        let signer = PrivateKeySigner::from_slice(secret).map_err(|_| WalletError::Key)?;
        let address = format!("{:#x}", signer.address());
        Ok(Self { signer, address })
    }

    /// INVARIANT: called only with the digest of a [`Signable`].
    fn signature(&self, digest: &Digest) -> Result<[u8; 65], WalletError> {
        let signature = self
            .signer
            .sign_hash_sync(&B256::from(*digest.as_bytes()))
            .map_err(|error| WalletError::Signer(error.into()))?;
        Ok(signature.as_bytes())
    }
}

impl fmt::Debug for LocalWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalWallet({})", self.address)
    }
}

#[async_trait]
impl Wallet for LocalWallet {
    fn address(&self) -> &str {
        &self.address
    }

    fn can_approve_as(&self, approver: &PublicKey) -> bool {
        approver.is_of(&self.signer.to_bytes().0)
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        if !signable.payer().eq_ignore_ascii_case(&self.address) {
            return Err(WalletError::OtherPayer {
                wanted: signable.payer().to_owned(),
                found: self.address.clone(),
            });
        }
        self.signature(signable.digest())
    }
}

#[cfg(test)]
mod tests;
