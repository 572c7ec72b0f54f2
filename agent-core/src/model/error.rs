//! Why a model did not answer.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The key is missing or wrong.
    Authentication,
    /// Too many requests, or no quota left.
    RateLimited,
    /// The conversation does not fit.
    TooLong,
    /// The provider refused the request as it stands.
    Refused,
    /// The provider failed.
    Provider,
    /// The network failed.
    Network,
    /// The turn took longer than its limit.
    TimedOut,
    /// The answer did not follow the protocol.
    Protocol,
    /// A scripted or recorded model has nothing more to say.
    Exhausted,
}

/// Whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// No.
    Never,
    /// Yes, and the provider did not say when: the pause grows with each try.
    Backoff,
    /// Yes, after so many milliseconds.
    After {
        /// Milliseconds to wait.
        ms: u64,
    },
}

/// A model failed.
///
/// # Example
/// ```
/// use bursar_agent_core::{ModelError, ModelErrorKind, Retry};
/// let error = ModelError::new(ModelErrorKind::RateLimited, "429").retry(Retry::After { ms: 500 });
/// assert_eq!(error.retry, Retry::After { ms: 500 });
/// ```
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ModelError {
    /// What kind of failure.
    pub kind: ModelErrorKind,
    /// Whether another try makes sense.
    pub retry: Retry,
    /// In words; no prompts and no keys.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
    /// Whether something before this failure may have a price, whatever the failure itself says.
    pub may_have_cost: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ModelError {
    /// A failure that is not tried again.
    #[must_use]
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retry: Retry::Never,
            message: message.into(),
            status: None,
            request_id: None,
            may_have_cost: false,
            source: None,
        }
    }

    /// The same with advice on another try.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same with the HTTP status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with the provider's id of the request.
    #[must_use]
    pub fn request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// Whether the provider turned the request away before a model worked on it, so that it cost nothing. After 408 and 424 a model
    /// may have worked for nothing, and so it may without an answer.
    #[must_use]
    pub const fn was_turned_away(&self) -> bool {
        !self.may_have_cost
            && (matches!(self.kind, ModelErrorKind::Authentication)
                || matches!(self.status, Some(400..=407 | 409..=423 | 425..=499)))
    }

    /// The same after something that may have a price: an earlier model's try, or words that came before it failed.
    #[must_use]
    pub const fn after_work(mut self) -> Self {
        self.may_have_cost = true;
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_turned_away_cost_nothing() {
        let error = ModelError::new(ModelErrorKind::Provider, "x");
        assert!(!error.was_turned_away(), "without an answer nobody knows");
        let unsigned = ModelError::new(ModelErrorKind::Authentication, "x");
        assert!(unsigned.was_turned_away(), "nobody works for whoever has no key");
        for (status, turned_away) in
            [(400, true), (403, true), (429, true), (408, false), (424, false), (500, false)]
        {
            let error = ModelError::new(ModelErrorKind::Provider, "x").status(status);
            assert_eq!(error.was_turned_away(), turned_away, "{status}");
        }
    }
}
