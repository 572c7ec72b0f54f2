//! Erasing: payloads of what is finished go, for ever; leaves, amounts and proofs stay.
//!
//! What goes are texts, URLs, bodies, quotes, mandates, runs and the facts of decisions, with their salts, from the ledger, its
//! write-ahead log and the library with its full-text index. What is open stays whole, and the answer says what and why.

mod collect;
mod read;

use crate::error::BursarError;
use crate::handle::Bursar;
use bursar_ledger::{CommitError, Commitment, Erasure, Ledger, LinkWrite, Refusal, Transaction};
use bursar_memory::Library;
use bursar_types::{Digest, PaymentId, RunId, SessionId, Timestamp};
use collect::collect;
use serde::Serialize;

/// Says that what was erased from the ledger may still be in the library: a run of [`erase`] was cut off.
const UNDER_WAY: &str = "erasing";
/// Says when it was last looked for what has expired, and for which age.
const LOOKED: &str = "retention";
/// How often what was read is read again because something happened to it meanwhile.
const TRIES: u32 = 4;

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EraseScope {
    /// One payment, with what it bought. What its session's plans and runs say of it goes with the session.
    Payment(PaymentId),
    /// A session with all its payments and runs.
    Session(SessionId),
    /// Every session of a user, by the name in its mandates. When all of it could go, the user's pseudonym goes too: then
    /// nothing in the tree leads to the name, and caps that outlive sessions begin anew.
    User(String),
    /// Whatever ended before this moment.
    OlderThan(Timestamp),
}

impl EraseScope {
    const fn why(&self) -> &'static str {
        match self {
            Self::OlderThan(_) => "expired",
            Self::Payment(_) | Self::Session(_) | Self::User(_) => "asked",
        }
    }
}

/// Something that was kept although it was meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Kept {
    /// What: a payment, a session or a run, by its id.
    pub what: String,
    /// Why, and what would change that.
    pub why: String,
}

/// What was erased, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Payments of which only amounts, payee, asset and rules are left.
    pub payments: Vec<PaymentId>,
    /// Sessions of which nothing is left but times and kinds of events.
    pub sessions: Vec<SessionId>,
    /// Runs.
    pub runs: Vec<RunId>,
    /// How many payloads that is.
    pub payloads: u64,
    /// Whether nothing leads to the user's name any more.
    pub forgotten: bool,
    /// What was kept.
    pub kept: Vec<Kept>,
}

/// What would be erased. Nothing is changed.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn would_erase(ledger: &Ledger, scope: &EraseScope, now: Timestamp) -> Result<Erased, BursarError> {
    Ok(collect(ledger, scope, now).await?.told)
}

/// Erases: one transaction of the ledger with an entry that says which payloads, then the library.
///
/// # Errors
/// [`BursarError::Ledger`], [`BursarError::Commit`] or [`BursarError::Library`]. What was begun is finished by the next call,
/// whatever it erases.
///
/// # Idempotency
/// What was erased is not erased again.
///
/// # Cancellation
/// As after an error.
pub async fn erase(
    ledger: &Ledger,
    library: &Library,
    scope: &EraseScope,
    now: Timestamp,
) -> Result<Erased, BursarError> {
    finish(ledger, library).await?;
    let mut tries: u32 = 0;
    let told = loop {
        let found = collect(ledger, scope, now).await?;
        let Some(first) = found.payloads.first() else {
            let links = found.links;
            if !links.is_empty() {
                ledger.commit(Transaction { links, ..Transaction::default() }).await?;
            }
            return Ok(found.told);
        };
        let mut links = found.links;
        links.push(LinkWrite {
            key: UNDER_WAY.to_owned(),
            expected: None,
            value: Some(first.digest().to_string()),
        });
        let payloads = found.payloads.iter().copied().collect();
        let transaction = Transaction {
            require: found.require,
            links,
            erase: Some(Erasure { payloads, why: scope.why() }),
            ..Transaction::default()
        };
        match ledger.commit(transaction).await {
            Ok(_) => break found.told,
            Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::LinkMoved { .. }))
                if tries < TRIES =>
            {
                tries = tries.saturating_add(1);
                finish(ledger, library).await?;
            }
            Err(error) => return Err(error.into()),
        }
    };
    from_library(ledger, library, None).await?;
    Ok(told)
}

/// Finishes what a crash left half erased, if anything.
///
/// # Errors
/// As [`erase`].
pub(crate) async fn finish(ledger: &Ledger, library: &Library) -> Result<(), BursarError> {
    let Some(named) = ledger.link(UNDER_WAY).await? else { return Ok(()) };
    // Named once more, so that the ledger empties its log: the crash may have come before that.
    let again = Digest::parse(&named)
        .ok()
        .map(|digest| Erasure { payloads: vec![Commitment::from_digest(digest)], why: "finished" });
    from_library(ledger, library, again).await
}

async fn from_library(ledger: &Ledger, library: &Library, erase: Option<Erasure>) -> Result<(), BursarError> {
    library.forget_erased().await?;
    let Some(value) = ledger.link(UNDER_WAY).await? else { return Ok(()) };
    let over = LinkWrite { key: UNDER_WAY.to_owned(), expected: Some(value), value: None };
    let transaction = Transaction { links: vec![over], erase, ..Transaction::default() };
    match ledger.commit(transaction).await {
        // Another process finished it.
        Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Bursar {
    /// What [`Bursar::erase`] would erase.
    ///
    /// # Errors
    /// [`BursarError::Ledger`].
    pub async fn would_erase(&self, scope: &EraseScope) -> Result<Erased, BursarError> {
        would_erase(self.ledger(), scope, self.0.clock.now()).await
    }

    /// Erases the payloads of what is finished, from the ledger and the library.
    ///
    /// # Errors
    /// As [`erase`].
    ///
    /// # Idempotency
    /// As [`erase`].
    pub async fn erase(&self, scope: &EraseScope) -> Result<Erased, BursarError> {
        erase(self.ledger(), self.library(), scope, self.0.clock.now()).await
    }

    /// Erases what is older than the configuration's `[retention]` keeps; `None` if it keeps everything.
    ///
    /// # Errors
    /// As [`erase`].
    pub async fn erase_expired(&self) -> Result<Option<Erased>, BursarError> {
        let Some(kept_ms) = self.0.retention_ms else { return Ok(None) };
        let before = Timestamp::from_unix_ms(self.0.clock.now().unix_ms().saturating_sub(kept_ms));
        self.erase(&EraseScope::OlderThan(before)).await.map(Some)
    }

    /// The same, unless it was done a short while ago for the same age: it reads the whole journal, and processes may open often.
    pub(crate) async fn erase_expired_if_due(&self) -> Result<(), BursarError> {
        let Some(kept_ms) = self.0.retention_ms else { return Ok(()) };
        let (ledger, now_ms) = (self.ledger(), self.0.clock.now().unix_ms());
        let looked = ledger.link(LOOKED).await?;
        if looked.as_deref().is_some_and(|looked| is_fresh(looked, kept_ms, now_ms)) {
            return Ok(());
        }
        self.erase_expired().await?;
        let looked_now = Some(format!("{kept_ms}@{now_ms}"));
        let link = LinkWrite { key: LOOKED.to_owned(), expected: looked, value: looked_now };
        match ledger.commit(Transaction { links: vec![link], ..Transaction::default() }).await {
            // Another process looked as well.
            Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the last look was for this age and recent: within a day, or a quarter of a shorter age.
fn is_fresh(looked: &str, kept_ms: u64, now_ms: u64) -> bool {
    let Some((age, at)) = looked.split_once('@') else { return false };
    let (Ok(age), Ok(at)) = (age.parse::<u64>(), at.parse::<u64>()) else { return false };
    let every_ms = (kept_ms / 4).min(86_400_000);
    // One that lies in the future was made by another clock, and says nothing.
    age == kept_ms && now_ms.checked_sub(at).is_some_and(|since| since < every_ms)
}

/// Reads an age such as `90d`, `12h` or `2w`, in milliseconds; `None` if it is none, or no time at all.
#[must_use]
pub fn parse_age_ms(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let unit_ms: u64 = match unit {
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 604_800_000,
        _ => return None,
    };
    let count = text.strip_suffix(unit)?;
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    count.parse::<u64>().ok()?.checked_mul(unit_ms).filter(|age| *age > 0)
}

#[cfg(test)]
mod tests {
    use super::{is_fresh, parse_age_ms};

    #[test]
    fn what_has_expired_is_looked_for_once_a_day_and_anew_when_the_age_or_the_clock_is_another() {
        const DAY: u64 = 86_400_000;
        for (looked, kept_ms, now_ms, expected) in [
            ("7776000000@1000", 90 * DAY, 1_000 + DAY - 1, true),
            ("7776000000@1000", 90 * DAY, 1_000 + DAY, false),
            ("7776000000@1000", 30 * DAY, 1_000, false),
            ("3600000@1000", 3_600_000, 900_999, true),
            ("3600000@1000", 3_600_000, 901_000, false),
            ("7776000000@1000", 90 * DAY, 999, false),
            ("7776000000", 90 * DAY, 0, false),
            ("x@y", 90 * DAY, 0, false),
        ] {
            assert_eq!(is_fresh(looked, kept_ms, now_ms), expected, "{looked} {kept_ms} {now_ms}");
        }
    }

    #[test]
    fn an_age_is_a_count_and_a_unit_and_nothing_else() {
        for (text, expected) in [
            ("90d", Some(7_776_000_000)),
            ("12h", Some(43_200_000)),
            ("2w", Some(1_209_600_000)),
            ("", None),
            ("d", None),
            ("0d", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("90", None),
            ("90 d", None),
            ("90é", None),
            ("99999999999999999999d", None),
            ("9999999999999999999w", None),
        ] {
            assert_eq!(parse_age_ms(text), expected, "{text}");
        }
    }
}
