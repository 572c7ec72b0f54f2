//! What kind of data a request carries.

use crate::transport::HttpRequest;
use serde::{Deserialize, Serialize};

/// Whose data a request carries to whoever answers it.
///
/// A label is set by code (a tool, or the caller of a purse), in the request's extensions; no model can write one, and it
/// never leaves the machine.
///
/// # Example
/// ```
/// use bursar_types::DataLabel;
/// let request = http::Request::post("https://api.example/score").body(bytes::Bytes::from("name=Ada"))?;
/// assert_eq!(DataLabel::of(&request), DataLabel::Unknown);
/// let request = DataLabel::Client.on(request);
/// assert_eq!(DataLabel::of(&request), DataLabel::Client);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataLabel {
    /// Nothing that belongs to the user or their clients.
    Public,
    /// Data of the user or their clients.
    Client,
    /// Nobody said. Where a rule asks, it counts as the clients'.
    Unknown,
}

/// Headers that say what kind of answer is wanted, and nothing else.
const SAYS_NOTHING: [&str; 5] = ["accept", "accept-encoding", "accept-language", "content-type", "range"];

impl DataLabel {
    /// Labels a request; an earlier label is replaced.
    #[must_use]
    pub fn on(self, mut request: HttpRequest) -> HttpRequest {
        request.extensions_mut().insert(self);
        request
    }

    /// The label of a request. Without one it is `Unknown` if the request has a body, a query, or a header beyond those that
    /// say what kind of answer is wanted, since a model may have written anything there; a bare address counts as `Public`.
    ///
    /// A path can carry data as well: where that matters, let only hosts be asked that the mandate lists, or label.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        if let Some(label) = request.extensions().get::<Self>() {
            return *label;
        }
        let headers = request.headers().keys().any(|name| !SAYS_NOTHING.contains(&name.as_str()));
        let says_more = headers || !request.body().is_empty() || request.uri().query().is_some();
        if says_more { Self::Unknown } else { Self::Public }
    }

    /// Whether it is, or may be, the clients'.
    #[must_use]
    pub const fn may_be_client(self) -> bool {
        !matches!(self, Self::Public)
    }

    /// The name used in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Client => "client",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_labelled_is_public_only_as_a_bare_address() {
        let request = |url: &str, body: &'static str| http::Request::get(url).body(body.into()).unwrap();
        for (url, body, label) in [
            ("https://api.example/a", "", DataLabel::Public),
            ("https://api.example/a?name=ada", "", DataLabel::Unknown),
            ("https://api.example/a?", "", DataLabel::Unknown),
            ("https://api.example/a", "ada", DataLabel::Unknown),
        ] {
            assert_eq!(DataLabel::of(&request(url, body)), label, "{url} {body}");
            assert_eq!(DataLabel::of(&DataLabel::Client.on(request(url, body))), DataLabel::Client);
        }
    }

    #[test]
    fn a_header_that_can_say_anything_is_not_public() {
        for (name, label) in [
            ("accept", DataLabel::Public),
            ("range", DataLabel::Public),
            ("x-note", DataLabel::Unknown),
            ("cookie", DataLabel::Unknown),
            ("user-agent", DataLabel::Unknown),
        ] {
            let request = http::Request::get("https://api.example/a").header(name, "ada@example.org");
            assert_eq!(DataLabel::of(&request.body("".into()).unwrap()), label, "{name}");
        }
    }
}
