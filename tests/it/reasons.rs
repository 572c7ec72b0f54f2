//! The list of reason codes is the list: what the source can say stands in it, and it holds nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where refusals are made.
const SOURCES: [&str; 8] = [
    "types/src",
    "ledger/src",
    "payments/src",
    "tools/src",
    "agent-core/src",
    "rig/src",
    "src",
    "gateway/src",
];
/// Texts in capitals that are no codes.
const NO_CODES: [&str; 9] = [
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_OPENAI_API_KEY",
    "BURSAR_WALLET_PASSWORD",
    "CARGO_PKG_VERSION",
    "COLLECTOR_TOKEN",
    "GIT_TERMINAL_PROMPT",
    "LC_ALL",
    "LC_CTYPE",
    "OPENAI_API_KEY",
];
/// Codes that are put together as they are needed, or that only the command line says.
const MADE_UP: [&str; 2] = ["HTTP_nnn", "POLICY_EXAMPLE"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder with this ending, tests left out.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) && !["tests.rs", "testkit.rs"].contains(&name) {
            found.push(path);
        }
    }
    found
}

fn is_code(text: &str) -> bool {
    let capitals = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    // OpenTelemetry's variables are none.
    capitals
        && text.len() > 3
        && !text.starts_with("OTEL_")
        && text.starts_with(|c: char| c.is_ascii_uppercase())
}

/// The string literals of a Rust file before its tests, each with what stands before it on its line and the one above.
fn literals(text: &str) -> Vec<(String, String)> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut found = Vec::new();
    let mut above = "";
    for line in code.lines() {
        if !line.trim_start().starts_with("//") {
            let parts: Vec<_> = line.split('"').collect();
            for index in (1..parts.len()).step_by(2) {
                found.push((format!("{above}{}", parts[..index].concat()), parts[index].to_owned()));
            }
            above = line;
        }
    }
    found
}

fn in_the_source() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for path in SOURCES.iter().flat_map(|folder| files(&root().join(folder), ".rs")) {
        for (before, text) in literals(&std::fs::read_to_string(path).unwrap()) {
            // An error that begins with its code says it too.
            let text = text.split_once(": ").map_or(text.clone(), |(code, _)| code.to_owned());
            // One word in capitals may be anything; where a reason is made it is a code.
            let makes_a_reason = ["Reason::new(", "ReasonView::new(", "=> (", "changed("]
                .iter()
                .any(|start| before.trim_end().ends_with(start));
            if is_code(&text) && (text.contains('_') || makes_a_reason) && !NO_CODES.contains(&text.as_str())
            {
                codes.insert(text);
            }
        }
    }
    let mut rules = files(&root().join("payments/policies"), ".cedar");
    rules.extend(files(&root().join("payments/src/policy"), ".rs"));
    for path in rules {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if let Some((code, _)) = line.strip_prefix("@reason(\"").and_then(|rest| rest.split_once(':')) {
                codes.insert(code.to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_reason_code_is_in_the_list_and_the_list_has_no_others() {
    let list = std::fs::read_to_string(root().join("docs/REASONS.md")).unwrap();
    let mut listed = Vec::new();
    for table in list.split("\n## ") {
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
        let codes: Vec<_> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
        assert!(codes.is_sorted(), "each table is sorted by code: {codes:?}");
        for row in &rows {
            let filled = row.split('|').filter(|cell| !cell.trim().is_empty()).count();
            assert!(filled >= 2, "a code and when it comes: {row}");
        }
        listed.extend(codes);
    }
    let once: BTreeSet<_> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "each code stands there once");
    let listed: BTreeSet<_> =
        listed.into_iter().filter(|code| !MADE_UP.contains(code)).map(str::to_owned).collect();
    let known = in_the_source();
    let missing: Vec<_> = known.difference(&listed).collect();
    let left_over: Vec<_> = listed.difference(&known).collect();
    assert!(missing.is_empty(), "add to docs/REASONS.md: {missing:?}");
    assert!(left_over.is_empty(), "no code says these: {left_over:?}");
}
