//! Models of Amazon Bedrock, over Converse and ConverseStream.

mod access;
mod builder;
mod document;
mod error;
mod frames;
mod items;
mod media;
mod names;
mod reply;
mod request;
mod settings;
mod stop;
mod stream;
mod turn;

pub use builder::{BedrockBuildError, BedrockBuilder};
pub use settings::{CachePoints, Guardrail, ServiceTier, StructuredOutput};

use crate::model::{Model, ModelDescriptor, ModelError, ModelRequest, ModelStream};
use access::{Access, Signed};
use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::operation::RequestId;
use aws_sdk_bedrockruntime::types::{self as sdk, PerformanceConfigLatency, PerformanceConfiguration};
use request::{Asked, ask, built};
use settings::Settings;
use std::fmt;
use stream::Events;
use turn::Turn;

/// A model of Amazon Bedrock.
///
/// One call is one request: the SDK's own retries are off. Tool names that the service does not allow (over 64 characters, dots) are
/// mapped and mapped back. A tool call is passed on when its block is closed, never before, and a stream that ends without saying so
/// is an error. Signed reasoning is kept as a [`ProviderItem`](crate::ProviderItem) and given back in later turns. The service has no
/// seed, and no way to forbid calls once the conversation holds some: [`ToolChoice::None`](crate::ToolChoice::None) is then said in
/// words.
///
/// # Cancellation
/// Dropping the stream closes the connection; the service stops, and charges for what it has written.
///
/// # Example
/// ```
/// use bursar_agent_core::{Model, models::Bedrock};
///
/// let model = Bedrock::builder("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
///     .region("us-east-1")
///     .api_key("a Bedrock API key")
///     .max_tokens(4_096)
///     .build()?;
/// assert_eq!(model.descriptor().provider, "aws.bedrock");
/// assert!(!format!("{model:?}").contains("a Bedrock API key"));
/// # Ok::<(), bursar_agent_core::models::BedrockBuildError>(())
/// ```
///
/// # Source
/// Amazon Bedrock Runtime, operations Converse and ConverseStream (API version 2023-09-30).
#[derive(Clone)]
pub struct Bedrock {
    descriptor: ModelDescriptor,
    client: Client,
    settings: Settings,
    access: Access,
}

impl Bedrock {
    /// Begins with a model's id, an inference profile's id, or the ARN of either.
    #[must_use]
    pub fn builder(model: impl Into<String>) -> BedrockBuilder {
        BedrockBuilder::new(model.into())
    }

    /// Where it is, as its [items](crate::ProviderItem) are marked: the region, another address if one was given, and a few bits that
    /// tell one source of credentials from another.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    async fn streamed(&self, asked: Asked) -> Result<ModelStream, ModelError> {
        let settings = &self.settings;
        let call = self
            .client
            .converse_stream()
            .model_id(&self.descriptor.name)
            .set_messages(Some(asked.messages))
            .set_system(asked.system)
            .set_tool_config(asked.tools)
            .set_output_config(asked.output)
            .set_inference_config(asked.inference)
            .set_guardrail_config(settings.guardrail.as_ref().map(Guardrail::streamed))
            .set_additional_model_request_fields(settings.additional.clone())
            .set_request_metadata(settings.metadata.clone())
            .set_performance_config(self.performance())
            .set_service_tier(self.tier()?);
        let signed = Signed::default();
        let sent = call.customize().interceptor(signed.clone()).send().await;
        let begun = sent.map_err(|error| error::of_request(error, &self.access, &signed))?;
        let request_id = begun.request_id().map(str::to_owned);
        let turn = Turn::new(asked.names, &self.descriptor.name, &settings.endpoint);
        Ok(ModelStream::new(Events::new(begun.stream, turn, request_id)))
    }

    async fn whole(&self, asked: Asked) -> Result<ModelStream, ModelError> {
        let settings = &self.settings;
        let call = self
            .client
            .converse()
            .model_id(&self.descriptor.name)
            .set_messages(Some(asked.messages))
            .set_system(asked.system)
            .set_tool_config(asked.tools)
            .set_output_config(asked.output)
            .set_inference_config(asked.inference)
            .set_guardrail_config(settings.guardrail.as_ref().map(Guardrail::whole))
            .set_additional_model_request_fields(settings.additional.clone())
            .set_request_metadata(settings.metadata.clone())
            .set_performance_config(self.performance())
            .set_service_tier(self.tier()?);
        let signed = Signed::default();
        let sent = call.customize().interceptor(signed.clone()).send().await;
        let reply = sent.map_err(|error| error::of_request(error, &self.access, &signed))?;
        let request_id = reply.request_id().map(str::to_owned);
        let turn = Turn::new(asked.names, &self.descriptor.name, &settings.endpoint);
        let events = reply::events(reply, turn).map_err(|error| error.request_id(request_id))?;
        Ok(ModelStream::ready(events))
    }

    fn performance(&self) -> Option<PerformanceConfiguration> {
        let latency = PerformanceConfigLatency::Optimized;
        self.settings.optimized_latency.then(|| PerformanceConfiguration::builder().latency(latency).build())
    }

    fn tier(&self) -> Result<Option<sdk::ServiceTier>, ModelError> {
        let tier = self.settings.tier.map(|tier| sdk::ServiceTier::builder().r#type(tier.into()).build());
        tier.map(built).transpose()
    }
}

impl fmt::Debug for Bedrock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bedrock").field("model", &self.descriptor.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for Bedrock {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let asked = ask(&request, &self.settings, &self.descriptor.name)?;
        if self.settings.streaming { self.streamed(asked).await } else { self.whole(asked).await }
    }
}
