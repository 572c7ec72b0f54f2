//! What was decided, and why.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The answer of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// It may happen if an approver says so.
    Escalate,
    /// It may not happen.
    Deny,
}

/// One reason behind a decision.
///
/// The code is stable and documented; the message is for people; the next step is what the agent can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code, such as `BUDGET_EXCEEDED`.
    pub code: Cow<'static, str>,
    /// A sentence for a person.
    pub message: String,
    /// What can be done now.
    pub next_step: String,
}

impl Reason {
    /// Makes a reason.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), next_step: next_step.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}); {}", self.message, self.code, self.next_step)
    }
}

/// A decision: the same facts, mandate and policy always give the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Allow, escalate or deny.
    pub verdict: Verdict,
    /// Why; empty for a plain allow.
    pub reasons: Vec<Reason>,
    /// The ids of the rules that determined it, sorted.
    pub rules: Vec<String>,
    /// Digest of the facts it was taken over.
    pub facts: Digest,
}

impl Decision {
    /// The stricter of two decisions; the reasons and rules of both where the verdicts are equal.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        let rank = |verdict| match verdict {
            Verdict::Allow => 0_u8,
            Verdict::Escalate => 1,
            Verdict::Deny => 2,
        };
        match rank(self.verdict).cmp(&rank(other.verdict)) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                let mut both = self;
                both.reasons.extend(other.reasons);
                both.rules.extend(other.rules);
                both.rules.sort();
                both.rules.dedup();
                both
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Allow => "allowed",
            Verdict::Escalate => "needs approval",
            Verdict::Deny => "denied",
        })?;
        for (index, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if index == 0 { ": " } else { "; also " })?;
        }
        Ok(())
    }
}
