//! `bursar mcp` and `bursar gateway` against programs by others: the official conformance suite and SDK of MCP, a linter and a fuzzer of
//! OpenAPI documents.
#![expect(clippy::disallowed_methods, reason = "where the fuzzer lies is told by whoever runs the tests")]

use crate::support::{Home, Running};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers").join(name);
    assert!(folder.join("node_modules").exists(), "run `npm ci --prefix tests/peers/{name}`");
    folder
}

/// An entrance of a market in a box, with its one caller's token.
struct Entrance {
    _running: Running,
    url: String,
    token: String,
}

impl Entrance {
    fn open(home: &Home, args: &[&str]) -> Self {
        let mut running = home.start(args.iter().copied());
        let last = |line: String| line.split_whitespace().last().unwrap().to_owned();
        let url = last(running.until("listens at "));
        let token = last(running.until("token "));
        Self { _running: running, url, token }
    }
}

/// A program of Node, killed when dropped, with the first line that it said.
struct Node(Child, String);

impl Node {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child =
            Command::new("node").args(args).current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_mcp_server_passes_the_official_conformance_scenarios_that_apply() {
    let (home, folder) = (Home::new(), folder("mcp"));
    let server = Entrance::open(&home, &["mcp", "--http", "127.0.0.1:0"]);
    // The suite sends no token.
    let bearer = Node::start(&folder, &["bearer.mjs", &server.url, &server.token]);
    let mut command = Command::new("node");
    command.current_dir(&folder).arg("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    command.args([
        "server",
        "--suite",
        "all",
        "--url",
        &bearer.1,
        "--expected-failures",
        "expected-failures.yml",
    ]);
    succeeds(command);
}

#[track_caller]
fn bought(said: &str) {
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert!(said["text"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
    let mut rest = said.clone();
    rest.as_object_mut().unwrap().remove("text");
    let expected = json!({
        "server": "bursar",
        "tools": ["approvals", "budget", "fetch", "propose_plan", "quote", "search_market"],
        "before": "quotes", "plan": "approved", "bought": "delivered", "again": "owned",
        "wrong": [true, "URL_REFUSED"], "unknown": -32602,
    });
    assert_eq!(rest, expected);
}

#[test]
fn the_official_sdks_client_buys_over_http_and_over_stdio() {
    let (home, folder) = (Home::new(), folder("mcp"));
    let server = Entrance::open(&home, &["mcp", "--http", "127.0.0.1:0"]);
    let mut command = Command::new("node");
    command.current_dir(&folder).args(["buy.mjs", "http", &server.url, &server.token]);
    bought(&succeeds(command));

    let other = Home::new();
    let mut command = Command::new("node");
    command.current_dir(&folder).args(["buy.mjs", "stdio", env!("CARGO_BIN_EXE_bursar"), "mcp", "--data"]);
    command.arg(other.file(".bursar"));
    bought(&succeeds(command));
}

#[test]
fn the_gateways_document_passes_a_linter() {
    let mut command = Command::new("node");
    command.current_dir(folder("rest")).arg("node_modules/@redocly/cli/bin/cli.js");
    command.args(["lint", "--config", "redocly.yaml", "../../../gateway/src/rest/openapi.json"]);
    succeeds(command);
}

#[test]
fn the_gateway_answers_a_fuzzer_as_its_document_says() {
    let home = Home::new();
    let gateway = Entrance::open(&home, &["gateway", "--listen", "127.0.0.1:0"]);
    let program = std::env::var_os("SCHEMATHESIS").unwrap_or_else(|| "schemathesis".into());
    let mut command = Command::new(program);
    command.current_dir(home.file(".")).arg("run").arg(format!("{}/openapi.json", gateway.url));
    command.args(["--url", &gateway.url, "--header", &format!("Authorization: Bearer {}", gateway.token)]);
    // What a schema allows the rules may refuse all the same.
    command.args(["--exclude-checks", "positive_data_acceptance", "--max-examples", "25", "--seed", "1"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--no-color"]);
    let output = command.output().expect("schemathesis is installed: `.ci/run` gets it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
