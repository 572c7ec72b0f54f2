//! Ctrl-C: the first time in order, the second time at once.

use crate::exit::INTERRUPTED;
use crate::screen::Notes;
use bursar::Cancel;

/// Watches for Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
}

impl Interrupt {
    /// Begins to watch. The first Ctrl-C says `first`; the second one ends the process.
    pub(crate) fn watch(notes: Notes, first: &'static str) -> Self {
        let cancel = Cancel::new();
        let told = cancel.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            notes.say(first);
            told.cancel();
            if tokio::signal::ctrl_c().await.is_ok() {
                leave();
            }
        });
        Self { cancel }
    }

    /// Waits for the first Ctrl-C.
    pub(crate) async fn wait(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether it came.
    pub(crate) fn came(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

#[expect(
    clippy::exit,
    reason = "whoever asks twice does not want to wait; what is durable is taken up next time"
)]
fn leave() {
    std::process::exit(i32::from(INTERRUPTED));
}
