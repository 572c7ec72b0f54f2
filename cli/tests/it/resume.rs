//! `bursar resume`: after Ctrl-C, after kill -9, and beside another process.

mod records;

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Home, Ran, Running, line, paid, ran, started};
use serde_json::Value;

/// Reads the first line of a run's JSON and gives its session.
fn session(running: &mut Running) -> String {
    let first: Value = serde_json::from_str(&running.until(r#""cli":"session""#)).unwrap();
    first["session"].as_str().unwrap().to_owned()
}

/// `bursar resume` with the configuration of a market in a process of its own.
fn resume(outside: &Outside, session: &str) -> std::process::Command {
    let mut command = outside.home.command(["resume", session, "--json", "--config", "bursar.toml"]);
    command.env("BURSAR_KEY", "0x00000000000000000000000000000000000000000000000000000000000000a1");
    command
}

/// That a run was gone on with and answered: its records follow earlier ones, and no turn from the beginning was asked for again.
fn went_on(resumed: &Ran) {
    let lines = resumed.json();
    assert_eq!(line(&lines, "cli", "session")["resumed"], true);
    let records: Vec<_> = lines.iter().filter(|line| line["event"] == "record").collect();
    assert_eq!(records[0]["record"]["type"], "resumed");
    assert!(records[0]["sequence"].as_u64() > Some(0));
    let asked = records.iter().find(|line| line["record"]["type"] == "model_requested").unwrap();
    assert_ne!(asked["record"]["turn"], 0, "{asked}");
    assert_eq!(line(&lines, "cli", "brief")["answered"], true, "{}", resumed.stdout);
    assert_eq!(line(&lines, "cli", "end")["go_on"], Value::Null);
}

#[test]
fn a_run_that_was_killed_after_it_signed_goes_on_with_the_one_authorization_and_answers() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let mut running = started(outside.command());
    let session = session(&mut running);
    running.until(r#""money":"signing""#);
    outside.until_settled();
    running.signal("KILL");
    assert_eq!(running.end().code, -1);
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1, "it was paid, and nobody heard of it");

    let resumed = ran(resume(&outside, &session));

    went_on(&resumed);
    let open = line(&resumed.json(), "cli", "spend")["open"].as_array().unwrap().clone();
    assert_eq!(resumed.code, if open.is_empty() { 0 } else { 3 }, "{}", resumed.stderr);
    outside.agrees();
    let payments = outside.home.payments();
    assert!(payments.iter().all(|payment| payment["session"] == session.as_str()), "{payments:#?}");
}

#[test]
fn of_two_processes_that_go_on_with_one_run_the_first_is_fenced_off_and_says_who_goes_on() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let mut first = started(outside.command());
    let session = session(&mut first);
    first.until(r#""money":"signing""#);
    outside.until_settled();

    let mut second = started(resume(&outside, &session));
    let other = second.child.id();
    let taken = second.until(r#""type":"resumed""#);
    assert!(taken.contains(&format!("process {other}")), "{taken}");
    let (first, second) = (first.end(), second.end());

    assert_eq!(first.code, 1, "{}\n{}", first.stdout, first.stderr);
    assert!(first.stderr.contains("another worker goes on with run"), "{}", first.stderr);
    assert!(first.stderr.contains(&format!(": process {other}")), "{}", first.stderr);
    assert_eq!(line(&second.json(), "cli", "brief")["answered"], true, "{}", second.stderr);
    outside.agrees();
}

#[test]
fn ctrl_c_in_the_box_then_the_command_that_it_names_answers_without_paying_twice() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION, "--data", "my data"]);
    running.until("paid  ");
    running.signal("INT");
    let first = running.end();
    assert_eq!(first.code, 130, "{}\n{}", first.stdout, first.stderr);
    let named = first.stdout.lines().find_map(|line| line.strip_prefix("to go on: `bursar resume ")).unwrap();
    let (session, flags) = named.split_once(' ').unwrap();
    assert!(flags.starts_with("--data 'my data'`"), "{flags}");

    let beginning: String = session.chars().take(12).collect();
    let resumed = home.run(["resume", &beginning, "--data", "my data"]);
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.stdout, resumed.stderr);
    assert!(resumed.stdout.contains(&format!("{session}, begun before")), "{}", resumed.stdout);
    assert!(
        resumed.stdout.contains("brief\n") && resumed.stdout.contains("chain     agrees"),
        "{}",
        resumed.stdout
    );
    let sent = home.transfers("my data/chain.jsonl");
    let payments = home.run(["spend", "--json", "--data", "my data"]).json();
    assert_eq!(sent.iter().map(|(_, value, _)| value).sum::<u128>(), paid(&payments));

    let again = home.run(["resume", session, "--data", "my data", "--json"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(
        line(&again.json(), "cli", "brief")["answered"],
        true,
        "a finished run gives its answer again"
    );
    assert!(again.json().iter().all(|line| line["event"] != "record"), "{}", again.stdout);
    assert_eq!(home.transfers("my data/chain.jsonl"), sent);
}

#[test]
fn a_run_that_was_killed_in_the_box_is_named_when_the_same_is_asked_and_can_go_on() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION, "--json"]);
    let session = session(&mut running);
    running.until(r#""money":"paid""#);
    running.signal("KILL");
    running.end();

    let asked = home.run(["research", QUESTION, "--approve", "never", "--json"]);
    let note = format!("`bursar resume {session}` goes on with that");
    assert!(asked.stderr.contains(&note), "{}", asked.stderr);

    let resumed = home.run(["resume", &session, "--json"]);
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.stdout, resumed.stderr);
    went_on(&resumed);
    assert_eq!(line(&resumed.json(), "cli", "verification")["chain"]["agrees"], true);
    let sent = home.transfers(".bursar/chain.jsonl");
    assert_eq!(sent.iter().map(|(_, value, _)| value).sum::<u128>(), paid(&home.payments()));
}

#[test]
fn a_session_that_is_not_there_is_told_with_those_that_can_go_on() {
    let home = Home::new();
    assert_eq!(home.run(["resume", "ses_1"]).code, 2, "there is no data folder");
    let mut running = home.start(["research", QUESTION, "--json"]);
    let session = session(&mut running);
    running.until(r#""type":"model_replied""#);
    running.signal("KILL");
    running.end();

    let wrong = home.run(["resume", "ses_zz"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stdout);
    assert!(wrong.stderr.contains("there is no session `ses_zz`"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains(&format!("{session}  Who may pay the gas")), "{}", wrong.stderr);
    let nobody_asked = home.run(["resume", &session, "--call", "cal_1", "--did-not-happen", "--by", "ada"]);
    assert_eq!(nobody_asked.code, 2);
    assert!(
        nobody_asked.stderr.contains("call `cal_1` does not wait for a person"),
        "{}",
        nobody_asked.stderr
    );
    for incomplete in [
        vec!["--call", "cal_1", "--by", "ada"],
        vec!["--call", "cal_1", "--did-not-happen"],
        vec!["--did-not-happen", "--by", "ada"],
        vec!["--call", "cal_1", "--by", "ada", "--happened", "it did", "--did-not-happen"],
    ] {
        let given = [vec!["resume", session.as_str()], incomplete].concat();
        assert_eq!(home.run(given.clone()).code, 2, "{given:?}");
    }
    assert!(home.payments().is_empty());
}

#[test]
fn while_another_process_has_the_market_of_the_box_open_a_second_one_stays_out() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION, "--json"]);
    let session = session(&mut running);
    running.until(r#""type":"model_replied""#);
    running.signal("KILL");
    running.end();
    let open = std::fs::File::open(home.file(".bursar/chain.jsonl")).unwrap();
    open.lock().unwrap();
    let second = home.run(["resume", &session]);
    assert_eq!(second.code, 1, "{}", second.stdout);
    assert!(second.stderr.contains("another process goes on in"), "{}", second.stderr);
    drop(open);
    assert_eq!(home.run(["resume", &session]).code, 0);
}
