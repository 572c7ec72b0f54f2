//! Playing a suite without one check after the other.

use super::cut::{CONDITION, cuts};
use super::mandate::{LIMITS, Limit, pins};
use super::second::{First, before};
use crate::report::{CaseReport, CaseVerdict};
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
    /// What stands before it and says the same: it was out too, so that this check is asked at all. The case that noticed holds
    /// without these alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The code that stands before it and that no rules can take out, with why it says the same: no scenario can miss the check.
    /// It is counted as removed, and as noticed only if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_code: Option<String>,
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
    /// How many survived and stand behind code: among `removed`, and not among `killed`.
    pub behind_code: u64,
    /// All of them.
    pub checks: Vec<Removed>,
}

impl WeakenReport {
    /// The form that this version writes.
    pub const SCHEMA: &str = "bursar-eval-policy-mutation/2";

    /// Killed of removed, in basis points, rounded down; 0 if nothing was removed.
    #[must_use]
    pub fn kill_rate_bp(&self) -> u64 {
        rate_bp(self.killed, self.removed)
    }

    /// The same without the survivors that stand behind code.
    #[must_use]
    pub fn reachable_kill_rate_bp(&self) -> u64 {
        rate_bp(self.killed, self.removed.saturating_sub(self.behind_code))
    }

    /// Checks that nobody missed.
    pub fn survivors(&self) -> impl Iterator<Item = &Removed> {
        self.checks.iter().filter(|check| check.noticed_by.is_none())
    }
}

fn rate_bp(part: u64, whole: u64) -> u64 {
    part.saturating_mul(10_000).checked_div(whole).unwrap_or(0)
}

/// What is taken out.
#[derive(Debug, Clone)]
enum Weakness {
    /// Something of a file that ships. With `first` there are the rules before it, and the files without them alone.
    Shipped { removed: Removed, first: Option<Floor>, without: Floor },
    /// Something of a scenario's own rules.
    Own(String),
    /// A limit of the mandate.
    Limit(Limit),
}

impl Weakness {
    fn removed(&self) -> Removed {
        let plain = |check: String, place: &str| Removed {
            check,
            place: place.to_owned(),
            without: Vec::new(),
            behind_code: None,
            noticed_by: None,
        };
        match self {
            Self::Shipped { removed, .. } => removed.clone(),
            Self::Own(name) => plain(name.clone(), "the scenario's rules"),
            Self::Limit(limit) => plain(limit.name(), "mandate"),
        }
    }
}

/// Takes out one check after the other, plays the suite, and tells which case noticed. `each` is told every result.
///
/// Cases that do not pass with every check in place are left out. A rule that is left out of a shipped file leaves a purse that
/// pays with no asset that is worth money, whatever else is said: see [`Policy::weakened`]. Whoever pins rules notices any change
/// of them, so cases with a mandate that does say nothing about what was changed, and are not asked about rules.
///
/// It makes its own threads and runtimes: call it outside of an async function, or through `spawn_blocking`.
#[must_use]
pub fn run_weakened(suite: &Suite, options: &WeakenOptions, each: &dyn Fn(&Removed)) -> WeakenReport {
    let sound = sound(suite, options, None);
    let mut unpinned = sound.clone();
    unpinned.cases.retain(|(_, case)| !pins(case));
    let all: Floor = Arc::new(files());
    let under_weak = self::sound(&unpinned, options, Some(&all));
    let wanted = |weakness: &Weakness| {
        options.filter.as_ref().is_none_or(|filter| weakness.removed().check.contains(filter.as_str()))
    };
    let mut checks = Vec::new();
    for weakness in weaknesses(&sound).into_iter().filter(wanted) {
        let mut removed = weakness.removed();
        removed.noticed_by = match &weakness {
            Weakness::Shipped { first, without, .. } => {
                noticed(&under_weak, first.as_ref(), Some(without), options)
            }
            Weakness::Own(name) => noticed(&without_rule(&unpinned, name), None, None, options),
            Weakness::Limit(limit) => noticed(&limit.without(&sound), None, None, options),
        };
        each(&removed);
        checks.push(removed);
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let behind_code = |check: &&Removed| check.noticed_by.is_none() && check.behind_code.is_some();
    WeakenReport {
        schema: WeakenReport::SCHEMA.to_owned(),
        seed: options.seed,
        cases: count(sound.cases.len()),
        removed: count(checks.len()),
        killed: count(checks.iter().filter(|check| check.noticed_by.is_some()).count()),
        behind_code: count(checks.iter().filter(behind_code).count()),
        checks,
    }
}

/// Every file of rules that ships.
fn files() -> Vec<PolicyFile> {
    let bundled = PolicyFile::bundled_names().filter_map(|name| PolicyFile::bundled(name).ok());
    Policy::shipped_files().into_iter().chain(bundled).collect()
}

/// The files without these, each a name of a cut.
fn left_out(names: &[&str]) -> Floor {
    let mut all = files();
    for name in names {
        for file in &mut all {
            if let Some(cut) = cuts(&file.text).into_iter().find(|cut| cut.name == *name) {
                file.text = cut.text;
            }
        }
    }
    Arc::new(all)
}

fn weaknesses(suite: &Suite) -> Vec<Weakness> {
    let mut all = Vec::new();
    for file in files() {
        // What a shipped permit asks for stands there a second time, as a forbid; without the permit's half nothing changes.
        for cut in cuts(&file.text).into_iter().filter(|cut| !cut.name.ends_with(CONDITION)) {
            let before = before(&cut.name);
            let rules = match before {
                Some(First::Rules(rules)) => rules,
                Some(First::Code(_)) | None => &[],
            };
            let names: Vec<_> = rules.iter().copied().chain([cut.name.as_str()]).collect();
            all.push(Weakness::Shipped {
                first: (!rules.is_empty()).then(|| left_out(rules)),
                without: left_out(&names),
                removed: Removed {
                    check: cut.name.clone(),
                    place: file.name.clone(),
                    without: rules.iter().map(|&rule| rule.to_owned()).collect(),
                    behind_code: match before {
                        Some(First::Code(why)) => Some(why.to_owned()),
                        Some(First::Rules(_)) | None => None,
                    },
                    noticed_by: None,
                },
            });
        }
    }
    let own: BTreeSet<String> = suite
        .cases
        .iter()
        .filter_map(|(_, case)| case.policy.as_deref())
        .flat_map(|text| cuts(text).into_iter().map(|cut| cut.name))
        .collect();
    all.extend(own.into_iter().map(Weakness::Own));
    all.extend(LIMITS.into_iter().map(Weakness::Limit));
    all
}

fn without_rule(suite: &Suite, name: &str) -> Suite {
    let mut weaker = suite.clone();
    weaker.cases.retain_mut(|(_, case)| {
        let cut = case.policy.as_deref().and_then(|text| cuts(text).into_iter().find(|cut| cut.name == name));
        if let Some(cut) = &cut {
            // A file without any rule is none.
            case.policy = Some(cut.text.clone()).filter(|text| text.contains("@id("));
        }
        cut.is_some()
    });
    weaker
}

/// The cases that pass as they are.
fn sound(suite: &Suite, options: &WeakenOptions, floor: Option<&Floor>) -> Suite {
    let all = played(&suite.cases, options, |case| passes(&run_weak(case, options.seed, floor)));
    let passed = suite.cases.iter().zip(all).filter(|(_, passed)| *passed).map(|(case, _)| case.clone());
    let mut cases: Vec<_> = passed.collect();
    // The short ones first: most checks are missed by one of them. Those with two hundred purchases seldom see more.
    cases.sort_by_key(|(_, case)| weight(&case.steps));
    Suite { cases }
}

fn passes(report: &CaseReport) -> bool {
    report.verdict == CaseVerdict::Pass
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

/// The first case that fails, and holds under what stood there before; those behind it are not played if they need not be.
fn noticed(
    suite: &Suite,
    before: Option<&Floor>,
    after: Option<&Floor>,
    options: &WeakenOptions,
) -> Option<String> {
    let over = AtomicBool::new(false);
    let all = played(&suite.cases, options, |case| {
        if over.load(Ordering::SeqCst) {
            return false;
        }
        let report = run_weak(case, options.seed, after);
        let missed = !passes(&report)
            && !broken(case, &report)
            && before.is_none_or(|before| passes(&run_weak(case, options.seed, Some(before))));
        over.fetch_or(missed, Ordering::SeqCst);
        missed
    });
    let found = suite.cases.iter().zip(all).find(|(_, missed)| *missed);
    found.map(|((_, case), _)| case.id.clone())
}

/// Whether a case failed because what is left cannot be loaded or played: that is nothing noticed.
fn broken(case: &Scenario, report: &CaseReport) -> bool {
    let expected = |code: &str| case.expect.codes.iter().any(|codes| codes.split('|').any(|one| one == code));
    let unreadable = ["CONFIG_INVALID", "POLICY_INVALID"].into_iter().filter(|code| !expected(code));
    let given = |code: &str| report.steps.iter().any(|step| step.codes.contains(code));
    unreadable.into_iter().any(given) || report.problems.iter().any(|problem| problem.what == "scenario")
}

/// What `play` says of each case, in order.
fn played(
    cases: &[(String, Scenario)],
    options: &WeakenOptions,
    play: impl Fn(&Scenario) -> bool + Sync,
) -> Vec<bool> {
    let said = Mutex::new(vec![false; cases.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((_, case)) = cases.get(at) else { return };
                    let held = play(case);
                    if let Some(slot) = said.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                        *slot = held;
                    }
                }
            });
        }
    });
    said.into_inner().unwrap_or_else(PoisonError::into_inner)
}
