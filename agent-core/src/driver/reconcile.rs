//! Calls that were started and have no result: asking the tool what came of them.

use super::Driver;
use crate::model::Arguments;
use crate::record::{CallResult, Record};
use crate::report::RunError;
use crate::stop::StopCause;
use crate::tool::{DynTool, Reconciled};
use bursar_types::CallId;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

impl Driver<'_> {
    /// Asks the tool of a call and records what it says; nothing, if the run was interrupted meanwhile.
    pub(super) async fn reconcile(&mut self, call: CallId) -> Result<(), RunError> {
        let Some(view) = self.run.call(call).cloned() else { return Ok(()) };
        let tool = self.agent.tools.get(&view.tool).map(Arc::clone);
        let found = match (tool, view.arguments) {
            (Some(tool), Arguments::Parsed { value }) => self.ask_tool(call, &tool, value).await,
            _ => Some(Reconciled::Unknown),
        };
        let record = match found {
            None => return Ok(()),
            Some(Reconciled::Done(output)) => {
                return self.finish_call(call, CallResult::from(Ok(output))).await;
            }
            Some(Reconciled::NotDone) => Record::CallCleared { call },
            Some(Reconciled::Unknown) => {
                Record::Stopped { cause: StopCause::WriteUnknown { call, tool: view.tool } }
            }
        };
        self.append(vec![record]).await
    }

    /// What the tool says; `None` if the run was interrupted meanwhile. A tool that panics or takes too long cannot tell.
    pub(super) async fn ask_tool(
        &self,
        call: CallId,
        tool: &Arc<dyn DynTool>,
        arguments: Value,
    ) -> Option<Reconciled> {
        let (context, tool) = (self.tool_context(call), Arc::clone(tool));
        let mut task = tokio::spawn(async move { tool.reconcile(&context, arguments).await });
        let limit = self.run.limits().call_ms.map(Duration::from_millis);
        let time = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let found = tokio::select! {
            biased;
            found = &mut task => Some(found.unwrap_or_else(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, "tool crashed while it looked what it had done");
                Reconciled::Unknown
            })),
            () = self.interruption() => None,
            () = time => Some(Reconciled::Unknown),
        };
        task.abort();
        found
    }
}
