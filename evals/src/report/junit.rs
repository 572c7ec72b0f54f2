//! The report as JUnit XML, for servers that show tests.

use super::escape::markup;
use super::{CaseReport, CaseVerdict, SuiteReport};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Writes the report as JUnit XML: a test suite for each family, a test case for each case and seed.
pub(super) fn junit(report: &SuiteReport) -> String {
    let mut families: BTreeMap<&str, Vec<&CaseReport>> = BTreeMap::new();
    for case in &report.cases {
        families.entry(case.family_or_case()).or_default().push(case);
    }
    let count = |verdict| report.cases.iter().filter(|case| case.verdict == verdict).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures, skipped) =
        (report.cases.len(), count(CaseVerdict::Fail), count(CaseVerdict::NotRun));
    put(
        &mut text,
        format_args!(
            "<testsuites name=\"bursar eval\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">\n"
        ),
    );
    for (family, cases) in families {
        suite(&mut text, family, &cases);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, family: &str, cases: &[&CaseReport]) {
    let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
    let (failures, skipped) = (count(CaseVerdict::Fail), count(CaseVerdict::NotRun));
    let (family, tests) = (markup(family), cases.len());
    put(
        text,
        format_args!(
            "  <testsuite name=\"{family}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">\n"
        ),
    );
    for case in cases {
        one(text, &family, case);
    }
    text.push_str("  </testsuite>\n");
}

fn one(text: &mut String, family: &str, case: &CaseReport) {
    let name = markup(&format!("{} {}", case.id, case.title));
    let file = markup(&case.file);
    put(
        text,
        format_args!("    <testcase classname=\"{family}\" name=\"{name}\" file=\"{file}\" time=\"0\">\n"),
    );
    match case.verdict {
        CaseVerdict::Pass => {}
        CaseVerdict::NotRun => {
            let why = markup(case.not_run.as_deref().unwrap_or_default());
            put(text, format_args!("      <skipped message=\"{why}\"/>\n"));
        }
        CaseVerdict::Fail => {
            for problem in &case.problems {
                let (what, expected, found) =
                    (markup(&problem.what), markup(&problem.expected), markup(&problem.found));
                put(
                    text,
                    format_args!(
                        "      <failure type=\"{what}\" message=\"{what}: expected {expected}, found {found}\"/>\n"
                    ),
                );
            }
        }
    }
    let score = &case.score;
    let money = format!(
        "seed {}, paid {} micro-USD, unauthorised {}, overpaid {}, at risk {}, wasted {}",
        case.seed,
        case.money.paid_micro_usd,
        score.unauthorised_micro_usd,
        score.overpaid_micro_usd,
        score.at_risk_micro_usd,
        score.wasted_micro_usd
    );
    put(text, format_args!("      <system-out>{}</system-out>\n    </testcase>\n", markup(&money)));
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(more);
}
