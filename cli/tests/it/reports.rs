//! `bursar sessions`, `bursar spend`, `bursar audit verify`.

use crate::research::QUESTION;
use crate::support::{Home, steady};

#[test]
fn sessions_spend_and_audit_read_the_ledger_alone() {
    let home = Home::new();
    // One document, so that what a model prefers does not show here.
    std::fs::create_dir(home.file("notes")).unwrap();
    std::fs::write(home.file("notes/gas.md"), "# Gas\n\nThe submitter of a token transfer pays the gas.\n")
        .unwrap();
    let asked = ["research", "Who pays the gas of a token transfer?", "--sources", "notes"];
    assert_eq!(home.run(asked).code, 0);
    assert_eq!(home.run(asked.into_iter().chain(["--approve", "never"])).code, 0);
    // Neither wallet nor chain is needed any more.
    std::fs::remove_file(home.file(".bursar/play-money.key")).unwrap();
    std::fs::remove_file(home.file(".bursar/chain.jsonl")).unwrap();
    for (name, args) in [
        ("sessions", vec!["sessions"]),
        ("spend", vec!["spend"]),
        ("spend_csv", vec!["spend", "--csv"]),
        ("audit", vec!["audit", "verify"]),
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        // How often it was published is a matter of time, and its key is its own.
        let (log, rest): (Vec<_>, Vec<_>) =
            ran.stdout.split_inclusive('\n').partition(|line| line.starts_with("the published log"));
        assert_eq!(log.len(), usize::from(name == "audit"), "{}", ran.stdout);
        insta::assert_snapshot!(name, steady(&rest.concat()));
    }
}

#[test]
fn spend_of_one_session_leaves_the_others_out() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    assert_eq!(home.run(["research", "What is a saga?"]).code, 0);
    let all = home.payments();
    let session = all[0]["session"].as_str().unwrap();
    let own = home.run(["spend", session, "--json"]).json();
    assert!(!own.is_empty() && own.iter().all(|payment| payment["session"] == session));
    let ran = home.run(["spend", "ses_00000000000000000000000000000000"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("`bursar sessions` lists them"), "{}", ran.stderr);
}

#[test]
fn a_use_of_erased_bytes_is_not_counted_as_one_that_holds() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let counted = |text: &str| {
        let words = text.lines().nth(1).unwrap().split_once(" recorded use").unwrap();
        (words.0.parse::<u64>().unwrap(), words.1.contains("erased"))
    };
    let ran = home.run(["audit", "verify"]);
    let (held, erased) = counted(&ran.stdout);
    assert_eq!((ran.code, held > 0, erased), (0, true, false), "{}", ran.stdout);
    assert!(home.payments().iter().any(|payment| payment["uses"] != serde_json::json!([])));

    for payment in home.payments() {
        let erased = home.run(["audit", "erase", "--payment", payment["id"].as_str().unwrap()]);
        assert_eq!(erased.code, 0, "{}", erased.stderr);
    }
    let ran = home.run(["audit", "verify"]);
    assert_eq!((ran.code, counted(&ran.stdout)), (0, (0, true)), "{}", ran.stdout);
}

#[test]
fn a_journal_that_was_changed_does_not_verify() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let file = rusqlite::Connection::open(home.file(".bursar/ledger.sqlite")).unwrap();
    let changed = file.execute(
        "UPDATE payloads SET bytes = x'7b7d' WHERE rowid IN (SELECT rowid FROM payloads LIMIT 1)",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(file);
    let ran = home.run(["audit", "verify"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.starts_with("the journal does not verify"), "{}", ran.stdout);
}
