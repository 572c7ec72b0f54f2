//! The client that the protocol's conformance suite drives: connects to the server whose address comes last, signs in where it is asked
//! to, lists the tools and calls each once. The suite stands in for the person: it says yes to whoever asks at the sign-in's address.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own, told by its environment what it is tested for"
)]

use bursar_agent_core::ToolContext;
use bursar_tools::mcp::{McpError, McpParts, McpServer, McpSignIn, McpTools, MemoryPins, OAuthClient};
use bursar_types::{AssetRegistry, CallId, ManualClock, RunId, SessionId, Timestamp};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::sync::Arc;

/// How often a call is made again after signing in for more.
const TRIES: usize = 3;
/// The document that describes this client, for servers that know such: the suite's own.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().next_back().ok_or("the server's address comes last")?;
    let tokens = std::env::temp_dir().join(format!("bursar-conformance-{}", std::process::id()));
    let server = McpServer::http("server", &url)?.tokens_in(&tokens);
    let ended = drive(&server).await;
    // There is none where nobody signed in.
    let _ = std::fs::remove_dir_all(tokens);
    ended
}

async fn drive(server: &McpServer) -> Result<(), Box<dyn Error>> {
    let tools = match connect(server).await {
        Err(McpError::Unauthorized { challenge, .. }) => {
            sign_in(server, &challenge).await?;
            connect(server).await?
        }
        connected => connected?,
    };
    let set = tools.tools()?;
    let names: Vec<String> = set.specs().map(|spec| spec.name.clone()).collect();
    for name in names {
        let tool = set.get(&name).ok_or("it was listed")?;
        let arguments = arguments(&tool.spec().input_schema);
        for left in (0..TRIES).rev() {
            match tool.call(&context(), arguments.clone()).await {
                Ok(output) => println!("{name}: {}", output.content()),
                Err(error) if error.message().contains("MCP_SIGN_IN") && left > 0 => {
                    let challenge = tools.challenge().unwrap_or_default();
                    sign_in(server, &challenge).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            break;
        }
    }
    Ok(())
}

async fn connect(server: &McpServer) -> Result<McpTools, McpError> {
    let parts = McpParts {
        pins: Arc::new(MemoryPins::default()),
        assets: AssetRegistry::pinned(),
        clock: clock(),
        transport: None,
    };
    McpTools::connect(server.clone(), parts).await
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_unix_ms(0)))
}

fn context() -> ToolContext {
    ToolContext::new(SessionId::derived(&[b"s"]), RunId::derived(&[b"r"]), CallId::derived(&[b"c"]), clock())
}

/// What fits a schema in the plainest way.
fn arguments(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let plain = |kind: Option<&str>| match kind {
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    let filled = properties.into_iter().flatten();
    let filled = filled.map(|(name, field)| (name.clone(), plain(field.get("type").and_then(Value::as_str))));
    Value::Object(filled.collect::<Map<_, _>>())
}

/// Signs in, and goes where a browser would be sent, as somebody who says yes.
async fn sign_in(server: &McpServer, challenge: &str) -> Result<(), Box<dyn Error>> {
    let context: Value = match std::env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Value::Null,
    };
    let text = |name: &str| context.get(name).and_then(Value::as_str).map(str::to_owned);
    let client = match text("client_id") {
        Some(id) => OAuthClient::known(id, text("client_secret")),
        None => OAuthClient::registered_by_server().described_at(DOCUMENT),
    };
    let Some(begun) = McpSignIn::begin(server, &client, Some(challenge)).await? else { return Ok(()) };
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let page = browser.get(begun.url()).send().await?;
    let back = page.headers().get("location").ok_or("nobody sends the browser back")?.to_str()?.to_owned();
    let (finished, came) = tokio::join!(begun.finish(), browser.get(back).send());
    finished?;
    came?;
    Ok(())
}
