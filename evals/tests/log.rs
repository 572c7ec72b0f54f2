//! Who notices that a journal is shown in two versions: whatever is taken away, the case of the suite fails for want of it.

use bursar_evals::{CaseReport, CaseVerdict, LogSpec, Scenario, Step, Suite, run_scenario};

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn split_view() -> Scenario {
    let suite = Suite::load(&[concat!(env!("CARGO_MANIFEST_DIR"), "/suite/audit.toml")]).unwrap();
    suite.filtered("AUD-04").cases.remove(0).1
}

fn problems(scenario: &Scenario) -> Vec<String> {
    let report: CaseReport = run_scenario(scenario, 1);
    assert_eq!(report.verdict, CaseVerdict::Fail);
    report.problems.iter().map(|problem| format!("{}: {}", problem.what, problem.expected)).collect()
}

#[test]
fn without_a_witness_the_copy_pays_and_only_who_saw_both_logs_can_tell() {
    let unwitnessed = Scenario { log: LogSpec::Published, ..split_view() };
    assert_eq!(
        problems(&unwitnessed),
        [
            "paid: at most 0",
            "signatures: at most 0",
            "journal: verifies",
            "codes: LOG_CONTRADICTED",
            "codes: LOG_NOT_COSIGNED",
            "codes: FROZEN",
            "said: `witness witness.test: it saw another journal`",
        ]
    );
}

#[test]
fn readers_who_never_compare_do_not_see_the_fork() {
    let mut apart = split_view();
    for step in &mut apart.steps {
        if let Step::Show { process, to } = step {
            *to = process.clone();
        }
    }
    assert_eq!(
        problems(&apart),
        [
            "codes: LOG_FORK",
            "said: `entries before and as many now, both signed`",
            "said: `more now, both signed`",
        ]
    );
}

#[test]
fn a_log_that_is_not_published_can_be_shown_to_nobody() {
    let text = r#"
        [[case]]
        id = "x"
        title = "x"
        step = [{ do = "repeat", times = 2, steps = [{ do = "show", to = "ada" }] }]
        expect = { paid_max = "0", signatures_max = 0 }
    "#;
    let error = Suite::default().add("x.toml", text).unwrap_err().to_string();
    assert!(error.contains("`publish` and `show` need a log: `log = \"published\"`"), "{error}");
}
