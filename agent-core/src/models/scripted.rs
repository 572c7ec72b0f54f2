//! A model that plays a script.

use crate::model::{
    Model, ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelStream, StopReason,
    Usage,
};
use async_trait::async_trait;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// One turn of a script.
#[derive(Debug, Clone, PartialEq)]
pub enum ScriptedTurn {
    /// Text, which ends a run.
    Text(String),
    /// Tool calls: names and arguments.
    Calls(Vec<(String, Value)>),
    /// One tool call whose arguments are this text, JSON or not.
    RawCall(String, String),
    /// Events as they stand.
    Events(Vec<ModelEvent>),
    /// A failure that is not tried again.
    Fail(ModelErrorKind),
}

type Closure = Arc<dyn Fn(&ModelRequest) -> ScriptedTurn + Send + Sync>;

#[derive(Clone)]
enum Step {
    Turn(ScriptedTurn),
    Closure(Closure),
}

/// A model that plays a script, for tests.
///
/// The turn it plays is the request's turn number, so a resumed run hears what it would have heard.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{Scripted, ScriptedTurn};
/// let model = Scripted::new()
///     .call("search_market", serde_json::json!({"query": "gas"}))
///     .turn_with(|request| ScriptedTurn::Text(format!("{} messages", request.messages.len())));
/// assert_eq!(model.len(), 2);
/// ```
#[derive(Clone)]
pub struct Scripted {
    descriptor: ModelDescriptor,
    steps: Vec<Step>,
    usage: Usage,
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scripted {
    /// An empty script.
    #[must_use]
    pub fn new() -> Self {
        Self {
            descriptor: ModelDescriptor::new("builtin", "scripted"),
            steps: Vec::new(),
            usage: Usage::default(),
        }
    }

    /// Then it says this.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.turn(ScriptedTurn::Text(text.into()))
    }

    /// Then it calls this tool.
    #[must_use]
    pub fn call(self, tool: impl Into<String>, arguments: Value) -> Self {
        self.turn(ScriptedTurn::Calls(vec![(tool.into(), arguments)]))
    }

    /// Then it plays this turn.
    #[must_use]
    pub fn turn(mut self, turn: ScriptedTurn) -> Self {
        self.steps.push(Step::Turn(turn));
        self
    }

    /// Then it plays what this closure makes of the request.
    #[must_use]
    pub fn turn_with(
        mut self,
        closure: impl Fn(&ModelRequest) -> ScriptedTurn + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Step::Closure(Arc::new(closure)));
        self
    }

    /// It reports this usage after every turn.
    #[must_use]
    pub const fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// How many turns the script has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether the script is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("turns", &self.steps.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for Scripted {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let step = usize::try_from(request.turn).ok().and_then(|turn| self.steps.get(turn));
        let turn = match step {
            Some(Step::Turn(turn)) => turn.clone(),
            Some(Step::Closure(closure)) => closure(&request),
            None => {
                return Err(ModelError::new(
                    ModelErrorKind::Exhausted,
                    format!("script has {} turns and was asked for turn {}", self.steps.len(), request.turn),
                ));
            }
        };
        let events = match turn {
            ScriptedTurn::Text(text) => text_events(text),
            ScriptedTurn::Calls(calls) => {
                call_events(calls.into_iter().map(|(tool, arguments)| (tool, arguments.to_string())))
            }
            ScriptedTurn::RawCall(tool, arguments) => call_events([(tool, arguments)]),
            ScriptedTurn::Events(events) => return Ok(ModelStream::ready(events)),
            ScriptedTurn::Fail(kind) => return Err(ModelError::new(kind, "the script says so")),
        };
        let mut events = events;
        events.insert(0, ModelEvent::Usage(self.usage));
        Ok(ModelStream::ready(events))
    }
}

pub(super) fn text_events(text: String) -> Vec<ModelEvent> {
    vec![ModelEvent::TextDelta { text }, ModelEvent::Finished { reason: StopReason::EndTurn }]
}

pub(super) fn call_events(calls: impl IntoIterator<Item = (String, String)>) -> Vec<ModelEvent> {
    let mut events = Vec::new();
    for (index, (tool, fragment)) in (0_u32..).zip(calls) {
        events.push(ModelEvent::ToolCallStarted { index, provider_id: None, tool });
        events.push(ModelEvent::ToolArgumentsDelta { index, fragment });
    }
    events.push(ModelEvent::Finished { reason: StopReason::ToolCalls });
    events
}
