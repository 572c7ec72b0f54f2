//! Why a saga does not go on, and how a step says that it failed.

use super::report::SagaReport;
use super::state::IllegalSagaEvent;
use bursar_types::{FetchError, Fetched};
use std::error::Error;
use std::fmt;
use thiserror::Error;

/// Why a saga does not go on. What was done stays recorded, and nothing was paid twice, whichever it is.
#[derive(Debug, Error)]
pub enum SagaError {
    /// Another worker goes on with this saga. This handle is of no more use; open the saga by name to see how it stands.
    #[error("another worker goes on with this saga")]
    Fenced,
    /// It does not go forward any more: it failed, and its steps are being taken back or have been.
    #[error("the saga does not go forward any more: {0}")]
    Unwinds(Box<SagaReport>),
    /// It was completed: it can neither go on nor be taken back.
    #[error("the saga was completed")]
    Completed,
    /// A step was not done, so the saga is not complete. Run the step again, or unwind.
    #[error("step `{step}` was not done")]
    Incomplete {
        /// The step.
        step: String,
    },
    /// The step failed. It is recorded as failed; run it again, or unwind.
    #[error("step `{step}` failed: {problem}")]
    StepFailed {
        /// The step.
        step: String,
        /// Why.
        problem: String,
    },
    /// Nothing usable was bought. What was paid, or may have been, is looked at when the saga unwinds.
    #[error("step `{step}` did not buy what it wanted")]
    NotBought {
        /// The step.
        step: String,
        /// What came instead: prices that no plan covers, a question to an approver, an open payment.
        fetched: Box<Fetched>,
    },
    /// The purse refused, and no money moved in this step.
    #[error("step `{step}` could not buy")]
    Purse {
        /// The step.
        step: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The saga knows another step under this name: with another compensation or another request.
    #[error("step `{step}` was registered with other terms; steps of one saga have different names")]
    Changed {
        /// The step.
        step: String,
    },
    /// A saga or step cannot have this name.
    #[error("a name is 1 to 200 characters")]
    Name,
    /// A person who settles a step says neither who they are nor why, or only one of both. Nothing was changed.
    #[error("whoever settles a step says who they are, and why")]
    Unexplained,
    /// The step's result cannot be recorded, or was recorded as something else.
    #[error("the result of step `{step}` cannot be written or read as JSON")]
    Result {
        /// The step.
        step: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The saga's records do not fold.
    #[error(transparent)]
    Illegal(#[from] IllegalSagaEvent),
    /// The ledger could not be read or written. Call again, or open the saga by name.
    #[error("ledger is not available")]
    Ledger(#[source] Box<dyn Error + Send + Sync>),
}

/// How a step failed. Any error becomes one with `?`; it then counts as having had effects, which is the safe reading.
///
/// It is no [`Error`] itself, as `?` could not make one of every error then.
///
/// # Example
/// ```
/// use bursar_payments::StepFailure;
/// fn parse(text: &str) -> Result<u32, StepFailure> {
///     if text.is_empty() {
///         return Err(StepFailure::without_effects("there is nothing to read"));
///     }
///     Ok(text.parse()?)
/// }
/// assert!(parse("x").unwrap_err().effects && !parse("").unwrap_err().effects);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// Why.
    pub problem: String,
    /// Whether it may have had effects all the same; its compensation runs then.
    pub effects: bool,
}

impl StepFailure {
    /// It failed, and may have had effects: it is taken back when the saga unwinds.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), effects: true }
    }

    /// It failed before it had any effect: there is nothing to take back, and it may run again.
    #[must_use]
    pub fn without_effects(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), effects: false }
    }
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl<E: Error> From<E> for StepFailure {
    fn from(error: E) -> Self {
        Self::new(bursar_types::causes(&error))
    }
}
