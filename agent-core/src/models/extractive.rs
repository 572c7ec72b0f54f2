//! Research by retrieval and extraction: offline and deterministic.

mod blocks;
mod choice;
mod compose;
mod corpus;
mod cues;
mod offers;
mod phrases;
mod plan;
mod question;
mod sentences;
mod state;
mod text;
mod write;

use crate::model::{Model, ModelDescriptor, ModelError, ModelEvent, ModelRequest, ModelStream, Usage};
use async_trait::async_trait;
use plan::{Act, act};
use state::State;
use write::answer;

/// Settings of [`Extractive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractiveSettings {
    /// At most so many documents are bought.
    pub documents_max: usize,
    /// At most so many sentences are cited.
    pub sentences_max: usize,
}

impl Default for ExtractiveSettings {
    /// 4 documents, 8 sentences.
    fn default() -> Self {
        Self { documents_max: 4, sentences_max: 8 }
    }
}

/// A research model that works offline: it searches, weighs prices, buys through a plan, and answers with sentences of the
/// sources, verbatim and cited.
///
/// It knows these tools by name and uses those that are offered: `recall`, `search_market`, `budget`, `get_quotes`,
/// `propose_plan`, `fetch`, `finish`. What is owned comes first; it buys nothing if that is enough, or if nothing relevant
/// is for sale. The same conversation always gives the same turn. It uses no tokens and reports 0.
///
/// # Example
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use bursar_agent_core::{Message, Model, ModelRequest, Role, fold_turn, models::Extractive};
/// use bursar_types::RunId;
/// let request = ModelRequest {
///     system: String::new(),
///     messages: vec![Message::text(Role::User, "Who may pay the gas?")],
///     tools: Vec::new(),
///     run: RunId::derived(&[b"r"]),
///     turn: 0,
///     seed: 0,
///     tool_choice: Default::default(),
///     output: None,
///     max_output_tokens: None,
/// };
/// let turn = fold_turn(Extractive::default().stream(request).await?).await?;
/// assert!(turn.text.contains("Nothing was bought"), "there is no tool to search with");
/// # Ok::<(), bursar_agent_core::ModelError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Extractive {
    descriptor: ModelDescriptor,
    settings: ExtractiveSettings,
}

impl Default for Extractive {
    fn default() -> Self {
        Self::new(ExtractiveSettings::default())
    }
}

impl Extractive {
    /// With these settings.
    #[must_use]
    pub fn new(settings: ExtractiveSettings) -> Self {
        Self { descriptor: ModelDescriptor::new("builtin", "extractive-1"), settings }
    }
}

#[async_trait]
impl Model for Extractive {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let mut events = vec![ModelEvent::Usage(Usage {
            input_tokens: Some(0),
            output_tokens: Some(0),
            ..Usage::default()
        })];
        match act(&State::read(&request), &self.settings) {
            Act::Text(text) => events.extend(super::scripted::text_events(text)),
            Act::Calls { why, calls } => {
                events.push(ModelEvent::ReasoningDelta { text: why });
                let calls = calls.into_iter().map(|(tool, arguments)| (tool, arguments.to_string()));
                events.extend(super::scripted::call_events(calls));
            }
        }
        Ok(ModelStream::ready(events))
    }
}
