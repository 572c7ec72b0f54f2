//! Tickets: who let a dispatch of rig's through.

use crate::twin::Link;
use rig_core::effect::EffectId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Says that a dispatch is a call of a run under the governor, and which.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) link: Arc<Link>,
    pub(crate) tool: String,
    /// The call's number in the run.
    pub(crate) number: usize,
}

/// The tickets that are open, by the dispatches that they are for. Each is used once.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<EffectId, Ticket>>);

impl Tickets {
    fn open(&self) -> MutexGuard<'_, HashMap<EffectId, Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give(&self, to: EffectId, ticket: Ticket) {
        self.open().insert(to, ticket);
    }

    pub(crate) fn take(&self, of: EffectId) -> Option<Ticket> {
        self.open().remove(&of)
    }
}
