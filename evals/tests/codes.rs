//! Reason codes of the project's suite: a code that nothing gives is never missed.

use bursar_evals::Suite;
use std::collections::{BTreeMap, BTreeSet};

/// What a step ends with where nothing could be opened at all, or where what is published is doubted: no refusal of a purse.
const OF_THE_STAGE: [&str; 11] = [
    "CONFIG_INVALID",
    "DELEGATION_WIDENED",
    "LEDGER_ROLLED_BACK",
    "LOG_BROKEN",
    "LOG_CONTRADICTED",
    "LOG_FORK",
    "LOG_NOT_COSIGNED",
    "NOT_DELEGATED",
    "NOT_OPENED",
    "POLICY_INVALID",
    "SESSION_REFUSED",
];

fn documented(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(code, _)| code.to_owned()).collect()
}

/// Alternatives in capital letters; the others are how a step ended.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').filter(|code| !code.is_empty() && !code.bytes().any(|b| b.is_ascii_lowercase()))
}

#[test]
fn every_code_that_a_case_expects_can_be_given() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/REASONS.md")).unwrap();
    let documented = documented(&text);
    let known = |code: &str| documented.contains(code) || OF_THE_STAGE.contains(&code);
    let suite = Suite::load(&[concat!(env!("CARGO_MANIFEST_DIR"), "/suite")]).unwrap();
    let mut unknown = Vec::new();
    for (file, case) in &suite.cases {
        let own = case.policy.as_deref().unwrap_or_default();
        let wanted = case.expect.codes.iter().chain(&case.expect.codes_never).flat_map(|text| codes(text));
        let lost = wanted.filter(|code| !known(code) && *code != "*" && !own.contains(&format!("\"{code}:")));
        unknown.extend(lost.map(|code| format!("{file}: {} {code}", case.id)));
    }
    let table = include_str!("../suite/codes.toml");
    let table: BTreeMap<String, String> = toml::from_str(table).unwrap();
    let lost = |(name, ours): (&String, &String)| {
        codes(ours).find(|code| !known(code)).map(|code| format!("codes.toml: {name} {code}"))
    };
    unknown.extend(table.iter().filter_map(lost));
    assert_eq!(unknown, Vec::<String>::new());
}
