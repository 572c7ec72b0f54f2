//! How patiently what is open is looked after: waits and ends.

use bursar_types::Timestamp;
use serde::{Deserialize, Serialize};

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Waits and ends of recovery. Every wait is bounded, and what outlasts it is parked with an owner: nothing is ever waited
/// for silently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecoveryRules {
    /// Wait before the rail is asked again about the same payment; it doubles each time.
    pub ask_again_ms: u64,
    /// Longest such wait.
    pub ask_again_max_ms: u64,
    /// How long after an authorization ran out a payment may stay unknown, before it counts as spent and is parked.
    pub presume_after_ms: u64,
    /// How long the payee has to send a refund it was asked for, before the dispute is written and a person takes over. As
    /// long is waited for somebody who can see that money moved which only the payee says moved. Goods are asked for only
    /// while the authorization lives; then the money is.
    pub settle_within_ms: u64,
    /// How long a person has for what is parked, before it is shown as overdue.
    pub park_for_ms: u64,
    /// How often a remedy is tried: asking for a refund, taking an authorization back, a step's compensation.
    pub tries: u32,
    /// Wait before a remedy is tried again; it doubles each time, up to `ask_again_max_ms`.
    pub try_again_ms: u64,
    /// Who looks after what is parked; the mandate's user where this is not set.
    pub owner: Option<String>,
}

impl Default for RecoveryRules {
    /// Asks after 5 s and up to every 15 minutes, presumes after a day, disputes after a week, parks for 30 days, and tries
    /// remedies 5 times from 30 s on.
    fn default() -> Self {
        Self {
            ask_again_ms: 5 * SECOND_MS,
            ask_again_max_ms: 15 * 60 * SECOND_MS,
            presume_after_ms: DAY_MS,
            settle_within_ms: 7 * DAY_MS,
            park_for_ms: 30 * DAY_MS,
            tries: 5,
            try_again_ms: 30 * SECOND_MS,
            owner: None,
        }
    }
}

impl RecoveryRules {
    /// When to ask the rail again that has been asked `asked` times.
    #[must_use]
    pub fn ask_again_at(&self, now: Timestamp, asked: u32) -> Timestamp {
        now.plus_ms(doubled(self.ask_again_ms, asked.saturating_sub(1)).min(self.ask_again_max_ms))
    }

    /// When to try a remedy again whose try number `attempt`, from 0, failed; `None` if it was the last.
    #[must_use]
    pub fn try_again_at(&self, now: Timestamp, attempt: u32) -> Option<Timestamp> {
        let left = attempt.saturating_add(1) < self.tries;
        left.then(|| now.plus_ms(doubled(self.try_again_ms, attempt).min(self.ask_again_max_ms)))
    }
}

fn doubled(first_ms: u64, times: u32) -> u64 {
    first_ms.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_overflow() {
        let rules = RecoveryRules::default();
        let now = Timestamp::from_unix_ms(0);
        let waits: Vec<u64> = [1, 2, 3, 4, 9, 80]
            .into_iter()
            .map(|asked| rules.ask_again_at(now, asked).unix_ms() / 1_000)
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 900, 900]);
    }

    #[test]
    fn a_remedy_is_tried_as_often_as_the_rules_say() {
        let rules = RecoveryRules { tries: 3, ..RecoveryRules::default() };
        let now = Timestamp::from_unix_ms(0);
        let waits: Vec<_> = (0..4).map(|attempt| rules.try_again_at(now, attempt)).collect();
        assert_eq!(waits, [Some(now.plus_ms(30_000)), Some(now.plus_ms(60_000)), None, None]);
    }
}
