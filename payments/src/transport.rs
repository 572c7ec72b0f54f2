//! Sending HTTP with reqwest: one request on the wire per call, and the truth about what became of it.

use crate::egress::{Egress, blocked};
use crate::resolve::{Guarded, Refused, Resolver, SystemResolver};
use async_trait::async_trait;
use bursar_types::{BodyProblem, HttpRequest, HttpResponse, Limits, Transport, TransportError};
use bytes::{Bytes, BytesMut};
use http::response::Parts;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// A host that does not complete a handshake in this time counts as not connected: nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For HTTP/2, whose header limit belongs to the connection. A call's own limit is checked as well.
const HTTP2_HEAD_BYTES_MAX: u32 = 128 << 10;
/// Memory set aside on the word of a `Content-Length`; a longer body grows as it comes.
const BODY_PREALLOCATION_MAX: usize = 1 << 20;

/// One exchange at a time over reqwest, with its connections kept for the next.
///
/// No redirect is followed, no cookie kept, no body decompressed, no proxy taken from the environment, and nothing that may
/// have left is sent again. hyper puts a request on another connection only if the pooled one it was queued for was
/// closed before the first byte was written; reqwest's own repeats are switched off.
///
/// One for agents is made with [`HttpTransport::guarded`]: it reaches only what an [`Egress`] lets it. The others reach what
/// the operator names, such as an RPC endpoint.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    egress: Option<Egress>,
}

/// The HTTP client could not be set up, for example because the machine's certificates cannot be read.
#[derive(Debug, Error)]
#[error("http client could not be set up")]
pub struct HttpTransportError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl HttpTransport {
    /// Connects directly to any address, whatever proxy the environment names: for addresses that the operator chose.
    ///
    /// # Errors
    /// [`HttpTransportError`] if TLS cannot be set up.
    pub fn new() -> Result<Self, HttpTransportError> {
        Self::build(reqwest::Client::builder().no_proxy(), None)
    }

    /// The same, for plain HTTP only: it knows no certificate, so that no TLS connection comes about. Reading the machine's
    /// certificates takes longer than a short scenario does.
    ///
    /// # Errors
    /// [`HttpTransportError`] if TLS cannot be set up.
    pub fn without_tls() -> Result<Self, HttpTransportError> {
        Self::build(reqwest::Client::builder().no_proxy().tls_certs_only([]), None)
    }

    /// Connects directly, and only to addresses that `egress` lets it reach: for addresses that agents and vendors chose.
    ///
    /// A name is resolved once for a connection, every address it stands for is checked, and one of the checked addresses is
    /// connected to. A name that stands for a forbidden address beside others is refused as a whole.
    ///
    /// # Errors
    /// [`HttpTransportError`] if TLS cannot be set up.
    pub fn guarded(egress: Egress) -> Result<Self, HttpTransportError> {
        Self::guarded_over(egress, Arc::new(SystemResolver))
    }

    /// The same with another resolver than the system's.
    ///
    /// # Errors
    /// [`HttpTransportError`] if TLS cannot be set up.
    pub fn guarded_over(egress: Egress, resolver: Arc<dyn Resolver>) -> Result<Self, HttpTransportError> {
        let resolver = Arc::new(Guarded { egress, resolver });
        Self::build(reqwest::Client::builder().no_proxy().dns_resolver(resolver), Some(egress))
    }

    /// Connects through the proxy at `url`, which the operator chose. The proxy resolves the names, so it is the proxy that has
    /// to keep requests from where they may not go.
    ///
    /// # Errors
    /// [`HttpTransportError`] if the address is no proxy's, or TLS cannot be set up.
    pub fn through_proxy(url: &str) -> Result<Self, HttpTransportError> {
        let proxy = reqwest::Proxy::all(url).map_err(|error| HttpTransportError(error.into()))?;
        Self::build(reqwest::Client::builder().no_proxy().proxy(proxy), None)
    }

    fn build(builder: reqwest::ClientBuilder, egress: Option<Egress>) -> Result<Self, HttpTransportError> {
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_max_header_list_size(HTTP2_HEAD_BYTES_MAX)
            .build()
            .map_err(|error| HttpTransportError(error.into()))?;
        Ok(Self { client, egress })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let host = host_of(request.uri());
        let request = reqwest::Request::try_from(request).map_err(|error| TransportError::NotSent {
            host: host.clone(),
            source: error.without_url().into(),
        })?;
        // An address in the URL is connected to without a resolver.
        if let Some(egress) = self.egress {
            egress.check_url(request.url())?;
        }
        let exchange = Exchange { host, limits };
        let deadline = Instant::now().checked_add(Duration::from_millis(limits.timeout_ms));
        let mut response = within(deadline, self.client.execute(request))
            .await
            .map_err(|elapsed| TransportError::NoAnswer {
                host: exchange.host.clone(),
                source: elapsed.into(),
            })?
            .map_err(|error| exchange.unanswered(error))?;
        let head = exchange.take_head(&mut response)?;
        // From here on the head is kept whatever happens: it may hold a receipt.
        let problem = match within(deadline, exchange.read_body(&mut response)).await {
            Ok(Ok(body)) => return Ok(HttpResponse::from_parts(head, body)),
            Ok(Err(problem)) => problem,
            Err(_) => BodyProblem::Late { ms: limits.timeout_ms },
        };
        Err(TransportError::Body { host: exchange.host, head: Box::new(head), problem })
    }
}

/// Waits until the deadline; a time too long to be added up is none.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await,
        None => Ok(future.await),
    }
}

struct Exchange {
    host: String,
    limits: Limits,
}

impl Exchange {
    /// A refused connection, an unknown host and a failed handshake come before the first byte of a request.
    fn unanswered(&self, error: reqwest::Error) -> TransportError {
        if let Some(Refused { problem }) = cause(&error) {
            return blocked(&self.host, problem);
        }
        if cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse_too_large) {
            return TransportError::HeadTooLong { host: self.host.clone(), max: self.limits.head_bytes_max };
        }
        let (host, unsent) = (self.host.clone(), error.is_connect() || error.is_builder());
        let source = error.without_url().into();
        match unsent {
            true => TransportError::NotSent { host, source },
            false => TransportError::NoAnswer { host, source },
        }
    }

    fn take_head(&self, response: &mut reqwest::Response) -> Result<Parts, TransportError> {
        let size = response.headers().iter().fold(0_usize, |size, (name, value)| {
            size.saturating_add(name.as_str().len()).saturating_add(value.len())
        });
        if size > self.limits.head_bytes_max {
            let max = self.limits.head_bytes_max;
            return Err(TransportError::HeadTooLong { host: self.host.clone(), max });
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = response.status();
        parts.version = response.version();
        parts.headers = std::mem::take(response.headers_mut());
        Ok(parts)
    }

    /// Reads the body. One that comes in one piece is handed on as it is; otherwise each byte is copied once.
    async fn read_body(&self, response: &mut reqwest::Response) -> Result<Bytes, BodyProblem> {
        let limit = self.limits.body_max(response.status());
        let too_long = || BodyProblem::TooLong { max: limit };
        let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(BodyProblem::Broken(causes(&error.without_url()))),
            };
            let read = first.len().saturating_add(rest.len()).saturating_add(chunk.len());
            if read > limit {
                return Err(too_long());
            }
            if first.is_empty() && rest.is_empty() {
                first = chunk;
                continue;
            }
            if rest.is_empty() {
                let expected = announced.unwrap_or(read).min(BODY_PREALLOCATION_MAX).max(read);
                rest.reserve(expected);
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&chunk);
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

/// The cause of this type behind an error, if there is one.
fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

fn host_of(uri: &http::Uri) -> String {
    match (uri.host(), uri.port_u16()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "no host".to_owned(),
    }
}

/// An error with its causes on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
