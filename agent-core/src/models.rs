//! The models that are always there: scripted ones for tests, and research by retrieval and extraction. Those of providers stand
//! behind features of their names.

#[cfg(feature = "bedrock")]
mod bedrock;
mod extractive;
mod fallback;
mod key;
#[cfg(feature = "openai")]
mod openai;
mod rate_limited;
mod recorded;
mod scripted;
mod timeout;

#[cfg(feature = "bedrock")]
pub use bedrock::{
    Bedrock, BedrockBuildError, BedrockBuilder, CachePoints, Guardrail, ServiceTier, StructuredOutput,
};
pub use extractive::{Extractive, ExtractiveSettings};
pub use fallback::Fallback;
pub use key::ApiKey;
#[cfg(feature = "openai")]
pub use openai::{OpenAi, OpenAiApi, OpenAiBuilder, OpenAiError};
pub use rate_limited::RateLimited;
pub use recorded::{Cassette, CassetteError, Recorded};
pub use scripted::{Scripted, ScriptedTurn};
pub use timeout::Timeout;
