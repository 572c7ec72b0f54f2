//! Recovery of sagas: going on with those that unwind, and taking back those that were abandoned.

use super::drive::SagaDriver;
use super::error::SagaError;
use super::id::SagaId;
use super::money::{OPEN, PARKED, PurseWorld};
use super::report::{SagaEnd, SagaReport};
use super::state::SagaState;
use crate::purse::Payments;
use bursar_ledger::StreamId;
use bursar_types::FetchError;
use serde::Serialize;
use std::collections::BTreeSet;
use tokio::task::JoinSet;

/// What one pass of recovery found of sagas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SagasRecovered {
    /// They run, and their time is not over: left alone.
    pub running: u64,
    /// They are being taken back: something is tried again, or awaited.
    pub unwinding: u64,
    /// Every step was undone, refunded or kept.
    pub compensated: u64,
    /// Something is at risk, and a person owns it; a completed saga may have that too.
    pub parked: u64,
    /// Another worker goes on with them.
    pub busy: u64,
    /// Their record could not be read or written, or their turn panicked.
    pub failed: u64,
}

impl Payments {
    /// Goes on with every saga that is being taken back, and takes back those that were abandoned. Part of every pass of
    /// [`Payments::recover`].
    ///
    /// # Errors
    /// [`FetchError::Ledger`] if they cannot be listed. One that cannot be taken up does not keep the others from going on.
    pub(crate) async fn recover_sagas(&self) -> Result<SagasRecovered, FetchError> {
        let mut found = SagasRecovered::default();
        for id in self.saga_ids(&[OPEN, PARKED]).await? {
            let payments = self.clone();
            // A task of its own, since users' own code runs in it. Dropping the set ends it.
            let mut turn = JoinSet::new();
            turn.spawn(async move { payments.recover_saga(id).await });
            let ended = match turn.join_next().await {
                Some(Ok(ended)) => ended,
                Some(Err(error)) => {
                    tracing::error!(saga = %id, %error, "a saga's turn panicked");
                    found.failed = found.failed.saturating_add(1);
                    continue;
                }
                None => continue,
            };
            let counter = match ended {
                Ok(Some(SagaEnd::Running)) => &mut found.running,
                Ok(Some(SagaEnd::Unwinding)) => &mut found.unwinding,
                Ok(Some(SagaEnd::Compensated)) => &mut found.compensated,
                Ok(Some(SagaEnd::Parked)) => &mut found.parked,
                Ok(Some(SagaEnd::Completed) | None) => continue,
                Err(SagaError::Fenced) => &mut found.busy,
                Err(error) => {
                    tracing::warn!(saga = %id, %error, "saga could not be taken up");
                    &mut found.failed
                }
            };
            *counter = counter.saturating_add(1);
        }
        Ok(found)
    }

    async fn recover_saga(&self, id: SagaId) -> Result<Option<SagaEnd>, SagaError> {
        let Some(mut driver) = self.saga_driver(id).await? else { return Ok(None) };
        let report = driver.go_on().await?;
        let with_a_person = report.end == SagaEnd::Completed && report.at_risk().next().is_some();
        Ok(Some(if with_a_person { SagaEnd::Parked } else { report.end }))
    }

    /// A person says what became of a step that was parked: the saga says so from then on. What a payee owes is settled
    /// with [`Payments::settle_obligation`] instead; its saga follows by itself.
    ///
    /// # Errors
    /// [`SagaError::Unexplained`] if the name or the reason is empty; [`SagaError::Illegal`] if there is no such step, or it
    /// is not parked; [`SagaError::Fenced`] if somebody else changed the saga: look again.
    pub async fn settle_saga_step(
        &self,
        saga: SagaId,
        step: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<SagaReport>, SagaError> {
        if by.trim().is_empty() || reason.trim().is_empty() {
            return Err(SagaError::Unexplained);
        }
        let Some(mut driver) = self.saga_driver(saga).await? else { return Ok(None) };
        driver.settle(step, by, reason).await.map(Some)
    }

    async fn saga_driver(&self, id: SagaId) -> Result<Option<SagaDriver<PurseWorld>>, SagaError> {
        let Some(state) = self.saga_state(id).await? else { return Ok(None) };
        let purse = self.purse_for_saga(state.session).await;
        let purse = purse.map_err(|error| SagaError::Ledger(Box::new(error)))?;
        SagaDriver::take_up(PurseWorld::new(purse), id).await
    }

    /// Every saga of which something has to be done, and every one that is over with something at risk, by id.
    ///
    /// # Errors
    /// [`SagaError::Ledger`], or [`SagaError::Illegal`] if the records of one do not fold.
    pub async fn sagas(&self) -> Result<Vec<SagaReport>, SagaError> {
        let ids = self.saga_ids(&[OPEN, PARKED]).await;
        let mut all = Vec::new();
        for id in ids.map_err(|error| SagaError::Ledger(Box::new(error)))? {
            all.extend(self.saga(id).await?);
        }
        Ok(all)
    }

    /// How one saga stands; `None` if there is none.
    ///
    /// # Errors
    /// As for [`Payments::sagas`].
    pub async fn saga(&self, id: SagaId) -> Result<Option<SagaReport>, SagaError> {
        Ok(self.saga_state(id).await?.as_ref().map(SagaReport::of))
    }

    async fn saga_state(&self, id: SagaId) -> Result<Option<SagaState>, SagaError> {
        let events = self.ledger().events(&StreamId::of("saga", id), 0).await;
        let mut state = None;
        for event in events.map_err(|error| SagaError::Ledger(Box::new(error)))? {
            state = Some(SagaState::apply(id, state, event)?);
        }
        Ok(state)
    }

    async fn saga_ids(&self, prefixes: &[&str]) -> Result<BTreeSet<SagaId>, FetchError> {
        let mut ids = BTreeSet::new();
        for prefix in prefixes {
            let links = self.ledger().links(prefix).await;
            let links = links.map_err(|error| FetchError::Ledger(Box::new(error)))?;
            ids.extend(links.into_iter().filter_map(|(_, value)| SagaId::parse(&value).ok()));
        }
        Ok(ids)
    }
}
