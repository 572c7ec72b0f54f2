//! Folding records.

use super::{CallState, CallView, Failure, Run, Step, UsageTotal};
use crate::message::{Message, Part, Role};
use crate::model::{Arguments, ModelTurn, ProposedCall};
use crate::record::{Answer, CallResult, Record};
use crate::report::RunOutcome;
use bursar_types::CallId;
use serde_json::Value;
use thiserror::Error;

/// The record cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record `{kind}` cannot follow: {problem}")]
pub struct ApplyError {
    kind: &'static str,
    problem: &'static str,
}

impl Run {
    /// The state after the first record.
    ///
    /// # Errors
    /// [`ApplyError`] if it is not [`Record::Started`].
    pub fn begin(record: &Record) -> Result<Self, ApplyError> {
        let Record::Started { run, session, question, settings, limits, tools, at } = record else {
            return Err(ApplyError { kind: record.kind(), problem: "the run has not started" });
        };
        Ok(Self {
            id: *run,
            session: *session,
            question: question.clone(),
            settings: *settings,
            limits: limits.clone(),
            tools: tools.clone(),
            started_at: *at,
            messages: vec![Message::text(Role::User, question)],
            turns: 0,
            calls_made: 0,
            usage: UsageTotal::default(),
            step: Step::Think { requested: 0, failures: 0, last: None },
        })
    }

    /// Folds the next record. The only way to change the state; live use and replay share it.
    ///
    /// # Errors
    /// [`ApplyError`] if the record cannot follow; the state is then as before.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        let problem = match record {
            Record::Started { .. } => Err("the run has started already"),
            Record::ModelRequested { turn, attempt } => self.model_requested(*turn, *attempt),
            Record::ModelReplied { turn, reply } => self.model_replied(*turn, reply),
            Record::ModelFailed { turn, kind, message, retry } => {
                self.model_failed(*turn, Failure { kind: *kind, message: message.clone(), retry: *retry })
            }
            Record::CallDecided { call, decision } => self.with_call(*call, |state| match state {
                CallState::Proposed => Ok(CallState::Decided(decision.clone())),
                _ => Err("the call was decided before"),
            }),
            Record::CallStarted { call, attempt } => self.call_started(*call, *attempt),
            Record::CallFinished { call, result } => self.call_finished(*call, result),
            Record::Finished { answer } => self.finished(answer),
            Record::Stopped { cause } => match &self.step {
                Step::Done { .. } => Err("the run has ended"),
                _ => {
                    self.step = Step::Done { outcome: RunOutcome::Stopped { cause: cause.clone() } };
                    Ok(())
                }
            },
        };
        problem.map_err(|problem| ApplyError { kind: record.kind(), problem })
    }

    fn model_requested(&mut self, turn: u32, attempt: u32) -> Result<(), &'static str> {
        let turns = self.turns;
        match &mut self.step {
            Step::Think { requested, .. } if turn == turns && attempt == *requested => {
                *requested = requested.saturating_add(1);
                Ok(())
            }
            Step::Think { .. } => Err("turn or attempt is out of order"),
            _ => Err("it is not the model's turn"),
        }
    }

    fn model_failed(&mut self, turn: u32, failure: Failure) -> Result<(), &'static str> {
        let turns = self.turns;
        match &mut self.step {
            Step::Think { requested, failures, last } if turn == turns && *requested > 0 => {
                *failures = failures.saturating_add(1);
                *last = Some(failure);
                Ok(())
            }
            _ => Err("the model was not asked"),
        }
    }

    fn model_replied(&mut self, turn: u32, reply: &ModelTurn) -> Result<(), &'static str> {
        match &self.step {
            Step::Think { requested, .. } if turn == self.turns && *requested > 0 => {}
            _ => return Err("the model was not asked"),
        }
        let calls: Vec<CallView> =
            (0_u32..).zip(&reply.calls).map(|(index, call)| self.view(turn, index, call)).collect();
        self.messages.push(Message { role: Role::Assistant, parts: parts(reply, &calls) });
        self.turns = self.turns.saturating_add(1);
        self.usage.add(reply.usage);
        self.step = match (calls.is_empty(), reply.text.trim().is_empty()) {
            (false, _) => Step::Act { calls },
            (true, false) => {
                Step::Answer { answer: Answer { text: reply.text.clone(), details: Value::Null } }
            }
            (true, true) => Step::Empty,
        };
        Ok(())
    }

    fn view(&self, turn: u32, index: u32, call: &ProposedCall) -> CallView {
        CallView {
            id: CallId::derived(&[self.id.as_bytes(), &turn.to_be_bytes(), &index.to_be_bytes()]),
            tool: call.tool.clone(),
            effect: self.tools.get(&call.tool).copied(),
            arguments: call.arguments.clone(),
            state: CallState::Proposed,
        }
    }

    fn with_call(
        &mut self,
        id: CallId,
        change: impl FnOnce(&CallState) -> Result<CallState, &'static str>,
    ) -> Result<(), &'static str> {
        let Step::Act { calls } = &mut self.step else { return Err("no calls are open") };
        let call = calls.iter_mut().find(|call| call.id == id).ok_or("there is no such call")?;
        call.state = change(&call.state)?;
        Ok(())
    }

    fn call_started(&mut self, id: CallId, attempt: u32) -> Result<(), &'static str> {
        self.with_call(id, |state| match state {
            CallState::Decided(decision)
                if decision.verdict == bursar_types::Verdict::Allow && attempt == 0 =>
            {
                Ok(CallState::Started { attempts: 1 })
            }
            CallState::Started { attempts } if attempt == *attempts => {
                Ok(CallState::Started { attempts: attempts.saturating_add(1) })
            }
            _ => Err("the call may not start"),
        })?;
        if attempt == 0 {
            self.calls_made = self.calls_made.saturating_add(1);
        }
        Ok(())
    }

    /// Results come in call order, so that the conversation reads the same whichever tool was faster.
    fn call_finished(&mut self, id: CallId, result: &CallResult) -> Result<(), &'static str> {
        let Step::Act { calls } = &mut self.step else { return Err("no calls are open") };
        let open = calls.iter_mut().find(|call| !matches!(call.state, CallState::Finished(_)));
        let Some(call) = open.filter(|call| call.id == id) else { return Err("it is another call's turn") };
        call.state = CallState::Finished(result.clone());
        let part = Part::ToolResult {
            call: id,
            content: result.content.clone(),
            is_error: result.is_error,
            executed: result.executed,
        };
        match self.messages.last_mut() {
            Some(message) if message.role == Role::Tool => message.parts.push(part),
            _ => self.messages.push(Message { role: Role::Tool, parts: vec![part] }),
        }
        if let Some(answer) = &result.answer {
            self.step = Step::Answer { answer: answer.clone() };
        } else if calls.iter().all(|call| matches!(call.state, CallState::Finished(_))) {
            self.step = Step::Think { requested: 0, failures: 0, last: None };
        }
        Ok(())
    }

    fn finished(&mut self, answer: &Answer) -> Result<(), &'static str> {
        match &self.step {
            Step::Answer { answer: given } if given == answer => {
                self.step = Step::Done { outcome: RunOutcome::Answered { answer: answer.clone() } };
                Ok(())
            }
            _ => Err("nobody gave that answer"),
        }
    }
}

fn parts(reply: &ModelTurn, calls: &[CallView]) -> Vec<Part> {
    let reasoning = (!reply.reasoning.is_empty()).then(|| Part::Reasoning { text: reply.reasoning.clone() });
    let text = (!reply.text.is_empty()).then(|| Part::Text { text: reply.text.clone() });
    let calls = calls.iter().zip(&reply.calls).map(|(view, call)| Part::ToolCall {
        call: view.id,
        provider_id: call.provider_id.clone(),
        tool: call.tool.clone(),
        arguments: match &call.arguments {
            Arguments::Parsed { value } => value.clone(),
            Arguments::Malformed { text, .. } => Value::String(text.clone()),
        },
    });
    reasoning.into_iter().chain(text).chain(calls).collect()
}
