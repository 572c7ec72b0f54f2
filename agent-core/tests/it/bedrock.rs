//! The Bedrock backend over real HTTP on loopback, against a service that refuses what the real one refuses.

mod any;
mod errors;
mod fake;
mod frames;
mod requests;
mod rules;
mod streams;

use bursar_agent_core::models::{Bedrock, BedrockBuilder};
use bursar_agent_core::{
    Message, Model, ModelError, ModelRequest, ModelTurn, Part, Role, ToolChoice, ToolSpec, fold_turn,
};
use bursar_types::{CallId, Effect, RunId};
use fake::Fake;
use serde_json::{Value, json};

const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

fn builder(fake: &Fake) -> BedrockBuilder {
    Bedrock::builder(MODEL).region("eu-west-1").endpoint_url(&fake.url).access_keys(
        "AKIDEXAMPLE",
        SECRET,
        None,
    )
}

fn request(messages: Vec<Message>, tools: Vec<ToolSpec>) -> ModelRequest {
    ModelRequest {
        system: "Answer with sources.".into(),
        messages,
        tools,
        run: RunId::derived(&[b"bedrock"]),
        turn: 0,
        seed: 0,
        tool_choice: ToolChoice::Auto,
        output: None,
        max_output_tokens: None,
    }
}

fn question() -> ModelRequest {
    request(vec![Message::text(Role::User, "Who may pay the gas?")], vec![tool("fetch")])
}

/// The same with the items that have no place as if the model had made them.
fn made_by(model: &Bedrock, mut request: ModelRequest) -> ModelRequest {
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ProviderItem(item) = part
            && item.endpoint.is_empty()
        {
            item.endpoint = model.endpoint().to_owned();
        }
    }
    request
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: "Fetches.".into(),
        input_schema: json!({"type": "object", "properties": {"url": {"type": "string"}}}),
        effect: Effect::Read,
    }
}

fn call_id(number: u8) -> CallId {
    CallId::derived(&[&[number]])
}

fn called(number: u8, provider_id: Option<&str>, tool: &str, arguments: Value) -> Part {
    let provider_id = provider_id.map(str::to_owned);
    Part::ToolCall { call: call_id(number), provider_id, tool: tool.into(), arguments }
}

fn result(number: u8, content: Value, is_error: bool) -> Part {
    let executed = bursar_agent_core::Executed::Yes;
    Part::ToolResult { call: call_id(number), content, is_error, executed }
}

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

async fn turn_of(model: &Bedrock, request: ModelRequest) -> Result<ModelTurn, ModelError> {
    fold_turn(model.stream(request).await?).await
}
