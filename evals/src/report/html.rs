//! The report as one page: no script, nothing from elsewhere, and every text that others wrote stays text.

use super::baseline::Diff;
use super::escape::markup;
use super::{CaseReport, CaseVerdict, SuiteReport, SuiteVerdict};
use crate::scenario::{Kind, Usd};

/// Scripts, frames, forms, images and addresses elsewhere are forbidden by the page itself.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n<title>Spend evaluation</title>\n<style>\n\
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1b;background:#fff}\n\
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border-bottom:1px solid #d0d0d0;padding:.3rem .6rem;text-align:left;\
vertical-align:top;overflow-wrap:anywhere}td.n{text-align:right;white-space:nowrap}\n\
.pass{color:#0a5c2b}.fail{color:#a11212;font-weight:600}.not_run{color:#5a5a5a}\n\
summary{cursor:pointer}code{font:12px/1.4 ui-monospace,monospace}\n\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}th,td{border-color:#3a3a3a}.pass{color:#6fd08c}\
.fail{color:#ff8d8d}.not_run{color:#a8a8a8}}\n</style>\n</head>\n<body>\n";

/// Writes the report as one page, with what changed against a baseline if there is one.
pub(super) fn html(report: &SuiteReport, diff: Option<&Diff>) -> String {
    let mut page = HEAD.to_owned();
    let (class, verdict) = match report.verdict {
        SuiteVerdict::Pass => ("pass", "passed"),
        SuiteVerdict::Fail => ("fail", "failed"),
        SuiteVerdict::Invalid => ("fail", "says nothing"),
    };
    page.push_str(&format!("<h1>Spend evaluation: <span class=\"{class}\">{verdict}</span></h1>\n"));
    for reason in &report.invalid_because {
        page.push_str(&format!("<p>{}</p>\n", markup(reason)));
    }
    totals(&mut page, report);
    if let Some(diff) = diff {
        changes(&mut page, diff);
    }
    page.push_str(
        "<h2>Cases</h2>\n<table>\n<thead><tr><th>case</th><th>family</th><th>kind</th><th>verdict</th>\
<th>paid</th><th>unauthorised</th><th>signatures</th></tr></thead>\n<tbody>\n",
    );
    for one in &report.cases {
        case(&mut page, one);
    }
    page.push_str("</tbody>\n</table>\n</body>\n</html>\n");
    page
}

fn totals(page: &mut String, report: &SuiteReport) {
    let score = report.score;
    let rows = [
        ("passed", report.passed.to_string()),
        ("failed", report.failed.to_string()),
        ("not run", report.not_run.to_string()),
        ("false blocks", report.false_blocks.to_string()),
        ("paid", format!("${}", Usd(report.paid_micro_usd))),
        ("unauthorised", format!("${}", Usd(score.unauthorised_micro_usd))),
        ("overpaid", format!("${}", Usd(score.overpaid_micro_usd))),
        ("at risk", format!("${}", Usd(score.at_risk_micro_usd))),
        ("wasted", format!("${}", Usd(score.wasted_micro_usd))),
    ];
    page.push_str("<table>\n<tbody>\n");
    for (name, value) in rows {
        page.push_str(&format!("<tr><th>{name}</th><td class=\"n\">{}</td></tr>\n", markup(&value)));
    }
    page.push_str("</tbody>\n</table>\n");
}

fn changes(page: &mut String, diff: &Diff) {
    page.push_str("<h2>Against the baseline</h2>\n");
    if diff.changes.is_empty() {
        page.push_str("<p>Nothing changed.</p>\n");
        return;
    }
    page.push_str(
        "<table>\n<thead><tr><th>case</th><th>change</th><th>before</th><th>now</th></tr></thead>\n<tbody>\n",
    );
    for (name, change) in &diff.changes {
        let (what, before, now) = change.told();
        let class = if change.is_worse() { "fail" } else { "pass" };
        page.push_str(&format!(
            "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}</td></tr>\n",
            markup(name),
            markup(&what),
            markup(&before),
            markup(&now)
        ));
    }
    page.push_str("</tbody>\n</table>\n");
}

fn case(page: &mut String, case: &CaseReport) {
    let (class, verdict) = match case.verdict {
        CaseVerdict::Pass => ("pass", "pass"),
        CaseVerdict::Fail => ("fail", "fail"),
        CaseVerdict::NotRun => ("not_run", "not run"),
    };
    let kind = match case.kind {
        Kind::Attack => "attack",
        Kind::Control => "control",
    };
    let name = markup(&format!("{} {}", case.id, case.title));
    page.push_str(&format!(
        "<tr><td><details><summary>{name}</summary>{}</details></td><td>{}</td><td>{kind}</td>\
<td class=\"{class}\">{verdict}</td><td class=\"n\">${}</td><td class=\"n\">${}</td><td class=\"n\">{}</td></tr>\n",
        details(case),
        markup(&case.family),
        Usd(case.money.paid_micro_usd),
        Usd(case.score.unauthorised_micro_usd),
        case.money.signatures
    ));
}

fn details(case: &CaseReport) -> String {
    let mut text = format!("<p>seed {}, {}</p>", case.seed, markup(&case.file));
    if let Some(why) = &case.not_run {
        text.push_str(&format!("<p>{}</p>", markup(why)));
    }
    for problem in &case.problems {
        text.push_str(&format!(
            "<p class=\"fail\">{}: expected {}, found {}</p>",
            markup(&problem.what),
            markup(&problem.expected),
            markup(&problem.found)
        ));
    }
    for step in &case.steps {
        let ended: Vec<_> = step.ended.iter().map(|(how, times)| format!("{how} x{times}")).collect();
        let codes: Vec<_> = step.codes.iter().map(String::as_str).collect();
        let line = format!("{} {}: {} {}", step.step, step.action, ended.join(", "), codes.join(" "));
        text.push_str(&format!("<div><code>{}</code></div>", markup(line.trim_end())));
        if let Some(said) = &step.said {
            let said: String = said.chars().take(400).collect();
            text.push_str(&format!("<div>it said: {}</div>", markup(&said)));
        }
    }
    text
}
