//! What sagas need of the purse.

use super::open::fold_session;
use super::{Payments, SessionPurse, ask, unavailable};
use crate::payment::Ask;
use crate::recovery::RecoveryRules;
use crate::saga::Compensators;
use bursar_ledger::Ledger;
use bursar_types::{Clock, Digest, Entropy, FetchError, HttpRequest, PurchaseKey, SessionId};
use std::sync::Arc;

/// What a saga is driven with.
#[derive(Debug, Clone)]
pub(crate) struct SagaParts {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) rules: RecoveryRules,
    pub(crate) compensators: Compensators,
    /// Blinds the names of sagas, so that the journal alone confirms no guess.
    pub(crate) salt: Digest,
    /// Who looks after what stays open.
    pub(crate) owner: String,
}

impl SessionPurse {
    pub(crate) fn saga_parts(&self) -> SagaParts {
        SagaParts {
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            entropy: self.shared.entropy.clone(),
            rules: self.shared.recovery.clone(),
            compensators: self.shared.compensators.clone(),
            salt: self.salt,
            owner: self.owner(),
        }
    }

    /// The request as it is sent, and the name of its purchase.
    pub(crate) fn name_purchase(
        &self,
        request: HttpRequest,
        key: &PurchaseKey,
    ) -> Result<(HttpRequest, Ask), FetchError> {
        let request = ask::normalised(request)?;
        let ask = self.ask(&request, key)?;
        Ok((request, ask))
    }
}

impl Payments {
    /// The compensators that this process knows, for every saga of every session. Register them before recovery runs: a
    /// step whose compensator nobody knows waits.
    #[must_use]
    pub fn compensators(&self) -> &Compensators {
        &self.0.compensators
    }

    /// A session's purse, for what signs nothing.
    pub(crate) async fn purse_for_saga(&self, session: SessionId) -> Result<Arc<SessionPurse>, FetchError> {
        let state = fold_session(self.ledger(), session, None).await.map_err(unavailable)?;
        Ok(self.purse_for_recovery(state))
    }
}
