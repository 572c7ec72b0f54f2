//! A key that is handed in and never shown.

use std::fmt;
use zeroize::Zeroizing;

/// A provider's key.
///
/// It is printed as `[key]`, is in no record, and is wiped from memory when the last copy goes. Nothing below the composition reads
/// it from the environment: whoever builds a model hands it in.
///
/// # Example
/// ```
/// use bursar_agent_core::models::ApiKey;
/// let key = ApiKey::new("sk-not-a-real-one");
/// assert_eq!(format!("{key:?}"), "[key]");
/// ```
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Wraps a key. White space around it, such as the line end of a file, is not part of it.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        let key = Zeroizing::new(key.into());
        Self(Zeroizing::new(key.trim().to_owned()))
    }

    /// The key itself, for the one place that sends it.
    #[cfg(feature = "openai")]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tells accounts apart of which only the key is known. Sixteen bits of a digest: enough for that, and too few to find a key by, or to
/// know it again.
#[cfg(any(feature = "openai", feature = "bedrock"))]
pub(crate) fn account_of(secret: &str) -> String {
    let digest = bursar_types::Digest::of_parts("bursar/model/account", &[secret.as_bytes()]);
    let bits = digest.as_bytes().iter().take(2).fold(0_u16, |bits, byte| (bits << 8) | u16::from(*byte));
    format!("key {bits:04x}")
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}
