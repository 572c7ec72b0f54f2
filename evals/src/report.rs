//! What came of it: reports with nothing in them that differs from run to run.

mod baseline;
mod escape;
mod format;
mod html;
mod json;
mod junit;
mod markdown;
mod sarif;

pub use baseline::{Baseline, BaselineCase, BaselineError, Change, Diff};
pub use format::{Format, UnknownFormat};

pub(crate) use escape::visible;

use crate::scenario::Kind;
use bursar::types::Phase;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Which step, from 1; steps of a repetition have their number in it behind a dot.
    pub step: String,
    /// What was done: `pay https://api.weather.test/today`.
    pub action: String,
    /// How it ended, and how often: `delivered`, `owned`, `free`, `quotes`, `denied`, `unknown`, and so on.
    pub ended: BTreeMap<String, u64>,
    /// Reason codes that were given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub codes: BTreeSet<String>,
    /// The sentence that was given last, if it was not a plain success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// Money, in the four ways in which it can go wrong; micro-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Moved, or left in somebody's hands to take, beyond what was meant.
    pub unauthorised_micro_usd: u128,
    /// Paid above what the thing is worth.
    pub overpaid_micro_usd: u128,
    /// Signed or paid, and nobody knows yet what comes of it.
    pub at_risk_micro_usd: u128,
    /// Paid for nothing: not delivered and not coming back, or bought twice.
    pub wasted_micro_usd: u128,
}

impl Score {
    /// The sum of two.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            unauthorised_micro_usd: self.unauthorised_micro_usd.saturating_add(other.unauthorised_micro_usd),
            overpaid_micro_usd: self.overpaid_micro_usd.saturating_add(other.overpaid_micro_usd),
            at_risk_micro_usd: self.at_risk_micro_usd.saturating_add(other.at_risk_micro_usd),
            wasted_micro_usd: self.wasted_micro_usd.saturating_add(other.wasted_micro_usd),
        }
    }
}

/// What one vendor got, as the chain says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct VendorMoney {
    /// How much, in micro-USD.
    pub paid_micro_usd: u128,
    /// The same in atomic units of the token.
    pub paid_atomic: u128,
    /// In how many payments.
    pub payments: u64,
}

/// The money of a case, as the chain and the wire say, whatever the books say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// What left the wallet, in micro-USD.
    pub paid_micro_usd: u128,
    /// The same in atomic units of the token.
    pub paid_atomic: u128,
    /// What came back, in micro-USD.
    pub refunded_micro_usd: u128,
    /// Authorizations that were signed.
    pub signatures: u64,
    /// Authorizations that were not used and still could be, in micro-USD.
    pub live_micro_usd: u128,
    /// Purchases that were delivered.
    pub delivered: u64,
    /// Payments whose outcome is unknown.
    pub unknown: u64,
    /// What each vendor got, by the seller's name, or by address where it is no seller's.
    pub vendors: BTreeMap<String, VendorMoney>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// What was looked at: `paid`, `signatures`, `codes`.
    pub what: String,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// The verdict on one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseVerdict {
    /// Everything is as it must be.
    Pass,
    /// Something is not.
    Fail,
    /// It was not run, for the reason it gives; never a pass.
    NotRun,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseReport {
    /// Its name.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// The failure mode.
    pub mode: String,
    /// The family.
    pub family: String,
    /// How bad it is if it goes wrong.
    pub severity: String,
    /// Attack or control.
    pub kind: Kind,
    /// The file it stands in, as it was given; empty if it was made in code.
    #[serde(default)]
    pub file: String,
    /// The seed it was played with.
    pub seed: u64,
    /// The verdict.
    pub verdict: CaseVerdict,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What is not as it must be.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// The money.
    pub money: Money,
    /// What went wrong, in money.
    pub score: Score,
    /// The phase of the session `main` at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Obligations by state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub obligations: BTreeMap<String, u64>,
    /// Share of what was bought that was used, in basis points; `None` if nothing was bought by an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bp: Option<u64>,
    /// Whether the journal verifies and agrees with the chain.
    pub journal_verifies: bool,
    /// What came of each step.
    pub steps: Vec<Outcome>,
}

impl CaseReport {
    /// Its family; `case` where it names none, so that no report has a group without a name.
    pub(crate) fn family_or_case(&self) -> &str {
        if self.family.is_empty() { "case" } else { &self.family }
    }

    /// Whether it is a control that was refused something it was meant to buy.
    #[must_use]
    pub fn is_false_block(&self) -> bool {
        let refused = |problem: &Problem| problem.what == "codes" || problem.expected.starts_with("at least");
        self.kind == Kind::Control && self.verdict == CaseVerdict::Fail && self.problems.iter().any(refused)
    }
}

/// The verdict on a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteVerdict {
    /// Every case that ran passed, every control among them bought what was meant.
    Pass,
    /// A case failed.
    Fail,
    /// It says nothing: a control failed, or nothing was ever bought. An agent that does nothing is not safe.
    Invalid,
}

/// A case over several seeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// The case.
    pub id: String,
    /// With how many seeds it was played.
    pub seeds: u64,
    /// With how many it passed. pass^k holds if both are the same.
    pub passed: u64,
}

/// What came of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteReport {
    /// The form of this report.
    pub schema: String,
    /// The first seed.
    pub seed: u64,
    /// How many seeds each case was played with.
    pub seeds: u64,
    /// The verdict.
    pub verdict: SuiteVerdict,
    /// Why it is invalid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_because: Vec<String>,
    /// Cases that passed, with every seed.
    pub passed: u64,
    /// Cases that failed with some seed.
    pub failed: u64,
    /// Cases that were not run.
    pub not_run: u64,
    /// Controls that were refused something they were meant to buy.
    pub false_blocks: u64,
    /// What left wallets in all cases, in micro-USD.
    pub paid_micro_usd: u128,
    /// What went wrong, in money, over all cases and seeds.
    pub score: Score,
    /// pass^k, by case; only where more than one seed was played.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeated: Vec<Repeated>,
    /// The cases, in the order of the suite, by seed.
    pub cases: Vec<CaseReport>,
}

impl SuiteReport {
    /// The form that this version writes.
    pub const SCHEMA: &str = "bursar-eval-report/1";
}
