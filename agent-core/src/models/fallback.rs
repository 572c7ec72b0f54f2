//! Asking the next model when one fails.

use crate::model::{
    Model, ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelStream,
};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Arc;

/// Several models, asked in order until one answers.
///
/// The next one is asked only while nothing of a turn was passed on: what was shown is not said again by another. It is asked when
/// the failure is the model's or its provider's, not when the request itself is at fault (too long, or refused as it stands) or
/// nothing was asked at all. Each turn begins with the first model, and says who answered
/// ([`ModelEvent::AnsweredBy`]). One call is still one try of each: retries belong to the driver, which tries all of them again.
///
/// Items that one provider wrote are given back only to it: see [`ProviderItem`](crate::ProviderItem). The run knows one price for a
/// try, so give the agent the highest prices of the models here: what is set aside is the most that one of them can cost, as many
/// times as there are [models to ask](Model::attempts_max). Where a model that failed may have done work, what the turn used is not
/// known, and passed on as that.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{Fallback, Scripted, ScriptedTurn};
/// use bursar_agent_core::{Model, ModelErrorKind, fold_turn};
/// # use bursar_agent_core::{Message, ModelRequest, Role, ToolChoice};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let request = ModelRequest {
/// #     system: String::new(), messages: vec![Message::text(Role::User, "hi")], tools: vec![], turn: 0, seed: 0,
/// #     run: bursar_types::RunId::derived(&[b"r"]), tool_choice: ToolChoice::Auto, output: None, max_output_tokens: None,
/// # };
/// let busy = Arc::new(Scripted::new().turn(ScriptedTurn::Fail(ModelErrorKind::RateLimited)));
/// let model = Fallback::new(busy).or(Arc::new(Scripted::new().text("Hello.")));
/// let turn = fold_turn(model.stream(request).await?).await?;
/// assert_eq!(turn.text, "Hello.");
/// assert!(turn.model.is_some(), "it says who answered");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fallback {
    first: Arc<dyn Model>,
    others: Vec<Arc<dyn Model>>,
}

impl Fallback {
    /// Begins with the model that is asked first, and gives its name to all of them.
    #[must_use]
    pub fn new(first: Arc<dyn Model>) -> Self {
        Self { first, others: Vec::new() }
    }

    /// The same with one more model, which is asked when those before it failed.
    #[must_use]
    pub fn or(mut self, next: Arc<dyn Model>) -> Self {
        self.others.push(next);
        self
    }
}

#[async_trait]
impl Model for Fallback {
    fn descriptor(&self) -> &ModelDescriptor {
        self.first.descriptor()
    }

    fn attempts_max(&self) -> u32 {
        let all = [&self.first].into_iter().chain(&self.others);
        all.fold(0, |sum, model| sum.saturating_add(model.attempts_max()))
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let mut may_have_cost = false;
        let mut left: VecDeque<_> = [&self.first].into_iter().chain(&self.others).collect();
        loop {
            let Some(model) = left.pop_front() else {
                return Err(ModelError::new(ModelErrorKind::Exhausted, "no model is left to ask"));
            };
            match begin(model.as_ref(), request.clone()).await {
                Ok(begun) => return Ok(begun.stream(model.descriptor().clone(), may_have_cost)),
                Err(error) if left.is_empty() || !passes_on(error.kind) => {
                    return Err(if may_have_cost { error.after_work() } else { error });
                }
                Err(error) => may_have_cost |= !error.was_turned_away(),
            }
        }
    }
}

/// Whether another model may do better.
const fn passes_on(kind: ModelErrorKind) -> bool {
    match kind {
        ModelErrorKind::Authentication
        | ModelErrorKind::RateLimited
        | ModelErrorKind::Provider
        | ModelErrorKind::Network
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Protocol
        | ModelErrorKind::Exhausted => true,
        ModelErrorKind::TooLong | ModelErrorKind::Refused => false,
    }
}

/// A turn that has said something.
struct Begun {
    said: Vec<ModelEvent>,
    rest: ModelStream,
}

/// Reads to the first event that somebody sees or acts upon; a failure before it leaves no trace.
async fn begin(model: &dyn Model, request: ModelRequest) -> Result<Begun, ModelError> {
    let mut rest = model.stream(request).await?;
    let mut said = Vec::new();
    while let Some(event) = rest.next().await {
        let event = event?;
        let unseen = matches!(event, ModelEvent::Usage(_) | ModelEvent::AnsweredBy { .. });
        said.push(event);
        if !unseen {
            break;
        }
    }
    Ok(Begun { said, rest })
}

impl Begun {
    fn stream(self, by: ModelDescriptor, may_have_cost: bool) -> ModelStream {
        // A fallback within a fallback knows better who answers.
        let known = self.said.iter().any(|event| matches!(event, ModelEvent::AnsweredBy { .. }));
        let by = (!known).then_some(ModelEvent::AnsweredBy { model: by });
        let said: VecDeque<ModelEvent> = by.into_iter().chain(self.said).collect();
        ModelStream::new(futures_util::stream::unfold(
            (said, self.rest),
            move |(mut said, mut rest)| async move {
                loop {
                    let event = match said.pop_front() {
                        Some(event) => Ok(event),
                        None => rest.next().await?,
                    };
                    if !(may_have_cost && matches!(event, Ok(ModelEvent::Usage(_)))) {
                        return Some((event, (said, rest)));
                    }
                }
            },
        ))
    }
}
