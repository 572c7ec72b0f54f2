//! What a Bedrock model is set to.

use super::request::built;
use crate::model::ModelError;
use aws_sdk_bedrockruntime::types::{
    self as sdk, CachePointBlock, CachePointType, GuardrailConfiguration, GuardrailStreamConfiguration,
    GuardrailStreamProcessingMode, GuardrailTrace, InferenceConfiguration,
};
use aws_smithy_types::Document;
use std::collections::HashMap;

/// Where the service may keep what it has read, so that the next turn reads it for less.
///
/// Not every model has a cache; one that has none refuses a request with cache points.
///
/// # Example
/// ```
/// use bursar_agent_core::models::CachePoints;
/// let points = CachePoints { tools: false, ..CachePoints::ALL };
/// assert!(points.system && points.conversation && !points.tools);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CachePoints {
    /// After the instructions.
    pub system: bool,
    /// After the tools.
    pub tools: bool,
    /// After the last thing the user said, results of tools included.
    pub conversation: bool,
    /// Keep it for an hour, not for five minutes. Models that cannot refuse.
    pub an_hour: bool,
}

impl CachePoints {
    /// At each of the three places, for five minutes.
    pub const ALL: Self = Self { system: true, tools: true, conversation: true, an_hour: false };

    pub(super) fn point(self) -> Result<CachePointBlock, ModelError> {
        let ttl = self.an_hour.then_some(sdk::CacheTtl::OneHour);
        built(CachePointBlock::builder().r#type(CachePointType::Default).set_ttl(ttl).build())
    }
}

/// A guardrail of the account that reads what goes in and what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) full_trace: bool,
    pub(super) while_streaming: bool,
}

impl Guardrail {
    /// The guardrail with this id or ARN, in this version (`DRAFT` or a number).
    ///
    /// Its trace is always asked for: only the trace tells an answer that was blocked from one in which words were masked.
    #[must_use]
    pub fn new(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { id: id.into(), version: version.into(), full_trace: false, while_streaming: false }
    }

    /// The trace also names what was looked at and let pass.
    #[must_use]
    pub const fn full_trace(mut self) -> Self {
        self.full_trace = true;
        self
    }

    /// Text is shown while it is still being judged, and what was shown may turn out to be blocked.
    #[must_use]
    pub const fn while_streaming(mut self) -> Self {
        self.while_streaming = true;
        self
    }

    const fn trace(&self) -> GuardrailTrace {
        if self.full_trace { GuardrailTrace::EnabledFull } else { GuardrailTrace::Enabled }
    }

    pub(super) fn whole(&self) -> GuardrailConfiguration {
        GuardrailConfiguration::builder()
            .guardrail_identifier(&self.id)
            .guardrail_version(&self.version)
            .trace(self.trace())
            .build()
    }

    pub(super) fn streamed(&self) -> GuardrailStreamConfiguration {
        let mode = if self.while_streaming {
            GuardrailStreamProcessingMode::Async
        } else {
            GuardrailStreamProcessingMode::Sync
        };
        GuardrailStreamConfiguration::builder()
            .guardrail_identifier(&self.id)
            .guardrail_version(&self.version)
            .trace(self.trace())
            .stream_processing_mode(mode)
            .build()
    }
}

/// How a final text under a schema is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StructuredOutput {
    /// The service holds the model to the schema. A model that cannot be held to it refuses the request.
    #[default]
    Native,
    /// The schema is put into the instructions, which every model understands and none is bound by.
    Words,
}

/// How soon, and at what price, the service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceTier {
    /// What everybody gets.
    Default,
    /// Before the others, for more.
    Priority,
    /// After the others, for less.
    Flex,
    /// From capacity that the account has reserved.
    Reserved,
}

impl From<ServiceTier> for sdk::ServiceTierType {
    fn from(tier: ServiceTier) -> Self {
        match tier {
            ServiceTier::Default => Self::Default,
            ServiceTier::Priority => Self::Priority,
            ServiceTier::Flex => Self::Flex,
            ServiceTier::Reserved => Self::Reserved,
        }
    }
}

/// The same in each request.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) streaming: bool,
    /// How what is made there is marked.
    pub(super) endpoint: String,
    pub(super) inference: Option<InferenceConfiguration>,
    pub(super) additional: Option<Document>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) tier: Option<ServiceTier>,
    pub(super) optimized_latency: bool,
    pub(super) effort: Option<String>,
    pub(super) cache: CachePoints,
    pub(super) guardrail: Option<Guardrail>,
    pub(super) structured: StructuredOutput,
    pub(super) replay_reasoning: bool,
    pub(super) tool_result_status: bool,
    pub(super) json_results: bool,
}

impl Settings {
    /// Only some families read the status of a tool's result, and others refuse it. An ARN does not tell the family.
    pub(super) fn for_model(model: &str) -> Self {
        let reads_status = ["anthropic.", "amazon.nova", "arn:"].iter().any(|family| model.contains(family));
        Self {
            streaming: true,
            endpoint: String::new(),
            inference: None,
            additional: None,
            metadata: None,
            tier: None,
            optimized_latency: false,
            effort: None,
            cache: CachePoints::default(),
            guardrail: None,
            structured: StructuredOutput::default(),
            replay_reasoning: true,
            tool_result_status: reads_status,
            json_results: false,
        }
    }
}
