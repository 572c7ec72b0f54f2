//! A session with those that delegated to it: what stops one of them stops it too.

use super::budgets::Holder;
use super::freeze::{Stop, stops};
use super::open::{OpenError, fold_session};
use super::pseudonym::Pseudonyms;
use super::{SessionPurse, Shared, unavailable};
use crate::freeze::FreezeScope;
use crate::reasons;
use crate::session::SessionState;
use bursar_ledger::{CommitError, Refusal, Require, StreamId};
use bursar_types::{FetchError, Reason, SessionId, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many sessions can stand above a session.
pub(super) const DEPTH_MAX: usize = 8;

/// A session, and the sessions it was delegated by, nearest first.
#[derive(Debug, Clone)]
pub(super) struct Lineage {
    own: Arc<SessionState>,
    above: Vec<Arc<SessionState>>,
    /// Under which names the budgets of each are, its own first.
    names: Vec<Pseudonyms>,
    /// Freezes of everybody, of the wallet, and of the agents.
    stops: Vec<Stop>,
}

impl Lineage {
    /// A session that begins below the sessions of `above`.
    pub(super) async fn new(
        shared: &Shared,
        own: Arc<SessionState>,
        above: Option<&Self>,
    ) -> Result<Self, CommitError> {
        let mut names = vec![shared.pseudonyms_now(&own).await?];
        names.extend(above.into_iter().flat_map(|above| above.names.iter().cloned()));
        let above = above.into_iter().flat_map(Self::states).cloned().collect();
        // Whatever it does later reads the freezes.
        Ok(Self { own, above, names, stops: Vec::new() })
    }

    /// Folds every session above `own`, going on from what is known.
    pub(super) async fn read(
        shared: &Shared,
        own: Arc<SessionState>,
        known: &Ancestors,
    ) -> Result<Self, OpenError> {
        let mut above: Vec<Arc<SessionState>> = Vec::new();
        let mut parent = own.parent;
        while let Some(id) = parent {
            if above.len() >= DEPTH_MAX {
                return Err(OpenError::TooDeep);
            }
            let state = fold_session(&shared.ledger, id, known.get(id)).await?;
            known.put(&state);
            parent = state.parent;
            above.push(state);
        }
        let mut scopes = vec![FreezeScope::All, FreezeScope::wallet(shared.wallet.address())];
        let mut names = Vec::with_capacity(above.len().saturating_add(1));
        for state in std::iter::once(&own).chain(&above) {
            names.push(shared.pseudonyms_of(state).await?);
            let agent = FreezeScope::agent_of(&state.mandate.user, &state.mandate.agent);
            if !scopes.contains(&agent) {
                scopes.push(agent);
            }
        }
        let stops = stops(shared, &scopes).await?;
        Ok(Self { own, above, names, stops })
    }

    /// The session itself.
    pub(super) const fn own(&self) -> &Arc<SessionState> {
        &self.own
    }

    /// How many sessions it has.
    pub(super) fn depth(&self) -> usize {
        self.above.len().saturating_add(1)
    }

    /// Every session of it, its own first.
    pub(super) fn states(&self) -> impl Iterator<Item = &Arc<SessionState>> {
        std::iter::once(&self.own).chain(&self.above)
    }

    /// Whose rules count, its own first.
    pub(super) fn holders(&self) -> impl Iterator<Item = Holder<'_>> {
        let named = self.states().zip(&self.names);
        named.map(|(state, names)| Holder { session: state.id, mandate: &state.mandate, names })
    }

    /// Why nothing of it may be spent, if one of its sessions stands still.
    pub(super) fn stopped(&self, now: Timestamp) -> Option<Reason> {
        if let Some(stop) = self.stops.iter().find(|stop| stop.frozen) {
            return Some(match stop.is_outflow() {
                true => reasons::outflow_unknown(),
                false => reasons::frozen(),
            });
        }
        self.states().find_map(|state| {
            if state.revoked.is_some() {
                return Some(reasons::mandate_revoked());
            }
            if state.mandate.expired(now) {
                return Some(reasons::mandate_expired());
            }
            state.frozen.is_some().then(reasons::frozen)
        })
    }

    /// The conditions that nothing has happened to any of its sessions, and nobody froze or thawed them.
    pub(super) fn unmoved(&self) -> impl Iterator<Item = Require> {
        let sessions = self.states().map(|state| Require::StreamAt {
            stream: StreamId::of("session", state.id),
            length: state.length,
        });
        sessions.chain(self.stops.iter().map(Stop::unmoved))
    }

    /// Whether a refusal says that something happened to one of its sessions.
    pub(super) fn moved(&self, refusal: &Refusal) -> bool {
        let Refusal::StreamMoved { stream, .. } = refusal else { return false };
        self.states().any(|state| StreamId::of("session", state.id) == *stream)
            || self.stops.iter().any(|stop| stop.stream == *stream)
    }
}

/// Sessions above others as last folded.
#[derive(Debug, Default)]
pub(super) struct Ancestors(Mutex<HashMap<SessionId, Arc<SessionState>>>);

impl Ancestors {
    fn get(&self, id: SessionId) -> Option<Arc<SessionState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn put(&self, state: &Arc<SessionState>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&state.id).is_none_or(|known| known.length < state.length) {
            known.insert(state.id, state.clone());
        }
    }
}

impl SessionPurse {
    /// The session and those above it, as they are now.
    pub(super) async fn lineage(&self) -> Result<Lineage, FetchError> {
        let own = self.state().await?;
        Lineage::read(&self.shared, own, &self.ancestors).await.map_err(unavailable)
    }
}
