//! The gate in front of every tool call.

use crate::clock::Timestamp;
use crate::decision::Decision;
use crate::digest::Digest;
use crate::id::{AgentId, ApprovalId, CallId, RunId, SessionId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// What a tool call does to the world; decides whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads only: may run beside others and again.
    Read,
    /// Changes something: never replayed blind.
    Write,
    /// May spend through the purse: never aborted; repeated after a crash, where the purse joins the first payment.
    Spend,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentId,
    /// The user on whose behalf the agent acts, as a pseudonym.
    pub user: String,
    /// The agent's role, such as `research`.
    pub role: String,
}

/// A tool call that wants to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The run it belongs to.
    pub run: RunId,
    /// The call.
    pub call: CallId,
    /// The tool's name, from the registry and never from the model alone.
    pub tool: String,
    /// What the tool does to the world.
    pub effect: Effect,
    /// Digest of the canonical arguments.
    pub arguments: Digest,
}

/// The gate could not decide. Callers treat it as a denial.
#[derive(Debug, Error)]
#[error("gate could not decide")]
pub struct GateError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where an action stands that the rules ask a person about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Asked {
    /// Nobody can be asked here, so it may not happen.
    Nobody,
    /// Somebody said yes to this very tool and these arguments, and the rules allow it with that. The yes is used up by this call.
    Allowed(Decision),
    /// Somebody said no, nobody may be asked, or the rules refuse it now whatever anybody says.
    Refused(Decision),
    /// It waits for an answer; nothing happened.
    Waits {
        /// The question.
        approval: ApprovalId,
        /// After this moment no answer counts.
        until: Timestamp,
    },
}

/// Decides whether a tool call may happen.
///
/// # What implementers guarantee
/// The answer depends on the action and on stored state only; an approval lifts an escalation and never a denial.
#[async_trait]
pub trait Gate: Send + Sync + fmt::Debug {
    /// Decides on `action`.
    ///
    /// # Errors
    /// [`GateError`]: the caller must treat it as a denial.
    async fn decide(&self, action: &Action) -> Result<Decision, GateError>;

    /// Puts an action that the rules [escalate](crate::Verdict::Escalate) to whoever may answer, or takes up what was put before. `shown`
    /// is what the action would do, for a person to read: the arguments as the model wrote them.
    ///
    /// # Errors
    /// [`GateError`]: the caller must treat it as a denial.
    ///
    /// # Idempotency
    /// A call that was allowed is allowed again, as long as the rules say so: the yes is used up once for it.
    async fn ask(&self, action: &Action, shown: &str) -> Result<Asked, GateError> {
        let _ = (action, shown);
        Ok(Asked::Nobody)
    }
}
