//! How a model is asked for.

use super::wire::{Bounds, Place, Wire};
use super::{OpenAi, OpenAiApi};
use crate::model::{ModelDescriptor, ModelRequest};
use crate::models::ApiKey;
use crate::models::key::account_of;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;
use thiserror::Error;
use url::{Host, Url};

const OPENAI: &str = "https://api.openai.com/v1";
/// Most bytes of one answer.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How long a server may say nothing.
const SILENCE_MS_MAX: u64 = 10 * 60 * 1_000;
/// Models that have no reasoning to encrypt, and refuse to be asked for it.
const WITHOUT_REASONING: [&str; 3] = ["gpt-4", "gpt-3", "chatgpt-"];

/// What a request is made with.
#[derive(Debug, Clone)]
pub(super) struct OpenAiSettings {
    pub(super) model: String,
    pub(super) api: OpenAiApi,
    /// How what is made there is marked.
    pub(super) endpoint: String,
    /// Whether the most that it may write goes by its new name in the Chat Completions API; servers of others know the old one.
    pub(super) says_completion: bool,
    pub(super) streaming: bool,
    pub(super) stream_usage: bool,
    pub(super) encrypted_reasoning: bool,
    pub(super) enforces_output: bool,
    pub(super) parallel_calls: Option<bool>,
    output_tokens_max: Option<u32>,
    pub(super) reasoning_effort: Option<String>,
    seeded: bool,
    fields: Map<String, Value>,
    answer_bytes_max: u64,
}

impl OpenAiSettings {
    /// The most that it may write: the lesser of what it is set to and what is asked for.
    pub(super) fn output_tokens_max(&self, request: &ModelRequest) -> Option<u32> {
        self.output_tokens_max.into_iter().chain(request.max_output_tokens).min()
    }

    /// Adds what both protocols have, and last what was set by name.
    pub(super) fn finish(&self, body: &mut Map<String, Value>, request: &ModelRequest) {
        if self.seeded && self.api == OpenAiApi::Chat {
            // Some servers read it into 32 bits.
            body.insert("seed".into(), (request.seed & 0x7fff_ffff).into());
        }
        body.extend(self.fields.clone());
        if let Some(most) = request.max_output_tokens {
            // What was set by name stands only where it is less: so much is set aside for the turn.
            let names = ["max_output_tokens", "max_completion_tokens", "max_tokens"];
            for name in names {
                if let Some(said) = body.get_mut(name) {
                    *said = said.as_u64().map_or(most.into(), |said| said.min(most.into())).into();
                }
            }
        }
    }

    /// Most bytes of one event: the last one of the Responses API holds the whole answer again.
    pub(super) fn event_bytes_max(&self) -> usize {
        usize::try_from(self.answer_bytes_max / 2).unwrap_or(usize::MAX)
    }
}

/// The model cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenAiError {
    /// The address is none, or holds more than scheme, host, port and path.
    #[error("base url is no plain http or https address: {problem}")]
    BaseUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// There is no key, and the server is OpenAI's own.
    #[error("there is no key: hand one in with `key`")]
    NoKey,
    /// The key would travel where others can read it.
    #[error(
        "key would travel over plain http to another machine: use https, or say `plain_http` if that network is yours"
    )]
    KeyInTheClear,
    /// A header that HTTP cannot carry. The value is not shown.
    #[error("`{name}` cannot be sent as a header")]
    Header {
        /// Which one.
        name: String,
    },
    /// The HTTP client could not be set up, for example because the machine's certificates cannot be read.
    #[error("http client could not be set up")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Puts an [`OpenAi`] together.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{OpenAi, OpenAiApi};
/// let model = OpenAi::builder("deployment")
///     .key("not a real one")
///     .base_url("https://example.openai.azure.com/openai/deployments/deployment")
///     .azure(Some("2024-10-21"))
///     .build()?;
/// assert_eq!(model.api(), OpenAiApi::Chat, "the default everywhere but at OpenAI itself");
/// # Ok::<(), bursar_agent_core::models::OpenAiError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OpenAiBuilder {
    model: String,
    base: String,
    key: Option<ApiKey>,
    azure: bool,
    query: Vec<(String, String)>,
    /// Their values are treated as keys: some are.
    headers: Vec<(String, ApiKey)>,
    api: Option<OpenAiApi>,
    streaming: bool,
    stream_usage: bool,
    encrypted_reasoning: Option<bool>,
    enforces_output: bool,
    parallel_calls: Option<bool>,
    output_tokens_max: Option<u32>,
    reasoning_effort: Option<String>,
    seeded: bool,
    fields: Map<String, Value>,
    answer_bytes_max: u64,
    silence_ms_max: u64,
    plain_http: bool,
}

impl OpenAiBuilder {
    pub(super) fn new(model: String) -> Self {
        Self {
            model,
            base: OPENAI.to_owned(),
            key: None,
            azure: false,
            query: Vec::new(),
            headers: Vec::new(),
            api: None,
            streaming: true,
            stream_usage: true,
            encrypted_reasoning: None,
            enforces_output: true,
            parallel_calls: None,
            output_tokens_max: None,
            reasoning_effort: None,
            seeded: false,
            fields: Map::new(),
            answer_bytes_max: ANSWER_BYTES_MAX,
            silence_ms_max: SILENCE_MS_MAX,
            plain_http: false,
        }
    }

    /// The key. Servers on your own machine often need none.
    #[must_use]
    pub fn key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into()).filter(|key: &ApiKey| !key.is_empty());
        self
    }

    /// Where the API is, up to and without `/responses` or `/chat/completions`, such as `http://localhost:11434/v1`.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base = url.into();
        self
    }

    /// Speaks to Azure: the key goes in the header `api-key`, and the API's version, if one is given, in the query.
    #[must_use]
    pub fn azure(mut self, api_version: Option<&str>) -> Self {
        self.azure = true;
        self.query.extend(api_version.map(|version| ("api-version".to_owned(), version.to_owned())));
        self
    }

    /// Which API to speak. Unsaid, it is Responses at api.openai.com and Chat Completions everywhere else.
    #[must_use]
    pub const fn api(mut self, api: OpenAiApi) -> Self {
        self.api = Some(api);
        self
    }

    /// Whether the answer comes piece by piece, which it does unless this says otherwise.
    #[must_use]
    pub const fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Whether token counts are asked for in streams of the Chat Completions API, which they are unless this says otherwise. For
    /// servers that refuse `stream_options`.
    #[must_use]
    pub const fn stream_usage(mut self, asked: bool) -> Self {
        self.stream_usage = asked;
        self
    }

    /// Whether the Responses API is asked for its reasoning in encrypted form, to be given back in later turns. Unsaid, it is, but for
    /// models whose name says that they have none.
    #[must_use]
    pub const fn encrypted_reasoning(mut self, asked: bool) -> Self {
        self.encrypted_reasoning = Some(asked);
        self
    }

    /// Whether the server enforces the schema of a final text. If not, the schema is put into words.
    #[must_use]
    pub const fn enforces_output(mut self, enforces: bool) -> Self {
        self.enforces_output = enforces;
        self
    }

    /// Whether the model may ask for several calls at once. Unsaid, the server's own default holds.
    #[must_use]
    pub const fn parallel_calls(mut self, parallel: bool) -> Self {
        self.parallel_calls = Some(parallel);
        self
    }

    /// Most tokens of one answer, those of reasoning included.
    #[must_use]
    pub const fn output_tokens_max(mut self, most: u32) -> Self {
        self.output_tokens_max = Some(most);
        self
    }

    /// How much it thinks before it answers, in the provider's words, such as `low`.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.reasoning_effort = Some(effort.into());
        self
    }

    /// Sends a seed with each request of the Chat Completions API, for servers that take one. The Responses API has no seed, and
    /// refuses what it does not know.
    #[must_use]
    pub const fn seeded(mut self, seeded: bool) -> Self {
        self.seeded = seeded;
        self
    }

    /// Sets a field of the request by name, over anything that would stand there: `temperature`, `service_tier`, or what a server
    /// of your own understands.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sends a header with each request, such as `OpenAI-Project`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), ApiKey::new(value)));
        self
    }

    /// Most bytes of one answer; a single event may take half of them. A larger answer is an error. 32 MiB unless this says otherwise.
    #[must_use]
    pub const fn answer_bytes_max(mut self, most: u64) -> Self {
        self.answer_bytes_max = most;
        self
    }

    /// How long the server may say nothing, in milliseconds, before the turn has failed. Ten minutes unless this says otherwise.
    #[must_use]
    pub const fn silence_ms_max(mut self, most: u64) -> Self {
        self.silence_ms_max = most;
        self
    }

    /// Lets the key travel over plain HTTP to another machine.
    #[must_use]
    pub const fn plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The model. Nothing is sent.
    ///
    /// # Errors
    /// [`OpenAiError`].
    pub fn build(self) -> Result<OpenAi, OpenAiError> {
        let url = plain(&self.base)?;
        let at_openai = url.host_str() == Some("api.openai.com");
        if self.key.is_none() && at_openai {
            return Err(OpenAiError::NoKey);
        }
        if self.key.is_some() && url.scheme() == "http" && !self.plain_http && !is_this_machine(&url) {
            return Err(OpenAiError::KeyInTheClear);
        }
        let headers = self.all_headers()?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        let endpoint = [base.clone()].into_iter().chain(self.account()).collect::<Vec<_>>().join(" ");
        let without = WITHOUT_REASONING.iter().any(|prefix| self.model.starts_with(prefix));
        let settings = OpenAiSettings {
            api: self.api.unwrap_or(if at_openai { OpenAiApi::Responses } else { OpenAiApi::Chat }),
            endpoint,
            says_completion: at_openai || self.azure,
            streaming: self.streaming,
            stream_usage: self.stream_usage,
            encrypted_reasoning: self.encrypted_reasoning.unwrap_or(!without),
            enforces_output: self.enforces_output,
            parallel_calls: self.parallel_calls,
            output_tokens_max: self.output_tokens_max,
            reasoning_effort: self.reasoning_effort,
            seeded: self.seeded,
            fields: self.fields,
            answer_bytes_max: self.answer_bytes_max,
            model: self.model,
        };
        let place = Place { base, headers, query: self.query, no_key: SecretString::from(String::new()) };
        let silence_max = Duration::from_millis(self.silence_ms_max);
        let bounds = Bounds { bytes_max: self.answer_bytes_max, silence_max };
        let wire = Wire::new(place, bounds).map_err(|error| OpenAiError::Http(error.into()))?;
        Ok(OpenAi { descriptor: ModelDescriptor::new("openai", settings.model.clone()), settings, wire })
    }

    /// Whose account it is, as far as that is known. At Azure the address says it.
    fn account(&self) -> Vec<String> {
        let named = |name: &str| {
            let mut headers = self.headers.iter();
            let value =
                headers.find_map(|(header, value)| header.eq_ignore_ascii_case(name).then_some(value));
            value.map(|value| format!("{}={}", name.to_ascii_lowercase(), value.reveal()))
        };
        let named: Vec<String> =
            ["OpenAI-Organization", "OpenAI-Project"].into_iter().filter_map(named).collect();
        let by_key = self.key.iter().filter(|_| named.is_empty() && !self.azure);
        named.iter().cloned().chain(by_key.map(|key| account_of(key.reveal()))).collect()
    }

    fn all_headers(&self) -> Result<HeaderMap, OpenAiError> {
        let mut all = HeaderMap::new();
        let agent = concat!("bursar/", env!("CARGO_PKG_VERSION"));
        all.insert(USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in &self.headers {
            let refused = || OpenAiError::Header { name: name.clone() };
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| refused())?;
            value.set_sensitive(true);
            all.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
        }
        if let Some(key) = &self.key {
            let (name, text) = match self.azure {
                true => {
                    (HeaderName::from_static("api-key"), zeroize::Zeroizing::new(key.reveal().to_owned()))
                }
                false => (AUTHORIZATION, zeroize::Zeroizing::new(format!("Bearer {}", key.reveal()))),
            };
            let mut value =
                HeaderValue::from_str(&text).map_err(|_| OpenAiError::Header { name: "key".to_owned() })?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        Ok(all)
    }
}

fn plain(base: &str) -> Result<Url, OpenAiError> {
    let refused = |problem: &str| OpenAiError::BaseUrl { problem: problem.to_owned() };
    let url = Url::parse(base).map_err(|error| refused(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused("it has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it holds a query or a fragment"));
    }
    Ok(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_only_where_it_is_safe_and_is_never_shown() {
        let at = |url: &str| OpenAi::builder("m").key("sk-secret").base_url(url);
        assert!(matches!(OpenAi::builder("m").build(), Err(OpenAiError::NoKey)));
        assert!(matches!(OpenAi::builder("m").key(" \n").build(), Err(OpenAiError::NoKey)));
        assert!(matches!(at("http://10.0.0.7:8000/v1").build(), Err(OpenAiError::KeyInTheClear)));
        assert!(at("http://10.0.0.7:8000/v1").plain_http().build().is_ok());
        assert!(OpenAi::builder("m").base_url("http://10.0.0.7:8000/v1").build().is_ok());
        assert!(at("http://127.0.0.1:8000/v1").build().is_ok());
        for url in ["ftp://a", "api.openai.com", "https://u:p@a/v1", "https://a/v1?key=1", "https://a/#f"] {
            assert!(matches!(at(url).build(), Err(OpenAiError::BaseUrl { .. })), "{url}");
        }
        let broken = OpenAi::builder("m").key("sk-\nsecret").build().unwrap_err();
        assert!(!format!("{broken:?} {broken}").contains("secret"));
        let builder = at("https://a/v1").header("x-other", "also-secret");
        assert!(!format!("{builder:?} {:?}", builder.clone().build()).contains("secret"));
    }
}
