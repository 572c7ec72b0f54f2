//! Tries of models that nobody has settled: their process died, or was cut off.
//!
//! Whoever goes on with the run settles them. Of a run that is over nobody does, so recovery counts them as spent, all that was set
//! aside: the provider may have worked on each, and unknown is never zero. Which runs are over is not for this crate to say: [`Runs`].
//! A run that may still go on keeps what it set aside until it does, or until a person says that it will not.

use super::lineage::Lineage;
use super::open::fold_session;
use super::{Payments, unavailable};
use async_trait::async_trait;
use bursar_types::{
    Amount, FetchError, HoldId, MeterError, ModelCharge, ModelCost, ModelMeter, RunId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Where tries that are not settled are found.
const LINKS: &str = "model-open/";
/// How old a try is before the timer looks whether its run is over; one that is younger may be under way.
const YOUNG_MS: u64 = 600_000;

/// Knows which runs are over.
#[async_trait]
pub trait Runs: Send + Sync + fmt::Debug {
    /// Whether nobody will go on with a run: it has ended, or it worked for a call that has its result, or for a run that is over. Who
    /// cannot tell says no: what it set aside stays so.
    async fn is_over(&self, run: RunId) -> bool;
}

/// A try of a model that was set aside for and is not settled: it is under way, or its process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsettledTry {
    /// The session.
    pub session: SessionId,
    /// The sessions above it, nearest first.
    pub above: Vec<SessionId>,
    /// Which try of which turn of which run of which model, and the most it may cost, which is what is set aside.
    pub charge: ModelCharge,
    /// When it was set aside for.
    pub at: Timestamp,
}

/// What was found of tries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// How many were counted as spent.
    pub(super) settled: u64,
    /// How many are open.
    pub(super) open: u64,
    /// How many could not be settled.
    pub(super) failed: u64,
}

/// Where a try is found.
pub(super) fn link(hold: HoldId) -> String {
    format!("{LINKS}{hold}")
}

/// What is kept there.
pub(super) fn noted(
    lineage: &Lineage,
    charge: &ModelCharge,
    at: Timestamp,
) -> Result<String, serde_json::Error> {
    let mut sessions = lineage.states().map(|state| state.id);
    let session = sessions.next().unwrap_or(lineage.own().id);
    let model = bursar_types::visible(&charge.model, 200);
    let charge = ModelCharge { model, ..charge.clone() };
    serde_json::to_string(&UnsettledTry { session, above: sessions.collect(), charge, at })
}

impl Payments {
    /// Tells recovery which runs are over: see [`Runs`]. Without it, nothing is settled for a run.
    #[must_use]
    pub fn knowing_runs(self, runs: Arc<dyn Runs>) -> Self {
        // Who was told first stays.
        let _ = self.0.runs.set(runs);
        self
    }

    /// Tries of models that are not settled, the oldest first; those under way are among them. What cannot be read is left out and
    /// told in the log.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn unsettled_tries(&self) -> Result<Vec<UnsettledTry>, FetchError> {
        Ok(self.read_tries().await?.0)
    }

    /// Tries that are not settled, and how many cannot be read: those keep what they set aside.
    async fn read_tries(&self) -> Result<(Vec<UnsettledTry>, u64), FetchError> {
        let links = self.0.ledger.links(LINKS).await.map_err(unavailable)?;
        let (mut tries, mut unreadable) = (Vec::with_capacity(links.len()), 0_u64);
        for (link, noted) in links {
            match serde_json::from_str::<UnsettledTry>(&noted) {
                Ok(one) => tries.push(one),
                Err(error) => {
                    tracing::error!(%link, error = &error as &dyn std::error::Error, "what is noted of a try of a model cannot be read");
                    unreadable = unreadable.saturating_add(1);
                }
            }
        }
        tries.sort_by_key(|one| (one.at, one.charge.run, one.charge.turn, one.charge.attempt));
        Ok((tries, unreadable))
    }

    /// Counts all that is set aside for the tries of a run as spent, and says how many there were: a person's word that nobody goes on
    /// with the run. One that goes on all the same finds them settled.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]; what was counted stays so, and the rest is counted when it is called again.
    ///
    /// # Idempotency
    /// What was settled before stands.
    pub async fn count_tries(&self, run: RunId) -> Result<u64, FetchError> {
        let mut counted = 0_u64;
        for one in self.unsettled_tries().await?.iter().filter(|one| one.charge.run == run) {
            self.count(one).await?;
            counted = counted.saturating_add(1);
        }
        Ok(counted)
    }

    /// Counts the tries of runs that are over as spent, in a session and in those below it, and says how many there were. The rest
    /// of what is open is left to recovery.
    ///
    /// # Errors
    /// [`FetchError::Ledger`] if they cannot be listed.
    ///
    /// # Idempotency
    /// What was settled before stands.
    pub async fn settle_tries_under(&self, session: SessionId) -> Result<u64, FetchError> {
        Ok(self.settle_tries(false, Some(session)).await?.settled)
    }

    /// Settles the tries of runs that are over; of a session, those in it and in the sessions below it.
    pub(super) async fn settle_tries(
        &self,
        only_old: bool,
        session: Option<SessionId>,
    ) -> Result<Found, FetchError> {
        let (tries, failed) = self.read_tries().await?;
        let (mut found, now) = (Found { failed, ..Found::default() }, self.0.clock.now());
        for one in tries {
            let meant = session.is_none_or(|session| one.session == session || one.above.contains(&session));
            if !meant {
                continue;
            }
            let looks = !only_old || one.at.plus_ms(YOUNG_MS) <= now;
            let over = match self.0.runs.get() {
                Some(runs) if looks => runs.is_over(one.charge.run).await,
                _ => false,
            };
            let counter = match over {
                false => &mut found.open,
                true => match self.count(&one).await {
                    Ok(_) => &mut found.settled,
                    Err(error) => {
                        tracing::warn!(run = %one.charge.run, error = &error as &dyn std::error::Error, "a try of a model could not be settled");
                        &mut found.failed
                    }
                },
            };
            *counter = counter.saturating_add(1);
        }
        Ok(found)
    }

    async fn count(&self, one: &UnsettledTry) -> Result<Amount, FetchError> {
        let state = fold_session(&self.0.ledger, one.session, None).await.map_err(unavailable)?;
        let purse = self.purse_for_recovery(state);
        let settled = ModelMeter::settle(&*purse, &one.charge, &ModelCost::Unknown).await;
        settled.map_err(|MeterError(error)| FetchError::Ledger(error))
    }
}
