//! Watching: recovery on a timer.

use super::{Payments, Recovered};
use bursar_types::FetchError;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Recovery that runs beside other work. It ends when this is dropped, in the middle of nothing: what a pass has booked
/// stays, and the next start goes on from there.
#[derive(Debug)]
#[must_use = "recovery stops when this is dropped"]
pub struct Watch {
    task: JoinHandle<()>,
    passes: watch::Receiver<u64>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Waits until another pass is over.
    ///
    /// # Cancellation
    /// Nothing is lost by dropping the future.
    pub async fn next_pass(&mut self) {
        // The sender lives as long as the task, and the task as long as this.
        let _ended = self.passes.changed().await;
    }
}

impl Payments {
    /// Runs [`Payments::recover_due`] every `every`, for the first time after it, until the returned value is dropped. `told` hears what each pass found.
    ///
    /// Aborting in the middle of a pass is a crash at that point, which recovery is made for. It must be called within a
    /// tokio runtime.
    pub fn watch(
        &self,
        every: Duration,
        mut told: impl FnMut(&Result<Recovered, FetchError>) + Send + 'static,
    ) -> Watch {
        let payments = self.clone();
        let (count, passes) = watch::channel(0_u64);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                told(&payments.recover_due().await);
                count.send_modify(|count| *count = count.saturating_add(1));
            }
        });
        Watch { task, passes }
    }
}
