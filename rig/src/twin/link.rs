//! What a run of rig's and its twin tell each other.

use super::turn::{Said, sum};
use bursar_agent_core::CallResult;
use bursar_agent_core::{Cancel, EventSender, ModelEvent, Record, RunEvent, RunOutcome, RunReport, Usage};
use bursar_types::{CallId, RunId};
use rig_core::effect::{EffectKind, Outcome};
use rig_core::error::ErrorReport;
use rig_core::message::CallId as RigCallId;
use rig_core::serve::{Dispatch, ErasedHandler};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// What a tool of rig's answers.
pub(crate) type Answered = Result<Outcome, ErrorReport>;

/// A call as rig dispatches it, with the tool's body behind it.
pub(crate) struct Work {
    pub(crate) handler: ErasedHandler,
    pub(crate) kind: EffectKind,
    pub(crate) dispatch: Dispatch,
}

/// What came of a call.
pub(crate) enum Answer {
    /// It is in the journal; with what the tool itself answered, if its body ran.
    Recorded(Box<CallResult>, Option<Box<Answered>>),
    /// It was not made: what rig is about to call is not what its model asked for.
    NotAsked,
    /// The twin ended before.
    Ended(String),
}

/// What the twin's model is to say.
pub(super) enum Fed {
    Turn { events: Vec<ModelEvent>, first: usize },
    Nothing,
}

/// A call of some turn, in the order of the run.
struct Call {
    id: RigCallId,
    tool: String,
    arguments: Option<Value>,
    /// The twin's id of it, once the twin has the turn.
    ours: Option<CallId>,
    dispatched: bool,
    to_tool: Option<oneshot::Sender<Box<Work>>>,
    at_tool: Option<oneshot::Receiver<Box<Work>>>,
}

#[derive(Default)]
struct State {
    /// What the twin would tell its model, while it waits for a turn.
    wants: Option<String>,
    said: Option<Said>,
    fed: Option<Fed>,
    /// What turns used that rig sent back to its model.
    carried: Option<Usage>,
    calls: Vec<Call>,
    /// Where the calls of the last turn begin.
    first: usize,
    arrivals: HashMap<CallId, oneshot::Receiver<Box<Work>>>,
    results: HashMap<CallId, CallResult>,
    answers: HashMap<CallId, Box<Answered>>,
    notes: Vec<String>,
    ended: Option<Result<RunReport, String>>,
    abandoned: bool,
}

/// The one thing that both hold. Each change wakes whoever waits for one.
pub(crate) struct Link {
    run: RunId,
    cancel: Cancel,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(run: RunId, cancel: Cancel) -> Self {
        Self { run, cancel, state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_replace(());
        changed
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    // What rig's side says.

    /// Rig's model answered, and nobody has rejected it so far.
    pub(crate) fn say(&self, said: Said) {
        self.change(|state| state.said = Some(said));
    }

    /// Waits until the twin wants a turn: everything before is recorded. Gives what the twin would tell its model; `Err` says why it
    /// wants none any more.
    pub(crate) async fn wanted(&self) -> Result<String, String> {
        self.change(State::close_turn);
        self.until(|state| match (&state.ended, &state.wants) {
            (Some(ended), _) => Some(Err(why(ended))),
            (None, Some(system)) => {
                let mut told = std::mem::take(&mut state.notes);
                told.extend((!system.is_empty()).then(|| system.clone()));
                Some(Ok(told.join("\n")))
            }
            (None, None) => None,
        })
        .await
    }

    /// The number of the call that rig is about to dispatch; `None` if its model did not ask for it.
    pub(crate) fn dispatch(&self, id: &RigCallId, tool: &str) -> Option<usize> {
        self.change(|state| {
            state.hand_over();
            let of_turn = state.calls.iter_mut().enumerate().skip(state.first);
            let mut open =
                of_turn.filter(|(_, call)| !call.dispatched && call.id == *id && call.tool == tool);
            let (number, call) = open.next()?;
            call.dispatched = true;
            Some(number)
        })
    }

    /// Rig will not make this call.
    pub(crate) fn keep_from(&self, number: usize) {
        self.change(|state| {
            if let Some(call) = state.calls.get_mut(number) {
                call.to_tool = None;
            }
        });
    }

    /// Has the twin make a call, and waits until what came of it is in the journal.
    pub(crate) async fn make(&self, number: usize, arguments: &Value, work: Box<Work>) -> Answer {
        let sent = self.change(|state| {
            let call = state.calls.get_mut(number)?;
            let to_tool = call.to_tool.take()?;
            (call.arguments.as_ref() == Some(arguments)).then(|| to_tool.send(work))
        });
        if sent.is_none() {
            return Answer::NotAsked;
        }
        self.until(|state| {
            let ours = state.calls.get(number).and_then(|call| call.ours);
            let recorded = ours.and_then(|ours| Some((ours, state.results.get(&ours)?.clone())));
            match (recorded, &state.ended) {
                (Some((ours, result)), _) => {
                    Some(Answer::Recorded(Box::new(result), state.answers.remove(&ours)))
                }
                (None, Some(ended)) => Some(Answer::Ended(why(ended))),
                (None, None) => None,
            }
        })
        .await
    }

    /// Rig's run ended, with this text or without one; waits for the twin's end.
    pub(crate) async fn settle(&self, text: Option<String>) {
        self.change(|state| match text {
            Some(text) => {
                let last = Said::last(text, state.said.take()).after(state.carried.take());
                state.close_calls();
                state.first = state.calls.len();
                state.feed(last.events);
            }
            None => {
                state.close_turn();
                state.abandoned = true;
            }
        });
        self.until(|state| state.ended.as_ref().map(drop)).await;
    }

    /// Nobody waits any more.
    pub(super) fn abandon(&self) {
        let is_over = self.change(|state| {
            state.close_calls();
            state.abandoned = true;
            state.ended.is_some()
        });
        if !is_over {
            self.cancel.cancel();
        }
    }

    // What the twin's side says.

    /// The twin asks its model: waits for what rig's model says. `None` if it says nothing any more.
    pub(super) async fn next_turn(&self, turn: u32, system: String) -> Option<Vec<ModelEvent>> {
        self.change(|state| state.wants = Some(system));
        let fed = self
            .until(|state| match state.fed.take() {
                None if state.abandoned => Some(Fed::Nothing),
                fed => fed,
            })
            .await;
        let Fed::Turn { events, first } = fed else { return None };
        self.change(|state| {
            for (index, call) in (0_u32..).zip(state.calls.iter_mut().skip(first)) {
                let ours = of_turn(self.run, turn, index);
                call.ours = Some(ours);
                if let Some(at_tool) = call.at_tool.take() {
                    state.arrivals.insert(ours, at_tool);
                }
            }
        });
        Some(events)
    }

    /// The twin calls a tool: waits until rig does. `None` if rig never does.
    pub(super) async fn arrival(&self, call: CallId) -> Option<Box<Work>> {
        let arrival = self.change(|state| state.arrivals.remove(&call))?;
        arrival.await.ok()
    }

    /// What a tool of rig's answered, to be given out once the twin has it in the journal.
    pub(super) fn answered(&self, call: CallId, answered: Answered) {
        self.change(|state| state.answers.insert(call, Box::new(answered)));
    }

    /// Something of the twin's is in the journal.
    pub(super) fn hear(&self, event: RunEvent, told: &EventSender) {
        if let RunEvent::Record { record, .. } = &event {
            match record.as_ref() {
                Record::CallFinished { call, result } => self.change(|state| {
                    state.arrivals.remove(call);
                    state.results.insert(*call, result.clone());
                }),
                Record::Warned { message, .. } => self.change(|state| state.notes.push(message.clone())),
                _ => {}
            }
        }
        told.send(event);
    }

    /// The twin ended; the first word on it counts.
    pub(super) fn end(&self, ended: Result<RunReport, String>) {
        self.change(|state| {
            state.ended.get_or_insert(ended);
        });
    }
}

impl State {
    /// The turn that rig's model said goes to the twin.
    fn hand_over(&mut self) {
        let Some(said) = self.said.take() else { return };
        let said = said.after(self.carried.take());
        self.close_calls();
        self.first = self.calls.len();
        for asked in said.calls {
            let (to_tool, at_tool) = oneshot::channel();
            self.calls.push(Call {
                id: asked.id,
                tool: asked.tool,
                arguments: asked.arguments,
                ours: None,
                dispatched: false,
                to_tool: Some(to_tool),
                at_tool: Some(at_tool),
            });
        }
        self.feed(said.events);
    }

    /// From here on the twin wants no turn until it asks for the next.
    fn feed(&mut self, events: Vec<ModelEvent>) {
        self.fed = Some(Fed::Turn { events, first: self.first });
        self.wants = None;
    }

    /// Rig goes on to its next turn, or ends. What it did not call until now it will not call. A text that did not end the run was
    /// sent back by someone: the twin hears of it as a part of what comes next, for it would take it for the end.
    fn close_turn(&mut self) {
        match &self.said {
            Some(said) if said.calls.is_empty() => {
                let carried = self.carried.take();
                self.carried = Some(carried.map_or(said.usage(), |carried| sum(said.usage(), carried)));
                self.said = None;
            }
            _ => self.hand_over(),
        }
        self.close_calls();
    }

    fn close_calls(&mut self) {
        for call in self.calls.iter_mut().skip(self.first) {
            call.to_tool = None;
        }
    }
}

/// The twin's id of a call: as [`CallView::id`](bursar_agent_core::CallView) is made.
fn of_turn(run: RunId, turn: u32, index: u32) -> CallId {
    CallId::derived(&[run.as_bytes(), &turn.to_be_bytes(), &index.to_be_bytes()])
}

/// Why the twin goes no further, in words for whoever reads rig's error.
fn why(ended: &Result<RunReport, String>) -> String {
    match ended {
        Err(problem) => problem.clone(),
        Ok(report) => match &report.outcome {
            RunOutcome::Stopped { cause } => cause.to_string(),
            RunOutcome::Answered { .. } => "the run has its answer".to_owned(),
        },
    }
}
