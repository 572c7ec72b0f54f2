//! Running seeds, and what comes of it.

use crate::audit;
use crate::driver::Driver;
use crate::scenario::Scenario;
use crate::trace::Coverage;
use crate::watch::Violation;
use crate::world::World;
use bursar_payments::Policy;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How a seed is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep every line of the trace, not only the last.
    pub all_lines: bool,
}

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What must never happen and did, if anything.
    pub violation: Option<Violation>,
    /// A hash over everything that happened: the same seed has the same.
    pub hash: u64,
    /// What was reached.
    pub coverage: Coverage,
    /// The last lines of the trace.
    pub lines: Vec<String>,
}

impl Report {
    /// The failure for a person: the seed, the invariant, how it came to that, and the command that repeats it.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let violation = self.violation.as_ref()?;
        let mut text =
            format!("seed {} breaks `{}`\n  {}\n\n", self.seed, violation.invariant, violation.message);
        for line in &self.lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "\nrepeat it: cargo run -p bursar-simulation -- --seed {} --trace", self.seed);
        Some(text)
    }
}

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// What they reached.
    pub coverage: Coverage,
    /// Those that failed, in order.
    pub failures: Vec<Report>,
}

thread_local! {
    /// What the last panic on this thread said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what panics say: the purse survives those of its tasks, and a simulation must not overlook them.
fn hear_panics() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|kept| *kept = Some(info.to_string()));
            before(info);
        }));
    });
}

fn policy() -> Result<Arc<Policy>, String> {
    static POLICY: OnceLock<Result<Arc<Policy>, String>> = OnceLock::new();
    let parsed = || Policy::shipped().map(Arc::new).map_err(|error| error.to_string());
    POLICY.get_or_init(parsed).clone()
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Report {
    hear_panics();
    PANIC.with_borrow_mut(|kept| *kept = None);
    let broken = |message: String| Report {
        seed,
        violation: Some(Violation { invariant: "the-simulation-runs", message }),
        hash: 0,
        coverage: Coverage::default(),
        lines: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (runtime, policy) = match (runtime, policy()) {
        (Ok(runtime), Ok(policy)) => (runtime, policy),
        (Err(error), _) => return broken(error.to_string()),
        (_, Err(error)) => return broken(error),
    };
    let report = runtime.block_on(async {
        let scenario = Scenario::draw(seed);
        let world = match World::new(seed, scenario, policy, options.all_lines).await {
            Ok(world) => Arc::new(world),
            Err(error) => return broken(error.to_string()),
        };
        let violation = play(&mut Driver::new(world.clone())).await.err();
        let panic = PANIC.with_borrow_mut(Option::take);
        let panic = panic.map(|message| Violation { invariant: "nothing-panics", message });
        let trace = world.stage.trace();
        Report {
            seed,
            violation: panic.or(violation),
            hash: trace.digest(),
            coverage: world.stage.coverage(),
            lines: trace.lines(),
        }
    });
    runtime.shutdown_background();
    report
}

async fn play(driver: &mut Driver) -> Result<(), Violation> {
    driver.storm().await?;
    driver.calm().await?;
    audit::audit(driver).await
}

/// Runs many seeds on as many threads, and stops at the first failure if told so.
#[must_use]
pub fn run_many(seeds: Range<u64>, threads: usize, until_failure: bool) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut own = Summary::default();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = run(seed, Options::default());
                    own.seeds = own.seeds.saturating_add(1);
                    own.coverage.add(&report.coverage);
                    if report.violation.is_some() {
                        stop.fetch_or(until_failure, Ordering::Relaxed);
                        own.failures.push(report);
                    }
                }
                let mut all = summary.lock().unwrap_or_else(PoisonError::into_inner);
                all.seeds = all.seeds.saturating_add(own.seeds);
                all.coverage.add(&own.coverage);
                all.failures.extend(own.failures);
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort_by_key(|report| report.seed);
    summary
}
