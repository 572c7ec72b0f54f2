//! Paid tools on the purse's way to the network.

use super::client::{McpClient, McpError};
use super::convert;
use super::server::McpServer;
use async_trait::async_trait;
use bursar_types::{BodyProblem, HttpRequest, HttpResponse, Limits, Transport, TransportError};
use http::Method;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use url::Url;

/// A transport that makes MCP calls of requests for paid tools, and leaves all others to the one below.
///
/// Only tools that an operator declared as paid are called, and only with `POST`: the purse has decided by then. Whoever writes such an
/// address by hand gets no further than a plan lets them.
#[derive(Debug, Clone)]
pub struct McpTransport {
    below: Arc<dyn Transport>,
    clients: Arc<RwLock<BTreeMap<String, Arc<McpClient>>>>,
}

impl McpTransport {
    /// Stands before `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Transport>) -> Self {
        Self { below, clients: Arc::default() }
    }

    /// Makes a server's paid tools known before it is connected: it is when the first is bought, or asked for again after a crash.
    pub fn declare(&self, server: McpServer) {
        self.register(Arc::new(McpClient::new(server)));
    }

    /// Makes a server's paid tools known. One of the same name is replaced.
    pub(super) fn register(&self, client: Arc<McpClient>) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.insert(client.server().name().to_owned(), client);
    }

    /// The server and the tool that an address names; `None` if it names no tool at all.
    ///
    /// # Errors
    /// The name of a tool that is not sold here, or not now. Nothing else may get such a request: it may hold a payment.
    fn named(&self, request: &HttpRequest) -> Result<Option<(Arc<McpClient>, String)>, String> {
        let asks = request.method() == Method::POST
            && request.uri().query().is_some_and(|query| query.contains(bursar_types::MCP_TOOL));
        let url = match Url::parse(&request.uri().to_string()) {
            Ok(url) if asks => url,
            _ => return Ok(None),
        };
        let Some((_, tool)) = url.query_pairs().find(|(name, _)| name == bursar_types::MCP_TOOL) else {
            return Ok(None);
        };
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let found = clients.values().find_map(|client| {
            let server = client.server();
            let tool = server.tool_at(&url).filter(|tool| server.is_paid(tool) && server.offers(tool))?;
            Some((client.clone(), tool))
        });
        match found {
            Some(found) => Ok(Some(found)),
            None => Err(format!(
                "no MCP server is declared here that sells a tool `{}` at this address",
                bursar_types::visible(&tool, 80)
            )),
        }
    }
}

#[async_trait]
impl Transport for McpTransport {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let not_sent =
            |problem: String| TransportError::NotSent { host: host.clone(), source: problem.into() };
        let Some((client, tool)) = self.named(&request).map_err(&not_sent)? else {
            return self.below.send(request, limits).await;
        };
        let payment = convert::payment(request.headers()).map_err(&not_sent)?;
        let arguments = serde_json::from_slice(request.body())
            .map_err(|error| not_sent(format!("the arguments are no JSON object: {error}")))?;
        let called = client.call(&tool, arguments, payment);
        let called = tokio::time::timeout(Duration::from_millis(limits.timeout_ms), called).await;
        let response = match called {
            Ok(Ok(result)) => convert::answer(&result),
            Ok(Err(error)) => match convert::error_answer(&error) {
                Some(answer) => answer,
                None => return Err(failed(host, error)),
            },
            Err(late) => return Err(TransportError::NoAnswer { host, source: late.into() }),
        };
        let max = limits.body_max(response.status());
        if response.body().len() > max {
            let (head, _) = response.into_parts();
            return Err(TransportError::Body {
                host,
                head: Box::new(head),
                problem: BodyProblem::TooLong { max },
            });
        }
        Ok(response)
    }
}

/// Nothing was asked of a server that cannot be reached; any other may have done it.
fn failed(host: String, error: McpError) -> TransportError {
    match error {
        McpError::Unreachable { .. } | McpError::SignIn { .. } | McpError::Pins(_) => {
            TransportError::NotSent { host, source: error.into() }
        }
        error => TransportError::NoAnswer { host, source: error.into() },
    }
}
