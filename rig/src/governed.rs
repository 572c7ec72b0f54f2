//! An agent under a governor, and its tools.

use crate::governor::Inner;
use crate::hook::TwinHook;
use crate::ticket::{Ticket, Tickets};
use crate::twin::{Answer, Work};
use bursar_types::RunId;
use rig_agent::agent::{AgentRunner, TypedRun};
use rig_core::completion::Message;
use rig_core::effect::{EffectKind, HandlerDescriptor, Outcome, family};
use rig_core::error::{ErrorKind, ErrorReport};
use rig_core::serve::{Dispatch, ErasedHandler, Reply, Serve};
use rig_core::tool::{ToolExecutionError, ToolOutput, ToolResult};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// The name of the layer around a governed tool, as rig's descriptors and logs have it.
pub(crate) const LAYER: &str = "bursar";

/// A rig agent under a [`Governor`](crate::Governor). Cheap to clone.
///
/// Each prompt is a run of Bursar's too. A tool that is called past it, by an agent that shares the tools or by a hook, answers with a
/// refusal, and its body does not run; so does a tool that was added after the agent was governed.
#[derive(Clone)]
pub struct GovernedAgent {
    agent: rig_agent::Agent,
    inner: Arc<Inner>,
}

impl fmt::Debug for GovernedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedAgent").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl GovernedAgent {
    pub(crate) const fn new(agent: rig_agent::Agent, inner: Arc<Inner>) -> Self {
        Self { agent, inner }
    }

    /// Begins a run, as [`rig_agent::Agent::prompt`] does: what it gives is rig's own runner, to be awaited or streamed.
    ///
    /// # Errors
    /// Of the run: rig's `PromptError`. It says that the run was cancelled, and why, when the governor ends it.
    ///
    /// # Cancellation
    /// Dropping the run ends its twin. A call that has begun to pay goes on by itself.
    pub fn prompt(&self, prompt: impl Into<Message>) -> AgentRunner {
        self.begin(None, prompt.into())
    }

    /// The same under an id that the caller chose and knows before the first record. An id that is taken is an error of the run.
    pub fn prompt_as(&self, run: RunId, prompt: impl Into<Message>) -> AgentRunner {
        self.begin(Some(run), prompt.into())
    }

    /// The same for an answer of the type `T`, as [`rig_agent::Agent::prompt_typed`] asks for it.
    pub fn prompt_typed<T>(&self, prompt: impl Into<Message>) -> TypedRun<T>
    where
        T: schemars::JsonSchema + serde::de::DeserializeOwned + Send,
    {
        self.agent.prompt_typed(prompt).add_hook(self.hook(None))
    }

    fn begin(&self, run: Option<RunId>, prompt: Message) -> AgentRunner {
        self.agent.prompt(prompt).add_hook(self.hook(run))
    }

    fn hook(&self, run: Option<RunId>) -> TwinHook {
        TwinHook::new(Arc::clone(&self.inner), self.agent.tool_server_handle().clone(), run)
    }
}

/// A tool of rig's whose body runs only for a call that the twin makes.
pub(crate) struct GovernedTool {
    inner: ErasedHandler,
    tickets: Arc<Tickets>,
}

impl GovernedTool {
    pub(crate) const fn new(inner: ErasedHandler, tickets: Arc<Tickets>) -> Self {
        Self { inner, tickets }
    }
}

impl Serve for GovernedTool {
    type Family = family::Dynamic;

    fn descriptor(&self) -> HandlerDescriptor {
        let mut descriptor = self.inner.descriptor();
        descriptor.layers.insert(0, LAYER.to_owned());
        descriptor
    }

    async fn serve(&self, kind: EffectKind, dispatch: Dispatch) -> Reply {
        let EffectKind::ToolCall { name, args } = &kind else {
            return Reply::Outcome(Err(ErrorReport::new(ErrorKind::HandlerUnavailable, "this is a tool")));
        };
        let ticket = self.tickets.take(dispatch.id()).filter(|ticket| ticket.tool == *name);
        let Some(Ticket { link, number, .. }) = ticket else { return denied(&ungoverned(name)) };
        let Ok(arguments) = serde_json::from_str::<Value>(args) else { return denied(&changed(name)) };
        let work = Box::new(Work { handler: self.inner.clone(), kind: kind.clone(), dispatch });
        match link.make(number, &arguments, work).await {
            Answer::Recorded(_, Some(answered)) => Reply::Outcome(*answered),
            Answer::Recorded(result, None) if result.is_error && result.content.is_object() => {
                denied(&result.content)
            }
            Answer::Recorded(result, None) => {
                let output = match result.content {
                    Value::String(text) => ToolOutput::text(text),
                    other => ToolOutput::json(other),
                };
                let result = match result.is_error {
                    true => ToolResult::failed(
                        ToolExecutionError::other("the call was not made, or has no result")
                            .with_model_output(output),
                    ),
                    false => ToolResult::success(output),
                };
                Reply::Outcome(Ok(Outcome::ToolResult { result }))
            }
            Answer::NotAsked => denied(&changed(name)),
            Answer::Ended(why) => Reply::Outcome(Err(ErrorReport::new(ErrorKind::Cancelled, why))),
        }
    }
}

/// The call is not made, and the model reads why.
fn denied(why: &Value) -> Reply {
    Reply::Outcome(Err(ErrorReport::new(ErrorKind::Denied, why.to_string()).with_retryable(false)))
}

/// What a model is told of a call that was not made here.
pub(crate) fn refusal(code: &str, message: &str, next_step: &str) -> Value {
    json!({"outcome": "refused", "executed": "no",
        "reasons": [{"code": code, "message": message, "next_step": next_step}]})
}

pub(crate) fn ungoverned(tool: &str) -> Value {
    refusal(
        "TOOL_UNGOVERNED",
        &format!("`{tool}` was called past the governor of this agent, or added after it"),
        "go on without it, and say so in the answer",
    )
}

fn changed(tool: &str) -> Value {
    refusal(
        "CALL_CHANGED",
        &format!("the call of `{tool}` is not the one that the model asked for and that was decided on"),
        "go on without it, and say so in the answer",
    )
}
