//! One tool at work: on a task of its own, awaited as patiently as its effect demands.

use super::Driver;
use super::spans::{note_arguments, note_result, of_call};
use crate::cancel::Cancel;
use crate::record::CallResult;
use crate::tool::{DynTool, Executed, Reconciled, ToolError, ToolOutput};
use bursar_types::{CallId, Effect};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Sleep;
use tracing::{Instrument as _, Span};

/// How long a `Write`, or a sub-agent, may take to notice that nobody waits for it any more.
const GRACE: Duration = Duration::from_secs(5);

/// A tool's task. A `Read` ends with whoever waits for it; anything else goes on by itself. A sub-agent is told first and given a
/// little time, whatever its effect is: what its model may have cost has to be settled.
pub(super) struct Running {
    effect: Effect,
    tool: Arc<dyn DynTool>,
    arguments: Value,
    call: CallId,
    cancel: Cancel,
    task: JoinHandle<Result<ToolOutput, ToolError>>,
    /// Ends when the call has had its time; never for a `Spend`.
    time: Option<Pin<Box<Sleep>>>,
}

/// How waiting for a tool ended.
pub(super) enum Ended {
    /// With a result.
    With(Box<CallResult>),
    /// The run was interrupted first, and nothing is recorded: a `Read` may run again, and of a `Write` its tool is asked.
    Interrupted,
    /// Nobody knows whether it happened.
    Unknown,
}

impl Ended {
    fn with(result: CallResult) -> Self {
        Self::With(Box::new(result))
    }
}

/// Why a `Write`, or a sub-agent, is not waited for any longer.
enum Over {
    Run,
    Call,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.effect == Effect::Read {
            self.task.abort();
        }
    }
}

impl Driver<'_> {
    /// Starts a call.
    pub(super) fn work(&self, call: CallId, tool: Arc<dyn DynTool>, arguments: Value) -> Running {
        let effect = tool.spec().effect;
        let context = self.tool_context(call);
        let cancel = context.cancel().clone();
        let span = of_call(self.run.id(), call, tool.spec());
        let content = self.context.traces.content();
        if content {
            note_arguments(&span, &arguments);
        }
        let (worker, given) = (Arc::clone(&tool), arguments.clone());
        let work = async move {
            let result = worker.call(&context, given).await;
            note_result(&Span::current(), &result, content);
            result
        };
        let time = self.run.limits().call_ms.filter(|_| effect != Effect::Spend);
        Running {
            effect,
            tool,
            arguments,
            call,
            cancel,
            task: tokio::spawn(work.instrument(span)),
            time: time.map(|ms| Box::pin(tokio::time::sleep(Duration::from_millis(ms)))),
        }
    }

    /// Waits for a call.
    pub(super) async fn wait(&self, mut running: Running) -> Ended {
        match running.effect {
            Effect::Spend => self.settled((&mut running.task).await),
            Effect::Read if !running.tool.goes_on() => {
                let Running { task, time, .. } = &mut running;
                tokio::select! {
                    biased;
                    ended = task => self.settled(ended),
                    () = self.interruption() => Ended::Interrupted,
                    () = run_out(time) => Ended::with(self.too_long("nothing was changed; try something smaller")),
                }
            }
            Effect::Read | Effect::Write => self.wait_patiently(running).await,
        }
    }

    /// Waits for a call that is not simply dropped.
    async fn wait_patiently(&self, mut running: Running) -> Ended {
        let Running { task, time, cancel, .. } = &mut running;
        let over = tokio::select! {
            biased;
            ended = &mut *task => return self.settled(ended),
            () = self.interruption() => Over::Run,
            () = run_out(time) => Over::Call,
        };
        cancel.cancel();
        if let Ok(ended) = tokio::time::timeout(GRACE, &mut *task).await {
            return self.settled(ended);
        }
        // The abort takes hold where the tool waits next; a tool that never waits cannot be stopped.
        task.abort();
        match tokio::time::timeout(GRACE, &mut *task).await {
            Ok(Err(error)) if error.is_cancelled() => {}
            Ok(ended) => return self.settled(ended),
            // What reads can have changed nothing, wherever it hangs: it may be made again, or nobody has to be asked.
            Err(_) if running.effect == Effect::Read => {
                return match over {
                    Over::Run => Ended::Interrupted,
                    Over::Call => Ended::with(self.too_long_and_unknown()),
                };
            }
            Err(_) => return Ended::Unknown,
        }
        match over {
            Over::Run => Ended::Interrupted,
            Over::Call => match self.ask_tool(running.call, &running.tool, running.arguments.clone()).await {
                None => Ended::Interrupted,
                Some(Reconciled::Done(output)) => Ended::with(CallResult::from(Ok(output))),
                Some(Reconciled::NotDone) if !running.tool.goes_on() => {
                    Ended::with(self.too_long("it was not done"))
                }
                // It can have changed nothing, so nobody has to be asked.
                Some(_) if running.effect == Effect::Read => Ended::with(self.too_long_and_unknown()),
                Some(Reconciled::NotDone | Reconciled::Unknown) => Ended::Unknown,
            },
        }
    }

    /// How a call ended by its own account. One that stopped because the run did has no result yet: it is made again when the run
    /// goes on.
    fn settled(&self, ended: Result<Result<ToolOutput, ToolError>, JoinError>) -> Ended {
        match ended {
            Ok(Err(error)) if error.is_interrupted() && self.is_interrupted() => Ended::Interrupted,
            ended => Ended::with(ended.map_or_else(crashed, CallResult::from)),
        }
    }

    /// Ends calls that nobody waits for any more: a sibling of theirs gave the answer, or the run stands still. Reads are dropped; a
    /// sub-agent's run is told, and ends as one that was cancelled.
    pub(super) async fn wind_up(&self, abandoned: Vec<Running>) {
        let going: Vec<Running> = abandoned
            .into_iter()
            .filter(|running| running.effect == Effect::Read && running.tool.goes_on())
            .inspect(|running| running.cancel.cancel())
            .collect();
        let until = tokio::time::Instant::now() + GRACE;
        for mut running in going {
            if tokio::time::timeout_at(until, &mut running.task).await.is_err() {
                tracing::warn!(call = %running.call, "a sub-agent did not end in time; its run is cut off");
            }
        }
    }

    fn too_long_and_unknown(&self) -> CallResult {
        let ms = self.run.limits().call_ms.unwrap_or_default();
        CallResult::from(Err(ToolError::unknown(format!(
            "the call took longer than {ms} ms and was cut off; it changed nothing, and how far it came is not known"
        ))))
    }

    fn too_long(&self, and: &str) -> CallResult {
        let ms = self.run.limits().call_ms.unwrap_or_default();
        CallResult::from(Err(ToolError::not_executed(format!("the call took longer than {ms} ms; {and}"))))
    }
}

/// Ends when the time has run out; never if there is no limit.
async fn run_out(time: &mut Option<Pin<Box<Sleep>>>) {
    match time {
        Some(time) => time.await,
        None => std::future::pending().await,
    }
}

/// A tool that panicked may have done anything. The panic's text stays in the log.
fn crashed(error: JoinError) -> CallResult {
    tracing::error!(error = &error as &dyn std::error::Error, "tool crashed");
    CallResult {
        content: Value::from("the tool crashed; look whether it happened before doing it again"),
        is_error: true,
        executed: Executed::Unknown,
        answer: None,
        waits: None,
    }
}
