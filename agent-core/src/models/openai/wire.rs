//! One exchange with a server.
//!
//! The crate `async-openai` makes the request: its address, its headers, its body. The answer is read here, since the crate reads
//! without a limit, repeats on its own, drops the headers that say when to try again, and logs what it cannot read.

use super::errors::{self, Said};
use crate::model::{ModelError, ModelErrorKind, Retry};
use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes of an error answer that are read.
const ERROR_BYTES_MAX: u64 = 64 * 1024;
/// How long the rest of an error answer is waited for.
const ERROR_WAIT: Duration = Duration::from_secs(5);
/// Longest id of a request that is kept.
const REQUEST_ID_BYTES_MAX: usize = 128;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where requests go, and with which headers.
pub(super) struct Place {
    pub(super) base: String,
    /// The key among them, marked as sensitive.
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
    /// The crate asks for the key in a field of its own; it gets none, since the headers hold it.
    pub(super) no_key: SecretString,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Config for Place {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
    fn query(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    fn api_base(&self) -> &str {
        &self.base
    }
    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// How much an answer may hold, and how long it may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: u64,
    pub(super) silence_max: Duration,
}

/// A server, and the connections to it.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    http: reqwest::Client,
    place: Arc<Place>,
    bounds: Bounds,
}

/// Which of the two APIs a request is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Responses,
    Chat,
}

/// An answer that says it is a success.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it is a stream of events.
    pub(super) is_stream: bool,
    pub(super) request_id: Option<String>,
    pub(super) body: Body,
}

/// The bytes of an answer, as many as it may hold.
#[derive(Debug)]
pub(super) struct Body {
    response: reqwest::Response,
    left: u64,
    silence_max: Duration,
}

type Slot = Arc<Mutex<Option<Result<reqwest::Response, ModelError>>>>;

impl Wire {
    /// No redirect is followed, nothing is sent twice, and no proxy is taken from the environment.
    pub(super) fn new(place: Place, bounds: Bounds) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder();
        if place.base.starts_with("http://") {
            // Reading the machine's certificates takes longer than a request to this machine.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self { http, place: Arc::new(place), bounds })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, to: Endpoint, body: &Value, streams: bool) -> Result<Answer, ModelError> {
        let slot = Slot::default();
        let client = self.client(&slot, streams);
        let sent = async {
            match to {
                Endpoint::Responses => client.responses().create_byot::<&Value, IgnoredAny>(body).await,
                Endpoint::Chat => client.chat().create_byot::<&Value, IgnoredAny>(body).await,
            }
        };
        let sent =
            tokio::time::timeout(self.bounds.silence_max, sent).await.map_err(|_| silent(self.bounds))?;
        let kept = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let response = match (kept, sent) {
            (Some(kept), _) => kept?,
            (None, _) => {
                return Err(ModelError::new(ModelErrorKind::Refused, "request could not be written"));
            }
        };
        let request_id = request_id(response.headers());
        let mut body = Body { response, left: self.bounds.bytes_max, silence_max: self.bounds.silence_max };
        let status = body.response.status();
        if !status.is_success() {
            let said = said(&mut body).await;
            let headers = body.response.headers();
            return Err(errors::answered(status.as_u16(), headers, &said, request_id));
        }
        let kind = body.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = match kind.map(|kind| kind.trim().to_ascii_lowercase()) {
            Some(kind) if kind.starts_with("text/event-stream") => true,
            Some(kind) if kind.starts_with("application/json") => false,
            _ => streams,
        };
        Ok(Answer { is_stream, request_id, body })
    }

    /// A client that leaves the answer in the slot, and tells the crate nothing of it.
    fn client(&self, slot: &Slot, streams: bool) -> Client<Arc<dyn Config>> {
        let config: Arc<dyn Config> = Arc::clone(&self.place) as _;
        let (http, slot) = (self.http.clone(), Arc::clone(slot));
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            let (http, slot) = (http.clone(), Arc::clone(&slot));
            async move {
                let mut request = request.build().await?;
                let accept = if streams { "text/event-stream" } else { "application/json" };
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
                let answer = http.execute(request).await.map_err(errors::unanswered);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                Ok::<_, OpenAIError>(nothing_to_read())
            }
        });
        Client::build(self.http.clone(), config).with_http_service(service)
    }
}

/// What the crate reads instead of the answer.
fn nothing_to_read() -> reqwest::Response {
    http::Response::new("null").into()
}

fn silent(bounds: Bounds) -> ModelError {
    let what = format!("provider said nothing for {} ms", bounds.silence_max.as_millis());
    ModelError::new(ModelErrorKind::TimedOut, what).retry(Retry::Backoff)
}

/// The provider's id of the request, if it is one: letters, digits and a few signs.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["x-request-id", "apim-request-id", "request-id", "cf-ray"]
        .into_iter()
        .find_map(|name| headers.get(name))?;
    let id = id.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (!id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.chars().all(plain)).then(|| id.to_owned())
}

/// What an error answer says. One that is too long, too slow or no JSON says nothing.
async fn said(body: &mut Body) -> Said {
    body.left = body.left.min(ERROR_BYTES_MAX);
    let bytes = tokio::time::timeout(ERROR_WAIT, body.rest()).await;
    match bytes {
        Ok(Ok(bytes)) => {
            serde_json::from_slice(&bytes).map(|body: Value| Said::of(&body)).unwrap_or_default()
        }
        Ok(Err(_)) | Err(_) => Said::default(),
    }
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ModelError> {
        let bounds = Bounds { bytes_max: 0, silence_max: self.silence_max };
        let chunk = tokio::time::timeout(self.silence_max, self.response.chunk())
            .await
            .map_err(|_| silent(bounds))?
            .map_err(|error| errors::broke_off().with_source(error.without_url()))?;
        if let Some(chunk) = &chunk {
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            self.left = self.left.checked_sub(length).ok_or_else(too_much)?;
        }
        Ok(chunk)
    }

    /// All of it.
    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, ModelError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(chunk.as_ref());
        }
        Ok(bytes)
    }
}

/// The answer holds more than it may.
pub(super) fn too_much() -> ModelError {
    errors::protocol("provider's answer is larger than it may be")
}
