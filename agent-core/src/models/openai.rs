//! OpenAI, and every server that speaks its Responses or Chat Completions API.

mod chat_reader;
mod chat_request;
mod errors;
mod render;
mod responses_reader;
mod responses_request;
mod settings;
mod sse;
mod turn;
mod usage;
mod wire;

pub use settings::{OpenAiBuilder, OpenAiError};

use crate::model::{Model, ModelDescriptor, ModelError, ModelRequest, ModelStream};
use crate::models::ApiKey;
use async_trait::async_trait;
use chat_reader::ChatReader;
use render::Names;
use responses_reader::ResponsesReader;
use settings::OpenAiSettings;
use turn::Reader;
use wire::{Endpoint, Wire};

/// Which API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenAiApi {
    /// The Responses API: reasoning is given back to the model in later turns.
    Responses,
    /// The Chat Completions API, which nearly every server has.
    Chat,
}

/// A model of OpenAI, or of a server that speaks like it: Azure, OpenRouter, Ollama, vLLM, llama.cpp and others.
///
/// One call is one HTTP request: nothing is sent twice, no redirect is followed, no proxy is taken from the environment, and nothing
/// is stored at the provider. A turn counts only when its end was announced; a stream that breaks off before is an error that may
/// be tried again. Answers are bounded: see [`OpenAiBuilder::answer_bytes_max`].
///
/// # Errors of [`Model::stream`]
/// A wrong key is [`Authentication`](crate::ModelErrorKind::Authentication) and final; 429 is
/// [`RateLimited`](crate::ModelErrorKind::RateLimited), final only if the quota is used up; 408, 409, 5xx and broken connections may
/// be tried again, when the server says so with `retry-after`, five minutes at most; a conversation that does not fit is
/// [`TooLong`](crate::ModelErrorKind::TooLong). Messages hold the status and the provider's code, never its words, which may quote
/// the request.
///
/// # Cancellation
/// Dropping the future or the stream closes the connection, so that the provider stops.
///
/// # Example
/// ```
/// use bursar_agent_core::{Model, models::OpenAi};
/// let model = OpenAi::builder("gpt-5.2").key("sk-not-a-real-one").build()?;
/// assert_eq!(model.descriptor().provider, "openai");
/// let local = OpenAi::builder("qwen3:8b").base_url("http://localhost:11434/v1").build()?;
/// assert_eq!(local.descriptor().name, "qwen3:8b");
/// # Ok::<(), bursar_agent_core::models::OpenAiError>(())
/// ```
#[derive(Debug)]
pub struct OpenAi {
    descriptor: ModelDescriptor,
    settings: OpenAiSettings,
    wire: Wire,
}

impl OpenAi {
    /// A model of api.openai.com over the Responses API, streaming.
    ///
    /// # Errors
    /// As [`OpenAiBuilder::build`].
    pub fn new(model: impl Into<String>, key: impl Into<ApiKey>) -> Result<Self, OpenAiError> {
        Self::builder(model).key(key).build()
    }

    /// The same with settings.
    #[must_use]
    pub fn builder(model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(model.into())
    }

    /// Where it is, as its [items](crate::ProviderItem) are marked: the address, and the organization and project of its headers, or
    /// else a few bits that tell its key from another.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// Which API it speaks.
    #[must_use]
    pub const fn api(&self) -> OpenAiApi {
        self.settings.api
    }
}

#[async_trait]
impl Model for OpenAi {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let names = Names::of(&request.tools);
        let (to, body, reader) = match self.settings.api {
            OpenAiApi::Responses => {
                let body = responses_request::body(&self.settings, &request);
                (Endpoint::Responses, body, Reader::Responses(ResponsesReader::new(names, self.endpoint())))
            }
            OpenAiApi::Chat => {
                let body = chat_request::body(&self.settings, &request);
                (Endpoint::Chat, body, Reader::Chat(ChatReader::new(names, self.endpoint())))
            }
        };
        drop(request);
        let answer = self.wire.send(to, &body, self.settings.streaming).await?;
        Ok(turn::stream(answer, reader, self.settings.event_bytes_max()))
    }
}
