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

/// What became of a ticket.
#[derive(Debug)]
pub(crate) enum Stub {
    /// None was given.
    None,
    /// It was used.
    Used,
    /// It was not: the call was kept from being made.
    Left(Ticket),
}

/// The tickets of dispatches that go on. Each is used once, and those that were used are remembered until the dispatch is over.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<EffectId, Option<Ticket>>>);

impl Tickets {
    fn given(&self) -> MutexGuard<'_, HashMap<EffectId, Option<Ticket>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give(&self, to: EffectId, ticket: Ticket) {
        self.given().insert(to, Some(ticket));
    }

    /// Uses a ticket.
    pub(crate) fn take(&self, of: EffectId) -> Option<Ticket> {
        self.given().get_mut(&of).and_then(Option::take)
    }

    /// The dispatch is over.
    pub(crate) fn close(&self, of: EffectId) -> Stub {
        match self.given().remove(&of) {
            None => Stub::None,
            Some(None) => Stub::Used,
            Some(Some(ticket)) => Stub::Left(ticket),
        }
    }
}
