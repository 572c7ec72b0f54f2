//! `bursar audit explain`: a real purchase, told from its journal alone.

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Home, ran};
use rusqlite::Connection;

const QUESTIONS: [&str; 9] = [
    "what was bought",
    "in which work",
    "for whom, under which mandate and plan item",
    "which rules decided, over which facts",
    "what it cost",
    "who was paid, on which network",
    "what happened, and what the rail says",
    "what was delivered",
    "whether and where it was used",
];

/// A home in which an agent bought something, and the payments.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
fn bought() -> (Home, Vec<String>) {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let file = Connection::open(home.file(".bursar/ledger.sqlite")).unwrap();
    let mut names = file.prepare("SELECT substr(name, 9) FROM streams WHERE name LIKE 'payment/%'").unwrap();
    let payments: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!payments.is_empty());
    drop(names);
    (home, payments)
}

#[test]
fn a_payment_is_told_whole_each_answer_with_its_entry() {
    let (home, payments) = bought();
    let told = home.run(["audit", "explain", &payments[0]]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for question in QUESTIONS {
        assert!(told.stdout.lines().any(|line| line == question), "{question}: {}", told.stdout);
    }
    for answer in [
        "Money moved, seen by the rail itself; what was bought was delivered.",
        "model turn: number",
        "tool call: fetch",
        "known, because: the purse was asked by this call",
        "approved by:",
        "rules that determined it:",
        "fact micro_usd:",
        "payee: 0x",
        "payment.signing: the terms of attempt 0 were fixed",
        "SHA-256:",
        "used for:",
    ] {
        assert!(told.stdout.contains(answer), "{answer}: {}", told.stdout);
    }
    assert!(!told.stdout.contains("the journal does not say"), "{}", told.stdout);

    let json = home.run(["audit", "explain", &payments[0], "--json"]);
    let trace: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(trace["payment"], payments[0].as_str());
    let lines = trace["parts"].as_array().unwrap().iter().flat_map(|part| part["lines"].as_array().unwrap());
    assert!(lines.filter(|line| line["entry"].is_u64()).count() > 30);

    let page = home.file("trace.html");
    let ran = home.run(["audit", "explain", &payments[0], "--html", page.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let html = std::fs::read_to_string(page).unwrap();
    for loads in ["<script", "src=", "href=", "url("] {
        assert!(!html.contains(loads), "the page has {loads}");
    }
    // The example that is shipped with the documents asks the same questions.
    let example =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/trace.html")).unwrap();
    let heads = |html: &str| {
        html.lines().filter(|line| line.starts_with("<h2>")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(heads(&html), heads(&example));
}

#[test]
fn what_was_erased_says_so_and_what_is_left_is_told() {
    let (home, payments) = bought();
    let file = Connection::open(home.file(".bursar/ledger.sqlite")).unwrap();
    assert!(file.execute("DELETE FROM payloads", []).unwrap() > 0);
    drop(file);
    let told = home.run(["audit", "explain", &payments[0]]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("payment.signing: erased, not re-checkable"), "{}", told.stdout);
}

/// The first seller's vendor is taken from the list, so the rules refuse it; the refusal leads to its rules and its call.
#[test]
fn a_refusal_is_told_with_its_rules_its_facts_and_the_call_that_met_it() {
    let outside = Outside::selling("# Gas\n\nThe submitter of a token transfer pays the gas.\n");
    outside
        .configure(|config| config.replace("[mandate]\n", "[mandate]\nvendors = [\"elsewhere.example\"]\n"));
    let ran = ran(outside.with_config(&["research", "Who pays the gas of a token transfer?"]));
    let listed = outside.home.run(["audit", "explain", "--denied", "--json"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let denied = listed.json();
    assert!(!denied.is_empty(), "{} {}", ran.stdout, ran.stderr);
    for refusal in denied {
        let told = outside.home.run(["audit", "explain", &refusal["entry"].to_string()]);
        assert_eq!(told.code, 0, "{}", told.stderr);
        for answer in [
            "It was refused with VENDOR_NOT_LISTED; no money moved.",
            "rules that determined it: quote.vendor-unlisted",
            "fact vendor_listed: false",
            "tool call: search_market",
            "known, because: the purse was asked by this call",
        ] {
            assert!(told.stdout.contains(answer), "{answer}: {}", told.stdout);
        }
    }
}

#[test]
fn what_there_is_not_is_refused_with_what_can_be_done() {
    let (home, _) = bought();
    let ran = home.run(["audit", "explain", "pay_0000"]);
    assert_eq!(ran.code, 2, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("--denied lists refusals"), "{}", ran.stderr);
    assert_eq!(home.run(["audit", "explain", "--denied"]).code, 0);
}
