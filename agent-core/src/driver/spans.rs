//! Spans of a run, as OpenTelemetry's conventions for generative AI name them. Texts of models and tools are in them only where
//! [`Traces::content`](bursar_types::telemetry::Traces::content) says so.

use crate::agent::Agent;
use crate::context::RunContext;
use crate::model::{ModelDescriptor, ModelError, ModelRequest, ModelTurn};
use crate::report::{RunError, RunOutcome, RunReport};
use crate::tool::{Executed, ToolError, ToolOutput, ToolSpec};
use bursar_types::telemetry::{TARGET, attribute, span};
use bursar_types::{CallId, Effect, RunId};
use serde::Serialize;
use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

/// Most bytes of one text of content; the rest is cut off.
const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// The span of a run, from here to its end or interruption.
pub(super) fn of_run(agent: &Agent, context: &RunContext, run: RunId) -> Span {
    let model = agent.model.descriptor();
    tracing::info_span!(
        target: TARGET,
        span::INVOKE_AGENT,
        otel.name = format!("{} {}", span::INVOKE_AGENT, agent.name),
        { attribute::OPERATION } = span::INVOKE_AGENT,
        { attribute::AGENT_NAME } = %agent.name,
        { attribute::AGENT_ID } = %context.principal.agent,
        { attribute::CONVERSATION } = %run,
        { attribute::MODEL } = %model.name,
        { attribute::PROVIDER } = %model.provider,
        { attribute::SESSION } = %context.principal.session,
        { attribute::INPUT_TOKENS } = Empty,
        { attribute::OUTPUT_TOKENS } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// Says how a run ended.
pub(super) fn note_report(span: &Span, report: &Result<RunReport, RunError>) {
    let error = match report {
        Ok(report) => {
            let usage = report.usage;
            // A sum without the turns that reported nothing would look like all of them.
            let whole = |tokens| (usage.unreported_turns == 0).then_some(tokens);
            note_tokens(span, whole(usage.input_tokens), whole(usage.output_tokens));
            match &report.outcome {
                RunOutcome::Answered { .. } => return,
                RunOutcome::Stopped { cause } => tag(cause),
            }
        }
        Err(_) => "_OTHER".to_owned(),
    };
    note_error(span, &error);
}

/// The span of one try of one turn.
pub(super) fn of_chat(model: &ModelDescriptor, run: RunId, turn: u32, attempt: u32) -> Span {
    tracing::info_span!(
        target: TARGET,
        span::CHAT,
        otel.name = format!("{} {}", span::CHAT, model.name),
        otel.kind = "client",
        { attribute::OPERATION } = span::CHAT,
        { attribute::MODEL } = %model.name,
        { attribute::PROVIDER } = %model.provider,
        { attribute::CONVERSATION } = %run,
        { attribute::TURN } = i64::from(turn),
        { attribute::ATTEMPT } = i64::from(attempt),
        { attribute::INPUT_TOKENS } = Empty,
        { attribute::OUTPUT_TOKENS } = Empty,
        { attribute::INSTRUCTIONS } = Empty,
        { attribute::INPUT } = Empty,
        { attribute::OUTPUT } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// Says what came of a turn.
pub(super) fn note_turn(span: &Span, reply: &Result<ModelTurn, ModelError>, content: bool) {
    match reply {
        Ok(turn) => {
            note_tokens(span, turn.usage.input_tokens, turn.usage.output_tokens);
            if content {
                note_content(span, attribute::OUTPUT, &(&turn.text, &turn.calls));
            }
        }
        Err(error) => note_error(span, &tag(&error.kind)),
    }
}

/// Shows what a model is asked, where that is wanted.
pub(super) fn note_request(span: &Span, request: &ModelRequest) {
    note_content(span, attribute::INSTRUCTIONS, &request.system);
    note_content(span, attribute::INPUT, &request.messages);
}

/// The span of a call of a tool.
pub(super) fn of_call(run: RunId, call: CallId, tool: &ToolSpec) -> Span {
    let effect = match tool.effect {
        Effect::Read => "read",
        Effect::Write => "write",
        Effect::Spend => "spend",
    };
    tracing::info_span!(
        target: TARGET,
        span::EXECUTE_TOOL,
        otel.name = format!("{} {}", span::EXECUTE_TOOL, tool.name),
        { attribute::OPERATION } = span::EXECUTE_TOOL,
        { attribute::TOOL_NAME } = %tool.name,
        { attribute::TOOL_CALL } = %call,
        { attribute::TOOL_TYPE } = "function",
        { attribute::EFFECT } = effect,
        { attribute::CONVERSATION } = %run,
        { attribute::ARGUMENTS } = Empty,
        { attribute::RESULT } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// Shows what a tool is given, where that is wanted.
pub(super) fn note_arguments(span: &Span, arguments: &Value) {
    note_content(span, attribute::ARGUMENTS, arguments);
}

/// Says what came of a call.
pub(super) fn note_result(span: &Span, result: &Result<ToolOutput, ToolError>, content: bool) {
    match result {
        Ok(output) if content => note_content(span, attribute::RESULT, output.content()),
        Ok(_) => {}
        Err(error) => note_error(
            span,
            match error.executed() {
                Executed::No => "not_executed",
                Executed::Yes => "executed",
                Executed::Unknown => "unknown",
            },
        ),
    }
}

fn note_tokens(span: &Span, input: Option<u64>, output: Option<u64>) {
    // OpenTelemetry's integers are signed.
    let signed = |tokens: Option<u64>| tokens.and_then(|tokens| i64::try_from(tokens).ok());
    for (name, tokens) in
        [(attribute::INPUT_TOKENS, signed(input)), (attribute::OUTPUT_TOKENS, signed(output))]
    {
        if let Some(tokens) = tokens {
            span.record(name, tokens);
        }
    }
}

fn note_error(span: &Span, kind: &str) {
    span.record(attribute::ERROR, kind);
    span.record("otel.status_code", "ERROR");
}

/// The stable name of a kind, as it is stored: never its text.
fn tag(kind: &impl Serialize) -> String {
    let name = match serde_json::to_value(kind) {
        Ok(Value::String(name)) => Some(name),
        Ok(Value::Object(mut fields)) => match fields.remove("cause") {
            Some(Value::String(name)) => Some(name),
            _ => None,
        },
        _ => None,
    };
    name.unwrap_or_else(|| "_OTHER".to_owned())
}

fn note_content(span: &Span, name: &str, content: &impl Serialize) {
    let text = serde_json::to_string(content).unwrap_or_default();
    let end = text.floor_char_boundary(CONTENT_BYTES_MAX);
    span.record(name, text.get(..end).unwrap_or_default());
}
