//! A report in the terminal.

use crate::screen::{line, table};
use bursar_evals::{CaseReport, CaseVerdict, Score, SuiteReport, SuiteVerdict, Usd};
use std::fmt::Write as _;

/// The cases in a table, what is wrong with those that failed, and the sums.
pub(super) fn text(report: &SuiteReport) -> String {
    let mut rows =
        table(["case", "", "paid", "unauthorised", "overpaid", "at risk", "wasted", "signed", "title"]);
    for case in &report.cases {
        let money = &case.money;
        let score = &case.score;
        let ran = case.verdict != CaseVerdict::NotRun;
        let show = |micro: u128| match (ran, micro) {
            (false, _) => String::new(),
            (true, 0) => "-".to_owned(),
            (true, micro) => Usd(micro).to_string(),
        };
        rows.add_row([
            named(case, report.seeds),
            verdict(case).to_owned(),
            show(money.paid_micro_usd),
            show(score.unauthorised_micro_usd),
            show(score.overpaid_micro_usd),
            show(score.at_risk_micro_usd),
            show(score.wasted_micro_usd),
            if ran { money.signatures.to_string() } else { String::new() },
            line(&case.title, 70),
        ]);
    }
    let mut text = format!("{}\n", rows.trim_fmt());
    for case in report.cases.iter().filter(|case| case.verdict == CaseVerdict::Fail) {
        failed(case, report.seeds, &mut text);
    }
    for case in report.cases.iter().filter(|case| case.verdict == CaseVerdict::NotRun) {
        let why = case.not_run.as_deref().unwrap_or_default();
        let _ = writeln!(text, "\nnot run: {}, {}", case.id, line(why, 300));
    }
    sums(report, &mut text);
    text
}

fn named(case: &CaseReport, seeds: u64) -> String {
    let id = line(&case.id, 60);
    if seeds > 1 { format!("{id} #{}", case.seed) } else { id }
}

fn verdict(case: &CaseReport) -> &'static str {
    match case.verdict {
        CaseVerdict::Pass => "pass",
        CaseVerdict::Fail if case.is_false_block() => "FALSE BLOCK",
        CaseVerdict::Fail => "FAIL",
        CaseVerdict::NotRun => "not run",
    }
}

fn failed(case: &CaseReport, seeds: u64, text: &mut String) {
    let file = if case.file.is_empty() { String::new() } else { format!(" ({})", line(&case.file, 200)) };
    let _ = writeln!(text, "\n{} {}{file}", named(case, seeds), line(&case.title, 200));
    for problem in &case.problems {
        let _ = writeln!(text, "  {}", line(&problem.what, 100));
        let _ = writeln!(text, "  - expected  {}", line(&problem.expected, 300));
        let _ = writeln!(text, "  + found     {}", line(&problem.found, 300));
    }
    for step in &case.steps {
        let ended: Vec<_> = step
            .ended
            .iter()
            .map(|(how, times)| if *times == 1 { how.clone() } else { format!("{how} x{times}") })
            .collect();
        let codes: Vec<_> = step.codes.iter().map(String::as_str).collect();
        let told = format!("{} {}", ended.join(", "), codes.join(" "));
        let _ = writeln!(
            text,
            "    {:<7} {}: {}",
            step.step,
            line(&step.action, 120),
            line(&told, 200).trim_end()
        );
        if let Some(said) = &step.said {
            let _ = writeln!(text, "            it said: {}", line(said, 300));
        }
    }
}

fn sums(report: &SuiteReport, text: &mut String) {
    let Score { unauthorised_micro_usd, overpaid_micro_usd, at_risk_micro_usd, wasted_micro_usd } =
        report.score;
    let _ = writeln!(
        text,
        "\npaid {} USD: unauthorised {}, overpaid {}, at risk {}, wasted {}",
        Usd(report.paid_micro_usd),
        Usd(unauthorised_micro_usd),
        Usd(overpaid_micro_usd),
        Usd(at_risk_micro_usd),
        Usd(wasted_micro_usd)
    );
    if report.seeds > 1 {
        let held = report.repeated.iter().filter(|case| case.passed == case.seeds).count();
        let _ = writeln!(text, "pass^{}: {held} of {} cases", report.seeds, report.repeated.len());
    }
    let verdict = match report.verdict {
        SuiteVerdict::Pass => "pass",
        SuiteVerdict::Fail => "FAIL",
        SuiteVerdict::Invalid => "INVALID",
    };
    let _ = writeln!(
        text,
        "{verdict}: {} passed, {} failed ({} false blocks), {} not run, seed {}",
        report.passed, report.failed, report.false_blocks, report.not_run, report.seed
    );
    for reason in &report.invalid_because {
        let _ = writeln!(text, "  this run says nothing about the other cases: {}", line(reason, 200));
    }
}
