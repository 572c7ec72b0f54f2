//! What follows from the end of a run.

use crate::audit::Keeper;
use async_trait::async_trait;
use bursar_agent_core::{AfterRun, RunOutcome};
use bursar_payments::Payments;
use bursar_types::{RunId, SessionId};
use std::time::Duration;

/// How long the end of a run waits for what it left open. What is not done by then goes on on the timer.
const WAIT: Duration = Duration::from_secs(10);

/// Looks after what a run left open that has no answer: a model or a tool that failed or took too long, a limit, a
/// cancellation. What it paid for and has is kept; what is owed to it is asked for, and then asked back. After every run, tries of models
/// that nobody settles any more count as spent, such as those of a helper that was cut off, and the journal is published.
#[derive(Debug)]
pub(crate) struct LookAfter {
    pub(crate) payments: Payments,
    pub(crate) session: SessionId,
    pub(crate) log: Option<Keeper>,
}

#[async_trait]
impl AfterRun for LookAfter {
    async fn ended(&self, run: RunId, outcome: &RunOutcome) {
        match outcome {
            RunOutcome::Stopped { .. } => self.look_after(run).await,
            RunOutcome::Answered { .. } => self.settle_tries(run).await,
        }
        if let Some(log) = &self.log {
            log.publish_soon().await;
        }
    }
}

impl LookAfter {
    async fn settle_tries(&self, run: RunId) {
        match tokio::time::timeout(WAIT, self.payments.settle_tries_under(self.session)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(settled)) => {
                tracing::info!(%run, settled, "tries of models that nobody settles count as spent")
            }
            Ok(Err(error)) => tracing::warn!(%run, %error, "tries of models could not be looked after"),
            Err(_) => tracing::info!(%run, "tries of models are looked after on the timer"),
        }
    }

    async fn look_after(&self, run: RunId) {
        match tokio::time::timeout(WAIT, self.payments.recover_session(self.session)).await {
            Ok(Ok(found)) => tracing::info!(%run, ?found, "looked after what the run left open"),
            Ok(Err(error)) => {
                tracing::warn!(%run, %error, "what the run left open could not be looked after")
            }
            Err(_) => tracing::info!(%run, "what the run left open is looked after on the timer"),
        }
    }
}
