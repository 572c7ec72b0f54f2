//! Messages to a run that is under way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// How many messages may wait.
const WAITING_MAX: usize = 32;
/// How long one may be.
const BYTES_MAX: usize = 64 << 10;

/// Says something to a run in its middle, as the user.
///
/// The run takes it in before its next turn of the model, never between a call and its result, and journals it then
/// ([`Record::Steered`](crate::Record::Steered)): what was journaled survives a crash, what still waits does not. A run that is
/// about to end with a text takes it in too, and goes on; one that a tool has ended does not: see [`Steer::untaken`].
/// Cheap to clone; all clones speak to the same run.
///
/// # Example
/// ```
/// use bursar_agent_core::Steer;
/// let steer = Steer::new();
/// steer.say("ada", "Leave out what is older than 2020.")?;
/// assert_eq!(steer.untaken(), ["Leave out what is older than 2020."]);
/// # Ok::<(), bursar_agent_core::SteerError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Steer(Arc<Mutex<VecDeque<Said>>>);

/// One message that waits.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) by: String,
    pub(crate) text: String,
}

/// The message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SteerError {
    /// It says nothing.
    #[error("the message is empty")]
    Empty,
    /// It is too long.
    #[error("the message has {bytes} bytes where {BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Too many wait already.
    #[error("{WAITING_MAX} messages wait already; say it again when the run has taken one in")]
    TooMany,
}

impl Steer {
    /// One that nothing was said to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says something; `by` is who says it, for the journal.
    ///
    /// # Errors
    /// [`SteerError`]; nothing waits then.
    pub fn say(&self, by: impl Into<String>, text: impl Into<String>) -> Result<(), SteerError> {
        let said = Said { by: by.into(), text: text.into() };
        if said.text.trim().is_empty() {
            return Err(SteerError::Empty);
        }
        let bytes = said.text.len();
        if bytes > BYTES_MAX {
            return Err(SteerError::TooLong { bytes });
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX {
            return Err(SteerError::TooMany);
        }
        waiting.push_back(said);
        Ok(())
    }

    /// What was said and not taken in, taken back.
    #[must_use]
    pub fn untaken(&self) -> Vec<String> {
        self.take().into_iter().map(|said| said.text).collect()
    }

    pub(crate) fn take(&self) -> Vec<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}
