//! Mandates that are signed: a file with the issuer's signature beside it.

use crate::approval::{ApproverKey, PinnedKey, PublicKey, Signature};
use bursar_types::{CanonicalError, Digest, Timestamp, canonical_bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What precedes the bytes that are signed, so that no other signature can be taken for a mandate's.
const DOMAIN: &[u8] = b"bursar/mandate/v1\n";

/// What an issuer signs: the bytes of a mandate's file, and how long they count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateStatement {
    /// SHA-256 of the file's bytes, as they are.
    pub digest: Digest,
    /// When it was signed, by the issuer's clock. For the record; nothing depends on it.
    pub at: Timestamp,
    /// After this moment nothing is planned, held or signed under it; `None` for no end of its own.
    pub expires_at: Option<Timestamp>,
}

/// An issuer's signature over a mandate. Its JSON form lies beside the mandate's file.
///
/// # Example
/// ```
/// use bursar_payments::{ApproverKey, PinnedKey, SignedMandate};
/// use bursar_types::Timestamp;
/// let (key, now) = (ApproverKey::from_secret(&[7; 32]), Timestamp::from_unix_ms(0));
/// let file = b"purpose = \"market data\"";
/// let signed = SignedMandate::sign(file, &key, now, None)?;
/// let issuers = [PinnedKey { name: "ada".into(), key: key.public() }];
/// assert_eq!(signed.check(file, &issuers, now)?.name, "ada");
/// assert!(signed.check(b"purpose = \"anything\"", &issuers, now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMandate {
    /// What is signed.
    pub statement: MandateStatement,
    /// Who signed.
    pub key: PublicKey,
    /// Over the statement's canonical bytes.
    pub signature: Signature,
}

/// Why a mandate does not count as signed. Nothing may be spent under it where a signature is required.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MandateSignatureError {
    /// There is no signature.
    #[error("the mandate is not signed, and only issuers may say what is spent")]
    Missing,
    /// The signature's file is none.
    #[error("the mandate's signature cannot be read: {0}")]
    Unreadable(String),
    /// The key is not one of an issuer.
    #[error("{0} is not the key of an issuer of mandates here")]
    NotAnIssuer(PublicKey),
    /// The signature does not fit the key and what it should sign.
    #[error("the signature is not one of {0} over this statement")]
    Signature(PublicKey),
    /// The file is not the one that was signed.
    #[error("the mandate is not what was signed: it was changed, or this is the signature of another")]
    OtherBytes,
    /// It counts no longer.
    #[error("the mandate counted until {0}")]
    Expired(Timestamp),
    /// The statement has no canonical form.
    #[error("the mandate's signature has no canonical form: {0}")]
    Canonical(String),
}

impl MandateSignatureError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MANDATE_UNSIGNED",
            Self::NotAnIssuer(_) => "MANDATE_ISSUER_UNKNOWN",
            Self::Unreadable(_) | Self::Signature(_) | Self::Canonical(_) => "MANDATE_SIGNATURE",
            Self::OtherBytes => "MANDATE_CHANGED",
            Self::Expired(_) => "MANDATE_EXPIRED",
        }
    }
}

impl From<CanonicalError> for MandateSignatureError {
    fn from(error: CanonicalError) -> Self {
        Self::Canonical(error.to_string())
    }
}

impl MandateStatement {
    fn message(&self) -> Result<Vec<u8>, CanonicalError> {
        Ok([DOMAIN, &canonical_bytes(self)?].concat())
    }
}

impl SignedMandate {
    /// Signs a mandate's file, as its bytes are.
    ///
    /// # Errors
    /// [`CanonicalError`] if the statement has no canonical form.
    pub fn sign(
        file: &[u8],
        key: &ApproverKey,
        at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<Self, CanonicalError> {
        let statement = MandateStatement { digest: Digest::of(file), at, expires_at };
        let signature = key.sign(&statement.message()?);
        Ok(Self { statement, key: key.public(), signature })
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`MandateSignatureError::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, MandateSignatureError> {
        serde_json::from_str(text).map_err(|error| MandateSignatureError::Unreadable(error.to_string()))
    }

    /// Checks it against the file and the issuers that the operator pins; says whose it is.
    ///
    /// # Errors
    /// [`MandateSignatureError`]; then nothing may be spent under the file.
    pub fn check<'a>(
        &self,
        file: &[u8],
        issuers: &'a [PinnedKey],
        now: Timestamp,
    ) -> Result<&'a PinnedKey, MandateSignatureError> {
        let issuer = issuers.iter().find(|pinned| pinned.key == self.key);
        let issuer = issuer.ok_or(MandateSignatureError::NotAnIssuer(self.key))?;
        if !self.key.verifies(&self.statement.message()?, &self.signature) {
            return Err(MandateSignatureError::Signature(self.key));
        }
        if self.statement.digest != Digest::of(file) {
            return Err(MandateSignatureError::OtherBytes);
        }
        match self.statement.expires_at {
            Some(end) if end <= now => Err(MandateSignatureError::Expired(end)),
            _ => Ok(issuer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"purpose = \"weather\"\n";
    const NOW: Timestamp = Timestamp::from_unix_ms(1_000);

    fn key(seed: u8) -> ApproverKey {
        ApproverKey::from_secret(&[seed; 32])
    }

    fn issuers() -> [PinnedKey; 1] {
        [PinnedKey { name: "ada".to_owned(), key: key(1).public() }]
    }

    #[test]
    fn only_an_issuers_signature_over_these_very_bytes_counts() {
        let signed = SignedMandate::sign(FILE, &key(1), NOW, None).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(SignedMandate::parse(&text), Ok(signed.clone()));
        let eve = SignedMandate::sign(FILE, &key(2), NOW, None).unwrap();
        let under_another_name = SignedMandate { key: key(1).public(), ..eve.clone() };
        let later = MandateStatement { expires_at: Some(NOW.plus_ms(9)), ..signed.statement.clone() };
        let stretched = SignedMandate { statement: later, ..signed.clone() };
        let over = SignedMandate::sign(FILE, &key(1), NOW, Some(NOW)).unwrap();
        for (what, signed, file, code) in [
            ("it counts", &signed, FILE, None),
            ("one byte more", &signed, b"purpose = \"weather\"\n ".as_slice(), Some("MANDATE_CHANGED")),
            ("a stranger's", &eve, FILE, Some("MANDATE_ISSUER_UNKNOWN")),
            ("a stranger's under ada's name", &under_another_name, FILE, Some("MANDATE_SIGNATURE")),
            ("another end than was signed", &stretched, FILE, Some("MANDATE_SIGNATURE")),
            ("over", &over, FILE, Some("MANDATE_EXPIRED")),
        ] {
            let found = signed.check(file, &issuers(), NOW).map(|issuer| issuer.name.clone());
            assert_eq!(found.as_ref().err().map(MandateSignatureError::code), code, "{what}: {found:?}");
        }
        assert!(SignedMandate::parse("{}").is_err() && SignedMandate::parse("").is_err());
    }

    #[test]
    fn a_signature_of_an_approval_is_none_of_a_mandate() {
        let statement = MandateStatement { digest: Digest::of(FILE), at: NOW, expires_at: None };
        let bytes = canonical_bytes(&statement).unwrap();
        let other = [b"bursar/approval-answer/v1\n".as_slice(), &bytes].concat();
        let signed = SignedMandate { statement, key: key(1).public(), signature: key(1).sign(&other) };
        let found = signed.check(FILE, &issuers(), NOW).map(|issuer| issuer.name.clone());
        assert!(matches!(found, Err(MandateSignatureError::Signature(_))), "{found:?}");
    }
}
