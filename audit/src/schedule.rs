//! Publishing on a timer.

use crate::error::PublishError;
use crate::publisher::{Asked, Published, Publisher};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Publishing that runs beside other work, and ends when this is dropped.
#[derive(Debug)]
#[must_use = "publishing stops when this is dropped"]
pub struct Schedule {
    task: JoinHandle<()>,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Publisher {
    /// Publishes every `every` if something happened since, until the returned value is dropped. `told` hears what came of it.
    ///
    /// Witnesses see every checkpoint. Anchors are asked at most once a minute here: some are a repository, to which every
    /// checkpoint would be a commit. What [`Publisher::publish`] publishes they keep at once. While nothing happens, what
    /// failed is tried again with waits that double up to half a minute.
    ///
    /// Being dropped in the middle is a crash at that point, after which the log is whole. It must be called within a tokio
    /// runtime.
    pub fn every(
        &self,
        every: Duration,
        mut told: impl FnMut(&Result<Published, PublishError>) + Send + 'static,
    ) -> Schedule {
        let publisher = self.clone();
        let task = tokio::spawn(async move {
            let mut turn = Turns::new(every);
            loop {
                tokio::time::sleep(every).await;
                let entries = publisher.entries().await.ok();
                let Some(keep) = turn.take(entries) else { continue };
                let result = publisher.publish_as(Asked { anchors: keep, cosigners: false }).await;
                turn.done(&result, keep);
                told(&result);
            }
        });
        Schedule { task }
    }
}

/// How many ticks make a while.
#[derive(Debug)]
struct Turns {
    /// Ticks between two times that anchors are asked.
    minute: u32,
    /// The longest wait for what failed, in ticks.
    patience_max: u32,
    /// What was published without a concern, and kept by the anchors.
    settled: Option<u64>,
    /// What was tried last.
    tried: Option<u64>,
    since_kept: u32,
    wait: u32,
    waited: u32,
}

impl Turns {
    fn new(every: Duration) -> Self {
        let ticks = |seconds: u128| {
            u32::try_from(seconds.saturating_mul(1_000) / every.as_millis().max(1)).unwrap_or(u32::MAX).max(1)
        };
        let minute = ticks(60);
        Self {
            minute,
            patience_max: ticks(30),
            settled: None,
            tried: None,
            since_kept: minute,
            wait: 1,
            waited: 0,
        }
    }

    /// Whether there is something to do at this tick, and whether anchors are asked.
    fn take(&mut self, entries: Option<u64>) -> Option<bool> {
        self.since_kept = self.since_kept.saturating_add(1);
        self.waited = self.waited.saturating_add(1);
        let keep = self.since_kept >= self.minute;
        if entries.is_some() && entries == self.settled {
            return None;
        }
        // Nothing happened: what failed, or was not asked yet, waits.
        if entries.is_some() && entries == self.tried && self.waited < self.wait {
            return None;
        }
        self.tried = entries;
        Some(keep)
    }

    fn done(&mut self, result: &Result<Published, PublishError>, keep: bool) {
        self.waited = 0;
        if keep {
            self.since_kept = 0;
        }
        let quiet = result.as_ref().is_ok_and(|published| published.concerns.is_empty());
        if quiet && keep {
            self.settled = self.tried;
        }
        self.wait = if quiet { 1 } else { self.wait.saturating_mul(2).min(self.patience_max) };
    }
}
