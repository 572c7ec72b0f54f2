//! Who takes a user's own steps back, found by name.

use super::id::CompensationId;
use crate::rail::RemedyError;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Takes back what a step did.
///
/// # What implementers guarantee
/// The same id has its effect once, however often it is asked: after a crash it is asked again. It bears that the step was
/// never done, or done in part.
#[async_trait]
pub trait Compensator: Send + Sync + fmt::Debug {
    /// The name that [`Undo::by`](crate::Undo::by) gives.
    fn name(&self) -> &str;

    /// Takes the step back. Returns what was done, in words.
    ///
    /// # Errors
    /// [`RemedyError::Failed`] is tried again, with growing waits and not for ever; the others are of no use to repeat. What
    /// fails for good is parked: a person is named who looks after it.
    ///
    /// # Cancellation
    /// It may be dropped at any point, and is asked again under the same id then. One that takes longer than a remedy waits
    /// before it is tried again, and at most a minute, is dropped and counts as failed; so does one that panics.
    async fn compensate(&self, arguments: &Value, id: CompensationId) -> Result<String, RemedyError>;
}

/// The compensators that a process knows. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Compensators(Arc<RwLock<BTreeMap<String, Arc<dyn Compensator>>>>);

impl Compensators {
    /// Adds one; a second of the same name takes its place.
    pub fn register(&self, compensator: Arc<dyn Compensator>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(compensator.name().to_owned(), compensator);
    }

    /// The same with one more.
    #[must_use]
    pub fn with(self, compensator: Arc<dyn Compensator>) -> Self {
        self.register(compensator);
        self
    }

    /// The one of this name, if it is known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Compensator>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds all of another list.
    pub fn extend(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let known: Vec<_> =
            other.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        known.into_iter().for_each(|compensator| self.register(compensator));
    }
}
