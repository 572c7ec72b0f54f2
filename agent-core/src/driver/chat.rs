//! One try of one turn of the model.

use super::Driver;
use super::cost::told;
use super::spans::{note_request, note_turn, of_chat};
use crate::compact::{self, Compaction};
use crate::event::{Delta, RunEvent};
use crate::model::{
    Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelTurn, Retry, ToolChoice, TurnFold,
};
use crate::record::Record;
use crate::report::RunError;
use crate::run::OpenTry;
use bursar_types::{Amount, Digest, GateLevel, Standing};
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

/// One try of the model that is wanted.
#[derive(Debug, Clone, Copy)]
struct Try {
    turn: u32,
    attempt: u32,
    cheaper: bool,
    /// Whether it sums up what was done.
    summary: bool,
}

fn failed(turn: u32, error: ModelError, cost: Option<Amount>) -> Record {
    let ModelError { kind, retry, message, .. } = error;
    Record::ModelFailed { turn, kind, message, retry, cost }
}

impl Driver<'_> {
    /// Calls the model and records what came of it; of a run that was interrupted meanwhile, only what it may have cost.
    pub(super) async fn chat(
        &mut self,
        turn: u32,
        attempt: u32,
        wait_ms: u64,
        cheaper: bool,
    ) -> Result<(), RunError> {
        if !self.pause(turn, attempt, wait_ms).await {
            return Ok(());
        }
        let standing = self.standing().await;
        let request = self.request(turn, standing.as_ref());
        let wanted = Try { turn, attempt, cheaper: self.cheaper(cheaper, standing.as_ref()), summary: false };
        let Some((replied, cost)) = self.ask(wanted, request).await? else { return Ok(()) };
        let record = match replied {
            Ok(reply) => Record::ModelReplied { turn, reply, cost },
            Err(error) => failed(turn, error, cost),
        };
        self.append(vec![record]).await
    }

    /// Asks the model to sum up what was done, and replaces the conversation by that.
    pub(super) async fn sum_up(
        &mut self,
        turn: u32,
        attempt: u32,
        wait_ms: u64,
        cut: u32,
        cheaper: bool,
    ) -> Result<(), RunError> {
        if !self.pause(turn, attempt, wait_ms).await {
            return Ok(());
        }
        let standing = self.standing().await;
        let request = ModelRequest {
            system: compact::SUM_UP.to_owned(),
            messages: vec![compact::transcript(self.run.messages(), cut)],
            tools: Vec::new(),
            run: self.run.id(),
            turn,
            seed: self.seed(turn),
            tool_choice: ToolChoice::None,
            output: None,
            max_output_tokens: self.agent.max_output_tokens,
        };
        let wanted = Try { turn, attempt, cheaper: self.cheaper(cheaper, standing.as_ref()), summary: true };
        let Some((replied, cost)) = self.ask(wanted, request).await? else { return Ok(()) };
        let record = match replied {
            Ok(reply) if reply.stop.calls_are_whole() && !reply.text.trim().is_empty() => {
                let messages =
                    compact::summed_up(self.run.messages(), &reply.text, |tool| self.run.effect(tool));
                Record::Compacted { how: Compaction::SummedUp, messages, usage: reply.usage, cost }
            }
            Ok(_) => failed(turn, ModelError::new(ModelErrorKind::Protocol, "it summed up nothing"), cost),
            Err(error) => failed(turn, error, cost),
        };
        self.append(vec![record]).await
    }

    /// Waits before a try; false if the run was interrupted meanwhile.
    async fn pause(&self, turn: u32, attempt: u32, wait_ms: u64) -> bool {
        if wait_ms == 0 {
            return true;
        }
        let delta = Delta::Waiting { turn, attempt, wait_ms };
        self.context.events.send(RunEvent::Delta { run: self.run.id(), delta });
        self.until_interrupted(tokio::time::sleep(Duration::from_millis(wait_ms))).await.is_some()
    }

    /// Whether the cheaper model is asked.
    fn cheaper(&self, only: bool, standing: Option<&Standing>) -> bool {
        let tight = standing.is_some_and(|standing| standing.gate() >= GateLevel::Tightened);
        self.agent.cheaper.is_some() && (only || tight)
    }

    /// Makes one try: what came of it, and what it cost. `None` if it was not made, or if the run was interrupted; that is recorded.
    async fn ask(
        &mut self,
        wanted: Try,
        request: ModelRequest,
    ) -> Result<Option<(Result<ModelTurn, ModelError>, Option<Amount>)>, RunError> {
        let Try { turn, attempt, cheaper, summary } = wanted;
        let (model, prices) = self.agent.asked(cheaper);
        let (model, prices) = (Arc::clone(model), prices.copied());
        let most = prices.map(|prices| prices.most(&request, model.attempts_max()));
        let open = most.clone().map(|most| OpenTry { turn, attempt, cheaper, most });
        self.append(vec![Record::ModelRequested { turn, attempt, cheaper, most, summary }]).await?;
        if let Some(reasons) = self.set_aside(open.as_ref()).await? {
            self.append(vec![Record::ModelWithheld { turn, reasons }]).await?;
            return Ok(None);
        }
        let span = of_chat(model.descriptor(), self.run.id(), turn, attempt);
        let asked = self.turn_in_time(model.as_ref(), request, !summary).instrument(span.clone());
        let Some(replied) = self.until_interrupted(asked).await else {
            if let Some(open) = open {
                self.settle_lost(&open).await?;
            }
            return Ok(None);
        };
        note_turn(&span, &replied, self.context.traces.content());
        let cost = self.settle(open.as_ref(), told(prices.as_ref(), &replied)).await?;
        Ok(Some((replied, cost)))
    }

    /// A turn that takes longer than its limit is dropped, and has failed like any other.
    async fn turn_in_time(
        &self,
        model: &dyn Model,
        request: ModelRequest,
        shown: bool,
    ) -> Result<ModelTurn, ModelError> {
        let turn = self.turn(model, request, shown);
        let Some(ms) = self.run.limits().model_turn_ms else { return turn.await };
        tokio::time::timeout(Duration::from_millis(ms), turn).await.unwrap_or_else(|_| {
            let error =
                ModelError::new(ModelErrorKind::TimedOut, format!("the turn took longer than {ms} ms"));
            Err(error.retry(Retry::After { ms: AFTER_TIME_OUT_MS }))
        })
    }

    fn request(&self, turn: u32, standing: Option<&Standing>) -> ModelRequest {
        ModelRequest {
            system: self.instructions(standing),
            messages: self.run.messages().to_vec(),
            tools: self.agent.tools.specs().cloned().collect(),
            run: self.run.id(),
            turn,
            seed: self.seed(turn),
            tool_choice: ToolChoice::Auto,
            output: self.run.output().cloned(),
            max_output_tokens: self.agent.max_output_tokens,
        }
    }

    async fn turn(
        &self,
        model: &dyn Model,
        request: ModelRequest,
        shown: bool,
    ) -> Result<ModelTurn, ModelError> {
        if self.context.traces.content() {
            note_request(&Span::current(), &request);
        }
        let turn = request.turn;
        let mut stream = model.stream(request).await?;
        let mut fold = TurnFold::default();
        while let Some(event) = stream.next().await {
            let event = event?;
            if shown {
                self.show(turn, &event);
            }
            fold.push(event)?;
        }
        Ok(fold.finish()?)
    }

    /// Where the session stands. Whether money is left is the purse's and the meter's to say when they are asked; this is only told,
    /// so what cannot be read is left out.
    async fn standing(&self) -> Option<Standing> {
        self.context.purse.as_ref()?.standing().await.ok()
    }

    /// The agent's instructions, with what its budgets say once one of them is tight, and with where the session stands once the
    /// conversation was made shorter. It is made anew each turn, so it is true when it is said; the agent cannot talk it away, it is no
    /// part of the conversation, and no summary touches it.
    fn instructions(&self, standing: Option<&Standing>) -> String {
        let mut parts = vec![self.agent.instructions.clone()];
        if let Some(standing) = standing {
            if self.run.compactions() > 0 {
                parts.push(compact::stands(standing));
            }
            match standing.gate() {
                GateLevel::None | GateLevel::Notified => {}
                GateLevel::Tightened => parts.push(TIGHT.to_owned()),
                GateLevel::Stopped => parts.push(SPENT.to_owned()),
            }
        }
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
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
