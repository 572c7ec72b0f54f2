//! One try of one turn of the model.

use super::Driver;
use super::cost::told;
use super::spans::{note_request, note_turn, of_chat};
use crate::event::{Delta, RunEvent};
use crate::model::{
    Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelTurn, Retry, ToolChoice, TurnFold,
};
use crate::record::Record;
use crate::report::RunError;
use crate::run::OpenTry;
use bursar_types::{Digest, GateLevel};
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument as _, Span};

/// How long to wait before a turn that took too long is tried again.
const AFTER_TIME_OUT_MS: u64 = 1_000;

/// Said to the model while a budget is past its second gate.
const TIGHT: &str =
    "Most of a budget is spent. Decide with what you have: buy only what the answer cannot do without.";
/// Said to the model while a budget is used up.
const SPENT: &str = "A budget is used up: nothing more can be bought. Decide with what you have.";

impl Driver<'_> {
    /// Calls the model and records what came of it; of a run that was interrupted meanwhile, only what it may have cost.
    pub(super) async fn chat(
        &mut self,
        turn: u32,
        attempt: u32,
        wait_ms: u64,
        cheaper: bool,
    ) -> Result<(), RunError> {
        if wait_ms > 0 {
            let delta = Delta::Waiting { turn, attempt, wait_ms };
            self.context.events.send(RunEvent::Delta { run: self.run.id(), delta });
            let waited = self.until_interrupted(tokio::time::sleep(Duration::from_millis(wait_ms))).await;
            if waited.is_none() {
                return Ok(());
            }
        }
        let gate = self.gate().await;
        let cheaper = self.agent.cheaper.is_some() && (cheaper || gate >= GateLevel::Tightened);
        let request = self.request(turn, gate);
        let (model, prices) = self.agent.asked(cheaper);
        let (model, prices) = (Arc::clone(model), prices.copied());
        let most = prices.map(|prices| prices.most(&request));
        let open = most.clone().map(|most| OpenTry { turn, attempt, cheaper, most });
        self.append(vec![Record::ModelRequested { turn, attempt, cheaper, most }]).await?;
        if let Some(reasons) = self.set_aside(open.as_ref()).await? {
            return self.append(vec![Record::ModelWithheld { turn, reasons }]).await;
        }
        let span = of_chat(model.descriptor(), self.run.id(), turn, attempt);
        let asked = self.turn_in_time(model.as_ref(), request).instrument(span.clone());
        let Some(replied) = self.until_interrupted(asked).await else {
            return match open {
                Some(open) => self.settle_lost(&open).await,
                None => Ok(()),
            };
        };
        note_turn(&span, &replied, self.context.traces.content());
        let cost = self.settle(open.as_ref(), told(prices.as_ref(), &replied)).await?;
        let record = match replied {
            Ok(reply) => Record::ModelReplied { turn, reply, cost },
            Err(ModelError { kind, retry, message, .. }) => {
                Record::ModelFailed { turn, kind, message, retry, cost }
            }
        };
        drop(span);
        self.append(vec![record]).await
    }

    /// A turn that takes longer than its limit is dropped, and has failed like any other.
    async fn turn_in_time(&self, model: &dyn Model, request: ModelRequest) -> Result<ModelTurn, ModelError> {
        let Some(ms) = self.run.limits().model_turn_ms else { return self.turn(model, request).await };
        let turn = self.turn(model, request);
        tokio::time::timeout(Duration::from_millis(ms), turn).await.unwrap_or_else(|_| {
            let error =
                ModelError::new(ModelErrorKind::TimedOut, format!("the turn took longer than {ms} ms"));
            Err(error.retry(Retry::After { ms: AFTER_TIME_OUT_MS }))
        })
    }

    fn request(&self, turn: u32, gate: GateLevel) -> ModelRequest {
        ModelRequest {
            system: self.instructions(gate),
            messages: self.run.messages().to_vec(),
            tools: self.agent.tools.specs().cloned().collect(),
            run: self.run.id(),
            turn,
            seed: self.seed(turn),
            tool_choice: ToolChoice::Auto,
            output: self.run.output().cloned(),
        }
    }

    async fn turn(&self, model: &dyn Model, request: ModelRequest) -> Result<ModelTurn, ModelError> {
        if self.context.traces.content() {
            note_request(&Span::current(), &request);
        }
        let turn = request.turn;
        let mut stream = model.stream(request).await?;
        let mut fold = TurnFold::default();
        while let Some(event) = stream.next().await {
            let event = event?;
            self.show(turn, &event);
            fold.push(event)?;
        }
        Ok(fold.finish()?)
    }

    /// The highest gate that a budget has reached. Whether money is left is the purse's and the meter's to say when they are asked;
    /// this is only advice, so what cannot be read advises nothing.
    async fn gate(&self) -> GateLevel {
        let Some(purse) = &self.context.purse else { return GateLevel::None };
        purse.standing().await.map_or(GateLevel::None, |standing| standing.gate())
    }

    /// The agent's instructions, with what its budgets say once one of them is tight. It is made anew each turn, so it is true
    /// when it is said; the agent cannot talk it away, and it is no part of the conversation.
    fn instructions(&self, gate: GateLevel) -> String {
        let own = &self.agent.instructions;
        let advice = match gate {
            GateLevel::None | GateLevel::Notified => return own.clone(),
            GateLevel::Tightened => TIGHT,
            GateLevel::Stopped => SPENT,
        };
        if own.is_empty() { advice.to_owned() } else { format!("{own}\n\n{advice}") }
    }

    fn show(&self, turn: u32, event: &ModelEvent) {
        let delta = match event {
            ModelEvent::TextDelta { text } => Delta::Text { turn, text: text.clone() },
            ModelEvent::ReasoningDelta { text } => Delta::Reasoning { turn, text: text.clone() },
            ModelEvent::ToolCallStarted { index, tool, .. } => {
                Delta::ToolCall { turn, index: *index, tool: tool.clone() }
            }
            _ => return,
        };
        self.context.events.send(RunEvent::Delta { run: self.run.id(), delta });
    }

    fn seed(&self, turn: u32) -> u64 {
        let digest = Digest::of_parts("bursar/agent/seed", &[self.run.id().as_bytes(), &turn.to_be_bytes()]);
        digest.as_bytes().iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
    }
}
