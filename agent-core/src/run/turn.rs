//! Folding a turn of the model.

use super::{CallState, CallView, Failure, OpenTry, Run, Step, Thinking};
use crate::compact::Compaction;
use crate::message::{Message, Part, Role};
use crate::model::{Arguments, ModelErrorKind, ModelTurn, ProposedCall, StopReason, Usage};
use crate::record::Answer;
use crate::stop::StopCause;
use crate::warning::{Problem, of_text};
use bursar_types::{Amount, CallId, Reason};
use serde_json::Value;

impl Run {
    pub(super) fn model_replied(
        &mut self,
        turn: u32,
        reply: &ModelTurn,
        cost: Option<&Amount>,
    ) -> Result<(), &'static str> {
        self.asked(turn)?;
        if matches!(&self.step, Step::Think(thinking) if thinking.summing_up) {
            return Err("the model was asked for a summary");
        }
        self.costs(cost)?;
        let calls: Vec<CallView> =
            (0_u32..).zip(&reply.calls).map(|(index, call)| self.view(turn, index, call)).collect();
        let parts = parts(reply, &calls);
        let is_full = reply.stop == StopReason::ContextFull;
        // Half a turn that ended because nothing more fitted only takes room.
        let is_lost = is_full && calls.is_empty();
        if !(parts.is_empty() || is_lost) {
            self.messages.push(Message { role: Role::Assistant, parts });
        }
        self.turns = self.turns.saturating_add(1);
        self.usage.add(reply.usage);
        self.context =
            reply.usage.input_tokens.and_then(|input| input.checked_add(reply.usage.output_tokens?));
        if !is_full {
            self.squeezed = None;
        }
        self.step = self.after(reply, calls);
        Ok(())
    }

    /// The conversation was replaced by a shorter one.
    pub(super) fn compacted(
        &mut self,
        how: Compaction,
        messages: &[Message],
        usage: Usage,
        cost: Option<&Amount>,
    ) -> Result<(), &'static str> {
        match &self.step {
            // A summary that was asked for and lost is done without.
            Step::Think(thinking) if thinking.summing_up || how != Compaction::SummedUp => {}
            _ => return Err("the model does not have the next word"),
        }
        if messages.is_empty() {
            return Err("nothing is left of the conversation");
        }
        self.costs(cost)?;
        if how == Compaction::SummedUp {
            self.usage.add(usage);
        }
        if let Step::Think(thinking) = &mut self.step {
            (thinking.full, thinking.summing_up, thinking.summaries) = (false, false, 0);
        }
        self.messages = messages.to_vec();
        (self.context, self.squeezed) = (None, Some(how));
        self.compactions = self.compactions.saturating_add(1);
        Ok(())
    }

    /// What comes after a conversation that does not fit.
    pub(super) fn too_full(&self) -> Step {
        if self.squeezed == Some(Compaction::LeftOut) {
            return Step::Over { cause: StopCause::ContextFull };
        }
        Step::Think(Thinking { full: true, ..Thinking::default() })
    }

    pub(super) fn model_requested(
        &mut self,
        turn: u32,
        attempt: u32,
        cheaper: bool,
        most: Option<&Amount>,
        summary: bool,
    ) -> Result<(), &'static str> {
        if turn != self.turns || (cheaper && !self.has_cheaper) {
            return Err("it is another turn's, or another model's");
        }
        let Step::Think(thinking) = &mut self.step else { return Err("it is not the model's turn") };
        if attempt != thinking.requested || thinking.open.is_some() || (thinking.cheaper && !cheaper) {
            return Err("the try is out of order");
        }
        thinking.requested = thinking.requested.saturating_add(1);
        thinking.open = most.map(|most| OpenTry { turn, attempt, cheaper, most: most.clone() });
        thinking.summing_up = summary;
        Ok(())
    }

    pub(super) fn model_failed(
        &mut self,
        turn: u32,
        failure: Failure,
        cost: Option<&Amount>,
    ) -> Result<(), &'static str> {
        self.asked(turn)?;
        self.costs(cost)?;
        let can_squeeze = self.squeezed != Some(Compaction::LeftOut);
        let Step::Think(thinking) = &mut self.step else { return Ok(()) };
        if std::mem::take(&mut thinking.summing_up) {
            thinking.summaries = thinking.summaries.saturating_add(1);
        } else if failure.kind == ModelErrorKind::TooLong && can_squeeze {
            thinking.full = true;
        } else {
            thinking.failures = thinking.failures.saturating_add(1);
            thinking.last = Some(failure);
        }
        Ok(())
    }

    /// The try was not made. A cheaper model is asked instead, if there is one.
    pub(super) fn model_withheld(&mut self, turn: u32, reasons: &[Reason]) -> Result<(), &'static str> {
        self.asked(turn)?;
        let has_cheaper = self.has_cheaper;
        let Step::Think(thinking) = &mut self.step else { return Err("it is not the model's turn") };
        let Some(open) = thinking.open.take() else { return Err("nothing was to be set aside") };
        if has_cheaper && !open.cheaper {
            thinking.cheaper = true;
        } else {
            thinking.withheld = Some(reasons.to_vec());
        }
        Ok(())
    }

    /// A try was settled of which nothing came.
    pub(super) fn model_charged(&mut self, turn: u32, cost: &Amount) -> Result<(), &'static str> {
        self.asked(turn)?;
        match &self.step {
            Step::Think(thinking) if thinking.open.is_some() => self.costs(Some(cost)),
            _ => Err("nothing was set aside"),
        }
    }

    fn asked(&self, turn: u32) -> Result<(), &'static str> {
        match &self.step {
            Step::Think(thinking) if turn == self.turns && thinking.requested > 0 => Ok(()),
            _ => Err("the model was not asked"),
        }
    }

    /// Counts what the open try cost. A try with a price has a cost, and one without has none.
    fn costs(&mut self, cost: Option<&Amount>) -> Result<(), &'static str> {
        let Step::Think(thinking) = &mut self.step else { return Err("the model was not asked") };
        match (thinking.open.take(), cost) {
            (Some(_), Some(cost)) => {
                self.model_cost = self.model_cost.saturating_add(cost.atomic());
                Ok(())
            }
            (None, None) => Ok(()),
            (open, _) => {
                thinking.open = open;
                Err("its cost does not fit what was set aside")
            }
        }
    }

    fn after(&self, reply: &ModelTurn, calls: Vec<CallView>) -> Step {
        let (stop, text) = (reply.stop, &reply.text);
        match stop {
            StopReason::Refused => return Step::Over { cause: StopCause::Refused { text: text.clone() } },
            StopReason::Filtered => return Step::Over { cause: StopCause::Filtered { text: text.clone() } },
            _ => {}
        }
        if !calls.is_empty() {
            return Step::Act { calls, stop, unfit: 0 };
        }
        if stop == StopReason::ContextFull {
            return self.too_full();
        }
        if !stop.calls_are_whole() {
            let problem = Problem::of(stop);
            return Step::Warn { problem, message: of_text(problem) };
        }
        if text.trim().is_empty() {
            return Step::Over { cause: StopCause::EmptyReply };
        }
        if self.output.is_some() {
            return Step::Check { text: text.clone() };
        }
        Step::Answer { answer: Answer { text: text.clone(), details: Value::Null }, by_text: true }
    }

    fn view(&self, turn: u32, index: u32, call: &ProposedCall) -> CallView {
        CallView {
            id: CallId::derived(&[self.id.as_bytes(), &turn.to_be_bytes(), &index.to_be_bytes()]),
            tool: call.tool.clone(),
            effect: self.tools.get(&call.tool).copied(),
            arguments: call.arguments.clone(),
            attempts: 0,
            state: CallState::Proposed,
        }
    }

    /// What comes after a turn of which nothing could be used.
    pub(super) fn send_back(&mut self, problem: Problem) {
        self.sent_back = self.sent_back.saturating_add(1);
        self.step = if self.sent_back > self.limits.repairs {
            Step::Over { cause: StopCause::Unusable { turns: self.sent_back, problem } }
        } else {
            Step::think()
        };
    }

    /// The driver told the model what is wrong.
    pub(super) fn warned(&mut self, problem: Problem, message: &str) -> Result<(), &'static str> {
        match &self.step {
            Step::Warn { problem: due, .. } if *due == problem => {}
            Step::Check { .. } if problem == Problem::Form => {}
            _ => return Err("there is nothing to warn of"),
        }
        self.messages.push(Message::text(Role::User, message));
        if problem == Problem::Repetition {
            self.step = Step::think();
        } else {
            self.send_back(problem);
        }
        Ok(())
    }

    /// The user said something. A text that would have ended the run is no answer then.
    pub(super) fn steered(&mut self, text: &str) -> Result<(), &'static str> {
        if !self.takes_messages() {
            return Err("the model does not have the next word");
        }
        self.messages.push(Message::text(Role::User, text));
        if !matches!(self.step, Step::Think(_)) {
            self.step = Step::think();
        }
        Ok(())
    }
}

/// The message of a turn. What its provider wrote is kept of a turn that is whole, or has calls that are answered.
fn parts(reply: &ModelTurn, calls: &[CallView]) -> Vec<Part> {
    let reasoning = (!reply.reasoning.is_empty()).then(|| Part::Reasoning { text: reply.reasoning.clone() });
    let text = (!reply.text.is_empty()).then(|| Part::Text { text: reply.text.clone() });
    let proposed = calls.iter().zip(&reply.calls).map(|(view, call)| Part::ToolCall {
        call: view.id,
        provider_id: call.provider_id.clone(),
        tool: call.tool.clone(),
        arguments: match &call.arguments {
            Arguments::Parsed { value } => value.clone(),
            Arguments::Malformed { text, .. } => Value::String(text.clone()),
        },
    });
    let keep = reply.stop.calls_are_whole() || !calls.is_empty();
    let items = reply.items.iter().filter(|_| keep).cloned().map(Part::ProviderItem);
    reasoning.into_iter().chain(text).chain(proposed).chain(items).collect()
}
