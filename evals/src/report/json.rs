//! The report as JSON: everything that is known, for programs.

use super::SuiteReport;

/// Writes the report as JSON. Its form is named by `schema`; fields are only added under one name.
pub(super) fn json(report: &SuiteReport) -> String {
    // A report holds nothing that JSON cannot.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
