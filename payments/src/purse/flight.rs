//! One fetch at a time for one request.

use bursar_types::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// Lets the fetches of one request pass one after the other, so that the second finds what the first left. Between
/// processes the ledger's `open/` link does the same.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Flights {
    /// Waits for the turn.
    pub(crate) async fn enter(&self, request: Digest) -> OwnedMutexGuard<()> {
        self.turn(request).lock_owned().await
    }

    /// Takes the turn if nobody has it.
    pub(crate) fn try_enter(&self, request: Digest) -> Option<OwnedMutexGuard<()>> {
        self.turn(request).try_lock_owned().ok()
    }

    fn turn(&self, request: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = flights.get(&request).and_then(Weak::upgrade) {
            return turn;
        }
        // Looked through only when it has doubled, so that many requests at once stay cheap.
        if flights.len() == flights.capacity() {
            flights.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        flights.insert(request, Arc::downgrade(&turn));
        turn
    }
}
