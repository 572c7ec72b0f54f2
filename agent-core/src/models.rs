//! The models that are always there: scripted ones for tests, and research by retrieval and extraction. Those of providers stand
//! behind features of their names.

#[cfg(feature = "bedrock")]
mod bedrock;
mod extractive;
mod key;
#[cfg(feature = "openai")]
mod openai;
mod scripted;

#[cfg(feature = "bedrock")]
pub use bedrock::{
    Bedrock, BedrockBuildError, BedrockBuilder, CachePoints, Guardrail, ServiceTier, StructuredOutput,
};
pub use extractive::{Extractive, ExtractiveSettings};
pub use key::ApiKey;
#[cfg(feature = "openai")]
pub use openai::{OpenAi, OpenAiApi, OpenAiBuilder, OpenAiError};
pub use scripted::{Scripted, ScriptedTurn};
