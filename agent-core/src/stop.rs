//! Why a run has no answer.

use crate::model::ModelErrorKind;
use crate::warning::Problem;
use bursar_types::{Amount, ApprovalId, CallId, Reason, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a run has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum StopCause {
    /// The model had its turns.
    #[error("all {limit} turns were used")]
    Turns {
        /// The limit.
        limit: u32,
    },
    /// The tools were called as often as they may be.
    #[error("all {limit} tool calls were used")]
    Calls {
        /// The limit.
        limit: u32,
    },
    /// The tokens are used up.
    #[error("{used} tokens were used where {limit} were allowed")]
    Tokens {
        /// The limit.
        limit: u64,
        /// How many were used.
        used: u64,
    },
    /// There is a limit on tokens and the model does not report them. Unknown is not zero.
    #[error("tokens are limited and the model did not report how many it used")]
    TokensUnreported,
    /// The time is over.
    #[error("time was over after {limit_ms} ms")]
    Time {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The time of the run that it works for is over.
    #[error("the time of the run that it works for was over at {at}")]
    Deadline {
        /// When.
        at: Timestamp,
    },
    /// A budget shows as much spending as the run may see.
    #[error("budget `{budget}` shows {} of at most {} atomic units spent or held", .used.atomic(), .limit.atomic())]
    Spend {
        /// The budget that shows it.
        budget: String,
        /// The limit.
        limit: Amount,
        /// Spent and held.
        used: Amount,
    },
    /// There is a limit on spending and the purse cannot say how much was spent.
    #[error("spending is limited and the purse cannot say how much was spent: {problem}")]
    SpendUnknown {
        /// What the purse said.
        problem: String,
    },
    /// What the model cost is used up.
    #[error("the model cost {} micro-USD where {} were allowed", .used.atomic(), .limit.atomic())]
    ModelCost {
        /// The limit.
        limit: Amount,
        /// What it cost.
        used: Amount,
    },
    /// The model may not be called: what it may cost does not fit into a budget, or nothing may be spent.
    #[error("the model may not be called: {}", .reasons.first().map_or("a budget says no", |reason| reason.message.as_str()))]
    ModelWithheld {
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Someone cancelled it.
    #[error("it was cancelled")]
    Cancelled,
    /// The model failed for good.
    #[error("the model failed: {message}")]
    Model {
        /// What kind of failure.
        kind: ModelErrorKind,
        /// In words.
        message: String,
    },
    /// The model answered with nothing: no text, no call.
    #[error("the model answered with nothing")]
    EmptyReply,
    /// The model declined.
    #[error("the model declined{}", said(.text))]
    Refused {
        /// What it said; may be empty.
        text: String,
    },
    /// The provider or a guardrail withheld what the model said.
    #[error("what the model said was withheld{}", said(.text))]
    Filtered {
        /// What was left, or what the guardrail says instead; may be empty.
        text: String,
    },
    /// The conversation does not fit into what the model can read.
    #[error("the conversation does not fit into what the model can read")]
    ContextFull,
    /// Nothing could be used of so many turns in a row.
    #[error("nothing could be used of {turns} turns in a row; of the last one: {problem}")]
    Unusable {
        /// How many turns.
        turns: u32,
        /// What was wrong with the last one.
        problem: Problem,
    },
    /// The model went round in a circle, was told, and went on in the same circle.
    #[error("the model asked for the same again and again, with the same result: {tools}")]
    Repetition {
        /// The tools of one round.
        tools: String,
    },
    /// A `Write` was started and has no result, and its tool cannot tell whether it happened. A person has to say.
    #[error("nobody knows whether `{tool}` did its work (call {call}); a person has to say")]
    WriteUnknown {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
    },
    /// A call waits for an answer, and nothing of what it asks about was done. It is made again when the run is resumed.
    #[error("`{tool}` waits for an answer to question {approval}, until {until}")]
    AwaitingApproval {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// The question.
        approval: ApprovalId,
        /// After this moment no answer counts.
        until: Timestamp,
    },
}

impl StopCause {
    /// Whether `resume` goes on from here: the run stands still and has not ended.
    ///
    /// A limit that is used up stays used up. What may be different the next time is tried again: a cancellation is over, a model
    /// or a purse may answer now, somebody may have answered a question, and a person may know what came of a call.
    ///
    /// ```
    /// use bursar_agent_core::StopCause;
    /// assert!(StopCause::Cancelled.can_go_on());
    /// assert!(!StopCause::Turns { limit: 40 }.can_go_on());
    /// ```
    #[must_use]
    pub const fn can_go_on(&self) -> bool {
        match self {
            Self::Cancelled
            | Self::Deadline { .. }
            | Self::WriteUnknown { .. }
            | Self::AwaitingApproval { .. }
            | Self::Model { .. }
            | Self::ModelWithheld { .. }
            | Self::SpendUnknown { .. } => true,
            Self::Turns { .. }
            | Self::Calls { .. }
            | Self::Tokens { .. }
            | Self::TokensUnreported
            | Self::Time { .. }
            | Self::Spend { .. }
            | Self::ModelCost { .. }
            | Self::EmptyReply
            | Self::Refused { .. }
            | Self::Filtered { .. }
            | Self::ContextFull
            | Self::Unusable { .. }
            | Self::Repetition { .. } => false,
        }
    }
}

/// The first words of a text, for a sentence that goes on with them.
fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let words: String = text.chars().take(200).flat_map(char::escape_debug).collect();
    format!(": {words}")
}
