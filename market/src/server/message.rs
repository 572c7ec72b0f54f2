//! Requests and answers as values, before anything is sent: what the services of the market speak.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, response::Parts};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The first value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// A query parameter that is a count, within bounds.
    pub(crate) fn count(&self, name: &str, default: usize, max: usize) -> usize {
        self.param(name).and_then(|text| text.parse().ok()).unwrap_or(default).min(max)
    }

    /// Path and query, as quoted and as paid for.
    pub(crate) fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As it should.
    Whole,
    /// Breaks off in the middle of the body.
    Half,
    /// Pauses in the middle of the body.
    Paused(Duration),
    /// Not at all: the connection closes without a byte.
    Dropped,
}

/// An answer, before it is sent: a value that faults can change.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) media_type: String,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
    /// How long to wait before anything is sent. Where there are no sockets, nobody waits.
    pub(crate) wait: Duration,
}

impl Answer {
    /// JSON with a status.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string().into_bytes())
    }

    /// Bytes of a media type with a status.
    pub(crate) fn bytes(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            media_type: media_type.to_owned(),
            body,
            delivery: Delivery::Whole,
            wait: Duration::ZERO,
        }
    }

    /// A connection that closes without an answer.
    pub(crate) fn dropped() -> Self {
        Self { delivery: Delivery::Dropped, ..Self::bytes(500, "text/plain", Vec::new()) }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Takes a header away.
    pub(crate) fn without(&mut self, name: &str) {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
    }

    /// The answer's head, and its body.
    pub(super) fn into_parts(self) -> (Parts, Vec<u8>) {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        head.headers.insert("content-length", HeaderValue::from(self.body.len()));
        if let Ok(media_type) = HeaderValue::from_str(&self.media_type) {
            head.headers.insert("content-type", media_type);
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                head.headers.append(HeaderName::from_static(name), value);
            }
        }
        (head, self.body)
    }
}

/// Something that answers requests. It never waits: what is to be waited for is said in the answer.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> Answer;
}
