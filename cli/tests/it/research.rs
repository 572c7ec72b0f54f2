//! `bursar research`.

use crate::support::{Home, line, paid};

pub(crate) const QUESTION: &str = "Who may pay the gas for a USDC transfer, and how does it stop a replay?";

#[test]
fn a_first_run_buys_its_sources_and_shows_every_step() {
    let home = Home::new();
    let ran = home.run(["research", QUESTION]);
    insta::assert_snapshot!(ran.shown());
}

#[test]
fn a_second_run_answers_from_what_is_owned_and_buys_nothing() {
    let home = Home::new();
    let first = home.run(["research", QUESTION, "--json"]).json();
    let second = home.run(["research", QUESTION, "--json"]).json();
    assert!(second.iter().all(|line| line["money"] != "paid"), "{second:#?}");
    let brief = |lines: &[serde_json::Value]| line(lines, "cli", "brief")["answer"].clone();
    assert_eq!(brief(&first), brief(&second));
    assert_eq!(line(&second, "cli", "brief")["sources"][0]["bought"]["now"], false);
    let chain = &line(&second, "cli", "verification")["chain"];
    assert_eq!(chain["agrees"], true);
    assert_eq!(chain["left"]["atomic"], paid(&home.payments()).to_string());
    assert_ne!(chain["left"]["atomic"], "0");
}

#[test]
fn the_json_stream_has_a_first_line_and_four_last_ones() {
    let home = Home::new();
    let ran = home.run(["research", QUESTION, "--json", "--budget", "0.02"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines = ran.json();
    assert_eq!(lines[0]["cli"], "session");
    assert_eq!(lines[0]["budget"]["atomic"], "20000");
    let last: Vec<_> = lines[lines.len() - 4..].iter().map(|line| line["cli"].as_str().unwrap()).collect();
    assert_eq!(last, ["brief", "spend", "verification", "end"]);
    for line in &lines[1..lines.len() - 4] {
        let kinds = ["money", "event"].iter().filter(|key| line[**key].is_string()).count();
        assert_eq!(kinds, 1, "{line}");
    }
    let spend = line(&lines, "cli", "spend");
    let spent: u128 = spend["spent"]["atomic"].as_str().unwrap().parse().unwrap();
    assert!((1..=20_000).contains(&spent), "{spent}");
    for source in line(&lines, "cli", "brief")["sources"].as_array().unwrap() {
        assert_eq!(source["bought"]["receipt"]["observed"], true, "{source}");
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_buys_nothing() {
    let home = Home::new();
    let ran = home.run(["research", QUESTION, "--approve", "never"]);
    insta::assert_snapshot!(ran.shown());
    assert!(home.payments().is_empty());
}

#[test]
fn without_a_terminal_the_answer_is_no() {
    let home = Home::new();
    let ran = home.run(["research", QUESTION, "--approve", "ask"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("no terminal to ask at, so the answer is no"), "{}", ran.stderr);
    assert!(home.payments().is_empty());
}

#[test]
fn colour_is_for_terminals_only() {
    let home = Home::new();
    assert!(!home.run(["research", QUESTION]).stdout.contains('\u{1b}'));
}

#[test]
fn a_folder_of_ones_own_is_sold_and_its_unusable_files_are_named() {
    let home = Home::new();
    std::fs::create_dir(home.file("notes")).unwrap();
    std::fs::write(home.file("notes/a.txt"), "The harbour opens at six.\n\nThe harbour closes at nine.\n")
        .unwrap();
    std::fs::write(home.file("notes/b.html"), "<h1>Bread</h1><p>Bread is baked at five.</p>").unwrap();
    std::fs::write(home.file("notes/c.md"), [0xff, 0xfe]).unwrap();
    let ran = home.run(["research", "When does the harbour open?", "--sources", "notes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("2 documents from 2 sellers"), "{}", ran.stdout);
    assert!(ran.stdout.contains("paid      0.0048 USDC"), "{}", ran.stdout);
    assert!(ran.stderr.contains("left out `c.md`"), "{}", ran.stderr);
}

#[test]
fn a_port_that_is_taken_is_told_and_nothing_is_bought_twice() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let known = std::fs::read_to_string(home.file(".bursar/market.json")).unwrap();
    let known: serde_json::Value = serde_json::from_str(&known).unwrap();
    let port = u16::try_from(known["markets"]["built in"]["seller"].as_u64().unwrap()).unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ran = home.run(["research", QUESTION, "--json"]);
    assert!(ran.stderr.contains("the ports this market had before are taken"), "{}", ran.stderr);
    assert!(ran.json().iter().all(|line| line["money"] != "paid"), "{}", ran.stdout);
}
