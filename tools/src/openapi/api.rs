//! What an operator says about an API.

use super::pattern::Pattern;
use super::secret::Secret;
use bursar_types::{DataLabel, Effect, Limits};
use bytes::Bytes;
use http::{HeaderName, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use thiserror::Error;
use url::Url;

/// Longest name of an API: it stands before the name of each of its tools, which providers bound to 64 characters.
const NAME_CHARS_MAX: usize = 20;

/// Bounds of what a document may say and an API may answer. What is beyond them is withheld or refused, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiLimits {
    /// Longest document, in bytes.
    pub document_bytes_max: usize,
    /// Most operations that are read of a document.
    pub operations_max: usize,
    /// Most operations that an agent is shown one by one; beyond, they are searched for.
    pub listed_max: usize,
    /// Most parameters of one operation.
    pub parameters_max: usize,
    /// Most schemas that the arguments of one operation are made of, counted with all that they refer to.
    pub schemas_max: usize,
    /// Most steps to check one call's arguments.
    pub steps_max: usize,
    /// Longest schema of an operation's arguments that a model is shown, in bytes of its JSON. What does not fit is left out from
    /// below and is checked all the same.
    pub schema_bytes_max: usize,
    /// Longest description that a model is shown, in characters.
    pub description_chars_max: usize,
    /// Longest request that is built, in bytes of its URL and body.
    pub request_bytes_max: usize,
    /// Longest result that a model is shown, in bytes of its JSON.
    pub result_bytes_max: usize,
    /// Most operations that one search shows.
    pub hits_max: usize,
    /// Bounds of an exchange without a purse; with one, the purse's hold.
    pub wire: Limits,
}

impl Default for ApiLimits {
    /// Documents of 64 MiB and 20,000 operations, 24 listed, 256 parameters, 20,000 schemas, 200,000 steps, schemas of 32 KiB,
    /// descriptions of 1,000 characters, requests of 1 MiB, 64 KiB of result, 8 hits.
    fn default() -> Self {
        Self {
            document_bytes_max: 64 << 20,
            operations_max: 20_000,
            listed_max: 24,
            parameters_max: 256,
            schemas_max: 20_000,
            steps_max: 200_000,
            schema_bytes_max: 32 << 10,
            description_chars_max: 1_000,
            request_bytes_max: 1 << 20,
            result_bytes_max: 64 << 10,
            hits_max: 8,
            wire: Limits::default(),
        }
    }
}

/// Why an API cannot be declared like this, or its document not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Its name.
    #[error(
        "`{0}` cannot name an API: 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens, beginning with a letter"
    )]
    Name(String),
    /// Its address.
    #[error(
        "`{0}` is not the address of an API: give an http or https URL without a user name, query or fragment, such as \
         https://api.example/v1"
    )]
    Server(String),
    /// Its document names no server that can be used.
    #[error("the document of `{0}` names no server by a whole URL; give the server's address")]
    NoServer(String),
    /// Its document cannot be read.
    #[error("the document of `{api}` cannot be read: {problem}")]
    Document {
        /// The API.
        api: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A credential goes where none can be sent.
    #[error("the credential `{name}` cannot be sent so: {problem}")]
    Credential {
        /// The credential.
        name: String,
        /// Why.
        problem: String,
    },
    /// What the operator says of an operation means none.
    #[error("`{0}` means no operation of the document")]
    NoSuchOperation(String),
}

/// Where a credential goes that the document says nothing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `Authorization: Basic …`, of `USER:PASSWORD`.
    Basic,
    /// A header of this name.
    Header(HeaderName),
    /// A parameter of the query of this name.
    Query(String),
    /// A cookie of this name.
    Cookie(String),
}

/// An API as its operator declares it: a document, a server, and what may be done there.
///
/// # What an operation does to the world
/// `GET` and `HEAD` count as `Read` and every other method as `Write`, unless the operator says otherwise. The method is no claim of the
/// document's about itself: it is what goes over the wire, and HTTP defines these two as safe (RFC 9110, section 9.2.1), so that caches
/// and crawlers repeat them anyway. Where an API does not keep to that, [`writes`](Self::writes) says so. What is [paid](Self::paid) is
/// a `Spend`; the strictest thing that was said counts.
///
/// # Example
/// ```
/// use bursar_tools::openapi::{Api, Secret};
/// let document = r#"{"openapi": "3.1.0", "info": {"title": "Sources", "version": "1"}, "paths": {}}"#;
/// let api = Api::new("sources", document, "https://api.example/v1")?
///     .credential("bearerAuth", Secret::new("SOURCES_TOKEN", "not-a-real-token")?)
///     .paid("search")
///     .only(["search", "GET /topics*"]);
/// assert_eq!(api.name(), "sources");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Api {
    name: String,
    document: Bytes,
    server: Option<Url>,
    only: Option<Vec<Pattern>>,
    paid: Vec<Pattern>,
    reads: Vec<Pattern>,
    writes: Vec<Pattern>,
    credentials: BTreeMap<String, Secret>,
    always: Vec<(Place, Secret)>,
    slashes: BTreeSet<String>,
    data: Option<DataLabel>,
    limits: ApiLimits,
}

impl Api {
    /// An API at this server. What the document says about servers counts for nothing.
    ///
    /// # Errors
    /// [`ApiError::Name`], [`ApiError::Server`].
    pub fn new(name: &str, document: impl Into<Bytes>, server: &str) -> Result<Self, ApiError> {
        let url = server_url(server).ok_or_else(|| ApiError::Server(bursar_types::visible(server, 200)))?;
        Self::declared(name, document.into(), Some(url))
    }

    /// An API at the first server that its document names: whoever writes the document says where credentials and requests go.
    ///
    /// # Errors
    /// [`ApiError::Name`].
    pub fn at_its_server(name: &str, document: impl Into<Bytes>) -> Result<Self, ApiError> {
        Self::declared(name, document.into(), None)
    }

    fn declared(name: &str, document: Bytes, server: Option<Url>) -> Result<Self, ApiError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !first || name.len() > NAME_CHARS_MAX || !name.bytes().all(rest) {
            return Err(ApiError::Name(bursar_types::visible(name, 80)));
        }
        Ok(Self {
            name: name.to_owned(),
            document,
            server,
            only: None,
            paid: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            credentials: BTreeMap::new(),
            always: Vec::new(),
            slashes: BTreeSet::new(),
            data: None,
            limits: ApiLimits::default(),
        })
    }

    /// Fills a security scheme of the document with a credential. No model sees it or can set it, and it goes to the server's origin only.
    #[must_use]
    pub fn credential(mut self, scheme: impl Into<String>, secret: Secret) -> Self {
        self.credentials.insert(scheme.into(), secret);
        self
    }

    /// Sends a credential with every request, for a document that says nothing of it.
    #[must_use]
    pub fn always(mut self, place: Place, secret: Secret) -> Self {
        self.always.push((place, secret));
        self
    }

    /// Uses these operations and no others: by `operationId`, or as `METHOD /path` as the document writes it; `*` stands for anything.
    #[must_use]
    pub fn only(mut self, operations: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = Some(operations.into_iter().map(Pattern::new).collect());
        self
    }

    /// Says that these operations are paid for: they become a `Spend`, and the purse is asked.
    #[must_use]
    pub fn paid(mut self, operations: impl Into<String>) -> Self {
        self.paid.push(Pattern::new(operations));
        self
    }

    /// Says that these operations only read whatever their method, such as a search with `POST`.
    #[must_use]
    pub fn reads(mut self, operations: impl Into<String>) -> Self {
        self.reads.push(Pattern::new(operations));
        self
    }

    /// Says that these operations change something whatever their method.
    #[must_use]
    pub fn writes(mut self, operations: impl Into<String>) -> Self {
        self.writes.push(Pattern::new(operations));
        self
    }

    /// Lets values of this path parameter hold slashes, sent as `%2F`. Without it they are refused: a server that decodes them first
    /// would find another operation.
    #[must_use]
    pub fn slashes(mut self, parameter: impl Into<String>) -> Self {
        self.slashes.insert(parameter.into());
        self
    }

    /// Says whose data requests may carry, for the rules that ask. Without it, a request that carries anything counts as unlabelled.
    #[must_use]
    pub const fn data(mut self, label: DataLabel) -> Self {
        self.data = Some(label);
        self
    }

    /// Other bounds.
    #[must_use]
    pub const fn limits(mut self, limits: ApiLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn document(&self) -> &Bytes {
        &self.document
    }

    pub(super) const fn server(&self) -> Option<&Url> {
        self.server.as_ref()
    }

    pub(super) const fn bounds(&self) -> &ApiLimits {
        &self.limits
    }

    pub(super) const fn credentials(&self) -> &BTreeMap<String, Secret> {
        &self.credentials
    }

    pub(super) fn sent_always(&self) -> &[(Place, Secret)] {
        &self.always
    }

    pub(super) fn may_hold_slashes(&self, parameter: &str) -> bool {
        self.slashes.contains(parameter)
    }

    pub(super) const fn label(&self) -> Option<DataLabel> {
        self.data
    }

    pub(super) fn offers(&self, id: Option<&str>, method: &Method, path: &str) -> bool {
        self.only.as_ref().is_none_or(|only| means(only, id, method, path))
    }

    /// What an operation does to the world. The strictest thing that was said counts.
    pub(super) fn effect(&self, id: Option<&str>, method: &Method, path: &str) -> Effect {
        let said = |patterns: &[Pattern]| means(patterns, id, method, path);
        let safe = *method == Method::GET || *method == Method::HEAD;
        match (said(&self.paid), said(&self.writes), safe || said(&self.reads)) {
            (true, _, _) => Effect::Spend,
            (false, false, true) => Effect::Read,
            (false, _, _) => Effect::Write,
        }
    }

    /// Everything that the operator said of operations.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let only = self.only.iter().flatten();
        only.chain(&self.paid).chain(&self.reads).chain(&self.writes)
    }
}

fn means(patterns: &[Pattern], id: Option<&str>, method: &Method, path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.means(id, method, path))
}

/// An address that requests can be sent below.
pub(super) fn server_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let bare = url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    (plain && bare && web).then_some(url)
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.as_ref().map(Url::as_str);
        f.debug_struct("Api").field("name", &self.name).field("server", &server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_servers() {
        for (server, fits) in [
            ("https://api.example", true),
            ("https://api.example/v1/", true),
            ("http://127.0.0.1:8080", true),
            ("ftp://api.example", false),
            ("https://user:word@api.example", false),
            ("https://api.example/?x=1", false),
            ("https://api.example/#x", false),
            ("/v1", false),
            ("", false),
        ] {
            assert_eq!(Api::new("a", "{}", server).is_ok(), fits, "{server}");
        }
        for name in ["", "A", "1a", "a b", "a__b", "a-name-that-is-far-too-long"] {
            assert!(matches!(Api::new(name, "{}", "https://api.example"), Err(ApiError::Name(_))), "{name}");
        }
    }

    #[test]
    fn the_strictest_thing_that_was_said_of_an_operation_counts() {
        let api = Api::new("a", "{}", "https://api.example").unwrap();
        let api = api.paid("POST /paid").reads("*").writes("GET /logout").reads("GET /logout");
        for (method, path, effect) in [
            (Method::GET, "/x", Effect::Read),
            (Method::POST, "/search", Effect::Read),
            (Method::GET, "/logout", Effect::Write),
            (Method::POST, "/paid", Effect::Spend),
        ] {
            assert_eq!(api.effect(None, &method, path), effect, "{method} {path}");
        }
        let api = Api::new("a", "{}", "https://api.example").unwrap();
        for (method, effect) in
            [("GET", Effect::Read), ("HEAD", Effect::Read), ("POST", Effect::Write), ("PUT", Effect::Write)]
        {
            assert_eq!(api.effect(None, &method.parse().unwrap(), "/x"), effect, "{method}");
        }
    }
}
