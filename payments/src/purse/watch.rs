//! Watching: recovery on a timer.

use super::{Payments, Recovered};
use bursar_types::FetchError;
use std::time::Duration;
use tokio::task::JoinHandle;

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
    /// Aborting in the middle of a pass is a crash at that point, which recovery is made for. It must be called within a
    /// tokio runtime.
    pub fn watch(
        &self,
        every: Duration,
        mut told: impl FnMut(&Result<Recovered, FetchError>) + Send + 'static,
    ) -> Watch {
        let payments = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                told(&payments.recover_due().await);
            }
        });
        Watch { task }
    }
}
