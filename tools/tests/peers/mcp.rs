//! Governed tools of MCP servers by other authors, and the protocol's own conformance suite.
#![expect(clippy::disallowed_methods, reason = "programs are found on the path")]

use bursar_agent_core::{ToolContext, ToolSet};
use bursar_tools::ChildEnvironment;
use bursar_tools::mcp::{McpParts, McpServer, McpTools, MemoryPins};
use bursar_types::{AssetRegistry, CallId, Effect, ManualClock, RunId, SessionId, Timestamp};
use serde_json::{Value, json};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Scenarios of the suite for clients, and what is expected of each.
///
/// `elicitation-sep1034-client-defaults` is not among them: it wants a client that fills in what a server asks of the user, and an agent
/// with a purse answers no such question.
const SCENARIOS: [&str; 17] = [
    "initialize",
    "tools_call",
    "sse-retry",
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
];

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/mcp/node_modules/@modelcontextprotocol")
}

/// The example beside the test's own executable: `.ci/run` builds it before.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples").join(name)
}

#[test]
fn the_client_passes_the_protocols_conformance_scenarios() {
    let client = example("mcp_conformance");
    assert!(client.exists(), "build it first: cargo build --workspace --all-features --examples");
    let failed: Vec<String> = SCENARIOS.iter().filter_map(|scenario| failure(&client, scenario)).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What the suite says of a scenario that did not pass.
fn failure(client: &Path, scenario: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let suite = peers().join("conformance/dist/index.js");
    let output = Command::new("node")
        .arg(suite)
        .args(["client", "--scenario", scenario, "--timeout", "30000", "--command"])
        .arg(client)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(|| format!("{scenario}:\n{said}"))
}

fn parts() -> McpParts {
    McpParts {
        pins: Arc::new(MemoryPins::default()),
        assets: AssetRegistry::pinned(),
        clock: Arc::new(ManualClock::new(Timestamp::from_unix_ms(0))),
        transport: None,
    }
}

async fn call(tools: &ToolSet, name: &str, arguments: Value) -> Value {
    let (session, run) = (SessionId::derived(&[b"s"]), RunId::derived(&[b"r"]));
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(0)));
    let context = ToolContext::new(session, run, CallId::derived(&[b"c"]), clock);
    let tool = tools.get(name).unwrap_or_else(|| panic!("no {name} among {tools:?}"));
    tool.check(&arguments).unwrap();
    match tool.call(&context, arguments).await {
        Ok(output) => output.content().clone(),
        Err(error) => json!({"error": error.message()}),
    }
}

/// A published server over its standard input and output.
fn program(package: &str, arguments: &[&str]) -> McpServer {
    let script = peers().join(package).join("dist/index.js");
    let path = std::env::var_os("PATH").unwrap();
    let environment = ChildEnvironment::of([("PATH".into(), path)]);
    let arguments = std::iter::once(script.to_str().unwrap()).chain(arguments.iter().copied());
    McpServer::program("peer", environment, "node", arguments).unwrap()
}

async fn use_everything(tools: McpTools) {
    assert_eq!((tools.withheld().len(), tools.changed().len()), (0, 0), "{:?}", tools.withheld());
    let set = tools.tools().unwrap();
    assert!(set.specs().all(|spec| spec.effect == Effect::Write || spec.name == "peer__echo"));
    assert_eq!(call(&set, "peer__echo", json!({"message": "hello"})).await["text"], "Echo: hello");
    let sum = call(&set, "peer__get-sum", json!({"a": 2, "b": 40})).await;
    assert!(sum["text"].as_str().unwrap().contains("42"), "{sum}");
    let picture = call(&set, "peer__get-tiny-image", json!({})).await;
    assert!(picture["text"].as_str().unwrap().contains("[image, image/png, not shown]"), "{picture}");
    let environment = call(&set, "peer__get-env", json!({})).await.to_string();
    assert!(environment.contains("PATH") && !environment.contains("CARGO"), "{environment}");
}

#[tokio::test]
async fn a_published_server_is_used_over_standard_input_and_output() {
    let tools =
        McpTools::connect(program("server-everything", &["stdio"]).reads("echo"), parts()).await.unwrap();
    use_everything(tools).await;
}

#[tokio::test]
async fn a_published_server_is_used_over_http() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = peers().join("server-everything/dist/index.js");
    let mut server = Command::new("node")
        .arg(script)
        .arg("streamableHttp")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("PORT", port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says when it can be reached; if it ends before, so do its lines.
    let mut said = std::io::BufReader::new(server.stderr.take().unwrap()).lines();
    let listens = said.any(|line| line.unwrap().contains("listening"));
    let declared = McpServer::http("peer", &format!("http://127.0.0.1:{port}/mcp")).unwrap().reads("echo");
    let used = match McpTools::connect(declared, parts()).await {
        Ok(tools) => tokio::spawn(use_everything(tools)).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(listens, "the server did not begin");
    used.unwrap();
}

#[tokio::test]
async fn a_published_server_of_files_stays_inside_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "what is kept").unwrap();
    let root = folder.path().canonicalize().unwrap();
    let server = program("server-filesystem", &[root.to_str().unwrap()]).only(["read_text_file"]).reads("*");
    let tools = McpTools::connect(server, parts()).await.unwrap().tools().unwrap();
    assert_eq!(tools.len(), 1);
    let note = call(&tools, "peer__read_text_file", json!({"path": root.join("note.txt")})).await;
    assert!(note.to_string().contains("what is kept"), "{note}");
    let outside = call(&tools, "peer__read_text_file", json!({"path": "/etc/hostname"})).await;
    assert_eq!(outside["failed"], true, "{outside}");
}
