//! What can sign.

pub(crate) mod keystore;
mod local;

pub use local::LocalWallet;

use crate::approval::PublicKey;
use crate::purse::Signable;
use async_trait::async_trait;
use std::fmt;
use thiserror::Error;

/// Why a wallet did not sign or could not be opened.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The keystore file cannot be read.
    #[error("keystore `{path}` cannot be read")]
    Keystore {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The password is wrong, or the keystore is damaged.
    #[error("keystore `{path}` does not open with this password")]
    Password {
        /// The file.
        path: String,
    },
    /// The text is not a private key. It is not repeated here.
    #[error("text is not a private key of 64 hex digits")]
    Key,
    /// The clearance is for another address.
    #[error("clearance is for {wanted}, and this wallet is {found}")]
    OtherPayer {
        /// The clearance's payer.
        wanted: String,
        /// This wallet.
        found: String,
    },
    /// The signer failed.
    #[error("signer failed")]
    Signer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Holds a key and signs what was cleared.
///
/// # What implementers guarantee
/// The same [`Signable`] gives the same bytes each time (a local key signs as RFC 6979 says). Nothing but the digest of a
/// `Signable` is ever signed. The key is never printed, logged or handed out.
#[async_trait]
pub trait Wallet: Send + Sync + fmt::Debug {
    /// The address, lower-case hex with `0x`.
    fn address(&self) -> &str;

    /// Whether the key behind this wallet can answer in the name of this approver. Who pays must not approve. A wallet whose
    /// key is never seen, as in an HSM, says no.
    fn can_approve_as(&self, approver: &PublicKey) -> bool;

    /// Signs: 65 bytes, r, s, v with v 27 or 28.
    ///
    /// # Errors
    /// [`WalletError`]: no signature exists.
    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError>;
}

const _: Option<&dyn Wallet> = None;
