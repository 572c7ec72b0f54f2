//! Watching: recovery on a timer.

use super::{Payments, Recovered};
use bursar_types::FetchError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

/// Recovery that runs beside other work. It ends when this is dropped, in the middle of nothing: what a pass has booked
/// stays, and the next start goes on from there.
#[derive(Debug)]
#[must_use = "recovery stops when this is dropped"]
pub struct Watch {
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Payments {
    /// Runs [`Payments::recover_due`] every `every`, for the first time after it, until the returned value is dropped. `told` hears what each pass found.
    ///
    /// Aborting in the middle of a pass is a crash at that point, which recovery is made for. A pass that panics, or `told`
    /// when it does, is logged, and the next one comes in its time. It must be called within a tokio runtime.
    pub fn watch(
        &self,
        every: Duration,
        told: impl FnMut(&Result<Recovered, FetchError>) + Send + 'static,
    ) -> Watch {
        let payments = self.clone();
        let told = Arc::new(Mutex::new(told));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let (payments, told) = (payments.clone(), told.clone());
                // A task of its own, so that the timer outlives its panic. Dropping the set ends it.
                let mut pass = JoinSet::new();
                pass.spawn(async move {
                    let found = payments.recover_due().await;
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    (*told)(&found);
                });
                if let Some(Err(error)) = pass.join_next().await {
                    tracing::error!(%error, "a pass of recovery panicked; the next one comes in its time");
                }
            }
        });
        Watch { task }
    }
}
