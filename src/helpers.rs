//! Sessions for sub-agents.

use crate::handle::Bursar;
use crate::session::run_context;
use async_trait::async_trait;
use bursar_agent_core::{Cancel, Delegate, EventSender, RunContext, ToolContext, ToolError};
use bursar_payments::{Mandate, OpenError, SessionHooks, SessionPurse};
use bursar_types::SessionId;
use std::fmt;
use std::sync::Arc;

/// Gives each call of a sub-agent a session cut from its parent's.
pub(crate) struct Helpers {
    pub(crate) bursar: Bursar,
    pub(crate) parent: Arc<SessionPurse>,
    pub(crate) hooks: SessionHooks,
    pub(crate) sender: EventSender,
    pub(crate) agent: String,
    pub(crate) cut: Box<dyn Fn(Mandate) -> Mandate + Send + Sync>,
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Helpers {
    /// The session of a call: its name follows from the call, so it is taken up again and never opened twice.
    async fn session(&self, call: &ToolContext) -> Result<Arc<SessionPurse>, ToolError> {
        if call.session() != self.parent.session() {
            // Its mandate is cut from that session's, which may be more than the caller's own allows.
            return Err(ToolError::not_executed(
                "this sub-agent belongs to another session than the one that calls it; it cannot work here",
            ));
        }
        let id = SessionId::derived(&[b"sub-agent", call.call().as_bytes()]);
        let failed = |what: &str, error: &dyn fmt::Display| {
            ToolError::not_executed(format!("the sub-agent's session cannot be {what}: {error}"))
        };
        match self.bursar.0.payments.resume_session(id, self.hooks.clone()).await {
            Ok(purse) => return Ok(purse),
            Err(OpenError::NoSession(_)) => {}
            // It may have been at work before.
            Err(error) => {
                let message = format!("the sub-agent's session cannot be taken up: {error}");
                return Err(ToolError::unknown(message));
            }
        }
        let mandate = self.parent.mandate().await.map_err(|error| failed("opened", &error))?;
        let mandate = Mandate { session: Some(id), ..(self.cut)(mandate.child(&self.agent)) };
        self.parent.delegate(mandate, self.hooks.clone()).await.map_err(|error| failed("opened", &error))
    }
}

#[async_trait]
impl Delegate for Helpers {
    async fn delegate(&self, call: &ToolContext) -> Result<RunContext, ToolError> {
        let purse = self.session(call).await?;
        Ok(run_context(&self.bursar, &purse, &self.sender, Cancel::new()))
    }
}
