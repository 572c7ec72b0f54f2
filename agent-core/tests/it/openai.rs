//! The OpenAI backend against a server that checks every request and plays what it is told.

mod chat;
mod faults;
mod replay;
mod requests;
mod responses;
mod server;

use bursar_agent_core::models::{OpenAi, OpenAiApi, OpenAiBuilder};
use bursar_agent_core::{
    Message, Model as _, ModelError, ModelRequest, ModelTurn, Part, Role, ToolChoice, ToolSpec, fold_turn,
};
use bursar_types::{CallId, Effect, RunId};
use serde_json::{Value, json};
use server::Server;

pub(crate) const KEY: &str = "sk-test-0123456789";
/// Of another account at the same server.
pub(crate) const OTHER_KEY: &str = "sk-test-0123456789-of-another";

/// A model at a server.
pub(crate) fn at(server: &Server, api: OpenAiApi) -> OpenAiBuilder {
    OpenAi::builder("gpt-5-mini").key(KEY).base_url(server.base_url()).api(api)
}

/// A question, and one tool to answer it with.
pub(crate) fn question() -> ModelRequest {
    ModelRequest {
        system: "Answer shortly.".into(),
        messages: vec![Message::text(Role::User, "Who may pay the gas?")],
        tools: vec![ToolSpec {
            name: "search".into(),
            description: "Searches.".into(),
            input_schema: json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}),
            effect: Effect::Read,
        }],
        run: RunId::derived(&[b"run"]),
        turn: 0,
        seed: 7,
        tool_choice: ToolChoice::Auto,
        output: None,
        max_output_tokens: None,
    }
}

/// The same conversation one turn later: what the model said, and a result for each of its calls.
pub(crate) fn answered(mut request: ModelRequest, turn: &ModelTurn) -> ModelRequest {
    let mut parts: Vec<Part> = Vec::new();
    if !turn.text.is_empty() {
        parts.push(Part::Text { text: turn.text.clone() });
    }
    let mut results = Vec::new();
    for (index, call) in (0_u8..).zip(&turn.calls) {
        let id = CallId::derived(&[&[index]]);
        let arguments = match &call.arguments {
            bursar_agent_core::Arguments::Parsed { value } => value.clone(),
            bursar_agent_core::Arguments::Malformed { text, .. } => Value::String(text.clone()),
        };
        let (provider_id, tool) = (call.provider_id.clone(), call.tool.clone());
        parts.push(Part::ToolCall { call: id, provider_id, tool, arguments });
        results.push(Part::ToolResult {
            call: id,
            content: json!({"found": index}),
            is_error: false,
            executed: bursar_agent_core::Executed::Yes,
        });
    }
    parts.extend(turn.items.iter().cloned().map(Part::ProviderItem));
    request.messages.push(Message { role: Role::Assistant, parts });
    if !results.is_empty() {
        request.messages.push(Message { role: Role::Tool, parts: results });
    }
    request.turn += 1;
    request
}

/// The same with the items that have no place as if the model had made them.
pub(crate) fn made_by(model: &OpenAi, mut request: ModelRequest) -> ModelRequest {
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ProviderItem(item) = part
            && item.endpoint.is_empty()
        {
            item.endpoint = model.endpoint().to_owned();
        }
    }
    request
}

/// One turn.
pub(crate) async fn turn(model: OpenAiBuilder, request: ModelRequest) -> Result<ModelTurn, ModelError> {
    fold_turn(model.build().unwrap().stream(request).await?).await
}
