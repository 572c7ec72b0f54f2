//! One connection to one server.

use super::server::{McpServer, Reach};
use super::sign_in;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientConfig, ErrorData, Implementation,
    JsonObject, MetaObject, PaginatedRequestParams, ProtocolVersion, RequestMetaObject, Tool,
};
use rmcp::service::{ClientCacheConfig, NotificationContext, Peer, RoleClient, RunningService, ServiceError};
use rmcp::transport::auth::AuthClient;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::transport::{DynamicTransportError, StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ServiceExt};
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Most pages of a list of tools. A server that goes on is not asked further.
const PAGES_MAX: usize = 64;
/// Longest list of tools, in bytes of its JSON. What comes after the page that passes it is not read.
const LIST_BYTES_MAX: usize = 4 << 20;
/// Where a payment lies in the `_meta` of a call: x402 specification, transport `mcp`.
const PAYMENT: &str = "x402/payment";

/// Why a server could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum McpError {
    /// No connection: nothing was asked of it.
    #[error("the MCP server `{server}` cannot be reached: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        problem: String,
    },
    /// It wants to know who asks.
    #[error(
        "the MCP server `{server}` wants to know who asks, and no credential of it was given, or it refuses the one that was"
    )]
    Unauthorized {
        /// The server.
        server: String,
        /// What it says about how to find out who may, and what for: see [`McpSignIn`](super::McpSignIn). Empty if it says nothing.
        challenge: String,
    },
    /// It was asked, and there is no answer: it may have done it.
    #[error("the MCP server `{server}` did not answer: {problem}")]
    NoAnswer {
        /// The server.
        server: String,
        /// Why.
        problem: String,
    },
    /// It answered with an error of the protocol.
    #[error("the MCP server `{server}` answered with error {code}: {message}")]
    Refused {
        /// The server.
        server: String,
        /// Its code (JSON-RPC).
        code: i32,
        /// Its words, made visible.
        message: String,
        /// What it said besides.
        data: Option<serde_json::Value>,
    },
    /// It wants something of the user before it goes on; it is not given.
    #[error("the MCP server `{server}` asks for input before it answers, and none is given")]
    AsksForInput {
        /// The server.
        server: String,
    },
    /// It would answer later, which nobody asked it to.
    #[error("the MCP server `{server}` does not answer at once, but would later")]
    Later {
        /// The server.
        server: String,
    },
    /// Nobody could be signed in.
    #[error("signing in to the MCP server `{server}` failed: {problem}")]
    SignIn {
        /// The server.
        server: String,
        /// Why.
        problem: String,
    },
    /// What was accepted earlier cannot be read.
    #[error(transparent)]
    Pins(#[from] super::PinError),
}

/// What this side is to a server: somebody who answers no questions.
#[derive(Debug)]
struct Quiet {
    /// Goes up with each notice that the tools are others now.
    changes: Arc<AtomicU64>,
}

/// No capability is declared: no sampling, no elicitation, no roots. Whoever asks all the same is declined by the default of each method.
impl ClientHandler for Quiet {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        // The last version that begins with `initialize`, which every server knows.
        info.protocol_version = ProtocolVersion::V_2025_11_25;
        info.client_info = Implementation::new("bursar", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// One connection, made at first use and made anew after it broke.
#[derive(Debug)]
pub(super) struct McpClient {
    server: McpServer,
    changes: Arc<AtomicU64>,
    /// Whoever connects holds it, so that one connection is made and not many.
    running: Mutex<Option<RunningService<RoleClient, Quiet>>>,
    /// What the server said when it last turned a call away.
    challenge: std::sync::Mutex<Option<String>>,
}

impl McpClient {
    pub(super) fn new(server: McpServer) -> Self {
        Self {
            server,
            changes: Arc::default(),
            running: Mutex::new(None),
            challenge: std::sync::Mutex::default(),
        }
    }

    pub(super) const fn server(&self) -> &McpServer {
        &self.server
    }

    /// Goes up with each notice that the tools are others now.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// What the server said when it last turned a call away.
    pub(super) fn challenge(&self) -> Option<String> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn peer(&self) -> Result<Peer<RoleClient>, McpError> {
        let mut running = self.running.lock().await;
        if let Some(service) = running.as_ref().filter(|service| !service.is_closed()) {
            return Ok(service.peer().clone());
        }
        let limit = Duration::from_millis(self.server.bounds().connect_ms);
        let connected = timeout(limit, self.connect()).await;
        let service = connected.unwrap_or_else(|_| Err(self.unreachable("it took too long")))?;
        // What was listed may be another server's by now.
        self.changes.fetch_add(1, Ordering::SeqCst);
        let peer = service.peer().clone();
        // A list is asked for because it may have changed; what a server says about how long it holds counts for nothing.
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        *running = Some(service);
        Ok(peer)
    }

    async fn connect(&self) -> Result<RunningService<RoleClient, Quiet>, McpError> {
        connect(&self.server, self.changes.clone()).await.map_err(|error| match error {
            Failed::Challenged(challenge) => {
                McpError::Unauthorized { server: self.server.name().to_owned(), challenge }
            }
            Failed::Otherwise(problem) => self.unreachable(&problem),
        })
    }

    fn unreachable(&self, problem: &str) -> McpError {
        McpError::Unreachable {
            server: self.server.name().to_owned(),
            problem: bursar_types::visible(problem, 300),
        }
    }

    /// What the server lists, page by page, within the bounds.
    pub(super) async fn list(&self) -> Result<Vec<Tool>, McpError> {
        let peer = self.peer().await?;
        let limit = Duration::from_millis(self.server.bounds().connect_ms);
        let listing = async {
            let (mut tools, mut cursor, mut bytes) = (Vec::new(), None, 0_usize);
            for _ in 0..PAGES_MAX {
                let asked = PaginatedRequestParams::default().with_cursor(cursor.clone());
                let page = peer.list_tools(Some(asked)).await.map_err(|error| self.failed(error))?;
                let size = |tool: &Tool| serde_json::to_vec(tool).map_or(LIST_BYTES_MAX, |bytes| bytes.len());
                bytes = page.tools.iter().map(size).fold(bytes, usize::saturating_add);
                tools.extend(page.tools);
                // One more than is used says that there are more.
                let enough = tools.len() > self.server.bounds().tools_max || bytes > LIST_BYTES_MAX;
                if enough || page.next_cursor.is_none() || page.next_cursor == cursor {
                    break;
                }
                cursor = page.next_cursor;
            }
            Ok(tools)
        };
        let listed = timeout(limit, listing).await;
        let listed = listed.unwrap_or_else(|_| Err(self.unreachable("listing its tools took too long")));
        if let Err(error) = &listed {
            self.forget_after(error).await;
        }
        listed
    }

    /// Lets go of a connection over which something was turned away or got no answer: whoever signs in meanwhile is known to a new one,
    /// and a session that has run out, or whose server began anew, is none any more.
    async fn forget_after(&self, error: &McpError) {
        if let McpError::Unauthorized { challenge, .. } = error {
            *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge.clone());
        }
        if matches!(error, McpError::Unauthorized { .. } | McpError::NoAnswer { .. }) {
            *self.running.lock().await = None;
        }
    }

    /// Makes one call, with a payment beside it where there is one.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
        payment: Option<serde_json::Value>,
    ) -> Result<CallToolResult, McpError> {
        let peer = self.peer().await?;
        let mut asked = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        if let Some(payment) = payment {
            let mut meta = JsonObject::new();
            meta.insert(PAYMENT.to_owned(), payment);
            asked.meta = Some(RequestMetaObject(MetaObject(meta)));
        }
        let limit = Duration::from_millis(self.server.bounds().call_ms);
        let server = || self.server.name().to_owned();
        match timeout(limit, peer.call_tool_once(asked)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(result),
            Ok(Ok(CallToolResponse::InputRequired(_))) => Err(McpError::AsksForInput { server: server() }),
            // A task, or whatever the protocol comes to know: no answer is there.
            Ok(Ok(_)) => Err(McpError::Later { server: server() }),
            Ok(Err(error)) => {
                let error = self.failed(error);
                self.forget_after(&error).await;
                Err(error)
            }
            Err(_) => {
                let problem = format!("it took longer than {} ms", limit.as_millis());
                Err(McpError::NoAnswer { server: server(), problem })
            }
        }
    }

    fn failed(&self, error: ServiceError) -> McpError {
        let server = self.server.name().to_owned();
        match error {
            // The request was answered with a challenge.
            ServiceError::TransportSend(error) if challenge_in(&error).is_some() => {
                let challenge = challenge_in(&error).unwrap_or_default();
                McpError::Unauthorized { server, challenge }
            }
            ServiceError::McpError(ErrorData { code, message, data, .. }) => McpError::Refused {
                server,
                code: code.0,
                message: bursar_types::visible(&message, 300),
                data,
            },
            error => McpError::NoAnswer {
                server,
                problem: bursar_types::visible(&without_address(&error.to_string()), 300),
            },
        }
    }
}

/// The challenge that lies somewhere under an error.
fn challenge_in(error: &DynamicTransportError) -> Option<String> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error.error.as_ref());
    while let Some(error) = source {
        if let Some(required) = error.downcast_ref::<AuthRequiredError>() {
            return Some(required.www_authenticate_header.clone());
        }
        if let Some(insufficient) = error.downcast_ref::<InsufficientScopeError>() {
            return Some(insufficient.www_authenticate_header.clone());
        }
        source = error.source();
    }
    None
}

/// Why there is no connection.
enum Failed {
    /// The server wants to know who asks, and says how to find out more; empty if it does not.
    Challenged(String),
    /// Anything else.
    Otherwise(String),
}

fn otherwise(error: impl std::fmt::Display) -> Failed {
    Failed::Otherwise(without_address(&error.to_string()))
}

/// An error's words without the address that reqwest puts into them: its query may hold a key.
fn without_address(words: &str) -> String {
    const BEGINS: &str = " for url (";
    match (words.find(BEGINS), words.rfind(')')) {
        (Some(begin), Some(end)) if begin < end => {
            let (before, rest) = words.split_at(begin);
            let after = rest.get(end.saturating_sub(begin).saturating_add(1)..).unwrap_or_default();
            format!("{before}{after}")
        }
        _ => words.to_owned(),
    }
}

/// What a server says to somebody whom it does not let in; `None` if it lets this one in.
pub(super) async fn challenge(server: &McpServer) -> Result<Option<String>, McpError> {
    let limit = Duration::from_millis(server.bounds().connect_ms);
    let unreachable = |problem: &str| McpError::Unreachable {
        server: server.name().to_owned(),
        problem: bursar_types::visible(problem, 300),
    };
    match timeout(limit, connect(server, Arc::default())).await {
        Ok(Ok(_)) => Ok(None),
        Ok(Err(Failed::Challenged(challenge))) => Ok(Some(challenge)),
        Ok(Err(Failed::Otherwise(problem))) => Err(unreachable(&problem)),
        Err(_) => Err(unreachable("it took too long")),
    }
}

async fn connect(
    server: &McpServer,
    changes: Arc<AtomicU64>,
) -> Result<RunningService<RoleClient, Quiet>, Failed> {
    let quiet = Quiet { changes };
    let connected = match server.reach() {
        Reach::Http { url, headers, bearer, tokens } => {
            let client = http_client().map_err(otherwise)?;
            let mut custom: HashMap<_, _> = headers.iter().cloned().collect();
            if let Some(bearer) = bearer {
                let value = http::HeaderValue::from_bytes(&[b"Bearer ", bearer.as_bytes()].concat());
                let mut value = value.map_err(otherwise)?;
                value.set_sensitive(true);
                custom.insert(http::header::AUTHORIZATION, value);
            }
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                .custom_headers(custom)
                // A request that may have been heard is not made again by itself.
                .reinit_on_expired_session(false);
            if tokens.is_some() {
                let mut manager = sign_in::manager(server).await.map_err(otherwise)?;
                manager.initialize_from_store().await.map_err(otherwise)?;
                let client = AuthClient::new(client, manager);
                quiet.serve(StreamableHttpClientTransport::with_client(client, config)).await
            } else {
                quiet.serve(StreamableHttpClientTransport::with_client(client, config)).await
            }
        }
        Reach::Program { environment, program, arguments, variables, .. } => {
            let mut command = environment.command(program);
            command.args(arguments).envs(variables);
            let command = tokio::process::Command::from(command);
            let spawned = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn();
            let (child, _) = spawned.map_err(|error| otherwise(format!("{program}: {error}")))?;
            quiet.serve(child).await
        }
    };
    connected.map_err(|error| match error.is_authorization_required() {
        true => Failed::Challenged(error.auth_challenge().unwrap_or_default().to_owned()),
        false => otherwise(error),
    })
}

/// Connects to what the operator named, and follows nobody elsewhere.
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().referer(false);
    client.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never()).build()
}
