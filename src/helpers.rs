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
    /// The session of a call: its name follows from the call, so it is taken up again and never opened twice. It is cut from the
    /// session that calls, which may be one of a sub-agent's: nobody hands on more than they have.
    async fn session(&self, call: &ToolContext) -> Result<Arc<SessionPurse>, ToolError> {
        let caller = self.caller(call).await?;
        let id = SessionId::derived(&[b"sub-agent", call.call().as_bytes()]);
        let failed = |what: &str, error: &dyn fmt::Display| {
            ToolError::not_executed(format!("the sub-agent's session cannot be {what}: {error}"))
        };
        // It may have been at work before.
        let lost = |error: &dyn fmt::Display| {
            ToolError::unknown(format!("the sub-agent's session cannot be taken up: {error}"))
        };
        match self.bursar.0.payments.resume_session(id, self.hooks.clone()).await {
            Ok(purse) => {
                return match purse.descends_from(caller.session()).await {
                    Ok(true) => Ok(purse),
                    Ok(false) => Err(lost(&"another session has its name")),
                    Err(error) => Err(lost(&error)),
                };
            }
            Err(OpenError::NoSession(_)) => {}
            Err(error) => return Err(lost(&error)),
        }
        let mandate = caller.mandate().await.map_err(|error| failed("opened", &error))?;
        let mandate = Mandate { session: Some(id), ..(self.cut)(mandate.child(&self.agent)) };
        caller.delegate(mandate, self.hooks.clone()).await.map_err(|error| failed("opened", &error))
    }

    /// The purse of the session that calls, if that is the one whose helpers these are, or was delegated by it, however often over.
    async fn caller(&self, call: &ToolContext) -> Result<Arc<SessionPurse>, ToolError> {
        if call.session() == self.parent.session() {
            return Ok(self.parent.clone());
        }
        let read = |error: &dyn fmt::Display| {
            ToolError::not_executed(format!("the session that calls cannot be read: {error}"))
        };
        let caller = self.bursar.0.payments.resume_session(call.session(), self.hooks.clone()).await;
        let caller = caller.map_err(|error| read(&error))?;
        match caller.descends_from(self.parent.session()).await {
            Ok(true) => Ok(caller),
            Ok(false) => Err(ToolError::not_executed(
                "this sub-agent belongs to another session than the one that calls it; it cannot work here",
            )),
            Err(error) => Err(read(&error)),
        }
    }
}

#[async_trait]
impl Delegate for Helpers {
    async fn delegate(&self, call: &ToolContext) -> Result<RunContext, ToolError> {
        let purse = self.session(call).await?;
        Ok(run_context(&self.bursar, &purse, &self.sender, Cancel::new()))
    }
}
