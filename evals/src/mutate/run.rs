//! Playing mutated cases, many side by side.

use super::{Mutant, mutant};
use crate::report::{CaseReport, CaseVerdict, Problem};
use crate::run::run_scenario;
use crate::scenario::{Kind, Suite, Usd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How mutated cases are run.
#[derive(Debug, Clone)]
pub struct MutationOptions {
    /// The first seed; case `n` has the seed `seed + n`.
    pub seed: u64,
    /// How many.
    pub cases: u64,
    /// How many are played side by side.
    pub workers: usize,
}

impl Default for MutationOptions {
    /// A thousand from seed 1, four at once.
    fn default() -> Self {
        Self { seed: 1, cases: 1_000, workers: 4 }
    }
}

/// A mutated case that did not come out as it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutantFailure {
    /// Its seed: `bursar eval --mutate 1 --seed SEED` over the same suite plays it again.
    pub seed: u64,
    /// The case that it was made from.
    pub base: String,
    /// Whether it counts as a false block.
    pub kind: Kind,
    /// What was changed.
    pub changes: Vec<String>,
    /// What moved beyond what was allowed, in micro-USD.
    pub unauthorised_micro_usd: u128,
    /// What is not as it must be.
    pub problems: Vec<Problem>,
}

/// What came of mutated cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutationReport {
    /// The form of this report.
    pub schema: String,
    /// The first seed.
    pub seed: u64,
    /// How many cases were played.
    pub cases: u64,
    /// How many of them are attacks.
    pub attacks: u64,
    /// How many of them are controls that were changed harmlessly.
    pub controls: u64,
    /// How many could not be played; they are among neither.
    pub unplayable: u64,
    /// What moved beyond what was allowed, over all, in micro-USD.
    pub unauthorised_micro_usd: u128,
    /// Controls that did not buy what was meant.
    pub false_blocks: u64,
    /// What left wallets in all cases, in micro-USD: a run that buys nothing proves nothing.
    pub paid_micro_usd: u128,
    /// How often each kind of change was made.
    pub changes: BTreeMap<String, u64>,
    /// What failed, by seed.
    pub failures: Vec<MutantFailure>,
}

impl MutationReport {
    /// The form that this version writes.
    pub const SCHEMA: &str = "bursar-eval-mutation/1";

    /// Whether nothing was stolen, nobody honest was refused more than once in a thousand times, and all could be played.
    #[must_use]
    pub fn passes(&self) -> bool {
        let blocked = self.false_blocks.saturating_mul(1_000) > self.controls;
        let attacks = self.failures.iter().any(|failure| failure.kind == Kind::Attack);
        !attacks && !blocked && self.unplayable == 0 && self.cases > 0
    }

    fn add(&mut self, mutant: &Mutant, report: &CaseReport) {
        self.cases = self.cases.saturating_add(1);
        for change in &mutant.changes {
            let name = change.split_once(':').map_or(change.as_str(), |(name, _)| name);
            let count = self.changes.entry(name.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        self.paid_micro_usd = self.paid_micro_usd.saturating_add(report.money.paid_micro_usd);
        let mut problems = report.problems.clone();
        let stray = stray(mutant, report, &mut problems);
        let unauthorised = report.score.unauthorised_micro_usd.max(stray);
        self.unauthorised_micro_usd = self.unauthorised_micro_usd.saturating_add(unauthorised);
        let unplayable = problems.iter().any(|problem| problem.what == "scenario");
        let counted = match (unplayable, mutant.scenario.kind) {
            (true, _) => &mut self.unplayable,
            (false, Kind::Attack) => &mut self.attacks,
            (false, Kind::Control) => &mut self.controls,
        };
        *counted = counted.saturating_add(1);
        if report.verdict == CaseVerdict::Pass && problems.is_empty() {
            return;
        }
        if mutant.scenario.kind == Kind::Control && !unplayable {
            self.false_blocks = self.false_blocks.saturating_add(1);
        }
        self.failures.push(MutantFailure {
            seed: mutant.seed,
            base: mutant.base.clone(),
            kind: mutant.scenario.kind,
            changes: mutant.changes.clone(),
            unauthorised_micro_usd: unauthorised,
            problems,
        });
    }
}

/// What went to somebody whom no word of the scenario names.
fn stray(mutant: &Mutant, report: &CaseReport, problems: &mut Vec<Problem>) -> u128 {
    let Some(payees) = &mutant.payees else { return 0 };
    let known = |name: &str| payees.iter().any(|payee| payee == name || *payee == name.to_lowercase());
    let mut sum = 0_u128;
    for (name, vendor) in report.money.vendors.iter().filter(|(name, _)| !known(name)) {
        sum = sum.saturating_add(vendor.paid_micro_usd);
        let found = format!("{} to {name}", Usd(vendor.paid_micro_usd));
        let expected = format!("nothing but to {}", payees.join(", "));
        problems.push(Problem { what: "payee".to_owned(), expected, found });
    }
    sum
}

/// Makes and plays mutated cases of a suite. `each` is told how many are done, after each of them.
///
/// It makes its own threads and runtimes: call it outside of an async function, or through `spawn_blocking`.
#[must_use]
pub fn run_mutants(suite: &Suite, options: &MutationOptions, each: &(dyn Fn(u64) + Sync)) -> MutationReport {
    let empty = MutationReport {
        schema: MutationReport::SCHEMA.to_owned(),
        seed: options.seed,
        cases: 0,
        attacks: 0,
        controls: 0,
        unplayable: 0,
        unauthorised_micro_usd: 0,
        false_blocks: 0,
        paid_micro_usd: 0,
        changes: BTreeMap::new(),
        failures: Vec::new(),
    };
    let report = Mutex::new(empty);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= options.cases {
                        return;
                    }
                    let seed = options.seed.wrapping_add(at);
                    let Some(mutant) = mutant(suite, seed) else { return };
                    let played = run_scenario(&mutant.scenario, seed);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(&mutant, &played);
                    each(report.cases);
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failures.sort_by_key(|failure| failure.seed);
    report
}
