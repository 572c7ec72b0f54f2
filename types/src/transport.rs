//! The seam to the network.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use thiserror::Error;

/// A whole request.
pub type HttpRequest = http::Request<Bytes>;

/// A whole response, its body within the limits.
pub type HttpResponse = http::Response<Bytes>;

/// The query parameter that names a tool in the address of a paid MCP tool, such as `https://mcp.example/mcp?mcp-tool=search`.
///
/// A call of such a tool is asked for with `POST` and its arguments as the body. Whoever sends it makes an MCP call of it, so that
/// the same rules, plans and payments hold for tools as for pages.
pub const MCP_TOOL: &str = "mcp-tool";

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes as they come: nothing is ever decompressed.
    pub body_bytes_max: usize,
    /// Longest body of an answer that asks for payment (status 402), in bytes; the smaller of the two bounds holds.
    pub challenge_bytes_max: usize,
    /// Longest sum of header names and values, in bytes.
    pub head_bytes_max: usize,
    /// Longest time for the whole exchange.
    pub timeout_ms: u64,
}

impl Default for Limits {
    /// 8 MiB of body, 256 KiB of a body that asks for payment, 64 KiB of headers, 30 s.
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            challenge_bytes_max: 256 << 10,
            head_bytes_max: 64 << 10,
            timeout_ms: 30_000,
        }
    }
}

impl Limits {
    /// Longest body of an answer with this status.
    #[must_use]
    pub fn body_max(&self, status: http::StatusCode) -> usize {
        match status == http::StatusCode::PAYMENT_REQUIRED {
            true => self.body_bytes_max.min(self.challenge_bytes_max),
            false => self.body_bytes_max,
        }
    }
}

/// What was wrong with a body. The head had come.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyProblem {
    /// It is longer than is read.
    #[error("its body is longer than {max} bytes")]
    TooLong {
        /// What is read of it.
        max: usize,
    },
    /// It took too long.
    #[error("its body did not come within {ms} ms")]
    Late {
        /// How long the whole exchange may take.
        ms: u64,
    },
    /// It broke off.
    #[error("its body broke off: {0}")]
    Broken(String),
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
    /// The request never left: agents may not reach the address that the host stands for. No byte went to it.
    #[error("{host} was not asked: {problem}")]
    Blocked {
        /// The host.
        host: String,
        /// Which address that is, and what is wrong with it.
        problem: String,
    },
    /// The request may have arrived; the answer's headers are longer than is read.
    #[error("the headers of {host} are longer than {max} bytes")]
    HeadTooLong {
        /// The host.
        host: String,
        /// What is read of them.
        max: usize,
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
        problem: BodyProblem,
    },
}

/// Sends one request and reads one answer.
///
/// # What implementers guarantee
/// One request on the wire per call: no redirect is followed, nothing is retried, no cookie is kept. Limits hold while
/// reading, not after. An error is [`TransportError::NotSent`] or [`TransportError::Blocked`] only if no byte of the
/// request can have left.
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
