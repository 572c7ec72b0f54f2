//! Folding the calls of a turn.

use super::repeat::Circle;
use super::{CallState, CallView, Run, Step};
use crate::message::{Message, Part, Role};
use crate::model::{Arguments, StopReason};
use crate::record::CallResult;
use crate::stop::StopCause;
use crate::warning::{Problem, of_repetition};
use bursar_types::{CallId, Decision, Effect, Verdict};
use std::collections::BTreeSet;

/// The code of a denial that says that arguments do not fit.
pub(crate) const ARGUMENTS: &str = "ARGUMENTS";

impl Run {
    pub(super) fn with_call(
        &mut self,
        id: CallId,
        change: impl FnOnce(&CallView) -> Result<CallState, &'static str>,
    ) -> Result<(), &'static str> {
        let Step::Act { calls, .. } = &mut self.step else { return Err("no calls are open") };
        let call = calls.iter_mut().find(|call| call.id == id).ok_or("there is no such call")?;
        call.state = change(call)?;
        Ok(())
    }

    pub(super) fn call_started(&mut self, id: CallId, attempt: u32) -> Result<(), &'static str> {
        self.with_call(id, |view| match &view.state {
            _ if attempt != view.attempts => Err("the try is out of order"),
            CallState::Decided(decision) | CallState::Answered(decision, _)
                if decision.verdict == Verdict::Allow =>
            {
                Ok(CallState::Started)
            }
            CallState::Started if view.effect == Some(Effect::Write) => {
                Err("nobody knows whether the call happened")
            }
            // One that was cleared begins without another decision in journals from before there was one.
            CallState::Started | CallState::Cleared => Ok(CallState::Started),
            _ => Err("the call may not start"),
        })?;
        if let Step::Act { calls, .. } = &mut self.step
            && let Some(call) = calls.iter_mut().find(|call| call.id == id)
        {
            call.attempts = call.attempts.saturating_add(1);
        }
        if attempt == 0 {
            self.calls_made = self.calls_made.saturating_add(1);
        }
        Ok(())
    }

    /// Results come in call order, so that the conversation reads the same whichever tool was faster.
    pub(super) fn call_finished(&mut self, id: CallId, result: &CallResult) -> Result<(), &'static str> {
        let Step::Act { calls, stop, unfit } = &mut self.step else { return Err("no calls are open") };
        let open = calls.iter_mut().find(|call| !matches!(call.state, CallState::Finished(_)));
        let Some(call) = open.filter(|call| call.id == id) else { return Err("it is another call's turn") };
        if fits_nothing(call, *stop) {
            *unfit = unfit.saturating_add(1);
        }
        call.state = CallState::Finished(result.clone());
        let part = Part::ToolResult {
            call: id,
            content: result.content.clone(),
            is_error: result.is_error,
            executed: result.executed,
        };
        let ended = calls.iter().all(|call| matches!(call.state, CallState::Finished(_)));
        match self.messages.last_mut() {
            Some(message) if message.role == Role::Tool => message.parts.push(part),
            _ => self.messages.push(Message { role: Role::Tool, parts: vec![part] }),
        }
        if let Some(answer) = &result.answer {
            self.step = match &self.output {
                Some(_) => Step::Check { text: answer.text.clone() },
                None => Step::Answer { answer: answer.clone(), by_text: false },
            };
        } else if ended {
            self.turn_ended();
        }
        Ok(())
    }

    /// What was allowed before the run was taken up again and does not have begun, or may begin again without harm, is decided anew:
    /// the session may have been frozen since, its mandate taken back, the rules changed. What a person answered counts all the
    /// same: whoever decides finds the answer.
    pub(super) fn decide_anew(&mut self) {
        let Step::Act { calls, .. } = &mut self.step else { return };
        for call in calls {
            let again = match &call.state {
                CallState::Decided(decision) | CallState::Answered(decision, _) => {
                    decision.verdict == Verdict::Allow
                }
                CallState::Started => call.effect == Some(Effect::Read),
                _ => false,
            };
            if again {
                call.state = CallState::Proposed;
            }
        }
    }

    /// What comes after a turn whose calls all have their results.
    fn turn_ended(&mut self) {
        let Step::Act { calls, stop, unfit } = std::mem::replace(&mut self.step, Step::think()) else {
            return;
        };
        if stop == StopReason::ContextFull {
            self.step = self.too_full();
            return;
        }
        if unfit >= calls.len() {
            let problem = if stop.calls_are_whole() { Problem::Calls } else { Problem::of(stop) };
            self.send_back(problem);
            return;
        }
        self.sent_back = 0;
        let Some(times) = self.limits.repeats else { return };
        if calls.iter().all(|call| self.polls.contains(&call.tool)) {
            return;
        }
        let tools = || {
            let tools: BTreeSet<String> =
                calls.iter().map(|call| bursar_types::visible(&call.tool, 64)).collect();
            tools.into_iter().take(16).collect::<Vec<_>>().join(", ")
        };
        match self.seen.turn(&calls, times) {
            Circle::No => {}
            Circle::New => {
                let message = of_repetition(&tools());
                self.step = Step::Warn { problem: Problem::Repetition, message };
            }
            Circle::Again => self.step = Step::Over { cause: StopCause::Repetition { tools: tools() } },
        }
    }
}

/// Whether no tool can take the call as it stands.
fn fits_nothing(call: &CallView, stop: StopReason) -> bool {
    let refused = |decision: &Decision| decision.reasons.iter().any(|reason| reason.code == ARGUMENTS);
    !stop.calls_are_whole()
        || call.effect.is_none()
        || matches!(call.arguments, Arguments::Malformed { .. })
        || matches!(&call.state, CallState::Decided(decision) if refused(decision))
}

/// That it is a `Write` that was started and has no result.
pub(super) const fn started_write(view: &CallView) -> Result<(), &'static str> {
    match (view.effect, &view.state) {
        (Some(Effect::Write), CallState::Started) => Ok(()),
        _ => Err("the call's end is no question"),
    }
}
