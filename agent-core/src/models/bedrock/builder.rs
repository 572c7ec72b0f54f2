//! Making a Bedrock model.

use super::Bedrock;
use super::access::Access;
use super::document::{SortedBody, document};
use super::frames::WithoutEmptyStarts;
use super::settings::{CachePoints, Guardrail, ServiceTier, Settings, StructuredOutput};
use crate::model::ModelDescriptor;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, Credentials, Region, StalledStreamProtectionConfig, Token,
};
use aws_sdk_bedrockruntime::types::InferenceConfiguration;
use aws_types::SdkConfig;
use serde_json::Value;
use std::collections::HashMap;
use thiserror::Error;
use url::Url;

/// What is said where nobody said more.
const CHAIN: &str = "the AWS configuration that was handed in";

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BedrockBuildError {
    /// No region is known.
    #[error("no AWS region is known: name one, or set AWS_REGION or the profile's `region`")]
    NoRegion,
    /// The region is no region.
    #[error("`{region}` is no AWS region: it is written like `us-east-1`")]
    Region {
        /// What was given.
        region: String,
    },
    /// The endpoint cannot be used. It is not said again: it may hold a secret.
    #[error("the endpoint cannot be used: {problem}")]
    Endpoint {
        /// Why, without the endpoint.
        problem: String,
    },
    /// Nothing to sign with was handed in.
    #[error(
        "no credentials were handed in: give an API key or access keys, or build from an SDK configuration"
    )]
    NoCredentials,
    /// The model's id is empty.
    #[error("no model is named")]
    NoModel,
    /// The additional fields are not a JSON object.
    #[error("additional request fields are no JSON object")]
    AdditionalFields,
}

/// Makes a [`Bedrock`] model.
///
/// Nothing here reads the environment: what is not set comes from the [`SdkConfig`] that [`build_from`](Self::build_from) is given,
/// or is the service's default.
#[derive(Debug, Clone)]
pub struct BedrockBuilder {
    model: String,
    region: Option<String>,
    endpoint: Option<String>,
    access: Option<Access>,
    source: Option<String>,
    inference: InferenceConfiguration,
    additional: Option<Value>,
    settings: Settings,
}

impl BedrockBuilder {
    pub(super) fn new(model: String) -> Self {
        let settings = Settings::for_model(&model);
        let inference = InferenceConfiguration::builder().build();
        Self {
            model,
            region: None,
            endpoint: None,
            access: None,
            source: None,
            inference,
            additional: None,
            settings,
        }
    }

    /// The region, such as `us-east-1`.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Another address of the service, such as a VPC endpoint's or a test's.
    #[must_use]
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Asks with a Bedrock API key. It is sent as a bearer token, shown nowhere, and wiped from memory when it is dropped.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.access = Some(Access::ApiKey(Token::new(key, None)));
        self
    }

    /// Signs with these access keys. They are shown nowhere, and wiped from memory when they are dropped.
    #[must_use]
    pub fn access_keys(
        mut self,
        id: impl Into<String>,
        secret: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        self.access = Some(Access::Keys(Credentials::new(id, secret, session_token, None, "handed in")));
        self
    }

    /// Where the AWS configuration came from, in words, for the error that is shown when it holds no credentials.
    #[must_use]
    pub fn source(mut self, words: impl Into<String>) -> Self {
        self.source = Some(words.into());
        self
    }

    /// Whether the answer comes piece by piece (the default), over `ConverseStream`, or whole, over `Converse`.
    #[must_use]
    pub const fn streaming(mut self, streaming: bool) -> Self {
        self.settings.streaming = streaming;
        self
    }

    /// The most tokens of one answer.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.inference.max_tokens = Some(i32::try_from(tokens).unwrap_or(i32::MAX));
        self
    }

    /// From 0, always the likeliest, to 1.
    #[must_use]
    pub const fn temperature(mut self, temperature: f32) -> Self {
        self.inference.temperature = Some(temperature);
        self
    }

    /// The share of the likeliest next words that are considered, from 0 to 1.
    #[must_use]
    pub const fn top_p(mut self, share: f32) -> Self {
        self.inference.top_p = Some(share);
        self
    }

    /// Texts that end a turn.
    #[must_use]
    pub fn stop_sequences(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.inference.stop_sequences = Some(texts.into_iter().collect());
        self
    }

    /// Fields of the model's own that Converse has no name for, such as `{"thinking": {"type": "enabled", "budget_tokens": 4000}}`.
    #[must_use]
    pub fn additional_fields(mut self, fields: Value) -> Self {
        self.additional = Some(fields);
        self
    }

    /// How hard the model thinks, such as `low` or `high`, where it can be told.
    #[must_use]
    pub fn effort(mut self, effort: impl Into<String>) -> Self {
        self.settings.effort = Some(effort.into());
        self
    }

    /// A label for the account's invocation log; up to 16 of them.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.metadata.get_or_insert_with(HashMap::new).insert(key.into(), value.into());
        self
    }

    /// How soon, and at what price.
    #[must_use]
    pub const fn service_tier(mut self, tier: ServiceTier) -> Self {
        self.settings.tier = Some(tier);
        self
    }

    /// Hardware for short waits, where the model has it.
    #[must_use]
    pub const fn optimized_latency(mut self) -> Self {
        self.settings.optimized_latency = true;
        self
    }

    /// Where the service may keep what it has read.
    #[must_use]
    pub const fn cache(mut self, points: CachePoints) -> Self {
        self.settings.cache = points;
        self
    }

    /// A guardrail over what goes in and comes out.
    #[must_use]
    pub fn guardrail(mut self, guardrail: Guardrail) -> Self {
        self.settings.guardrail = Some(guardrail);
        self
    }

    /// How a final text under a schema is asked for.
    #[must_use]
    pub const fn structured_output(mut self, way: StructuredOutput) -> Self {
        self.settings.structured = way;
        self
    }

    /// Whether signed reasoning is given back in later turns (the default). Models that think between tool calls want it; a model
    /// that refuses it can be spared it.
    #[must_use]
    pub const fn replay_reasoning(mut self, replay: bool) -> Self {
        self.settings.replay_reasoning = replay;
        self
    }

    /// Whether failed tool results are marked as such, rather than only by their text. It is so for Anthropic's and Amazon's models
    /// and for ARNs unless said otherwise; other models refuse the mark.
    #[must_use]
    pub const fn tool_result_status(mut self, status: bool) -> Self {
        self.settings.tool_result_status = status;
        self
    }

    /// Whether tool results that are JSON objects go in as JSON, rather than as its text, which every model reads (the default).
    #[must_use]
    pub const fn json_results(mut self, json: bool) -> Self {
        self.settings.json_results = json;
        self
    }

    /// The model, asked with what was handed in.
    ///
    /// # Errors
    /// [`BedrockBuildError`] if the region or the credentials are missing, or something that was set makes no sense.
    pub fn build(self) -> Result<Bedrock, BedrockBuildError> {
        let Some(access) = self.access.clone() else { return Err(BedrockBuildError::NoCredentials) };
        let config = Builder::new().behavior_version(BehaviorVersion::latest());
        self.finish(config, None, None, access)
    }

    /// The model, with region, credentials and endpoint of an AWS configuration where nothing was handed in.
    ///
    /// `aws_config::load_defaults` makes one from the environment; `bursar::models::bedrock` does both.
    ///
    /// # Errors
    /// [`BedrockBuildError`] as [`build`](Self::build). Credentials are looked for when the model is first asked, not here.
    pub fn build_from(self, sdk: &SdkConfig) -> Result<Bedrock, BedrockBuildError> {
        let source = self.source.clone().unwrap_or_else(|| CHAIN.to_owned());
        let access = self.access.clone().unwrap_or(Access::Configured(source));
        let region = sdk.region().map(|region| region.as_ref().to_owned());
        self.finish(Builder::from(sdk), region, sdk.endpoint_url().map(str::to_owned), access)
    }

    fn finish(
        mut self,
        config: Builder,
        configured: Option<String>,
        address: Option<String>,
        access: Access,
    ) -> Result<Bedrock, BedrockBuildError> {
        if self.model.trim().is_empty() {
            return Err(BedrockBuildError::NoModel);
        }
        let region = self.region.or(configured).ok_or(BedrockBuildError::NoRegion)?;
        // It becomes a part of the host's name.
        if region.is_empty()
            || !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(BedrockBuildError::Region { region });
        }
        if let Some(fields) = &self.additional {
            if !fields.is_object() {
                return Err(BedrockBuildError::AdditionalFields);
            }
            self.settings.additional = Some(document(fields));
        }
        let unset = InferenceConfiguration::builder().build();
        self.settings.inference = Some(self.inference).filter(|inference| *inference != unset);
        if let Some(endpoint) = self.endpoint.as_ref().or(address.as_ref()) {
            plain(endpoint)?;
        }
        let place = self.endpoint.as_ref().or(address.as_ref()).map(|url| format!(" {url}"));
        self.settings.endpoint = format!("{region}{} {}", place.unwrap_or_default(), access.account());
        let mut config = access
            .put_into(config)
            .region(Region::new(region))
            // Retries are the run's, which records them; and a model may think for long before it says a word.
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(SortedBody)
            .interceptor(WithoutEmptyStarts);
        if let Some(url) = self.endpoint {
            config = config.endpoint_url(url);
        }
        let client = aws_sdk_bedrockruntime::Client::from_conf(config.build());
        let descriptor = ModelDescriptor::new("aws.bedrock", self.model);
        Ok(Bedrock { descriptor, client, settings: self.settings, access })
    }
}

/// An endpoint is shown and kept with what the model said, so no secret may be a part of it.
fn plain(endpoint: &str) -> Result<(), BedrockBuildError> {
    let refused = |problem: &str| Err(BedrockBuildError::Endpoint { problem: problem.to_owned() });
    let url = match Url::parse(endpoint) {
        Ok(url) => url,
        Err(error) => return refused(&error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return refused("it has to begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("it holds a user name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("it holds a query or a fragment");
    }
    Ok(())
}
