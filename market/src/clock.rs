//! The time everybody in the market shares.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Where the market reads the time: the machine, or a hand that a test moves.
#[derive(Debug, Clone, Default)]
pub enum TimeSource {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved. Clones share the hand.
    Manual(ManualClock),
}

impl TimeSource {
    /// A clock that stands at `unix_s` until it is moved.
    #[must_use]
    pub fn manual(unix_s: u64) -> Self {
        Self::Manual(ManualClock::new(unix_s))
    }

    /// Seconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    pub fn now_s(&self) -> u64 {
        match self {
            Self::System => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            Self::Manual(clock) => clock.now_s(),
        }
    }
}

impl From<ManualClock> for TimeSource {
    fn from(clock: ManualClock) -> Self {
        Self::Manual(clock)
    }
}

/// A clock moved by hand.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Starts at `unix_s`.
    #[must_use]
    pub fn new(unix_s: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_s)))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves the hand forward.
    pub fn advance_s(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Puts the hand at `unix_s`, which may lie in the past: block times never run backwards, though.
    pub fn set_s(&self, unix_s: u64) {
        self.0.store(unix_s, Ordering::SeqCst);
    }
}
