//! Playing a suite without one check after the other.

use super::cut::{CONDITION, Cut, cuts};
use super::mandate::{Limit, limits};
use crate::report::CaseVerdict;
use crate::run::run_weak;
use crate::scenario::{Scenario, Step, Suite};
use crate::stage::Floor;
use bursar::payments::{Policy, PolicyFile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How checks are taken out.
#[derive(Debug, Clone)]
pub struct WeakenOptions {
    /// The seed that every case is played with.
    pub seed: u64,
    /// How many cases are played side by side.
    pub workers: usize,
    /// Takes out only checks whose name contains this.
    pub filter: Option<String>,
}

impl Default for WeakenOptions {
    /// Seed 1, four cases at once, every check.
    fn default() -> Self {
        Self { seed: 1, workers: 4, filter: None }
    }
}

/// A check that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// Its name: `pay.not-covered`, `mandate: payment_max`.
    pub check: String,
    /// Where it stands: a file of rules, or `mandate`.
    pub place: String,
    /// The case, the one with the fewest steps first, that failed without it; `None` if all passed: it survived.
    pub noticed_by: Option<String>,
}

/// What came of taking out checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeakenReport {
    /// The form of this report.
    pub schema: String,
    /// The seed.
    pub seed: u64,
    /// Cases that pass with every check in place: only they can notice anything.
    pub cases: u64,
    /// Checks that were taken out.
    pub removed: u64,
    /// How many of them were noticed.
    pub killed: u64,
    /// All of them.
    pub checks: Vec<Removed>,
}

impl WeakenReport {
    /// The form that this version writes.
    pub const SCHEMA: &str = "bursar-eval-policy-mutation/1";

    /// Killed of removed, in basis points, rounded down; 0 if nothing was removed.
    #[must_use]
    pub fn kill_rate_bp(&self) -> u64 {
        self.killed.saturating_mul(10_000).checked_div(self.removed).unwrap_or(0)
    }

    /// Checks that nobody missed.
    pub fn survivors(&self) -> impl Iterator<Item = &Removed> {
        self.checks.iter().filter(|check| check.noticed_by.is_none())
    }
}

/// One thing to take out.
enum Weakness {
    /// The texts that stand for the shipped ones.
    Shipped {
        file: String,
        cut: Cut,
        floor: Floor,
    },
    /// Each scenario's own text, where it has this rule.
    Own(String),
    Limit(Limit),
}

impl Weakness {
    fn removed(&self) -> Removed {
        let (check, place) = match self {
            Self::Shipped { file, cut, .. } => (cut.name.clone(), file.clone()),
            Self::Own(name) => (name.clone(), "the scenario's rules".to_owned()),
            Self::Limit(limit) => (limit.name(), "mandate".to_owned()),
        };
        Removed { check, place, noticed_by: None }
    }
}

/// Takes out one check after the other, plays the suite, and tells which case noticed. `each` is told every result.
///
/// Cases that do not pass with every check in place are left out. A rule that is left out of a shipped file leaves a purse that
/// pays with no asset that is worth money, whatever else is said: see [`Policy::weakened`].
///
/// It makes its own threads and runtimes: call it outside of an async function, or through `spawn_blocking`.
#[must_use]
pub fn run_weakened(suite: &Suite, options: &WeakenOptions, each: &dyn Fn(&Removed)) -> WeakenReport {
    let sound = sound(suite, options);
    let wanted = |weakness: &Weakness| {
        options.filter.as_ref().is_none_or(|filter| weakness.removed().check.contains(filter.as_str()))
    };
    let mut checks = Vec::new();
    for weakness in weaknesses(&sound).into_iter().filter(wanted) {
        let mut removed = weakness.removed();
        removed.noticed_by = match &weakness {
            Weakness::Shipped { floor, .. } => noticed(&sound, Some(floor), options),
            Weakness::Own(name) => noticed(&without_rule(&sound, name), None, options),
            Weakness::Limit(limit) => noticed(&limit.without(&sound), None, options),
        };
        each(&removed);
        checks.push(removed);
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    WeakenReport {
        schema: WeakenReport::SCHEMA.to_owned(),
        seed: options.seed,
        cases: count(sound.cases.len()),
        removed: count(checks.len()),
        killed: count(checks.iter().filter(|check| check.noticed_by.is_some()).count()),
        checks,
    }
}

fn weaknesses(suite: &Suite) -> Vec<Weakness> {
    let mut all = Vec::new();
    let shipped: Vec<_> = Policy::shipped_files();
    for file in &shipped {
        // What a shipped permit asks for stands there a second time, as a forbid; without the permit's half nothing changes.
        for cut in cuts(&file.text).into_iter().filter(|cut| !cut.name.ends_with(CONDITION)) {
            let weak = |known: &PolicyFile| match known.name == file.name {
                true => PolicyFile::new(known.name.clone(), cut.text.clone()),
                false => known.clone(),
            };
            let floor: Floor = Arc::new(shipped.iter().map(weak).collect());
            all.push(Weakness::Shipped { file: file.name.clone(), cut, floor });
        }
    }
    let own: BTreeSet<String> = suite
        .cases
        .iter()
        .filter_map(|(_, case)| case.policy.as_deref())
        .flat_map(|text| cuts(text).into_iter().map(|cut| cut.name))
        .collect();
    all.extend(own.into_iter().map(Weakness::Own));
    all.extend(limits(suite).into_iter().map(Weakness::Limit));
    all
}

fn without_rule(suite: &Suite, name: &str) -> Suite {
    let mut weaker = suite.clone();
    weaker.cases.retain_mut(|(_, case)| {
        let cut = case.policy.as_deref().and_then(|text| cuts(text).into_iter().find(|cut| cut.name == name));
        if let Some(cut) = &cut {
            case.policy = Some(cut.text.clone());
        }
        cut.is_some()
    });
    weaker
}

/// The cases that pass as they are.
fn sound(suite: &Suite, options: &WeakenOptions) -> Suite {
    let all =
        played(&suite.cases, options, |case| run_weak(case, options.seed, None).verdict == CaseVerdict::Pass);
    let passed = suite.cases.iter().zip(all).filter(|(_, passed)| *passed).map(|(case, _)| case.clone());
    let mut cases: Vec<_> = passed.collect();
    // The short ones first: most checks are missed by one of them. Those with two hundred purchases seldom see more.
    cases.sort_by_key(|(_, case)| weight(&case.steps));
    Suite { cases }
}

/// How many things are done in these steps, roughly.
fn weight(steps: &[Step]) -> u64 {
    let one = |step: &Step| match step {
        Step::Pay(pay) => u64::from(pay.times),
        Step::Repeat { times, steps } => u64::from(*times).saturating_mul(weight(steps)),
        Step::Agent { .. } => 5,
        _ => 1,
    };
    steps.iter().map(one).fold(0, u64::saturating_add)
}

/// The first case that fails; those behind it are not played if they need not be.
fn noticed(suite: &Suite, floor: Option<&Floor>, options: &WeakenOptions) -> Option<String> {
    let over = AtomicBool::new(false);
    let all = played(&suite.cases, options, |case| {
        if over.load(Ordering::SeqCst) {
            return true;
        }
        let passed = run_weak(case, options.seed, floor).verdict == CaseVerdict::Pass;
        over.fetch_or(!passed, Ordering::SeqCst);
        passed
    });
    let failed = suite.cases.iter().zip(all).find(|(_, passed)| !passed);
    failed.map(|((_, case), _)| case.id.clone())
}

/// What `play` says of each case, in order.
fn played(
    cases: &[(String, Scenario)],
    options: &WeakenOptions,
    play: impl Fn(&Scenario) -> bool + Sync,
) -> Vec<bool> {
    let said = Mutex::new(vec![true; cases.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((_, case)) = cases.get(at) else { return };
                    let passed = play(case);
                    if let Some(slot) = said.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                        *slot = passed;
                    }
                }
            });
        }
    });
    said.into_inner().unwrap_or_else(PoisonError::into_inner)
}
