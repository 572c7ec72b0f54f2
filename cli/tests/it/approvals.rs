//! `bursar approvals`, `bursar freeze` and `bursar thaw`.

use crate::interrupt::Outside;
use crate::support::{Ran, line, ran, started};
use std::io::{Read as _, Write as _};
use tempfile::TempDir;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const QUESTION: &str = "Who pays the gas of a token transfer?";

/// A configuration that asks ada about every plan, and the folder with her key.
fn asking() -> (Outside, TempDir, String) {
    let outside = Outside::selling(NOTE);
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("ada.key").display().to_string();
    let made = outside.home.run(["approvals", "key", &file, "--name", "ada"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let approvers = made.stdout.lines().last().unwrap().to_owned();
    outside.configure(|config| {
        config.replacen("[mandate]\n", &format!("[mandate]\napproval = \"ask\"\n{approvers}\n"), 1)
    });
    (outside, keys, file)
}

fn question(outside: &Outside) -> String {
    let listed = outside.home.run(["approvals", "list", "--json"]);
    assert_eq!(listed.code, 3, "{}{}", listed.stdout, listed.stderr);
    listed.json()[0]["question"]["id"].as_str().unwrap().to_owned()
}

fn ask(outside: &Outside) -> Ran {
    ran(outside.with_config(&["research", QUESTION]))
}

fn answered(outside: &Outside, args: &[&str]) -> (i32, String) {
    let told = outside.home.run([&["approvals"], args].concat());
    (told.code, format!("{}{}", told.stdout, told.stderr))
}

#[test]
fn a_plan_that_waits_is_listed_and_answered_once_with_a_key_from_outside() {
    let (outside, keys, key) = asking();
    ask(&outside);
    assert!(outside.home.transfers("chain.jsonl").is_empty());
    let id = question(&outside);
    let listed = outside.home.run(["approvals", "list"]);
    assert!(listed.stdout.contains("Buy 1 item for at most"), "{}", listed.stdout);

    let other = keys.path().join("eve.key").display().to_string();
    assert_eq!(answered(&outside, &["key", &other, "--name", "eve"]).0, 0);
    let (code, told) = answered(&outside, &["approve", &id, "--key", &other]);
    assert!(code == 2 && told.contains("APPROVER_UNKNOWN"), "{code} {told}");
    let inside = outside.home.file("ada.key").display().to_string();
    std::fs::copy(&key, &inside).unwrap();
    let (code, told) = answered(&outside, &["approve", &id, "--key", &inside]);
    assert!(code == 2 && told.contains("which an agent can reach"), "{code} {told}");
    let open = keys.path().join("open.key");
    std::fs::copy(&key, &open).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, told) = answered(&outside, &["approve", &id, "--key", &open.display().to_string()]);
    assert!(code == 2 && told.contains("chmod 600"), "{code} {told}");

    let (code, told) = answered(&outside, &["approve", &id, "--key", &key, "--reason", "fine"]);
    assert!(code == 0 && told.contains("approved: apr_"), "{code} {told}");
    let (code, told) = answered(&outside, &["deny", &id, "--key", &key]);
    assert!(code == 2 && told.contains("no question"), "{code} {told}");
    assert_eq!(outside.home.run(["approvals", "list"]).code, 0);
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

/// The session that a run waits in.
fn session(run: &Ran) -> String {
    line(&run.json(), "cli", "session")["session"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_that_waits_for_an_answer_says_how_to_go_on_and_another_process_goes_on_with_it() {
    let (outside, _keys, key) = asking();
    let first = ran(outside.with_config(&["research", QUESTION, "--json"]));
    assert_eq!(first.code, 3, "{}\n{}", first.stdout, first.stderr);
    let (session, id) = (session(&first), question(&outside));
    let lines = first.json();
    let end = line(&lines, "cli", "end");
    assert_eq!(end["asked"]["approval"], id.as_str(), "{end}");
    assert_eq!(end["asked"]["answer_with"], format!("bursar approvals approve {id} --key FILE"));
    assert_eq!(end["go_on"], format!("bursar resume {session} --config bursar.toml"));
    let resume = || ran(outside.with_config(&["resume", &session]));

    let early = resume();
    assert_eq!(early.code, 3, "{}\n{}", early.stdout, early.stderr);
    assert!(
        early.stdout.contains(&format!("answer with `bursar approvals approve {id}")),
        "{}",
        early.stdout
    );
    assert_eq!(question(&outside), id, "nobody is asked twice");

    assert_eq!(answered(&outside, &["approve", &id, "--key", &key]).0, 0);
    let resumed = resume();
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.stdout, resumed.stderr);
    assert!(resumed.stdout.contains("approved  by ada"), "{}", resumed.stdout);
    outside.agrees();
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1);

    assert_eq!(resume().code, 0, "what is finished is shown again");
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1, "the yes was used once");
    assert_eq!(outside.home.run(["approvals", "list"]).code, 0);
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

#[test]
fn a_run_that_is_told_no_goes_on_without_and_is_not_asked_again() {
    let (outside, _keys, key) = asking();
    let first = ran(outside.with_config(&["research", QUESTION, "--json"]));
    let (session, id) = (session(&first), question(&outside));
    assert_eq!(answered(&outside, &["deny", &id, "--key", &key, "--reason", "too dear"]).0, 0);
    let resumed = ran(outside.with_config(&["resume", &session]));
    assert!(
        resumed.stdout.contains("APPROVAL_REFUSED") || resumed.stdout.contains("said no"),
        "{}",
        resumed.stdout
    );
    assert_eq!(outside.home.run(["approvals", "list"]).code, 0, "nothing waits");
    assert!(outside.home.transfers("chain.jsonl").is_empty());
}

#[test]
fn a_run_that_waits_goes_on_by_itself_once_it_is_answered_from_another_process() {
    let (outside, _keys, key) = asking();
    let mut waiting = started(outside.with_config(&["research", QUESTION, "--approve", "wait"]));
    waiting.until_stderr("waiting for an answer to question apr_");
    let id = question(&outside);
    assert_eq!(answered(&outside, &["approve", &id, "--key", &key]).0, 0);
    let ran = waiting.end();
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("approved  by ada"), "{}", ran.stdout);
    outside.agrees();
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1);
}

#[test]
fn a_run_that_is_killed_while_it_waits_goes_on_with_the_answer_that_came_meanwhile() {
    let (outside, _keys, key) = asking();
    let mut waiting = started(outside.with_config(&["research", QUESTION, "--json", "--approve", "wait"]));
    let first = waiting.until(r#""cli":"session""#);
    let session = serde_json::from_str::<serde_json::Value>(&first).unwrap()["session"].clone();
    waiting.until_stderr("waiting for an answer");
    let id = question(&outside);
    waiting.signal("KILL");
    waiting.end();
    assert_eq!(answered(&outside, &["approve", &id, "--key", &key]).0, 0);
    let resumed = ran(outside.with_config(&["resume", session.as_str().unwrap()]));
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.stdout, resumed.stderr);
    outside.agrees();
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1);
}

#[test]
fn an_answer_that_does_not_come_in_time_leaves_the_run_where_it_is() {
    let (outside, ..) = asking();
    let ran = ran(outside.with_config(&["research", QUESTION, "--approve", "wait", "--wait", "0"]));
    assert_eq!(ran.code, 3, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("waiting   for an answer to question apr_"), "{}", ran.stdout);
    assert!(outside.home.transfers("chain.jsonl").is_empty());
}

/// Sends a request to the server and gives the whole answer.
fn http(address: &str, host: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that has read enough may close before the rest is sent.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_signed_answer_over_http_counts_and_anything_else_is_a_problem_with_a_code() {
    let (outside, _keys, key) = asking();
    ask(&outside);
    let id = question(&outside);
    let printed = outside.home.run(["approvals", "approve", &id, "--key", &key, "--print"]);
    let signed = printed.stdout.trim().to_owned();
    let elsewhere = outside.home.run(["approvals", "serve", "--listen", "0.0.0.0:0"]);
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (2, ""), "{}", elsewhere.stderr);
    let mut server = outside.home.start(["approvals", "serve"]);
    let line = server.until("takes answers at");
    let address = line.trim().rsplit('/').nth(1).unwrap().to_owned();
    let send = |body: &str| http(&address, &address, "POST", "/approvals/answers", body);

    assert!(http(&address, &address, "GET", "/approvals", "").contains(&id));
    let rebound = http(&address, "evil.example", "GET", "/approvals", "");
    assert!(rebound.starts_with("HTTP/1.1 403") && rebound.contains("HOST_NOT_LOCAL"), "{rebound}");
    for (body, status, code) in [
        ("approve it", "400", "APPROVAL_MALFORMED"),
        (&*format!("{{\"approved\":true,\"question\":\"{id}\"}}"), "400", "APPROVAL_MALFORMED"),
        (&*signed.replacen("\"approve\"", "\"deny\"", 1), "403", "APPROVAL_SIGNATURE"),
        (&*"x".repeat(17 << 10), "413", ""),
    ] {
        let told = send(body);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")) && told.contains(code), "{code}: {told}");
    }
    assert!(send(&signed).starts_with("HTTP/1.1 204"));
    let again = send(&signed);
    assert!(again.starts_with("HTTP/1.1 409") && again.contains("application/problem+json"), "{again}");
    assert_eq!(outside.home.run(["approvals", "list"]).code, 0);
}

#[test]
fn a_freeze_holds_for_the_next_process_until_it_is_thawed() {
    let outside = Outside::selling(NOTE);
    // The first run makes the data folder, and buys nothing.
    ran(outside.with_config(&["research", "What is nothing?", "--approve", "never"]));
    let say = |args: &[&str]| {
        let told = outside.home.run(args.iter().copied());
        assert_eq!(told.code, 0, "{args:?}: {}", told.stderr);
        told.stdout
    };
    say(&["freeze", "all", "--by", "ada", "--reason", "we look at it"]);
    assert!(say(&["freeze"]).contains("ada: we look at it"));
    let asked = ask(&outside);
    assert!(outside.home.transfers("chain.jsonl").is_empty(), "{}", asked.stdout);
    say(&["thaw", "all", "--by", "ada", "--reason", "looked at it"]);
    assert!(say(&["freeze"]).starts_with("nothing is frozen"));
    ask(&outside);
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1);
    let session = outside.home.payments()[0]["session"].as_str().unwrap().to_owned();
    say(&["freeze", &format!("session:{session}"), "--by", "bob", "--reason", "this one alone"]);
    let listed = say(&["freeze", "--list"]);
    assert!(
        listed.contains(&format!("session:{session}")) && listed.contains("bob: this one alone"),
        "{listed}"
    );
    say(&["thaw", &format!("session:{session}"), "--by", "bob", "--reason", "looked"]);
    assert!(say(&["freeze"]).starts_with("nothing is frozen"));
    assert_eq!(outside.home.run(["freeze", "host:x", "--by", "a", "--reason", "b"]).code, 2);
    assert_eq!(outside.home.run(["freeze", "all"]).code, 2);
}
