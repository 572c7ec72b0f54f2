//! Seeds that must pass, that they reach what they are for, and that the same seed is the same seed.

mod reach;

use bursar_simulation::{Options, run, run_many};

#[test]
fn a_thousand_seeds_break_no_invariant_and_reach_every_state_and_fault() {
    let summary = run_many(0..1_000, 2, true);
    let failures: Vec<_> = summary.failures.iter().filter_map(|report| report.failure()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(summary.seeds, 1_000);
    let missed: Vec<_> = reach::WANTED.iter().filter(|what| summary.coverage.of(what) == 0).collect();
    assert!(missed.is_empty(), "a thousand seeds never reach {missed:?}");
}

#[test]
fn the_same_seed_goes_the_same_way() {
    for seed in 0..60 {
        let (first, second) = (run(seed, Options::default()), run(seed, Options { all_lines: true }));
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}
