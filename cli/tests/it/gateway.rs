//! `bursar gateway` and `bursar mcp` as processes: killed in the middle, begun again, and begun wrongly.

use crate::interrupt::Outside;
use crate::support::{Home, Running, ran, started};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const TOKEN: &str = "a-token-for-the-desktop-0123";

fn with_caller(outside: &Outside, more: &str) {
    outside.configure(|config| format!("{config}\n[[caller]]\nname = \"desktop\"\n{more}\n"));
}

fn gateway(outside: &Outside) -> (Running, String) {
    let mut command = outside.with_config(&["gateway", "--listen", "127.0.0.1:0"]);
    command.env("DESKTOP_TOKEN", TOKEN);
    let mut running = started(command);
    let line = running.until("listens at ");
    (running, line.trim().rsplit_once("//").unwrap().1.to_owned())
}

/// Sends a payment, and gives what is answered; nothing if the gateway goes away.
fn pay(address: &str, key: &str, url: &str) -> Option<Value> {
    let body = json!({"url": url, "max_micro_usd": 400_000, "purpose": "to read it"}).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /v1/payments HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

#[test]
fn a_gateway_that_is_killed_in_the_middle_of_a_payment_joins_it_under_the_same_key() {
    let outside = Outside::selling(NOTE);
    with_caller(&outside, "token_env = \"DESKTOP_TOKEN\"");
    let url = outside.document("note");
    let (running, address) = gateway(&outside);
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let asked = std::thread::spawn({
        let (address, url) = (address.clone(), url.clone());
        move || pay(&address, "order-1", &url)
    });
    outside.until_settled();
    running.signal("KILL");
    assert_eq!(running.end().code, -1);
    assert_eq!(asked.join().unwrap(), None, "nobody was left to answer");

    let (running, address) = gateway(&outside);
    let again = pay(&address, "order-1", &url).unwrap();
    // What came with the lost answer is had from the seller again, or is owed.
    let outcome = again["outcome"].as_str().unwrap_or_default();
    assert!(["delivered", "undelivered"].contains(&outcome), "{again}");
    assert_eq!(pay(&address, "order-1", &url).unwrap()["payment"]["id"], again["payment"]["id"]);
    running.signal("INT");
    assert_eq!(running.end().code, 0);
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1);
    outside.agrees();
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

#[test]
fn who_is_served_is_the_configurations_word() {
    let outside = Outside::selling(NOTE);
    let nobody = ran(outside.with_config(&["gateway", "--listen", "127.0.0.1:0"]));
    assert_eq!(nobody.code, 2, "{}", nobody.stderr);
    assert!(nobody.stderr.contains("names no caller"), "{}", nobody.stderr);

    with_caller(&outside, "token_env = \"NOT_SET_ANYWHERE\"");
    let tokenless = ran(outside.with_config(&["gateway", "--listen", "127.0.0.1:0"]));
    assert_eq!(tokenless.code, 2, "{}", tokenless.stderr);
    assert!(tokenless.stderr.contains("`NOT_SET_ANYWHERE` is not set"), "{}", tokenless.stderr);
    let other = ran(outside.with_config(&["mcp", "--caller", "somebody"]));
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("there is no caller `somebody`"), "{}", other.stderr);

    with_caller(&outside, "user = \"other\"");
    let twice = ran(outside.with_config(&["mcp", "--caller", "desktop"]));
    assert!(twice.code == 2 && twice.stderr.contains("there are two of this name"), "{}", twice.stderr);
}

#[test]
fn over_stdio_stdout_carries_the_protocol_and_nothing_else() {
    let home = Home::new();
    let mut command = home.command(["mcp"]);
    command.stdin(Stdio::piped());
    let mut running = started(command);
    let mut input = running.child.stdin.take().unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}
    }});
    writeln!(input, "{hello}").unwrap();
    let answer: Value = serde_json::from_str(&running.line().unwrap()).unwrap();
    assert_eq!(answer["result"]["serverInfo"]["name"], "bursar");
    drop(input);
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
}
