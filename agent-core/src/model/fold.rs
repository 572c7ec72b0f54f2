//! From a stream of events to a turn.

use super::{
    ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelStream, ProviderItem, StopReason, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// How many calls one turn may hold.
const CALLS_MAX: usize = 128;

/// What a model said in one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelTurn {
    /// Its text; may be empty.
    pub text: String,
    /// Its reasoning; may be empty.
    pub reasoning: String,
    /// The tool calls it asks for, in order.
    pub calls: Vec<ProposedCall>,
    /// The same turn as the provider wrote it, in order; empty if the backend keeps none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ProviderItem>,
    /// Who said it, where one of several models was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelDescriptor>,
    /// What it cost in tokens.
    pub usage: Usage,
    /// Why it ended.
    pub stop: StopReason,
}

/// A tool call that a model asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposedCall {
    /// The provider's id.
    pub provider_id: Option<String>,
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// The arguments.
    pub arguments: Arguments,
}

/// The arguments of a proposed call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Arguments {
    /// JSON.
    Parsed {
        /// The value.
        value: Value,
    },
    /// Text that is not JSON. The call is answered with a message that says so.
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The events do not make a turn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// A piece of arguments for a call that did not begin.
    #[error("arguments for call {index}, which did not begin")]
    NoSuchCall {
        /// The call's number.
        index: u32,
    },
    /// A call began twice.
    #[error("call {index} began twice")]
    CallTwice {
        /// The call's number.
        index: u32,
    },
    /// More calls than a turn may hold.
    #[error("more than {CALLS_MAX} calls in one turn")]
    TooManyCalls,
    /// The stream ended without saying that the turn is complete.
    #[error("turn broke off")]
    BrokeOff,
}

impl From<FoldError> for ModelError {
    fn from(error: FoldError) -> Self {
        Self::new(ModelErrorKind::Protocol, error.to_string()).with_source(error)
    }
}

/// Collects the events of one turn.
///
/// # Example
/// ```
/// use bursar_agent_core::{ModelEvent, StopReason, TurnFold};
/// let mut fold = TurnFold::default();
/// fold.push(ModelEvent::TextDelta { text: "ERC-".into() })?;
/// fold.push(ModelEvent::TextDelta { text: "3009".into() })?;
/// fold.push(ModelEvent::Finished { reason: StopReason::EndTurn })?;
/// assert_eq!(fold.finish()?.text, "ERC-3009");
/// # Ok::<(), bursar_agent_core::FoldError>(())
/// ```
#[derive(Debug, Default)]
pub struct TurnFold {
    text: String,
    reasoning: String,
    calls: Vec<Begun>,
    items: Vec<ProviderItem>,
    model: Option<ModelDescriptor>,
    usage: Usage,
    stop: Option<StopReason>,
}

#[derive(Debug)]
struct Begun {
    index: u32,
    provider_id: Option<String>,
    tool: String,
    text: String,
}

impl TurnFold {
    /// Takes one event.
    ///
    /// # Errors
    /// [`FoldError`] if it cannot follow what came before.
    pub fn push(&mut self, event: ModelEvent) -> Result<(), FoldError> {
        match event {
            ModelEvent::TextDelta { text } => self.text.push_str(&text),
            ModelEvent::ReasoningDelta { text } => self.reasoning.push_str(&text),
            ModelEvent::ToolCallStarted { index, provider_id, tool } => {
                if self.calls.iter().any(|call| call.index == index) {
                    return Err(FoldError::CallTwice { index });
                }
                if self.calls.len() >= CALLS_MAX {
                    return Err(FoldError::TooManyCalls);
                }
                self.calls.push(Begun { index, provider_id, tool, text: String::new() });
            }
            ModelEvent::ToolArgumentsDelta { index, fragment } => {
                let call = self.calls.iter_mut().find(|call| call.index == index);
                call.ok_or(FoldError::NoSuchCall { index })?.text.push_str(&fragment);
            }
            ModelEvent::AnsweredBy { model } => self.model = Some(model),
            ModelEvent::ProviderItem(item) => self.items.push(item),
            ModelEvent::Usage(usage) => self.usage = usage,
            ModelEvent::Finished { reason } => self.stop = Some(reason),
        }
        Ok(())
    }

    /// The turn.
    ///
    /// # Errors
    /// [`FoldError::BrokeOff`] if the end was not announced: half a turn is not a turn.
    pub fn finish(self) -> Result<ModelTurn, FoldError> {
        let stop = self.stop.ok_or(FoldError::BrokeOff)?;
        let propose = |Begun { provider_id, tool, text, .. }| ProposedCall {
            provider_id,
            tool,
            arguments: parse(text),
        };
        let calls = self.calls.into_iter().map(propose).collect();
        let Self { text, reasoning, items, model, usage, .. } = self;
        Ok(ModelTurn { text, reasoning, calls, items, model, usage, stop })
    }
}

/// Collects a whole stream.
///
/// # Errors
/// [`ModelError`] of the stream, or of kind [`ModelErrorKind::Protocol`] if its events make no turn.
pub async fn fold_turn(mut stream: ModelStream) -> Result<ModelTurn, ModelError> {
    let mut fold = TurnFold::default();
    while let Some(event) = stream.next().await {
        fold.push(event?)?;
    }
    Ok(fold.finish()?)
}

/// No text at all is an object without fields: that is how some providers write a call without arguments.
fn parse(text: String) -> Arguments {
    if text.trim().is_empty() {
        return Arguments::Parsed { value: Value::Object(serde_json::Map::new()) };
    }
    match serde_json::from_str(&text) {
        Ok(value) => Arguments::Parsed { value },
        Err(error) => Arguments::Malformed { text, problem: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: ModelEvent = ModelEvent::Finished { reason: StopReason::ToolCalls };

    fn started(index: u32) -> ModelEvent {
        ModelEvent::ToolCallStarted { index, provider_id: None, tool: "t".into() }
    }

    fn fragment(index: u32, text: &str) -> ModelEvent {
        ModelEvent::ToolArgumentsDelta { index, fragment: text.into() }
    }

    fn check(events: Vec<ModelEvent>) -> Result<ModelTurn, FoldError> {
        let mut fold = TurnFold::default();
        events.into_iter().try_for_each(|event| fold.push(event))?;
        fold.finish()
    }

    #[test]
    fn interleaved_fragments_go_to_their_calls() {
        let pieces =
            [(7, "{\"a\":"), (0, "[1"), (7, "2}"), (0, "]")].map(|(call, text)| fragment(call, text));
        let events = [started(0), started(7)].into_iter().chain(pieces).chain([END]).collect();
        let arguments: Vec<_> = check(events).unwrap().calls.into_iter().map(|call| call.arguments).collect();
        let expected = [serde_json::json!([1]), serde_json::json!({"a": 2})];
        assert_eq!(arguments, expected.map(|value| Arguments::Parsed { value }));
    }

    #[test]
    fn events_that_make_no_turn_are_refused() {
        assert_eq!(check(vec![fragment(1, "{}")]), Err(FoldError::NoSuchCall { index: 1 }));
        assert_eq!(check(vec![started(1), started(1)]), Err(FoldError::CallTwice { index: 1 }));
        assert_eq!(check(vec![started(1)]), Err(FoldError::BrokeOff));
        assert_eq!(check((0..129).map(started).collect()), Err(FoldError::TooManyCalls));
    }

    #[test]
    fn malformed_arguments_keep_their_text() {
        let turn = check(vec![started(0), fragment(0, "{\"a\""), END]).unwrap();
        assert!(matches!(&turn.calls[0].arguments, Arguments::Malformed { text, .. } if text == "{\"a\""));
    }

    #[test]
    fn tokens_that_were_not_reported_are_unknown() {
        assert_eq!(check(vec![END]).unwrap().usage, Usage::default());
    }
}
