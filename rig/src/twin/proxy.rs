//! The twin's tools: each does what the tool of rig's with its name does, when rig calls it.

use super::link::{Answered, Link, Work};
use crate::paid::{Payer, Paying};
use async_trait::async_trait;
use bursar_agent_core::{DynTool, ToolContext, ToolError, ToolOutput, ToolSpec};
use rig_core::effect::Outcome;
use rig_core::error::{ErrorKind, ErrorReport};
use rig_core::tool::{self as theirs, ToolErrorKind, ToolExecutionError};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is behind a tool's name.
#[derive(Debug, Clone)]
pub(crate) enum Behind {
    /// A tool of rig's, and what it may pay for.
    Rig(Payer),
    /// A tool of Bursar's.
    Bursar(Arc<dyn DynTool>),
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) spec: ToolSpec,
    pub(crate) behind: Behind,
    pub(crate) link: Arc<Link>,
}

#[async_trait]
impl DynTool for Proxy {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn polls(&self) -> bool {
        match &self.behind {
            Behind::Rig(_) => false,
            Behind::Bursar(tool) => tool.polls(),
        }
    }

    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        match &self.behind {
            Behind::Bursar(tool) => tool.check(arguments),
            Behind::Rig(_) if arguments.is_object() => Ok(()),
            Behind::Rig(_) => Err(ToolError::not_executed("arguments must be one JSON object")),
        }
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        let Some(work) = self.link.arrival(context.call()).await else {
            return Err(ToolError::not_executed("rig's agent did not make this call"));
        };
        match &self.behind {
            Behind::Bursar(tool) => goes_on(tool.call(context, arguments).await?),
            Behind::Rig(payer) => {
                let (answered, output) = run(work, payer, context, &self.spec, &arguments).await;
                self.link.answered(context.call(), answered);
                output
            }
        }
    }
}

/// Runs the tool's body, and pays if it asks for payment.
async fn run(
    work: Box<Work>,
    payer: &Payer,
    context: &ToolContext,
    spec: &ToolSpec,
    arguments: &Value,
) -> (Answered, Result<ToolOutput, ToolError>) {
    let Work { handler, kind, dispatch } = *work;
    let answered = handler.handle(kind, dispatch).await.into_outcome().await;
    match payer.asked(spec.effect, arguments, &answered) {
        Paying::Nothing => {
            let output = recorded(&answered);
            (answered, output)
        }
        Paying::Refused(result) => {
            let output = recorded_result(&result);
            (Ok(Outcome::ToolResult { result }), output)
        }
        Paying::For(request) => {
            let paid = payer.pay(context, &spec.name, *request).await;
            (Ok(Outcome::ToolResult { result: paid.result }), paid.recorded)
        }
    }
}

/// A tool that would end Bursar's run is told as what it says: rig's agent ends with its own words.
fn goes_on(output: ToolOutput) -> Result<ToolOutput, ToolError> {
    Ok(match output.answer() {
        Some(answer) => ToolOutput::value(
            json!({"outcome": "accepted", "answer": answer.text, "details": answer.details}),
        ),
        None => output,
    })
}

fn recorded(answered: &Answered) -> Result<ToolOutput, ToolError> {
    match answered {
        Ok(Outcome::ToolResult { result }) => recorded_result(result),
        Ok(_) => Err(ToolError::unknown("the tool answered with something else than a result")),
        Err(ErrorReport { kind: ErrorKind::Denied, message, .. }) => Err(ToolError::not_executed(message)),
        Err(report) => Err(ToolError::unknown(&report.message)),
    }
}

fn recorded_result(result: &theirs::ToolResult) -> Result<ToolOutput, ToolError> {
    let said = || result.output().render();
    if result.is_success() {
        return Ok(ToolOutput::value(value_of(result.output())));
    }
    match result.error().map(ToolExecutionError::kind) {
        // Refused, skipped, or turned away before anything was done.
        None
        | Some(ToolErrorKind::InvalidArgs | ToolErrorKind::NotFound | ToolErrorKind::PermissionDenied) => {
            Err(ToolError::not_executed(said()))
        }
        Some(_) => Err(ToolError::unknown(said())),
    }
}

/// What the model is told, as the journal keeps it.
pub(crate) fn value_of(output: &theirs::ToolOutput) -> Value {
    match (output.as_text(), output.as_json()) {
        (Some(text), _) => Value::from(text),
        (None, Some(value)) => value.clone(),
        (None, None) => Value::from(output.render()),
    }
}
