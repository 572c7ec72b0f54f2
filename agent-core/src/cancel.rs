//! Cancellation.

use tokio_util::sync::CancellationToken;

/// Says that nobody waits for the work any more.
///
/// Cheap to clone; all clones are cancelled together. Cancelling stops new work and never drops a running call of a
/// tool that may spend.
///
/// # Example
/// ```
/// use bursar_agent_core::Cancel;
/// let run = Cancel::new();
/// let call = run.child();
/// run.cancel();
/// assert!(call.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Not cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels this and all its clones and children.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is cancelled.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// One that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
