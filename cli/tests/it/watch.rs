//! `bursar watch`: recovery on a timer.

use crate::interrupt::Outside;
use crate::obligations::owing;
use crate::research::QUESTION;
use crate::support::{Home, line, ran, started, steady};
use std::os::unix::fs::PermissionsExt as _;

/// An authorization lives for 10 s at least; this test waits for the end of one.
#[test]
fn what_does_not_come_is_asked_back_and_parked_and_each_change_is_one_line() {
    let outside = owing(|config| config.replace("[mandate]\n", "[mandate]\nwindow_s_max = 10\n"));
    let once = ran(outside.with_config(&["watch", "--once"]));
    assert_eq!((once.code, once.stdout.as_str()), (3, ""), "{}", once.stderr);
    assert!(once.stderr.contains("still open: 1 paid and owed"), "{}", once.stderr);

    let mut watching = started(outside.with_config(&["watch", "--every", "1"]));
    let mut said = watching.until("claimed  ");
    said.push_str(&watching.until("failed  "));
    said.push_str(&watching.until("parked  "));
    watching.signal("INT");
    let ended = watching.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("looking after what is open every 1 s"), "{}", ended.stderr);

    let quiet = ran(outside.with_config(&["watch", "--once", "--json"]));
    assert_eq!(quiet.code, 0, "{}", quiet.stderr);
    let pass = &quiet.json()[0];
    assert_eq!((&pass["quiet"], &pass["found"]["parked"]), (&true.into(), &1.into()), "{pass}");

    let parked = outside.home.run(["obligations"]);
    assert_eq!(parked.code, 3);
    said.push_str(&parked.stdout);
    let id = parked.stdout.split(' ').next().unwrap();
    let shown = outside.home.run(["obligations", "show", id, "--dispute", "dispute.json"]);
    assert_eq!(shown.code, 3, "{}", shown.stderr);
    let counted = |line: &&str| !line.contains("bytes of evidence");
    said.extend(shown.stdout.lines().filter(counted).map(|line| line.to_owned() + "\n"));
    insta::assert_snapshot!(steady(&said));
    let file = outside.home.file("dispute.json");
    let dispute: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(dispute["payment"], id);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "it is for its owner");
    let again = outside.home.run(["obligations", "show", id, "--dispute", "dispute.json"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("`dispute.json` exists already"), "{}", again.stderr);
}

#[test]
fn a_purchase_that_was_killed_is_found_paid_and_told() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let mut running = started(outside.command());
    running.until(r#""money":"signing""#);
    outside.until_settled();
    running.signal("KILL");
    running.end();

    let once = ran(outside.with_config(&["watch", "--once", "--json"]));
    let lines = once.json();
    line(&lines, "money", "paid");
    line(&lines, "money", "observed");
    let pass = line(&lines, "cli", "pass");
    assert_eq!(pass["exit"], once.code);
    assert_eq!(once.code, if pass["quiet"] == true { 0 } else { 3 }, "{pass}");
    outside.agrees();
    let again = ran(outside.with_config(&["watch", "--once", "--json"]));
    assert!(
        again.json().iter().all(|line| line["money"] != "paid"),
        "a change is told once: {}",
        again.stdout
    );
}

#[test]
fn in_a_box_the_market_of_the_data_folder_is_started_and_nowhere_else() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION, "--json"]);
    running.until(r#""money":"paid""#);
    running.signal("KILL");
    running.end();
    let once = home.run(["watch", "--once"]);
    assert_eq!(once.code, 0, "{}{}", once.stdout, once.stderr);
    let spent = home.run(["spend"]);
    assert_eq!(spent.code, 0, "{}", spent.stdout);
    assert!(spent.stdout.contains("paid (observed)"), "{}", spent.stdout);
    let again = home.run(["watch", "--once"]);
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "", ""));

    let chain = std::fs::File::open(home.file(".bursar/chain.jsonl")).unwrap();
    chain.lock().unwrap();
    let second = home.run(["watch", "--once"]);
    assert_eq!(second.code, 1, "{}", second.stdout);
    assert!(second.stderr.contains("another process goes on in"), "{}", second.stderr);
    drop(chain);

    std::fs::remove_file(home.file(".bursar/market.json")).unwrap();
    let unknown = home.run(["watch", "--once"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("next: name the configuration with --config"), "{}", unknown.stderr);
}
