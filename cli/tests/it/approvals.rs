//! `bursar approvals`, `bursar freeze` and `bursar thaw`.

use crate::interrupt::Outside;
use crate::support::{Ran, ran};
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
    assert_eq!(outside.home.run(["freeze", "host:x", "--by", "a", "--reason", "b"]).code, 2);
    assert_eq!(outside.home.run(["freeze", "all"]).code, 2);
}
