//! Mutated cases: made from a seed alone, and safe.

use bursar_evals::{Kind, MutationOptions, Suite, mutant, run_mutants};

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn suite() -> Suite {
    Suite::load(&[concat!(env!("CARGO_MANIFEST_DIR"), "/suite")]).unwrap()
}

#[test]
fn a_seed_gives_one_case_and_other_seeds_give_others() {
    let suite = suite();
    let mut different = std::collections::BTreeSet::new();
    let (mut attacks, mut controls) = (0, 0);
    for seed in 0..300 {
        let one = mutant(&suite, seed).unwrap();
        assert_eq!(Some(&one), mutant(&suite, seed).as_ref());
        match one.scenario.kind {
            Kind::Attack => attacks += 1,
            Kind::Control => controls += 1,
        }
        different.insert(format!("{} {:?}", one.base, one.changes));
    }
    assert!(
        different.len() > 200 && attacks > 100 && controls > 30,
        "{} {attacks} {controls}",
        different.len()
    );
}

#[test]
fn mutated_cases_move_nothing_that_is_not_allowed_and_refuse_nobody_honest() {
    let cases = 40;
    let options = MutationOptions { cases, ..MutationOptions::default() };
    let report = run_mutants(&suite(), &options, &|_| {});
    let failed: Vec<_> = report
        .failures
        .iter()
        .map(|one| {
            let problems: Vec<_> = one
                .problems
                .iter()
                .map(|problem| {
                    format!("{}: expected {}, found {}", problem.what, problem.expected, problem.found)
                })
                .collect();
            let (what, how) = (one.changes.join("; "), problems.join("; "));
            format!("seed {} {:?} {} ({what})\n    {how}", one.seed, one.kind, one.base)
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} attacks, {} controls\n{}",
        report.attacks,
        report.controls,
        failed.join("\n")
    );
    assert!(report.passes() && report.paid_micro_usd > 0);
    assert_eq!((report.cases, report.unauthorised_micro_usd, report.false_blocks), (cases, 0, 0));
}
