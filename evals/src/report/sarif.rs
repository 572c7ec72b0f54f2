//! The report as SARIF 2.1.0, for code hosts that show findings beside the file they come from.

use super::{CaseReport, CaseVerdict, SuiteReport};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Writes the report as SARIF 2.1.0: a rule for each family, a result for each case that failed.
pub(super) fn sarif(report: &SuiteReport) -> String {
    let mut families: BTreeMap<&str, Vec<&CaseReport>> = BTreeMap::new();
    for case in &report.cases {
        families.entry(case.family_or_case()).or_default().push(case);
    }
    let rules: Vec<_> = families.iter().map(|(family, cases)| rule(family, cases)).collect();
    let ids: Vec<&str> = families.keys().copied().collect();
    let results: Vec<_> = report
        .cases
        .iter()
        .filter(|case| case.verdict == CaseVerdict::Fail)
        .map(|case| result(case, ids.iter().position(|id| *id == case.family_or_case())))
        .collect();
    let run = json!({
        "tool": { "driver": {
            "name": "bursar eval",
            "rules": rules,
        } },
        "invocations": [{ "executionSuccessful": true }],
        "results": results,
        "columnKind": "unicodeCodePoints",
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

fn rule(family: &str, cases: &[&CaseReport]) -> Value {
    let titles: Vec<_> = cases.iter().map(|case| case.title.as_str()).collect();
    json!({
        "id": family,
        "shortDescription": { "text": format!("spend behaviour: {}", family.replace('_', " ")) },
        "fullDescription": { "text": titles.join("; ") },
    })
}

fn result(case: &CaseReport, rule: Option<usize>) -> Value {
    let level = match case.severity.as_str() {
        "low" => "note",
        "medium" => "warning",
        _ => "error",
    };
    let problems: Vec<_> = case
        .problems
        .iter()
        .map(|problem| format!("{}: expected {}, found {}", problem.what, problem.expected, problem.found))
        .collect();
    let text = format!("{} {}: {}", case.id, case.title, problems.join("; "));
    let mut result = json!({
        "ruleId": case.family_or_case(),
        "level": level,
        "message": { "text": super::escape::visible(&text) },
        "partialFingerprints": { "bursarCase/v1": case.id },
        "properties": { "score": case.score, "seed": case.seed },
    });
    if let (Some(fields), Some(rule)) = (result.as_object_mut(), rule) {
        fields.insert("ruleIndex".to_owned(), rule.into());
    }
    if !case.file.is_empty() {
        let location = json!([{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&case.file) },
            "region": { "startLine": 1 },
        } }]);
        if let Some(fields) = result.as_object_mut() {
            fields.insert("locations".to_owned(), location);
        }
    }
    result
}

/// A path as a reference: what is not allowed in one is written in percent.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
