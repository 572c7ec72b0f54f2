//! Folding records.

use super::{CallState, CallView, Failure, Run, Step, UsageTotal};
use crate::message::{Message, Part, Role};
use crate::model::{Arguments, ModelTurn, ProposedCall};
use crate::person::{PersonVerdict, happened};
use crate::record::{Answer, CallResult, Record};
use crate::report::RunOutcome;
use crate::stop::StopCause;
use bursar_types::{CallId, Effect};
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
        let Record::Started { run, session, question, settings, limits, tools, at, .. } = record else {
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
            idle_ms: 0,
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
            Record::Resumed { idle_ms, .. } => self.resumed(*idle_ms),
            Record::CallDecided { call, decision } => self.with_call(*call, |view| match &view.state {
                CallState::Proposed => Ok(CallState::Decided(decision.clone())),
                _ => Err("the call was decided before"),
            }),
            Record::CallStarted { call, attempt } => self.call_started(*call, *attempt),
            Record::CallCleared { call } => {
                self.with_call(*call, |view| Ok(CallState::Cleared { attempts: started_write(view)? }))
            }
            Record::CallSettledByPerson { call, verdict, .. } => self.with_call(*call, |view| {
                let attempts = started_write(view)?;
                Ok(match verdict {
                    PersonVerdict::Happened { outcome } => CallState::Told(happened(outcome)),
                    PersonVerdict::DidNotHappen => CallState::Cleared { attempts },
                })
            }),
            Record::CallFinished { call, result } => self.call_finished(*call, result),
            Record::Finished { answer } => self.finished(answer),
            Record::Stopped { cause } => self.stopped(cause),
        };
        problem.map_err(|problem| ApplyError { kind: record.kind(), problem })
    }

    fn stopped(&mut self, cause: &StopCause) -> Result<(), &'static str> {
        if self.outcome().is_some() {
            return Err("the run has ended, or stands still");
        }
        if let StopCause::WriteUnknown { call, .. } = cause
            && self.open_write().is_none_or(|open| open.id != *call)
        {
            return Err("the call's end is known");
        }
        if let StopCause::AwaitingApproval { call, .. } = cause {
            // It did nothing, so it may be made again, whatever its effect is.
            self.with_call(*call, |view| match &view.state {
                CallState::Started { attempts } => Ok(CallState::Cleared { attempts: *attempts }),
                _ => Err("the call is not at work"),
            })?;
        }
        let outcome = RunOutcome::Stopped { cause: cause.clone() };
        let before = std::mem::replace(&mut self.step, Step::Empty);
        self.step = if cause.can_go_on() {
            Step::Paused { outcome, before: Box::new(before) }
        } else {
            Step::Done { outcome }
        };
        Ok(())
    }

    /// What stood still goes on where it was; a model that failed for good is asked anew.
    fn resumed(&mut self, idle_ms: u64) -> Result<(), &'static str> {
        match &mut self.step {
            Step::Done { .. } => return Err("the run has ended"),
            Step::Paused { outcome, before } => {
                let mut step = std::mem::replace(before.as_mut(), Step::Empty);
                let model_failed = matches!(outcome, RunOutcome::Stopped { cause: StopCause::Model { .. } });
                if let (true, Step::Think { failures, last, .. }) = (model_failed, &mut step) {
                    (*failures, *last) = (0, None);
                }
                self.step = step;
            }
            _ => {}
        }
        self.idle_ms = self.idle_ms.saturating_add(idle_ms);
        Ok(())
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
        change: impl FnOnce(&CallView) -> Result<CallState, &'static str>,
    ) -> Result<(), &'static str> {
        let Step::Act { calls } = &mut self.step else { return Err("no calls are open") };
        let call = calls.iter_mut().find(|call| call.id == id).ok_or("there is no such call")?;
        call.state = change(call)?;
        Ok(())
    }

    fn call_started(&mut self, id: CallId, attempt: u32) -> Result<(), &'static str> {
        self.with_call(id, |view| match &view.state {
            CallState::Decided(decision)
                if decision.verdict == bursar_types::Verdict::Allow && attempt == 0 =>
            {
                Ok(CallState::Started { attempts: 1 })
            }
            CallState::Started { .. } if view.effect == Some(Effect::Write) => {
                Err("nobody knows whether the call happened")
            }
            CallState::Started { attempts } | CallState::Cleared { attempts } if attempt == *attempts => {
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

/// How often a `Write` was started that has no result.
const fn started_write(view: &CallView) -> Result<u32, &'static str> {
    match (view.effect, &view.state) {
        (Some(Effect::Write), CallState::Started { attempts }) => Ok(*attempts),
        _ => Err("the call's end is no question"),
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
    let items = reply.items.iter().cloned().map(Part::ProviderItem);
    reasoning.into_iter().chain(text).chain(calls).chain(items).collect()
}
