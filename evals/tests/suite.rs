//! The project's own suite.
#![expect(clippy::print_stdout, reason = "what fails is told beside the assertion, which is short")]

use bursar_evals::{CaseVerdict, Options, Suite, run_suite};

/// Cases whose mechanism is being built. They fail visibly; a case that is not here must not.
const WAITING: &[&str] = &[];

/// Cases in which much happens at once, or whose process dies: if anything differs from run to run, it does here.
const AGAIN: &[&str] =
    &["AUD-02", "AUD-04", "BND-12", "CTL-11", "FM1-07", "FM1-09", "FM2-05", "FM2-06", "NET-11"];

#[test]
fn every_case_is_as_its_author_says_and_the_same_seed_gives_the_same_report() {
    let mut suite = Suite::load(&[concat!(env!("CARGO_MANIFEST_DIR"), "/suite")]).unwrap();
    let report = run_suite(&suite, &Options::default());
    let failed: Vec<_> = report.cases.iter().filter(|case| case.verdict == CaseVerdict::Fail).collect();
    for case in &failed {
        println!("{} {}", case.id, case.title);
        for problem in &case.problems {
            println!("    {}: {}, and found {}", problem.what, problem.expected, problem.found);
        }
        for step in case.steps.iter().take(12) {
            println!(
                "      {} {}: {:?} {:?} {:?}",
                step.step, step.action, step.ended, step.codes, step.said
            );
        }
    }
    println!("{} passed, {} failed, {} not run", report.passed, report.failed, report.not_run);
    let unexpected: Vec<_> =
        failed.iter().map(|case| case.id.as_str()).filter(|id| !WAITING.contains(id)).collect();
    assert_eq!(unexpected, Vec::<&str>::new());
    suite.cases.retain(|(_, case)| AGAIN.contains(&case.id.as_str()));
    let again = run_suite(&suite, &Options { workers: 1, ..Options::default() });
    for case in &again.cases {
        let first = report.cases.iter().find(|first| first.id == case.id).unwrap();
        let text = |case| serde_json::to_string_pretty(case).unwrap();
        assert_eq!(text(first), text(case), "the same seed gives the same report");
    }
}
