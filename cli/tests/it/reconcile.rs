//! `bursar reconcile`: an old data folder that was put back, somebody else who pays from the wallet, and statements.

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Ran, ran};
use serde_json::Value;
use std::path::Path;

/// A market of one document, which the question is about.
const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const OTHER_QUESTION: &str = "What is a saga?";
const WORD: [&str; 4] = ["--by", "ada", "--reason", "the disk was restored"];

fn run(outside: &Outside, args: &[&str]) -> Ran {
    ran(outside.with_config(args))
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        copy(&path, &to.join(path.file_name().unwrap()));
    }
}

/// Everything of the data folder and beside it.
fn put(outside: &Outside, from: &str, to: &str) {
    for name in ["", ".mark"] {
        let (from, to) =
            (outside.home.file(&format!("{from}{name}")), outside.home.file(&format!("{to}{name}")));
        let _ = std::fs::remove_dir_all(&to);
        copy(&from, &to);
    }
}

/// Where the market's chain is read.
fn rpc_of(outside: &Outside) -> String {
    let config = std::fs::read_to_string(outside.home.file("bursar.toml")).unwrap();
    let (_, rest) = config.split_once("rpc = [\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn sent(outside: &Outside) -> usize {
    outside.home.transfers("chain.jsonl").len()
}

fn list<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["reconcile"] == name).collect()
}

#[test]
fn an_old_folder_that_was_put_back_with_its_mark_pays_nothing_until_it_was_reconciled() {
    let outside = Outside::new();
    let ask = |question: &str| run(&outside, &["research", question, "--json"]);
    assert_eq!(ask(QUESTION).code, 0);
    let first = sent(&outside);
    put(&outside, ".bursar", "kept");
    let asked = ask(OTHER_QUESTION);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let all = sent(&outside);
    assert!(first > 0 && all > first, "{first} {all}");
    let agrees = run(&outside, &["reconcile", "--all", "--json"]);
    assert_eq!((agrees.code, list(&agrees.json(), "matched").len()), (0, all), "{}", agrees.stdout);

    put(&outside, "kept", ".bursar");
    // It may find an answer in what is free and owned.
    let refused = ask(OTHER_QUESTION);
    assert!([0, 1].contains(&refused.code), "{}", refused.stderr);
    assert!(refused.stdout.contains("OUTFLOW_UNKNOWN"), "{}", refused.stdout);
    assert_eq!(sent(&outside), all, "nothing was paid");
    // What only reads goes on.
    for args in [&["spend"][..], &["sessions"], &["freeze", "--list"], &["audit", "verify"]] {
        let read = outside.home.run(args.iter().copied());
        assert!([0, 3].contains(&read.code), "{args:?}: {}", read.stderr);
    }
    let frozen = outside.home.run(["freeze", "--list"]).stdout;
    assert!(frozen.contains("bursar reconcile"), "{frozen}");

    let found = run(&outside, &["reconcile", "--json"]);
    assert_eq!(found.code, 1, "{}", found.stderr);
    let lines = found.json();
    assert_eq!(list(&lines, "missing_here").len(), all - first, "{}", found.stdout);
    assert_eq!(list(&lines, "end")[0]["counts"]["missing_there"], 0);
    let shown = run(&outside, &["reconcile", "--all"]);
    assert!(shown.stdout.contains("missing here: ") && shown.stdout.contains("--accept"), "{}", shown.stdout);

    let unsaid = run(&outside, &["reconcile", "--accept"]);
    assert_eq!(unsaid.code, 2);
    let accepted = run(&outside, &[&["reconcile", "--accept"][..], &WORD].concat());
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    assert!(accepted.stdout.contains("taken in: ") && accepted.stdout.contains("spending goes on"));
    let again = run(&outside, &[&["reconcile", "--accept"][..], &WORD].concat());
    assert_eq!(again.stdout, "nothing is missing here\n");
    assert_eq!(run(&outside, &["reconcile"]).code, 0);

    // What was taken in is in no payment, and in every sum.
    let of = |lines: &[Value], column: &str| -> u128 {
        lines.iter().map(|line| line[column].as_str().unwrap().parse::<u128>().unwrap()).sum()
    };
    let rows = outside.home.run(["spend", "--by", "client", "--json"]).json();
    let (paid, adopted) = (of(&rows, "paid"), of(&rows, "adopted"));
    let left: u128 = outside.home.transfers("chain.jsonl").iter().map(|(_, value, _)| value).sum();
    assert!(adopted > 0 && paid + adopted == left, "{rows:?} {left}");
    assert!(rows.iter().any(|row| row["by"]["client"]["adopted"] == true), "{rows:?}");
    let told = outside.home.run(["spend"]).stdout;
    assert!(told.contains("left the wallet without the journal, and was taken in"), "{told}");
    let csv = outside.home.run(["spend", "--csv"]).stdout;
    assert!(csv.lines().any(|line| line.contains("\"adopted\"")), "{csv}");
    crate::books::check_wallet(&outside, left);

    let goes_on = ask(OTHER_QUESTION);
    assert_eq!(goes_on.code, 0, "{}", goes_on.stderr);
    let whole = run(&outside, &["reconcile", "--all", "--json"]);
    assert_eq!((whole.code, list(&whole.json(), "matched").len()), (0, sent(&outside)), "{}", whole.stdout);
    let verified = outside.home.run(["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

#[test]
fn a_chain_that_cannot_be_read_is_not_compared_and_that_is_said() {
    let outside = Outside::selling(NOTE);
    assert_eq!(run(&outside, &["research", QUESTION]).code, 0);
    let unread = outside.home.run(["reconcile", "--rpc", "http://127.0.0.1:9"]);
    assert_eq!(unread.code, 3, "{}", unread.stderr);
    assert!(unread.stdout.contains("not compared: "), "{}", unread.stdout);
    let unnamed = outside.home.run(["reconcile"]);
    assert_eq!(unnamed.code, 2, "{}", unnamed.stdout);
    assert!(unnamed.stderr.contains("--rpc"), "{}", unnamed.stderr);
}

#[test]
fn an_auditor_compares_the_journal_with_the_chain() {
    let outside = Outside::selling(NOTE);
    assert_eq!(run(&outside, &["research", QUESTION]).code, 0);
    let rpc = rpc_of(&outside);
    let verify = |rpc: &str| outside.home.run(["audit", "verify", "--rpc", rpc]);
    let whole = verify(&rpc);
    assert_eq!(whole.code, 0, "{}", whole.stdout);
    assert!(whole.stdout.contains("1 payment is on the chain as the journal has it"), "{}", whole.stdout);
    // Who cannot be reached has not said that anything is right.
    let unread = verify("http://127.0.0.1:9");
    assert!(unread.stdout.contains("0 payments are on the chain") && unread.stdout.contains("not checked: "));

    // Another chain of the same name, which never had it.
    let other = Outside::selling(NOTE);
    let absent = verify(&rpc_of(&other));
    assert_eq!(absent.code, 1, "{}", absent.stdout);
    assert!(absent.stdout.contains("the chain: payment pay_"), "{}", absent.stdout);
    assert!(absent.stdout.contains("and the chain does not"), "{}", absent.stdout);
}

#[test]
fn an_auditor_finds_what_an_old_journal_forgot() {
    let outside = Outside::selling(NOTE);
    run(&outside, &["research", QUESTION, "--approve", "never"]);
    put(&outside, ".bursar", "kept");
    assert_eq!(run(&outside, &["research", QUESTION]).code, 0);
    assert_eq!(sent(&outside), 1);
    put(&outside, "kept", ".bursar");
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0, "the journal itself is whole");
    let found = outside.home.run(["audit", "verify", "--rpc", &rpc_of(&outside)]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert!(found.stdout.contains("left the wallet: this ledger authorized it"), "{}", found.stdout);
    // Looking changes nothing.
    assert_eq!(outside.home.run(["freeze", "--list"]).stdout, "nothing is frozen\n");
}

#[test]
fn a_statement_is_compared_line_by_line() {
    let outside = Outside::new();
    for question in [QUESTION, OTHER_QUESTION, "What is a mandate?"] {
        assert_eq!(run(&outside, &["research", question]).code, 0);
    }
    let payments = outside.home.payments();
    assert!(payments.len() > 2, "{payments:#?}");
    let row = |payment: &Value, amount: Option<&str>, with_tx: bool| {
        let atomic: u128 = payment["amount"]["atomic"].as_str().unwrap().parse().unwrap();
        let amount =
            amount.map_or_else(|| format!("{}.{:06}", atomic / 1_000_000, atomic % 1_000_000), str::to_owned);
        let tx = if with_tx { payment["receipt"]["reference"].as_str().unwrap() } else { "" };
        let day = "2026-01-01";
        let (asset, payee) =
            (payment["amount"]["asset"].as_str().unwrap(), payment["payee"].as_str().unwrap());
        let date = payment["at"].as_u64().map_or_else(|| day.to_owned(), day_of);
        format!("{date},{amount},{asset},{payee},{tx}\n")
    };
    let header = "date,amount,asset,payee,tx\n";
    let write = |text: String| std::fs::write(outside.home.file("statement.csv"), text).unwrap();
    let compare = || run(&outside, &["reconcile", "--statement", "statement.csv", "--json"]);

    write(header.to_owned() + &payments.iter().map(|payment| row(payment, None, true)).collect::<String>());
    let same = compare();
    assert_eq!((same.code, list(&same.json(), "matched").len()), (0, payments.len()), "{}", same.stdout);

    let strange = row(&payments[0], Some("7.5"), false);
    write(
        header.to_owned() + &row(&payments[0], Some("9"), true) + &row(&payments[1], None, false) + &strange,
    );
    let differs = compare();
    assert_eq!(differs.code, 1);
    let lines = differs.json();
    let counts =
        ["different", "matched", "missing_here", "missing_there"].map(|name| list(&lines, name).len());
    assert_eq!(counts, [1, 1, 1, payments.len() - 2], "{}", differs.stdout);
    assert_eq!(list(&lines, "different")[0]["why"][0], "amount");
    let csv = run(&outside, &["reconcile", "--statement", "statement.csv", "--csv"]);
    assert_eq!(csv.stdout.lines().count(), payments.len() + 2, "{}", csv.stdout);

    for (text, expected) in [
        (header.to_owned() + &row(&payments[0], Some("\"1,000\""), true), "line 2: amount"),
        (header.to_owned() + &row(&payments[0], Some("1e3"), true), "line 2: amount"),
        (header.to_owned() + "2026-11-22,1,USDC,,\n", "line 2: asset `USDC` is not known"),
        ("date,value,asset\n".to_owned(), "line 1: column `value`"),
    ] {
        write(text);
        let wrong = compare();
        assert_eq!(wrong.code, 2, "{expected}: {}", wrong.stdout);
        assert!(
            wrong.stderr.contains(expected) && wrong.stderr.contains("statement.csv"),
            "{}",
            wrong.stderr
        );
    }
}

/// The day of a time in milliseconds, as the operating system's `date` tells it.
fn day_of(ms: u64) -> String {
    let told =
        std::process::Command::new("date").args(["-u", "-d", &format!("@{}", ms / 1_000), "+%F"]).output();
    String::from_utf8(told.unwrap().stdout).unwrap().trim().to_owned()
}
