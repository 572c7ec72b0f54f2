//! Credentials: named by the operator, and seen by nobody but the server that they are for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// A shorter secret guesses itself, and cannot be told apart from other text where a server echoes it.
const BYTES_MIN: usize = 6;
const BYTES_MAX: usize = 16 << 10;

/// A credential with the name that people know it by.
///
/// The value is wiped from memory with the last copy of it. It is in no `Debug`, error, journal or result: where a server echoes it,
/// `[NAME]` stands in its place.
///
/// # Example
/// ```
/// use bursar_tools::openapi::Secret;
/// let secret = Secret::new("GITHUB_TOKEN", "not-a-real-token")?;
/// assert_eq!(format!("{secret:?}"), "Secret(\"GITHUB_TOKEN\")");
/// # Ok::<(), bursar_tools::openapi::SecretError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    name: String,
    value: Arc<Zeroizing<String>>,
}

/// Why something cannot be a credential. The value is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Its name.
    #[error("`{0}` cannot name a credential: 1 to 64 letters, digits, `_`, `-` and `.`")]
    Name(String),
    /// Its value.
    #[error(
        "the credential `{0}` cannot be sent: it needs {BYTES_MIN} to {BYTES_MAX} bytes of visible ASCII"
    )]
    Value(String),
}

impl Secret {
    /// A credential. Basic authentication takes `USER:PASSWORD`.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn new(name: &str, value: impl Into<String>) -> Result<Self, SecretError> {
        let value = Zeroizing::new(value.into());
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(SecretError::Name(bursar_types::visible(name, 80)));
        }
        let sent = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !sent || !(BYTES_MIN..=BYTES_MAX).contains(&value.len()) || value.trim() != value.as_str() {
            return Err(SecretError::Value(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), value: Arc::new(value) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Every way in which it may stand in a text, the longest first.
    fn forms(&self) -> Vec<Zeroizing<String>> {
        let mut plain = vec![self.value.to_string()];
        if let Some((user, password)) = self.value.split_once(':') {
            plain.extend(
                [user, password].iter().filter(|part| part.len() >= BYTES_MIN).map(ToString::to_string),
            );
        }
        let mut forms = Vec::new();
        for text in plain.iter().map(|text| Zeroizing::new(text.clone())) {
            let quoted = serde_json::Value::from(text.as_str()).to_string();
            forms.push(Zeroizing::new(quoted.trim_matches('"').to_owned()));
            forms.push(Zeroizing::new(quoted.trim_matches('"').replace('/', "\\/")));
            forms.push(Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect()));
            forms.push(Zeroizing::new(super::encode::escaped(&text)));
            forms.push(Zeroizing::new(STANDARD.encode(text.as_bytes())));
            forms.push(text);
        }
        drop(plain.into_iter().map(Zeroizing::new).collect::<Vec<_>>());
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        forms
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret").field(&self.name).finish()
    }
}

/// What is taken out of everything that a server says.
#[derive(Clone, Default)]
pub(super) struct Redaction(Arc<Vec<(Zeroizing<String>, String)>>);

impl Redaction {
    pub(super) fn of<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<_> = secrets
            .flat_map(|secret| secret.forms().into_iter().map(|form| (form, format!("[{}]", secret.name))))
            .collect();
        forms.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        forms.dedup_by(|a, b| a.0 == b.0);
        Self(Arc::new(forms))
    }

    /// The bytes without a credential; `None` if there is none in them.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut found: Option<Vec<u8>> = None;
        for (form, name) in self.0.iter() {
            let text = found.as_deref().unwrap_or(bytes);
            if let Some(redacted) = replaced(text, form.as_bytes(), name.as_bytes()) {
                found = Some(redacted);
            }
        }
        found
    }

    pub(super) fn text(&self, text: &str) -> Option<String> {
        self.bytes(text.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same of text in base64, as demands for payment travel in headers.
    fn encoded(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let decoded = STANDARD.decode(bytes).ok()?;
        self.bytes(&decoded).map(|redacted| STANDARD.encode(redacted).into_bytes())
    }

    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some(bytes) = self.bytes(value.as_bytes()).or_else(|| self.encoded(value.as_bytes())) {
                *value = HeaderValue::from_bytes(&bytes).unwrap_or(HeaderValue::from_static("[redacted]"));
            }
        }
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redaction")
    }
}

/// The bytes with `what` replaced; `None` if it is not in them.
fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Option<Vec<u8>> {
    let first = *what.first()?;
    let mut out = Vec::new();
    let (mut rest, mut found) = (bytes, false);
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        let (before, here) = rest.split_at(at);
        out.extend_from_slice(before);
        if let Some(after) = here.strip_prefix(what) {
            out.extend_from_slice(by);
            found = true;
            rest = after;
        } else {
            out.push(first);
            rest = here.get(1..).unwrap_or_default();
        }
    }
    out.extend_from_slice(rest);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_taken_out_in_every_form_in_which_it_may_stand() {
        let key = Secret::new("KEY", "s3cr/t+\"kéy".replace('é', "e")).unwrap();
        let basic = Secret::new("LOGIN", "account77:hunter2-hunter2").unwrap();
        let redaction = Redaction::of([&key, &basic].into_iter());
        for (echo, shown) in [
            ("key s3cr/t+\"key end", "key [KEY] end"),
            ("{\"k\":\"s3cr/t+\\\"key\"}", "{\"k\":\"[KEY]\"}"),
            ("{\"k\":\"s3cr\\/t+\\\"key\"}", "{\"k\":\"[KEY]\"}"),
            ("/x?k=s3cr%2Ft%2B%22key&y", "/x?k=[KEY]&y"),
            ("Basic YWNjb3VudDc3Omh1bnRlcjItaHVudGVyMg==", "Basic [LOGIN]"),
            ("password hunter2-hunter2", "password [LOGIN]"),
            ("nothing of it", ""),
        ] {
            let told = redaction.text(echo);
            assert_eq!(told.as_deref(), (!shown.is_empty()).then_some(shown), "{echo}");
        }
    }

    #[test]
    fn a_demand_for_payment_that_repeats_an_address_with_a_key_loses_the_key() {
        let redaction = Redaction::of([Secret::new("KEY", "query-key").unwrap()].iter());
        let demand =
            |key: &str| STANDARD.encode(format!("{{\"resource\":\"https://api.example/x?k={key}\"}}"));
        let mut headers = HeaderMap::new();
        headers.insert("payment-required", demand("query-key").parse().unwrap());
        redaction.headers(&mut headers);
        assert_eq!(headers["payment-required"], demand("[KEY]"));
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_without_being_named() {
        for value in ["", "short", "with\nline end", " padded ", "ключ-ключ"] {
            let error = Secret::new("KEY", value).unwrap_err();
            assert_eq!(error, SecretError::Value("KEY".to_owned()), "{value:?}");
            assert!(value.is_empty() || !error.to_string().contains(value));
        }
        assert_eq!(Secret::new("a b", "0123456789"), Err(SecretError::Name("a b".to_owned())));
    }
}
