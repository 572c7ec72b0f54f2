//! The seam to the network.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use thiserror::Error;

/// A whole request.
pub type HttpRequest = http::Request<Bytes>;

/// A whole response, its body within the limits.
pub type HttpResponse = http::Response<Bytes>;

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes after decompression.
    pub body_bytes_max: usize,
    /// Longest sum of header names and values, in bytes.
    pub head_bytes_max: usize,
    /// Longest time for the whole exchange.
    pub timeout_ms: u64,
}

impl Default for Limits {
    /// 8 MiB of body, 64 KiB of headers, 30 s.
    fn default() -> Self {
        Self { body_bytes_max: 8 << 20, head_bytes_max: 64 << 10, timeout_ms: 30_000 }
    }
}

/// Why an exchange did not complete, by what the other side may have seen.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The request never left: bad address, no connection. Safe to repeat.
    #[error("could not connect to {host}")]
    NotSent {
        /// The host.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request may have arrived and no usable answer came.
    #[error("no answer from {host}")]
    NoAnswer {
        /// The host.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The head came, the body broke off or passed the limit.
    #[error("answer of {host} broke off: {problem}")]
    Body {
        /// The host.
        host: String,
        /// Status and headers, which may hold a receipt.
        head: Box<http::response::Parts>,
        /// What was wrong with the body.
        problem: String,
    },
}

/// Sends one request and reads one answer.
///
/// # What implementers guarantee
/// One request on the wire per call: no redirect is followed, nothing is retried, no cookie is kept. Limits hold while
/// reading, not after. An error is [`TransportError::NotSent`] only if no byte of the request can have left.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Performs one exchange.
    ///
    /// # Errors
    /// [`TransportError`].
    ///
    /// # Cancellation
    /// Dropping the future may leave the request sent.
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError>;
}
