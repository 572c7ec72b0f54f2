//! Whoever answers in the same process: at the terminal, in code.

use super::answer::SignedAnswer;
use async_trait::async_trait;
use bursar_types::ApprovalTicket;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An approver's answer to one ticket. It counts for that exact action, once, until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalAnswer {
    /// Yes, unsigned: recorded as given in the same process. Counts only where the mandate pins no approver.
    Approved,
    /// No.
    Refused,
    /// Yes or no, signed.
    Signed(Box<SignedAnswer>),
    /// Not now; the proposal waits.
    Later,
}

/// Answers tickets: at the terminal, in code.
///
/// # What implementers guarantee
/// The answer comes from the approver and from nothing that a model, page or tool wrote. No answer is no approval.
#[async_trait]
pub trait Approver: Send + Sync + fmt::Debug {
    /// The approver's name, for the journal.
    fn name(&self) -> &str;

    /// Answers a ticket.
    ///
    /// # Cancellation
    /// Dropping the future counts as [`ApprovalAnswer::Later`].
    async fn answer(&self, ticket: &ApprovalTicket) -> ApprovalAnswer;
}

/// An approver in code.
///
/// # Example
/// ```
/// use bursar_payments::{ApprovalAnswer, ApproveWith};
/// let small_only = ApproveWith::new("small plans only", |ticket| match ticket.summary.contains("0.0") {
///     true => ApprovalAnswer::Approved,
///     false => ApprovalAnswer::Refused,
/// });
/// # let _: &dyn bursar_payments::Approver = &small_only;
/// ```
pub struct ApproveWith {
    name: String,
    answer: Box<dyn Fn(&ApprovalTicket) -> ApprovalAnswer + Send + Sync>,
}

impl ApproveWith {
    /// Answers tickets with a function.
    pub fn new(
        name: impl Into<String>,
        answer: impl Fn(&ApprovalTicket) -> ApprovalAnswer + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), answer: Box::new(answer) }
    }
}

impl fmt::Debug for ApproveWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApproveWith").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Approver for ApproveWith {
    fn name(&self) -> &str {
        &self.name
    }

    async fn answer(&self, ticket: &ApprovalTicket) -> ApprovalAnswer {
        (self.answer)(ticket)
    }
}
