//! How results are shown to a model: bounded, without hidden characters, with what can be done next.

use bursar_memory::{LibraryError, clean_line};
use bursar_types::{Amount, Decision, FetchError, Reason};
use serde::{Deserialize, Serialize};

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 400;
/// Longest title, in characters.
pub(crate) const TITLE_CHARS_MAX: usize = 200;
/// Most reasons of one result.
const REASONS_MAX: usize = 20;
/// The largest integer that every JSON reader keeps exactly.
const SAFE_INTEGER_MAX: u128 = 9_007_199_254_740_991;

/// Why something did not happen, and what can be done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonView {
    /// Stable code, such as `BUDGET_EXCEEDED`.
    pub code: String,
    /// What is the matter.
    pub message: String,
    /// What can be done now.
    pub next_step: String,
}

impl ReasonView {
    /// A reason, bounded and without hidden characters.
    #[must_use]
    pub fn new(code: &str, message: impl AsRef<str>, next_step: impl AsRef<str>) -> Self {
        Self {
            code: clean_line(code, 80),
            message: clean_line(message.as_ref(), MESSAGE_CHARS_MAX),
            next_step: clean_line(next_step.as_ref(), MESSAGE_CHARS_MAX),
        }
    }
}

impl ReasonView {
    /// The reasons of a decision; never empty where the decision is a no.
    #[must_use]
    pub fn of_decision(decision: &Decision) -> Vec<Self> {
        refused(decision)
    }

    /// Why nothing was paid, and what to do about it.
    #[must_use]
    pub fn of_error(error: &FetchError) -> Vec<Self> {
        unpaid(error)
    }
}

/// Reasons as a model sees them.
pub(crate) fn reasons(reasons: &[Reason]) -> Vec<ReasonView> {
    let shown = reasons.iter().take(REASONS_MAX);
    shown.map(|reason| ReasonView::new(&reason.code, &reason.message, &reason.next_step)).collect()
}

/// The reasons of a decision; never empty where the decision is a no.
pub(crate) fn refused(decision: &Decision) -> Vec<ReasonView> {
    let mut shown = reasons(&decision.reasons);
    if shown.is_empty() {
        shown.push(ReasonView::new(
            "DENIED",
            format!("a rule says no ({})", decision.rules.join(", ")),
            "go on without it, and say so in the answer",
        ));
    }
    shown
}

/// Why nothing was paid, and what to do about it.
pub(crate) fn unpaid(error: &FetchError) -> Vec<ReasonView> {
    reasons(&error.reasons())
}

/// The same in one line.
pub(crate) fn unpaid_line(error: &FetchError) -> String {
    let lines = unpaid(error).into_iter();
    let lines = lines.map(|reason| format!("{} ({}); {}", reason.message, reason.code, reason.next_step));
    lines.collect::<Vec<_>>().join("; also ")
}

/// What is said when the library does not answer.
pub(crate) fn library_failed(error: &LibraryError) -> bursar_agent_core::ToolError {
    tracing::warn!(error = error as &dyn std::error::Error, "the library did not answer");
    bursar_agent_core::ToolError::not_executed(format!("the library did not answer: {error}"))
}

/// An amount as a JSON integer; `None` if a reader would round it.
pub(crate) fn integer(amount: &Amount) -> Option<u64> {
    u64::try_from(amount.atomic()).ok().filter(|_| amount.atomic() <= SAFE_INTEGER_MAX)
}
