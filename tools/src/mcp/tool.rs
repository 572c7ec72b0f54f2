//! One tool of one server.

use super::client::McpError;
use super::convert;
use super::listing::Listed;
use super::tools::Shared;
use crate::paid_call::PaidCall;
use async_trait::async_trait;
use bursar_agent_core::{DynTool, ToolContext, ToolError, ToolOutput, ToolSpec};
use bursar_types::{Effect, canonical_bytes};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use rmcp::model::JsonObject;
use serde_json::Value;
use std::sync::Arc;

/// A tool asks to be paid that nobody declared as paid.
const NOT_DECLARED_PAID: &str = "MCP_NOT_DECLARED_PAID";
/// A server wants to know who asks.
const SIGN_IN: &str = "MCP_SIGN_IN";
/// A server asks the user something.
const ASKS_FOR_INPUT: &str = "MCP_ASKS_FOR_INPUT";
/// The error of JSON-RPC that says that nothing was done: there is no such method. Servers also say that parameters do not fit (-32602)
/// when it is their own result that does not, after the work.
const NO_METHOD: i32 = -32601;

/// A tool of a server, as an agent has it.
#[derive(Debug)]
pub(super) struct McpTool {
    shared: Arc<Shared>,
    listed: Listed,
    spec: ToolSpec,
}

impl McpTool {
    pub(super) fn new(shared: Arc<Shared>, listed: Listed) -> Self {
        let server = shared.client().server();
        let effect = server.effect(&listed.name);
        let description = match effect {
            Effect::Spend => {
                format!("{} It costs money: the first call gives its price.", listed.description)
            }
            Effect::Read | Effect::Write => listed.description.clone(),
        };
        let spec = ToolSpec {
            name: listed.model_name.clone(),
            description,
            input_schema: listed.schema.clone(),
            effect,
        };
        Self { shared, listed, spec }
    }

    fn arguments(&self, arguments: &Value) -> Result<JsonObject, ToolError> {
        let problem = |what: String| {
            ToolError::not_executed(format!("arguments of `{}` do not fit: {what}", self.spec.name))
        };
        let given = match arguments {
            Value::Object(given) => given.clone(),
            Value::Null => JsonObject::new(),
            _ => return Err(problem("it takes one JSON object".to_owned())),
        };
        let required = self.listed.schema.get("required").and_then(Value::as_array);
        let missing: Vec<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| !given.contains_key(*name))
            .take(8)
            .collect();
        match missing.is_empty() {
            true => Ok(given),
            false => Err(problem(format!("{} missing", missing.join(", ")))),
        }
    }

    async fn buy(&self, context: &ToolContext, arguments: JsonObject) -> Result<ToolOutput, ToolError> {
        let server = self.shared.client().server();
        let url = server.tool_address(&self.listed.name);
        let body = canonical_bytes(&arguments).map_err(|error| ToolError::not_executed(error.to_string()))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&url)
            .body(Bytes::from(body))
            .map_err(|error| ToolError::not_executed(error.to_string()))?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // One call is one purchase, also after a crash: its key follows from the call.
        let fetched = context.purse()?.fetch(request, context.purchase_key("tool")?).await;
        let max = server.bounds().result_bytes_max;
        let from = convert::label(server.name());
        let paid = PaidCall { assets: self.shared.assets(), url: &url, tool: &self.spec.name, from: &from };
        paid.told(
            fetched,
            |response| Ok(convert::labelled(server.name(), convert::shown_body(response.body(), max))),
            |body| convert::shown_body(body, max),
        )
    }

    async fn plain(&self, arguments: JsonObject) -> Result<ToolOutput, ToolError> {
        let client = self.shared.client();
        let result = client.call(&self.listed.name, arguments, None).await.map_err(|error| told(&error))?;
        if convert::asks_for_payment(&result) {
            return Err(ToolError::not_executed(format!(
                "`{}` asks to be paid, and its operator did not declare it as paid, so it is not bought ({NOT_DECLARED_PAID}); go \
                 on without it, and say so in the answer",
                self.spec.name
            )));
        }
        Ok(convert::output(client.server().name(), &result, client.server().bounds().result_bytes_max))
    }
}

/// What a model is told of a call without a result.
fn told(error: &McpError) -> ToolError {
    match error {
        McpError::Unauthorized { .. } => ToolError::not_executed(format!(
            "{error} ({SIGN_IN}); go on without it, and say so in the answer"
        )),
        McpError::Unreachable { .. } | McpError::SignIn { .. } | McpError::Pins(_) => {
            ToolError::not_executed(format!("{error}; go on without it"))
        }
        McpError::Refused { code: NO_METHOD, .. } => ToolError::not_executed(error.to_string()),
        McpError::Refused { .. } => ToolError::unknown(error.to_string()),
        McpError::AsksForInput { .. } => {
            ToolError::unknown(format!("{error} ({ASKS_FOR_INPUT}); go on without it"))
        }
        McpError::Later { .. } | McpError::NoAnswer { .. } => {
            ToolError::unknown(format!("{error}; it may have been done: look before you do it again"))
        }
    }
}

#[async_trait]
impl DynTool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        self.arguments(arguments).map(drop)
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        let arguments = self.arguments(&arguments)?;
        self.shared.still(&self.listed).await?;
        match self.spec.effect {
            Effect::Spend => self.buy(context, arguments).await,
            Effect::Read | Effect::Write => self.plain(arguments).await,
        }
    }
}
