//! Agents as tools of others.

use crate::agent::Agent;
use crate::context::{RunContext, ToolContext, Under};
use crate::report::{RunError, RunOutcome, RunReport, read_run};
use crate::stop::StopCause;
use crate::tool::{DynTool, Reconciled, ToolError, ToolOutput, ToolSpec};
use async_trait::async_trait;
use bursar_types::{Cause, Effect, RunId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// How many runs may stand above a run.
pub const DEPTH_MAX: u32 = 4;

/// Gives the runs of sub-agents what they work with.
///
/// # What implementers guarantee
/// The session never may what the session of the run above may not. The same call gets the same session, also in another process.
#[async_trait]
pub trait Delegate: Send + Sync + fmt::Debug {
    /// What the run works with that this call asks for. Its cancellation, what follows when it waits for an answer, and what it stands
    /// under are set by whoever asks.
    ///
    /// # Errors
    /// [`ToolError`] that the model of the run above is told.
    async fn delegate(&self, call: &ToolContext) -> Result<RunContext, ToolError>;
}

const _: Option<&dyn Delegate> = None;

/// What a sub-agent is asked.
#[derive(Debug, schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// What to work on, with everything that is needed to know: it sees nothing else of this conversation.
    task: String,
}

/// An agent as a tool.
#[derive(Debug)]
pub(crate) struct SubAgent {
    agent: Agent,
    spec: ToolSpec,
    delegate: Arc<dyn Delegate>,
}

impl SubAgent {
    pub(crate) fn new(agent: Agent, name: String, description: String, delegate: Arc<dyn Delegate>) -> Self {
        let strictness = |effect: &Effect| match effect {
            Effect::Read => 0,
            Effect::Write => 1,
            Effect::Spend => 2,
        };
        let effect =
            agent.tools().specs().map(|spec| spec.effect).max_by_key(strictness).unwrap_or(Effect::Read);
        let input_schema = schemars::schema_for!(Asked).to_value();
        Self { agent, spec: ToolSpec { name, description, input_schema, effect }, delegate }
    }

    /// The run of a call: the same after a crash.
    fn run_of(context: &ToolContext) -> RunId {
        RunId::derived(&[b"sub-agent", context.call().as_bytes()])
    }

    async fn context(&self, context: &ToolContext) -> Result<RunContext, ToolError> {
        let depth = context.depth().saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(ToolError::not_executed(format!(
                "sub-agents may stand {DEPTH_MAX} deep in one another, and this would be one more; do it yourself"
            )));
        }
        let cause = Cause { run: context.run(), call: context.call() };
        let mut given = self.delegate.delegate(context).await?;
        given.cancel = context.cancel().clone();
        given.on_question = context.on_question();
        given.under = Some(Under { cause, depth, deadline: context.deadline() });
        Ok(given)
    }
}

fn asked(arguments: &Value) -> Result<Asked, ToolError> {
    Asked::deserialize(arguments).map_err(|error| {
        ToolError::not_executed(format!("arguments do not fit: {error}; it takes an object with task"))
    })
}

/// What the run above is told.
fn told(report: RunReport) -> Result<ToolOutput, ToolError> {
    let run = report.run;
    let cause = match report.outcome {
        RunOutcome::Answered { answer } => {
            return Ok(ToolOutput::value(
                json!({"answer": answer.text, "details": answer.details, "run": run}),
            ));
        }
        RunOutcome::Stopped { cause } => cause,
    };
    match cause {
        StopCause::AwaitingApproval { approval, until, ref tool, .. } => {
            let content = json!({"outcome": "awaiting_approval", "tool": tool, "approval": approval, "until": until, "run": run});
            Ok(ToolOutput::value(content).waiting(approval, until))
        }
        StopCause::Cancelled | StopCause::Deadline { .. } => {
            Err(ToolError::interrupted(format!("the sub-agent stopped half-way: {cause} (run {run})")))
        }
        StopCause::WriteUnknown { .. } => {
            Err(ToolError::unknown(format!("the sub-agent stands still: {cause} (run {run})")))
        }
        cause => Err(ToolError::executed_without_result(format!(
            "the sub-agent has no answer: {cause} (run {run})"
        ))),
    }
}

fn failed(error: &RunError) -> ToolError {
    match error {
        RunError::SpendWithoutPurse { .. } | RunError::Task(_) => {
            ToolError::not_executed(format!("the sub-agent cannot work: {error}"))
        }
        other => ToolError::unknown(format!("the sub-agent could not be driven to its end: {other}")),
    }
}

#[async_trait]
impl DynTool for SubAgent {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        asked(arguments).map(drop)
    }

    fn goes_on(&self) -> bool {
        true
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        let task = asked(&arguments)?.task;
        let (given, run) = (self.context(context).await?, Self::run_of(context));
        let known = given.journal.read(run, 0).await;
        let known =
            known.map_err(|error| ToolError::unknown(format!("the journal cannot be read: {error}")))?;
        let report = match known.is_empty() {
            true => self.agent.run_as(given, run, task).await,
            false => self.agent.resume(given, run).await,
        };
        told(report.map_err(|error| failed(&error))?)
    }

    /// The run's own records say how far it is; to call again is to go on with it.
    async fn reconcile(&self, context: &ToolContext, _: Value) -> Reconciled {
        let Ok(given) = self.context(context).await else { return Reconciled::Unknown };
        match read_run(given.journal.as_ref(), Self::run_of(context)).await {
            Err(RunError::NotFound { .. }) => Reconciled::NotDone,
            Err(_) => Reconciled::Unknown,
            Ok((run, _)) => match run.outcome() {
                Some(RunOutcome::Answered { answer }) => Reconciled::Done(ToolOutput::value(
                    json!({"answer": answer.text, "details": answer.details, "run": run.id()}),
                )),
                _ => Reconciled::NotDone,
            },
        }
    }
}
