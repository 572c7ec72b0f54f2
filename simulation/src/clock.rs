//! One time for all of a seed: the runtime's, which stands still while anything can run.

use bursar_types::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// When every seed begins.
pub(crate) const START_S: u64 = 1_795_000_000;

/// The true time, or the clock of a machine that is some seconds off.
#[derive(Debug)]
pub(crate) struct SimClock {
    began: Instant,
    skew_ms: AtomicI64,
}

impl SimClock {
    /// A clock that is `skew_ms` ahead of the true time; behind it, if that is negative. `began` is when the seed began.
    pub(crate) const fn new(began: Instant, skew_ms: i64) -> Self {
        Self { began, skew_ms: AtomicI64::new(skew_ms) }
    }

    /// Puts it ahead by `skew_ms`.
    pub(crate) fn set_skew_ms(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// How far it is ahead.
    pub(crate) fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    /// Milliseconds since the seed began, by the true time.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now_ms = START_S.saturating_mul(1_000).saturating_add(self.elapsed_ms());
        Timestamp::from_unix_ms(now_ms.saturating_add_signed(self.skew_ms()))
    }
}
