//! A baseline: how a suite came out once, to be compared with. Money first.

use super::{CaseVerdict, SuiteReport};
use crate::scenario::Usd;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How each case came out: what a project keeps in its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The form of this file.
    pub schema: String,
    /// The cases by name. Where a case was played with several seeds, its worst verdict and its highest sums.
    pub cases: BTreeMap<String, BaselineCase>,
}

/// How one case came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineCase {
    /// Its verdict.
    pub verdict: CaseVerdict,
    /// What left the wallet, in micro-USD.
    pub paid_micro_usd: u128,
    /// What was unauthorised, overpaid, at risk and wasted together, in micro-USD.
    pub lost_micro_usd: u128,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// It is no baseline.
    #[error("baseline: {0}")]
    Invalid(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("baseline has the form `{0}`, and this version reads `bursar-eval-baseline/1`; write it anew")]
    Schema(String),
}

/// One thing that is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It passed, or was not there or not run, and fails now.
    Broke,
    /// It failed and passes now.
    Fixed,
    /// It is new, and passes.
    New,
    /// It is gone, or not run any more.
    Gone,
    /// Another sum left the wallet.
    Spend {
        /// Before, in micro-USD.
        before_micro_usd: u128,
        /// Now, in micro-USD.
        now_micro_usd: u128,
    },
    /// Another sum was unauthorised, overpaid, at risk or wasted.
    Lost {
        /// Before, in micro-USD.
        before_micro_usd: u128,
        /// Now, in micro-USD.
        now_micro_usd: u128,
    },
}

/// What is different between a baseline and a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// By case, in the order of their names.
    pub changes: Vec<(String, Change)>,
    /// What left wallets before, in micro-USD.
    pub before_micro_usd: u128,
    /// What left wallets now, in micro-USD.
    pub now_micro_usd: u128,
}

impl Change {
    /// Whether somebody should look at it.
    #[must_use]
    pub const fn is_worse(&self) -> bool {
        match self {
            Self::Broke | Self::Gone => true,
            Self::Fixed | Self::New => false,
            Self::Spend { before_micro_usd, now_micro_usd }
            | Self::Lost { before_micro_usd, now_micro_usd } => *now_micro_usd > *before_micro_usd,
        }
    }

    /// What it is, what was before, and what is now, in words.
    #[must_use]
    pub fn told(&self) -> (String, String, String) {
        let words =
            |what: &str, before: &str, now: &str| (what.to_owned(), before.to_owned(), now.to_owned());
        let money = |what: &str, before: u128, now: u128| {
            let by = Usd(now.abs_diff(before));
            let sign = if now >= before { '+' } else { '-' };
            (what.to_owned(), format!("${}", Usd(before)), format!("${} ({sign}${by})", Usd(now)))
        };
        match self {
            Self::Broke => words("broke", "", "fails"),
            Self::Fixed => words("fixed", "failed", "passes"),
            Self::New => words("new", "", "passes"),
            Self::Gone => words("gone", "was run", ""),
            Self::Spend { before_micro_usd, now_micro_usd } => {
                money("spend", *before_micro_usd, *now_micro_usd)
            }
            Self::Lost { before_micro_usd, now_micro_usd } => {
                money("lost", *before_micro_usd, *now_micro_usd)
            }
        }
    }
}

impl Baseline {
    /// The form that this version writes.
    pub const SCHEMA: &str = "bursar-eval-baseline/1";

    /// What a report comes to.
    #[must_use]
    pub fn of(report: &SuiteReport) -> Self {
        let mut cases: BTreeMap<String, BaselineCase> = BTreeMap::new();
        for case in &report.cases {
            let score = case.score;
            let lost = [score.overpaid_micro_usd, score.at_risk_micro_usd, score.wasted_micro_usd];
            let lost = lost.into_iter().fold(score.unauthorised_micro_usd, u128::saturating_add);
            let now = BaselineCase {
                verdict: case.verdict,
                paid_micro_usd: case.money.paid_micro_usd,
                lost_micro_usd: lost,
            };
            let known = cases.entry(case.id.clone()).or_insert(now);
            if now.verdict == CaseVerdict::Fail {
                known.verdict = CaseVerdict::Fail;
            }
            known.paid_micro_usd = known.paid_micro_usd.max(now.paid_micro_usd);
            known.lost_micro_usd = known.lost_micro_usd.max(now.lost_micro_usd);
        }
        Self { schema: Self::SCHEMA.to_owned(), cases }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`BaselineError`]: write it anew with `--write-baseline`.
    pub fn read(text: &str) -> Result<Self, BaselineError> {
        let read: Self = serde_json::from_str(text)?;
        if read.schema == Self::SCHEMA { Ok(read) } else { Err(BaselineError::Schema(read.schema)) }
    }

    /// Writes it, the same text for the same cases.
    #[must_use]
    pub fn written(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// What is different now.
    #[must_use]
    pub fn against(&self, report: &SuiteReport) -> Diff {
        let now = Self::of(report);
        let names: BTreeSet<&String> = self.cases.keys().chain(now.cases.keys()).collect();
        let mut changes = Vec::new();
        for name in names {
            let pair = (self.cases.get(name), now.cases.get(name));
            changes.extend(differences(pair).into_iter().map(|change| (name.clone(), change)));
        }
        let sum = |cases: &BTreeMap<String, BaselineCase>| {
            cases.values().fold(0_u128, |sum, case| sum.saturating_add(case.paid_micro_usd))
        };
        Diff { changes, before_micro_usd: sum(&self.cases), now_micro_usd: sum(&now.cases) }
    }
}

fn differences((before, now): (Option<&BaselineCase>, Option<&BaselineCase>)) -> Vec<Change> {
    use CaseVerdict::{Fail, NotRun, Pass};
    let verdict = |case: Option<&BaselineCase>| case.map_or(NotRun, |case| case.verdict);
    let mut changes = Vec::new();
    match (verdict(before), verdict(now)) {
        (Pass | NotRun, Fail) => changes.push(Change::Broke),
        (Fail, Pass) => changes.push(Change::Fixed),
        (NotRun, Pass) => changes.push(Change::New),
        (Pass | Fail, NotRun) => changes.push(Change::Gone),
        (Pass, Pass) | (Fail, Fail) | (NotRun, NotRun) => {}
    }
    if let (Some(before), Some(now)) = (before, now) {
        if before.paid_micro_usd != now.paid_micro_usd {
            let (before_micro_usd, now_micro_usd) = (before.paid_micro_usd, now.paid_micro_usd);
            changes.push(Change::Spend { before_micro_usd, now_micro_usd });
        }
        if before.lost_micro_usd != now.lost_micro_usd {
            let (before_micro_usd, now_micro_usd) = (before.lost_micro_usd, now.lost_micro_usd);
            changes.push(Change::Lost { before_micro_usd, now_micro_usd });
        }
    }
    changes
}
