//! Addresses that a model or a market wrote.

use bursar_types::HttpRequest;
use bytes::Bytes;
use http::{Method, Request, header};
use thiserror::Error;
use url::Url;

/// Longest address, in bytes.
const BYTES_MAX: usize = 2_048;

/// Why a text is not an address that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It is longer than any address should be.
    #[error("the URL is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// It is not an absolute URL.
    #[error("not an absolute URL; give one such as https://host.example/path")]
    NotAbsolute,
    /// It is neither http nor https, or names no host.
    #[error("not an http or https URL with a host")]
    NotHttp,
    /// It carries a user name or a password.
    #[error("the URL holds a user name or password; leave them out")]
    Credentials,
    /// It has characters that no address has.
    #[error("the URL holds spaces, control or invisible characters")]
    Characters,
}

/// An address that may be asked: http or https, absolute, without credentials, of bounded length, without a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        // The URL standard drops some of these silently; then what is shown is not what is asked.
        if text.chars().any(|c| c.is_whitespace() || c.is_control())
            || bursar_memory::clean_line(text, BYTES_MAX) != text
        {
            return Err(AddressError::Characters);
        }
        let mut url = Url::parse(text).map_err(|_| AddressError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(AddressError::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        url.set_fragment(None);
        match url.as_str().len() > BYTES_MAX {
            true => Err(AddressError::TooLong),
            false => Ok(Self(url)),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, with its port where it is not the scheme's own.
    pub(crate) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// This address followed by `path` and `query`.
    pub(crate) fn with(&self, path: &str, query: &[(&str, &str)]) -> Self {
        let mut url = self.0.clone();
        if !url.path().ends_with(path) {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}{path}"));
        }
        url.query_pairs_mut().extend_pairs(query);
        Self(url)
    }

    /// A GET request for it; `None` if the HTTP library cannot hold the address.
    pub(crate) fn get(&self, accept: &'static str) -> Option<HttpRequest> {
        let request =
            Request::builder().method(Method::GET).uri(self.as_str()).header(header::ACCEPT, accept);
        request.body(Bytes::new()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_asked() {
        let long = format!("https://a.example/{}", "x".repeat(BYTES_MAX));
        let swells = format!("https://a.example/{}", "é".repeat(BYTES_MAX / 3));
        for (text, wanted) in [
            ("https://a.example/x?y=1#z", Ok("https://a.example/x?y=1")),
            ("HTTP://A.example:80", Ok("http://a.example/")),
            ("http://127.0.0.1:4021/doc", Ok("http://127.0.0.1:4021/doc")),
            ("", Err(AddressError::NotAbsolute)),
            ("/etc/passwd", Err(AddressError::NotAbsolute)),
            ("a.example/x", Err(AddressError::NotAbsolute)),
            ("file:///etc/passwd", Err(AddressError::NotHttp)),
            ("javascript:alert(1)", Err(AddressError::NotHttp)),
            ("ftp://a.example/", Err(AddressError::NotHttp)),
            ("data:text/html,x", Err(AddressError::NotHttp)),
            ("https://user@a.example/", Err(AddressError::Credentials)),
            ("https://:secret@a.example/", Err(AddressError::Credentials)),
            (" https://a.example/", Err(AddressError::Characters)),
            ("https://a.exa\nmple/", Err(AddressError::Characters)),
            ("https://a.example/\u{202e}x", Err(AddressError::Characters)),
            (&long, Err(AddressError::TooLong)),
            (&swells, Err(AddressError::TooLong)),
        ] {
            let found = Address::parse(text);
            assert_eq!(found.as_ref().map(Address::as_str).map_err(|error| *error), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let base = Address::parse("http://m.example:8/base/").unwrap();
        let asked = base.with("/discovery/search", &[("query", "a&b=c é"), ("limit", "3")]);
        assert_eq!(asked.as_str(), "http://m.example:8/base/discovery/search?query=a%26b%3Dc+%C3%A9&limit=3");
        assert_eq!(asked.host(), "m.example:8");
        let whole = Address::parse("http://m.example/discovery/search").unwrap();
        assert_eq!(
            whole.with("/discovery/search", &[("q", "1")]).as_str(),
            "http://m.example/discovery/search?q=1"
        );
        assert!(asked.get("application/json").is_some());
    }
}
