//! What an entry keeps back: bytes that only a salted digest of stands in it, shown to one reader.

use crate::hash::Hash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use thiserror::Error;

const HEADING: &str = "bursar/disclosure@v1";
/// What every commitment begins with, so that no other digest of Bursar's can be one.
const DOMAIN: &[u8] = b"bursar/payload/v1";

/// Bytes with the salt under which an entry commits to them.
///
/// The salt keeps others from guessing the bytes by trying. Whoever is shown both can check that these, and no others, are what
/// the entry speaks of.
///
/// # Example
/// ```
/// use bursar_proof::Disclosure;
/// let shown = Disclosure { salt: [7; 16], bytes: b"{\"url\":\"https://api.example\"}".to_vec() };
/// let read = Disclosure::parse(&shown.to_string())?;
/// assert_eq!(read.commitment(), shown.commitment());
/// # Ok::<(), bursar_proof::DisclosureError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// The salt, of 128 random bits.
    pub salt: [u8; 16],
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The text discloses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is no disclosure: {0}")]
pub struct DisclosureError(&'static str);

impl Disclosure {
    /// Reads the three lines of a disclosure: a heading, the salt and the bytes, both as base64.
    ///
    /// # Errors
    /// [`DisclosureError`].
    pub fn parse(text: &str) -> Result<Self, DisclosureError> {
        let mut lines = text.split('\n');
        if lines.next() != Some(HEADING) {
            return Err(DisclosureError("it does not begin with `bursar/disclosure@v1`"));
        }
        let mut decoded =
            |what| STANDARD.decode(lines.next().unwrap_or_default()).map_err(|_| DisclosureError(what));
        let salt = decoded("its second line is no base64")?;
        let salt = salt.try_into().map_err(|_| DisclosureError("its salt has not 16 bytes"))?;
        let bytes = decoded("its third line is no base64")?;
        if lines.next() != Some("") || lines.next().is_some() {
            return Err(DisclosureError("it does not end after its third line"));
        }
        Ok(Self { salt, bytes })
    }

    /// The digest that the entry must name: SHA-256 over the domain, the salt and the bytes, each after its length in 8 bytes.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        let mut hasher = Sha256::new();
        for part in [DOMAIN, &self.salt, &self.bytes] {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n{}\n{}", STANDARD.encode(self.salt), STANDARD.encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_shown_and_nothing_else_is_read() {
        for bytes in [&b""[..], b"a", b"several\nlines"] {
            let shown = Disclosure { salt: [1; 16], bytes: bytes.to_vec() };
            let text = shown.to_string();
            assert_eq!(Disclosure::parse(&text), Ok(shown));
            let cases = [
                text.replace("v1", "v2"),
                text.trim_end().to_owned(),
                format!("{text}\n"),
                text.replacen('\n', "\r\n", 1),
                text.replacen("AQEB", "AQ", 1),
                format!("{HEADING}\nAQEB\nAQEB\n"),
            ];
            for case in cases {
                assert!(Disclosure::parse(&case).is_err(), "{case:?}");
            }
        }
    }

    #[test]
    fn another_salt_or_another_byte_is_another_commitment() {
        let shown = Disclosure { salt: [1; 16], bytes: b"paid 2".to_vec() };
        let salted = Disclosure { salt: [2; 16], ..shown.clone() };
        let changed = Disclosure { bytes: b"paid 3".to_vec(), ..shown.clone() };
        assert_ne!(shown.commitment(), salted.commitment());
        assert_ne!(shown.commitment(), changed.commitment());
    }
}
