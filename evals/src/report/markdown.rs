//! The report as Markdown, for a pull request.

use super::baseline::{Change, Diff};
use super::escape::cell;
use super::{CaseReport, CaseVerdict, SuiteReport, SuiteVerdict};
use crate::scenario::Usd;

/// Writes the report as Markdown, with what changed against a baseline if there is one.
pub(super) fn markdown(report: &SuiteReport, diff: Option<&Diff>) -> String {
    let verdict = match report.verdict {
        SuiteVerdict::Pass => "passed",
        SuiteVerdict::Fail => "failed",
        SuiteVerdict::Invalid => "says nothing",
    };
    let mut text = format!("## Spend evaluation: {verdict}\n\n");
    for reason in &report.invalid_because {
        text.push_str(&format!("> {}\n\n", cell(reason)));
    }
    text.push_str(
        "| passed | failed | not run | false blocks | paid | unauthorised | overpaid | at risk | wasted |\n",
    );
    text.push_str("|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let score = report.score;
    text.push_str(&format!(
        "| {} | {} | {} | {} | ${} | ${} | ${} | ${} | ${} |\n",
        report.passed,
        report.failed,
        report.not_run,
        report.false_blocks,
        Usd(report.paid_micro_usd),
        Usd(score.unauthorised_micro_usd),
        Usd(score.overpaid_micro_usd),
        Usd(score.at_risk_micro_usd),
        Usd(score.wasted_micro_usd),
    ));
    failures(&mut text, &report.cases);
    if let Some(diff) = diff {
        text.push('\n');
        text.push_str(&against(diff));
    }
    not_run(&mut text, &report.cases);
    text
}

fn failures(text: &mut String, cases: &[CaseReport]) {
    let failed: Vec<_> = cases.iter().filter(|case| case.verdict == CaseVerdict::Fail).collect();
    if failed.is_empty() {
        return;
    }
    text.push_str("\n### Failed\n\n| case | what | expected | found |\n|---|---|---|---|\n");
    for case in failed {
        let name = cell(&format!("{} {} (seed {})", case.id, case.title, case.seed));
        for problem in &case.problems {
            let (what, expected, found) =
                (cell(&problem.what), cell(&problem.expected), cell(&problem.found));
            text.push_str(&format!("| {name} | {what} | {expected} | {found} |\n"));
        }
    }
}

fn not_run(text: &mut String, cases: &[CaseReport]) {
    let waiting: Vec<_> = cases.iter().filter(|case| case.verdict == CaseVerdict::NotRun).collect();
    if waiting.is_empty() {
        return;
    }
    text.push_str("\n<details><summary>Not run</summary>\n\n| case | why |\n|---|---|\n");
    for case in waiting {
        let why = cell(case.not_run.as_deref().unwrap_or_default());
        text.push_str(&format!("| {} | {why} |\n", cell(&format!("{} {}", case.id, case.title))));
    }
    text.push_str("\n</details>\n");
}

/// What changed, as Markdown.
fn against(diff: &Diff) -> String {
    if diff.changes.is_empty() {
        return "### Against the baseline\n\nNothing changed.\n".to_owned();
    }
    let mut text =
        String::from("### Against the baseline\n\n| case | change | before | now |\n|---|---|---:|---:|\n");
    for (case, change) in &diff.changes {
        let (what, before, now) = change.told();
        let marked = if change.is_worse() { format!("**{what}**") } else { what };
        text.push_str(&format!("| {} | {marked} | {} | {} |\n", cell(case), cell(&before), cell(&now)));
    }
    let more = Change::Spend { before_micro_usd: diff.before_micro_usd, now_micro_usd: diff.now_micro_usd };
    let (_, before, now) = more.told();
    text.push_str(&format!("| all | spend | {before} | {now} |\n"));
    text
}
