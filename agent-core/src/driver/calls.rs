//! Tool calls: asking the gate, running side by side, recording in order.

use super::Driver;
use super::work::{Ended, Running};
use crate::context::{OnQuestion, ToolContext};
use crate::model::Arguments;
use crate::record::{CallResult, Record};
use crate::report::RunError;
use crate::run::{ARGUMENTS, CallState, CallView, Command};
use crate::stop::StopCause;
use crate::tool::{ToolError, Waits};
use bursar_types::{Action, Asked, CallId, Decision, Digest, Reason, Verdict, canonical_digest};
use std::sync::Arc;

/// A call at work, or one whose result is known without it.
enum Pending {
    Known(CallResult),
    Running(Running),
}

impl Driver<'_> {
    /// Checks the arguments and asks the gate. False if the run was interrupted meanwhile.
    pub(super) async fn decide(&mut self, call: CallId) -> Result<bool, RunError> {
        let Some(view) = self.run.call(call).cloned() else { return Ok(true) };
        let action = match self.action(&view) {
            Ok(action) => action,
            Err(error) => {
                let decision = refuse(ARGUMENTS, error.message(), "correct the arguments and call again");
                self.append(vec![Record::CallDecided { call, decision }]).await?;
                return Ok(true);
            }
        };
        let gate = Arc::clone(&self.context.gate);
        let Some(decided) = self.until_interrupted(gate.decide(&action)).await else { return Ok(false) };
        let decision = decided.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "gate could not decide; denied");
            unavailable()
        });
        self.append(vec![Record::CallDecided { call, decision }]).await?;
        Ok(true)
    }

    /// Puts a call that the gate escalated to a person. False if the run was interrupted meanwhile, or stands still.
    pub(super) async fn ask_person(&mut self, call: CallId) -> Result<bool, RunError> {
        let Some(view) = self.run.call(call).cloned() else { return Ok(true) };
        let CallState::Decided(escalated) = view.state.clone() else { return Ok(true) };
        let (Ok(action), Arguments::Parsed { value }) = (self.action(&view), &view.arguments) else {
            let decision = refuse(ARGUMENTS, "arguments do not fit", "correct the arguments and call again");
            self.append(vec![Record::CallAnswered { call, decision, waits: None }]).await?;
            return Ok(true);
        };
        let (gate, shown) = (Arc::clone(&self.context.gate), value.to_string());
        let Some(asked) = self.until_interrupted(gate.ask(&action, &shown)).await else { return Ok(false) };
        let asked = asked.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "nobody could be asked; denied");
            Asked::Refused(unavailable())
        });
        let (decision, waits) = match asked {
            Asked::Nobody => (escalated, None),
            Asked::Allowed(decision) | Asked::Refused(decision) => (decision, None),
            Asked::Waits { approval, until } if self.context.on_question == OnQuestion::Pause => {
                let cause = StopCause::AwaitingApproval { call, tool: view.tool, approval, until };
                self.append(vec![Record::Stopped { cause }]).await?;
                return Ok(false);
            }
            Asked::Waits { approval, until } => (escalated, Some(Waits { approval, until })),
        };
        self.append(vec![Record::CallAnswered { call, decision, waits }]).await?;
        Ok(true)
    }

    fn action(&self, view: &CallView) -> Result<Action, ToolError> {
        let gone = || ToolError::not_executed("the tool is not there any more");
        let tool = self.agent.tools.get(&view.tool).ok_or_else(gone)?;
        let Arguments::Parsed { value } = &view.arguments else {
            return Err(ToolError::not_executed("arguments are not JSON"));
        };
        tool.check(value)?;
        let arguments =
            canonical_digest(value).map_err(|error| ToolError::not_executed(error.to_string()))?;
        let spec = tool.spec();
        Ok(Action {
            run: self.run.id(),
            call: view.id,
            tool: spec.name.clone(),
            effect: spec.effect,
            arguments,
        })
    }

    /// Runs a group of calls side by side and records their results in call order.
    pub(super) async fn call(&mut self, commands: Vec<Command>) -> Result<(), RunError> {
        let started: Vec<Record> = commands
            .iter()
            .filter_map(|command| match command {
                Command::CallTool { call, attempt } => {
                    Some(Record::CallStarted { call: *call, attempt: *attempt })
                }
                _ => None,
            })
            .collect();
        let views: Vec<Option<CallView>> = commands
            .iter()
            .map(|command| match command {
                Command::CallTool { call, .. } => self.run.call(*call).cloned(),
                _ => None,
            })
            .collect();
        if !started.is_empty() {
            self.append(started).await?;
        }
        let mut pending = Vec::with_capacity(commands.len());
        for (command, view) in commands.into_iter().zip(views) {
            match (command, view) {
                (Command::Settle { call, result }, _) => pending.push((call, Pending::Known(result))),
                (Command::CallTool { call, .. }, Some(view)) => pending.push((call, self.start(view))),
                _ => {}
            }
        }
        let mut pending = pending.into_iter();
        for (call, pending) in pending.by_ref() {
            let ended = match pending {
                Pending::Known(result) => Ended::With(Box::new(result)),
                Pending::Running(running) => self.wait(running).await,
            };
            let goes_on = match ended {
                Ended::With(result) => {
                    let ends = result.answer.is_some() || self.pauses(&result);
                    self.finish_call(call, *result).await?;
                    !ends
                }
                Ended::Interrupted => false,
                Ended::Unknown => {
                    let tool = self.run.call(call).map(|view| view.tool.clone()).unwrap_or_default();
                    let cause = StopCause::WriteUnknown { call, tool };
                    self.append(vec![Record::Stopped { cause }]).await?;
                    false
                }
            };
            if !goes_on {
                break;
            }
        }
        let abandoned = pending.filter_map(|(_, pending)| match pending {
            Pending::Running(running) => Some(running),
            Pending::Known(_) => None,
        });
        self.wind_up(abandoned.collect()).await;
        Ok(())
    }

    /// Records a call's result, or that the run stands still because the call waits for an answer.
    pub(super) async fn finish_call(&mut self, call: CallId, result: CallResult) -> Result<(), RunError> {
        let record = match result.waits {
            Some(Waits { approval, until }) if self.pauses(&result) => {
                let tool = self.run.call(call).map(|view| view.tool.clone()).unwrap_or_default();
                Record::Stopped { cause: StopCause::AwaitingApproval { call, tool, approval, until } }
            }
            _ => Record::CallFinished { call, result },
        };
        self.append(vec![record]).await
    }

    fn pauses(&self, result: &CallResult) -> bool {
        result.waits.is_some() && self.context.on_question == OnQuestion::Pause
    }

    fn start(&self, view: CallView) -> Pending {
        let known = |message: &str| Pending::Known(CallResult::from(Err(ToolError::not_executed(message))));
        let Some(tool) = self.agent.tools.get(&view.tool).map(Arc::clone) else {
            return known("the tool is not there any more");
        };
        let Arguments::Parsed { value } = view.arguments else { return known("arguments are not JSON") };
        Pending::Running(self.work(view.id, tool, value))
    }

    /// Every tool sees the purse: asking prices and proposing plans is no spending, and the purse decides what is.
    pub(super) fn tool_context(&self, call: CallId) -> ToolContext {
        let session = self.context.principal.session;
        let mut context = ToolContext::new(session, self.run.id(), call, Arc::clone(&self.context.clock))
            .with_cancel(self.context.cancel.child())
            .with_events(self.context.events.clone());
        context = context
            .with_depth(self.context.under.map_or(0, |under| under.depth))
            .with_on_question(self.context.on_question);
        if let Some(deadline) = self.deadline() {
            context = context.with_deadline(deadline);
        }
        match &self.context.purse {
            Some(purse) => context.with_purse(purse),
            None => context,
        }
    }
}

fn unavailable() -> Decision {
    refuse("GATE_UNAVAILABLE", "the gate could not decide, which counts as no", "go on without this call")
}

fn refuse(code: &'static str, message: &str, next_step: &str) -> Decision {
    Decision {
        verdict: Verdict::Deny,
        reasons: vec![Reason::new(code, message, next_step)],
        rules: Vec::new(),
        facts: Digest::of(code.as_bytes()),
    }
}
