//! Taking plans back: the way from acquiring to exploring again.

use super::decide::{TRIES, denied};
use super::open::add_session_event;
use super::{SessionPurse, unavailable};
use crate::reasons;
use crate::session::SessionEvent;
use bursar_ledger::{CommitError, Refusal, Require, StreamId, Transaction};
use bursar_types::{FetchError, PlanId};

impl SessionPurse {
    /// Takes back every plan that stands, those of the mandate too: the session explores again, and nothing is signed until
    /// another plan is approved. What was signed before goes on. What waits for an approver is not asked any more, and a yes that was
    /// not used yet is void. Returns which plans it were.
    ///
    /// Whoever holds the purse may do this; it only narrows. The withdrawal and each signing are ordered by the ledger: no
    /// payment's terms are recorded after it under a plan that it took back.
    ///
    /// # Errors
    /// [`FetchError::Ledger`] if the ledger is not there; [`FetchError::Denied`] with `CONTENDED` if the session changed three
    /// times meanwhile: try again. Either way nothing was taken back.
    ///
    /// # Idempotency
    /// Taking back twice takes back nothing the second time.
    pub async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        for _ in 0..TRIES {
            let state = self.state().await?;
            let plans: Vec<_> = state.plans.iter().map(|plan| plan.id).collect();
            let asked: Vec<_> = state.pending.keys().chain(state.given.keys()).copied().collect();
            if plans.is_empty() && asked.is_empty() {
                return Ok(plans);
            }
            let stream = StreamId::of("session", self.session);
            let mut transaction = Transaction::default();
            transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
            let void = asked.into_iter().map(|approval| {
                let reason = "the agent plans anew".to_owned();
                SessionEvent::ApprovalWithdrawn { approval, reason }
            });
            let plain = (!plans.is_empty()).then(|| SessionEvent::PlansWithdrawn { plans: plans.clone() });
            for event in void.chain(plain) {
                add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(unavailable)?;
            }
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => {
                    self.note_phase().await;
                    return Ok(plans);
                }
                Err(CommitError::Refused(Refusal::StreamMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(FetchError::Denied(denied(reasons::contended())))
    }
}
