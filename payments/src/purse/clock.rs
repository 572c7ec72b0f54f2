//! The time that is decided by: never earlier than what the journal was written at.
//!
//! A clock that was set back would let a mandate, a plan or a yes count again that had run out. So whoever decides goes by the later of
//! the clock and the journal, and where these are far apart, nobody can say which is right: nothing is bought until a person does.

use super::{Payments, SessionPurse, Shared, unavailable};
use crate::reasons;
use bursar_ledger::{CommitError, Refusal, Require, SealedEvent, StoreError, StreamId, Transaction};
use bursar_types::{FetchError, Reason, Timestamp};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

/// How far a clock may be behind the journal: what several machines' clocks differ by, and what a correction takes back.
pub(crate) const BEHIND_MS: u64 = 60_000;

/// The clock beside the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockStanding {
    /// What the clock says.
    pub now: Timestamp,
    /// When the journal was written last, by its own time; `None` if it is empty.
    pub written: Option<Timestamp>,
}

impl ClockStanding {
    /// Whether the clock is so far behind the journal that nothing is bought.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.written.is_some_and(|written| self.now.plus_ms(BEHIND_MS) < written)
    }
}

/// The journal's time, as a person turned it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockTurned {
    /// When the journal had been written last.
    pub from: Timestamp,
    /// Its time since.
    pub to: Timestamp,
}

/// Why the journal's time was not turned back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The name or the reason is missing.
    #[error("{0} is empty; say who decides, and why, so that the journal can tell")]
    Empty(&'static str),
    /// The clock is not behind.
    #[error("the clock is not behind the journal, so there is nothing to turn back")]
    NotBehind,
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] FetchError),
}

impl Shared {
    async fn clock_standing(&self) -> Result<ClockStanding, StoreError> {
        let size = self.ledger.head().await?.size;
        let last = match size.checked_sub(1) {
            Some(last) => self.ledger.entries(last, 1).await?,
            None => Vec::new(),
        };
        // The clock is read after the journal: what was written meanwhile is later.
        Ok(ClockStanding { now: self.clock.now(), written: last.first().map(|entry| entry.at) })
    }

    /// The time to decide by, or why nobody can say what time it is.
    pub(super) async fn time(&self) -> Result<Result<Timestamp, Reason>, FetchError> {
        let standing = self.clock_standing().await.map_err(unavailable)?;
        let ClockStanding { now, written } = standing;
        Ok(match written {
            Some(written) if standing.is_behind() => Err(reasons::clock_behind(now, written)),
            written => Ok(written.map_or(now, |written| written.max(now))),
        })
    }
}

impl SessionPurse {
    pub(super) async fn time(&self) -> Result<Result<Timestamp, Reason>, FetchError> {
        self.shared.time().await
    }
}

/// The condition that what was decided at `now` is written soon after, by the journal's time.
pub(super) const fn still(now: Timestamp) -> Require {
    Require::ClockWithin { now, by_ms: BEHIND_MS }
}

impl Payments {
    /// The clock beside the journal's time.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn clock(&self) -> Result<ClockStanding, FetchError> {
        self.0.clock_standing().await.map_err(unavailable)
    }

    /// Turns the journal's time back to the clock's: a person's word that the clock is right, and had once been far ahead. Until then
    /// nothing is bought (`CLOCK_BEHIND`). What was spent later than now counts as spent now; plans and approvals that were given under
    /// the wrong clock count no more where they would live longer than the mandate lets them.
    ///
    /// # Errors
    /// [`ClockError`]; [`ClockError::NotBehind`] if the clock is not behind.
    ///
    /// # Idempotency
    /// A second call finds nothing to turn back.
    pub async fn turn_clock_back(&self, by: &str, reason: &str) -> Result<ClockTurned, ClockError> {
        for (what, text) in [("the name", by), ("the reason", reason)] {
            if text.trim().is_empty() {
                return Err(ClockError::Empty(what));
            }
        }
        let standing = self.clock().await?;
        let from = standing.written.filter(|_| standing.is_behind()).ok_or(ClockError::NotBehind)?;
        let said = json!({"by": by, "reason": reason});
        let mut transaction = Transaction { turn_back: true, ..Transaction::default() };
        let stream = StreamId::of("clock", "accepted");
        SealedEvent::new(stream, "clock.accepted", [("by", json!("person"))], &said, &*self.0.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        match self.0.ledger.commit(transaction).await {
            Ok(committed) => Ok(ClockTurned { from, to: committed.at }),
            // Somebody else did.
            Err(CommitError::Refused(Refusal::BadTurn(_))) => Err(ClockError::NotBehind),
            Err(error) => Err(unavailable(error).into()),
        }
    }
}
