//! What a caller is told of a call.

use bursar::agent::{ToolError, ToolOutput};
use bursar::tools::ReasonView;
use bursar::types::{ApprovalId, CallId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Which way a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// The Model Context Protocol over standard input and output.
    McpStdio,
    /// The Model Context Protocol over HTTP.
    McpHttp,
    /// REST.
    Rest,
}

/// What a caller is told of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The call, as the journal has it.
    pub call: CallId,
    /// A JSON object. It has `outcome` and `reasons` where it did not do what was asked.
    pub content: Value,
}

impl Answer {
    /// Whether nothing was done because it was refused, or could not be.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.outcome() == Some("refused")
    }

    /// The outcome, where it has one.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        self.content.get("outcome")?.as_str()
    }

    /// The codes of its reasons.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        let reasons = self.content.get("reasons").and_then(Value::as_array);
        reasons.into_iter().flatten().filter_map(|reason| reason.get("code")?.as_str())
    }

    pub(crate) fn refused(call: CallId, reasons: &[ReasonView]) -> Self {
        Self { call, content: json!({"outcome": "refused", "reasons": reasons}) }
    }

    pub(crate) fn waiting(
        call: CallId,
        mut reasons: Vec<ReasonView>,
        approval: ApprovalId,
        until: Timestamp,
    ) -> Self {
        reasons.push(ReasonView::new(
            "AWAITING_APPROVAL",
            "a person is asked about this very call; nothing was done",
            "go on without it, or make the same call again later",
        ));
        let mut told = Self { call, content: json!({"outcome": "awaiting_approval", "reasons": reasons}) };
        told.ask(approval, until);
        told
    }

    /// What a tool said.
    pub(crate) fn of(call: CallId, said: Result<ToolOutput, ToolError>) -> Self {
        match said {
            Ok(output) => {
                let content = match output.content() {
                    Value::Object(_) => output.content().clone(),
                    other => json!({ "result": other }),
                };
                let mut told = Self { call, content };
                if let Some(waits) = output.waits() {
                    told.ask(waits.approval, waits.until);
                }
                told
            }
            Err(error) => {
                let next_step = "correct the call, or go on without it";
                Self::refused(call, &[ReasonView::new("CALL_FAILED", error.message(), next_step)])
            }
        }
    }

    fn ask(&mut self, approval: ApprovalId, until: Timestamp) {
        let view = json!({"id": approval.to_string(), "until": until.to_string()});
        if let Some(content) = self.content.as_object_mut() {
            content.insert("approval".to_owned(), view);
        }
    }

    /// The object.
    pub(crate) fn into_object(self) -> Map<String, Value> {
        match self.content {
            Value::Object(content) => content,
            other => Map::from_iter([("result".to_owned(), other)]),
        }
    }
}
