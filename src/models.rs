//! Models: those that run here, and those of providers behind features of their names.

#[cfg(feature = "bedrock")]
mod bedrock;
#[cfg(feature = "openai")]
mod openai;

#[cfg(feature = "bedrock")]
pub use bedrock::{AwsSource, bedrock, bedrock_from};
pub use bursar_agent_core::models::{ApiKey, Extractive, Scripted};
#[cfg(feature = "bedrock")]
pub use bursar_agent_core::models::{
    Bedrock, BedrockBuildError, BedrockBuilder, CachePoints, Guardrail, ServiceTier, StructuredOutput,
};
#[cfg(feature = "openai")]
pub use bursar_agent_core::models::{OpenAi, OpenAiApi, OpenAiBuilder, OpenAiError};
#[cfg(feature = "openai")]
pub use openai::openai;

use bursar_agent_core::Model;
use std::sync::Arc;

/// The built-in research model: offline, deterministic, no key. It retrieves, compares prices, plans, and answers in the
/// sources' own sentences.
#[must_use]
pub fn extractive() -> Arc<dyn Model> {
    Arc::new(Extractive::default())
}
