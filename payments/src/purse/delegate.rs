//! Delegation: a session under a mandate that is cut from another session's.

use super::open::{add_session_event, fold_session};
use super::{OpenError, Payments, SessionHooks, SessionPurse};
use crate::mandate::{Mandate, Widened};
use crate::session::SessionEvent;
use bursar_ledger::{StreamId, Transaction};
use bursar_types::{FetchError, Reason, SessionId};
use std::sync::Arc;
use thiserror::Error;

/// Why nothing was delegated.
#[derive(Debug, Error)]
pub enum DelegateError {
    /// The mandate allows what the session's own does not.
    #[error(transparent)]
    Widened(#[from] Widened),
    /// The session, or one above it, stands still.
    #[error("{0}")]
    Stopped(Reason),
    /// The session could not be read.
    #[error(transparent)]
    Money(#[from] FetchError),
    /// The new session could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Payments {
    /// Takes a session's mandate back, as [`SessionPurse::revoke`] does: for a person, who needs no wallet for it.
    ///
    /// # Errors
    /// [`OpenError`] if there is no such session, or the ledger failed: it may or may not be revoked; call again.
    ///
    /// # Idempotency
    /// Revoking again changes nothing.
    pub async fn revoke(&self, session: SessionId, by: &str) -> Result<(), OpenError> {
        let state = fold_session(&self.0.ledger, session, None).await?;
        if state.revoked.is_some() {
            return Ok(());
        }
        let mut transaction = Transaction::default();
        let event = SessionEvent::Revoked { by: by.to_owned() };
        add_session_event(&mut transaction, &self.0, &StreamId::of("session", session), &event)?;
        self.0.ledger.commit(transaction).await?;
        Ok(())
    }
}

impl SessionPurse {
    /// Opens a session for a helper under a mandate that is cut from this one's, such as [`Mandate::child`] makes.
    ///
    /// The new session begins to explore: it has no plans, but for the metered items that its mandate names. Whatever it
    /// spends counts in every budget and limit of this session too, so that all helpers together cannot pass them; and
    /// while this session is frozen, expired or revoked, it sets nothing aside and signs nothing.
    ///
    /// # Errors
    /// [`DelegateError::Widened`] names the field that is wider than here.
    ///
    /// # Idempotency
    /// None: each call opens another session.
    ///
    /// # Cancellation
    /// Dropping the future leaves at most a session that nobody holds.
    pub async fn delegate(&self, mandate: Mandate, hooks: SessionHooks) -> Result<Arc<Self>, DelegateError> {
        let lineage = self.lineage().await?;
        if let Some(reason) = lineage.stopped(self.shared.clock.now()) {
            return Err(DelegateError::Stopped(reason));
        }
        mandate.narrower_than(&lineage.own().mandate)?;
        // A dry run delegates dry runs.
        let hooks = SessionHooks { approval: self.hooks.approval.strictest(hooks.approval), ..hooks };
        Ok(Payments(self.shared.clone()).begin(mandate, Some(&lineage), hooks).await?)
    }

    /// Whether it is that session, or was delegated by it, however often over: then whatever is spent here counts there too.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn descends_from(&self, session: SessionId) -> Result<bool, FetchError> {
        Ok(self.lineage().await?.states().any(|state| state.id == session))
    }

    /// The mandate it spends under.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn mandate(&self) -> Result<Mandate, FetchError> {
        Ok(self.state().await?.mandate.clone())
    }

    /// Takes the mandate back, for good: this session, and all that were delegated from it, sign nothing any more. What was
    /// signed already is settled, and not presented again.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be revoked; call again.
    ///
    /// # Idempotency
    /// Revoking again changes nothing.
    pub async fn revoke(&self, by: impl Into<String>) -> Result<(), FetchError> {
        self.append_session_event(&SessionEvent::Revoked { by: by.into() }).await
    }
}
