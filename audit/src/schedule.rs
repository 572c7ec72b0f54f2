//! Publishing on a timer.

use crate::error::PublishError;
use crate::publisher::{Published, Publisher};
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
    /// Being dropped in the middle is a crash at that point, after which the log is whole. It must be called within a tokio
    /// runtime.
    pub fn every(
        &self,
        every: Duration,
        mut told: impl FnMut(&Result<Published, PublishError>) + Send + 'static,
    ) -> Schedule {
        let publisher = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                told(&publisher.publish().await);
            }
        });
        Schedule { task }
    }
}
