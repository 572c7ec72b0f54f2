//! Running: cases side by side, each in its own world, reports in the suite's order.

use crate::agent::AgentFn;
use crate::judge;
use crate::play;
use crate::report::{CaseReport, CaseVerdict, Money, Problem, Repeated, Score, SuiteReport, SuiteVerdict};
use crate::scenario::{Kind, ModelSpec, Scenario, Step, Suite};
use crate::stage::{Floor, Stage, StageError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How a suite is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first seed.
    pub seed: u64,
    /// How many seeds each case is played with, from the first on.
    pub seeds: u64,
    /// How many cases are played side by side.
    pub workers: usize,
    /// What plays the steps `do = "agent"`; the scenario's own model where there is none.
    pub agent: Option<AgentFn>,
}

impl Default for Options {
    /// Seed 1, one seed, four cases at once.
    fn default() -> Self {
        Self { seed: 1, seeds: 1, workers: 4, agent: None }
    }
}

/// Plays one scenario and judges it. The same scenario and seed give the same report.
///
/// It makes its own runtime: call it outside of one.
#[must_use]
pub fn run_scenario(scenario: &Scenario, seed: u64) -> CaseReport {
    run_case("", scenario, seed, None, None)
}

/// Plays every case of a suite with every seed.
///
/// It makes its own threads and runtimes: call it outside of an async function, or through `spawn_blocking`.
#[must_use]
pub fn run_suite(suite: &Suite, options: &Options) -> SuiteReport {
    let seeds = options.seeds.max(1);
    let jobs: Vec<(usize, u64)> = (0..suite.cases.len())
        .flat_map(|case| (0..seeds).map(move |n| (case, options.seed.wrapping_add(n))))
        .collect();
    let done: Mutex<Vec<Option<CaseReport>>> = Mutex::new(vec![None; jobs.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((case, seed)) = jobs.get(at) else { return };
                    let Some((file, scenario)) = suite.cases.get(*case) else { return };
                    let mut report = run_case(file, scenario, *seed, options.agent.as_ref(), None);
                    unloadable(scenario, &mut report);
                    if let Some(slot) = done.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                        *slot = Some(report);
                    }
                }
            });
        }
    });
    let cases = done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect();
    summed(cases, options.seed, seeds)
}

/// The same under rules from which something was taken out.
pub(crate) fn run_weak(scenario: &Scenario, seed: u64, floor: Option<&Floor>) -> CaseReport {
    run_case("", scenario, seed, None, floor)
}

fn run_case(
    file: &str,
    scenario: &Scenario,
    seed: u64,
    agent: Option<&AgentFn>,
    floor: Option<&Floor>,
) -> CaseReport {
    let mut report = blank(file, scenario, seed);
    if let Some(reason) = not_run(scenario, agent) {
        report.verdict = CaseVerdict::NotRun;
        report.not_run = Some(reason);
        return report;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(play_case(scenario, agent, floor, &mut report));
            // A process that died holds tasks that never end; nobody waits for them.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(StageError::Folder(error)),
    };
    if let Err(error) = ended {
        let expected = "a scenario that can be played".to_owned();
        report.problems.push(Problem { what: "scenario".to_owned(), expected, found: error.to_string() });
    }
    report.verdict = if report.problems.is_empty() { CaseVerdict::Pass } else { CaseVerdict::Fail };
    report
}

/// A mandate or rules that cannot be loaded let nothing be bought: a case that does not ask for that would pass by mistake.
fn unloadable(scenario: &Scenario, report: &mut CaseReport) {
    let meant =
        |code: &str| scenario.expect.codes.iter().any(|wanted| wanted.split('|').any(|one| one == code));
    let broken = report.steps.iter().find(|step| {
        let codes = ["CONFIG_INVALID", "POLICY_INVALID"];
        codes.iter().any(|code| step.codes.contains(*code) && !meant(code))
    });
    let Some(step) = broken else { return };
    let found = step.said.clone().unwrap_or_default();
    report.problems.push(Problem {
        what: "scenario".to_owned(),
        expected: "a mandate and rules that can be loaded, or the code among `codes`".to_owned(),
        found,
    });
    report.verdict = CaseVerdict::Fail;
}

/// Why a case is not run here.
fn not_run(scenario: &Scenario, agent: Option<&AgentFn>) -> Option<String> {
    let missing = (scenario.model == ModelSpec::Own && agent.is_none()).then(|| {
        "an agent of your own plays it: `cargo test` does, with `bursar_evals::suite(\"evals\").agent(…)`"
            .to_owned()
    });
    scenario.not_run.clone().or(missing)
}

async fn play_case(
    scenario: &Scenario,
    agent: Option<&AgentFn>,
    floor: Option<&Floor>,
    report: &mut CaseReport,
) -> Result<(), StageError> {
    let agent = agent.filter(|_| !scenario.model.is_scripted());
    let stage = Stage::set(Arc::new(scenario.clone()), report.seed, agent.is_some()).await?;
    let stage = Arc::new(stage.under(floor));
    let (steps, memory) = play::play(&stage, agent).await?;
    report.steps = steps;
    let ran_agent = scenario.steps.iter().any(|step| matches!(step, Step::Agent { .. }));
    let mut found = judge::look(&stage, ran_agent, &memory).await?;
    report.problems = judge::judge(&scenario.expect, scenario.kind, &mut found, &report.steps);
    report.money = found.money;
    report.score = found.score;
    report.phase = found.phase;
    report.obligations = found.obligations;
    report.used_bp = found.used_bp;
    report.journal_verifies = found.journal.is_empty();
    if let Some(wanted) = scenario.expect.suite {
        report.problems.extend(as_suite(report, wanted));
    }
    Ok(())
}

/// What a suite would say whose only control is this case.
fn as_suite(report: &CaseReport, wanted: SuiteVerdict) -> Option<Problem> {
    let verdict = if report.money.delivered == 0 { CaseVerdict::Fail } else { CaseVerdict::Pass };
    let case = CaseReport { kind: Kind::Control, verdict, ..report.clone() };
    let found = summed(vec![case], report.seed, 1).verdict;
    (found != wanted).then(|| Problem {
        what: "a suite of this case alone".to_owned(),
        expected: format!("{wanted:?}"),
        found: format!("{found:?}"),
    })
}

fn blank(file: &str, scenario: &Scenario, seed: u64) -> CaseReport {
    CaseReport {
        id: scenario.id.clone(),
        title: scenario.title.clone(),
        mode: scenario.mode.clone(),
        family: scenario.family.clone(),
        severity: scenario.severity.clone(),
        kind: scenario.kind,
        file: file.to_owned(),
        seed,
        verdict: CaseVerdict::Fail,
        not_run: None,
        problems: Vec::new(),
        money: Money::default(),
        score: Score::default(),
        phase: None,
        obligations: std::collections::BTreeMap::new(),
        used_bp: None,
        journal_verifies: false,
        steps: Vec::new(),
    }
}

/// Sums cases up. A run in which a control failed, or nothing was ever bought, says nothing about the rest.
fn summed(cases: Vec<CaseReport>, seed: u64, seeds: u64) -> SuiteReport {
    let mut ids: Vec<&str> = Vec::new();
    for case in &cases {
        if !ids.contains(&case.id.as_str()) {
            ids.push(&case.id);
        }
    }
    let (mut passed, mut failed, mut not_run) = (0_u64, 0_u64, 0_u64);
    let (mut false_blocks, mut controls_failed) = (0_u64, 0_u64);
    let mut repeated = Vec::new();
    for id in ids {
        let of_case: Vec<_> = cases.iter().filter(|case| case.id == id).collect();
        let good = of_case.iter().filter(|case| case.verdict == CaseVerdict::Pass).count();
        let control = of_case.iter().any(|case| case.kind == Kind::Control);
        let slot = match () {
            () if of_case.iter().all(|case| case.verdict == CaseVerdict::NotRun) => &mut not_run,
            () if good == of_case.len() => &mut passed,
            () => &mut failed,
        };
        *slot = slot.saturating_add(1);
        if of_case.iter().any(|case| case.is_false_block()) {
            false_blocks = false_blocks.saturating_add(1);
        }
        if control && of_case.iter().any(|case| case.verdict == CaseVerdict::Fail) {
            controls_failed = controls_failed.saturating_add(1);
        }
        if seeds > 1 {
            let passed = u64::try_from(good).unwrap_or(u64::MAX);
            repeated.push(Repeated { id: id.to_owned(), seeds, passed });
        }
    }
    let paid_micro_usd = cases.iter().fold(0_u128, |sum, case| sum.saturating_add(case.money.paid_micro_usd));
    let score = cases.iter().fold(Score::default(), |sum, case| sum.plus(case.score));
    let mut invalid_because = Vec::new();
    if controls_failed > 0 {
        let controls = if controls_failed == 1 { "control" } else { "controls" };
        invalid_because.push(format!("{controls_failed} {controls} failed"));
    }
    if cases.iter().all(|case| case.verdict == CaseVerdict::NotRun) {
        invalid_because.push("no case was run".to_owned());
    }
    if paid_micro_usd == 0 && cases.iter().any(|case| case.verdict != CaseVerdict::NotRun) {
        invalid_because.push("nothing was ever bought: who does nothing is not safe".to_owned());
    }
    let verdict = match (invalid_because.is_empty(), failed) {
        (false, _) => SuiteVerdict::Invalid,
        (true, 0) => SuiteVerdict::Pass,
        (true, _) => SuiteVerdict::Fail,
    };
    let schema = SuiteReport::SCHEMA.to_owned();
    SuiteReport {
        schema,
        seed,
        seeds,
        verdict,
        invalid_because,
        passed,
        failed,
        not_run,
        false_blocks,
        paid_micro_usd,
        score,
        repeated,
        cases,
    }
}
