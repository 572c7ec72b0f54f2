//! Any model of rig as a backend.

mod errors;
mod reply;
mod request;

pub(crate) use reply::events_of;

use async_trait::async_trait;
use bursar_agent_core::{
    Model, ModelDescriptor, ModelError, ModelEvent, ModelRequest, ModelStream, ProviderItem,
};
use futures_util::stream;
use reply::{Reading, calls_and_end};
use rig_core::DynModel;
use rig_core::completion::CompletionRequest;
use rig_core::operation::Completion;
use std::fmt;
use std::sync::Arc;

/// Who reads the items that are given back to rig's models in later turns.
pub(crate) const ITEMS: &str = "rig";

type Configure = dyn Fn(CompletionRequest) -> CompletionRequest + Send + Sync;

/// A completion model of rig that Bursar's agents run on.
///
/// One call is one request: rig repeats nothing, and the run records each try. Text and reasoning are passed on as they come, a tool
/// call once it is whole. A turn is kept as rig wrote it, reasoning with its signature included, and given back intact in later turns
/// ([`ProviderItem`]); rig itself leaves out what another provider cannot read.
///
/// # Errors
/// What a failure means is told by its HTTP status, and by rig's own classification where there is none; see docs/MODELS.md. Messages
/// hold the status and the provider's code, never its words.
///
/// # Cancellation
/// Dropping the stream drops rig's.
///
/// # Example
/// ```
/// use bursar_agent_core::Agent;
/// use bursar_rig::RigModel;
/// # use rig_core::test_utils::{MockCompletionModel, MockTurn};
/// use std::sync::Arc;
///
/// # let model = MockCompletionModel::from_turns([MockTurn::text("ERC-3009.")]);
/// // Any of rig's: `OpenAI::from_env()?.with_http(client).responses("gpt-5-mini")`, for one.
/// let model = RigModel::new(model).configured(|request| request.max_tokens(2_000));
/// let agent = Agent::builder(Arc::new(model)).instructions("Answer briefly.").build()?;
/// # Ok::<(), bursar_agent_core::BuildError>(())
/// ```
#[derive(Clone)]
pub struct RigModel {
    model: DynModel<Completion>,
    descriptor: ModelDescriptor,
    account: String,
    streaming: bool,
    configure: Option<Arc<Configure>>,
}

impl fmt::Debug for RigModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RigModel").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl RigModel {
    /// Takes a model of rig, with whatever client it was built with.
    #[must_use]
    pub fn new(model: impl Into<DynModel<Completion>>) -> Self {
        let model = model.into();
        let descriptor = ModelDescriptor::new(model.name(), model.id().unwrap_or("default"));
        let account = descriptor.provider.clone();
        Self { model, descriptor, account, streaming: true, configure: None }
    }

    /// Names the account and the address that the model is asked with, for programs that have several of one provider: what one of them
    /// wrote is not given to another. Rig does not tell them.
    #[must_use]
    pub fn account(mut self, name: impl AsRef<str>) -> Self {
        self.account = format!("{} {}", self.descriptor.provider, name.as_ref());
        self
    }

    /// Whether answers are asked for as a stream, as they are by default, or whole.
    #[must_use]
    pub const fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Changes each request before it leaves: temperature, a longest answer, options of one provider.
    #[must_use]
    pub fn configured(
        mut self,
        configure: impl Fn(CompletionRequest) -> CompletionRequest + Send + Sync + 'static,
    ) -> Self {
        self.configure = Some(Arc::new(configure));
        self
    }

    fn request(&self, request: &ModelRequest) -> Result<CompletionRequest, ModelError> {
        let request = request::render(request, &self.account)?;
        Ok(match &self.configure {
            Some(configure) => configure(request),
            None => request,
        })
    }
}

#[async_trait]
impl Model for RigModel {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let request = self.request(&request)?;
        if !self.streaming {
            let response = self.model.call(request).await.map_err(|error| errors::of(&error, false))?;
            return Ok(ModelStream::ready(events_of(&response, Some(&self.account))));
        }
        let stream = self.model.stream(request).map_err(|error| errors::of(&error, false))?;
        let reading = Reading::new(stream, self.account.clone());
        Ok(ModelStream::new(stream::unfold(reading, |mut reading| async move {
            let event = reading.next().await?;
            Some((event, reading))
        })))
    }
}

impl Reading {
    /// The next event; `None` after the last, or after an error.
    async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.said_something = true;
                return Some(Ok(event));
            }
            let mut stream = self.stream.take()?;
            match futures_util::StreamExt::next(&mut stream).await {
                Some(Ok(item)) => {
                    self.take(item);
                    self.stream = Some(stream);
                }
                Some(Err(error)) => return Some(Err(errors::of(&error, self.said_something))),
                None => match stream.finish().await {
                    Ok(response) => self.ready.extend(calls_and_end(&response, Some(&self.account))),
                    Err(error) => return Some(Err(errors::of(&error, self.said_something))),
                },
            }
        }
    }
}

/// The whole turn as rig has it, for later turns.
fn item_of(endpoint: &str, payload: serde_json::Value) -> ModelEvent {
    let (provider, endpoint) = (ITEMS.to_owned(), endpoint.to_owned());
    ModelEvent::ProviderItem(ProviderItem { provider, endpoint, payload })
}
