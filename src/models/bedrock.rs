//! Models of Amazon Bedrock, set up from the environment as AWS's own tools are.

use aws_config::{BehaviorVersion, Region};
use bursar_agent_core::Model;
use bursar_agent_core::models::{Bedrock, BedrockBuildError, BedrockBuilder};
use std::sync::Arc;

/// Where AWS's configuration is taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSource {
    /// This region, rather than that of the environment or the profile.
    pub region: Option<String>,
    /// This profile of the shared files, rather than `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
}

/// The Bedrock model with this id, with AWS's default chain.
///
/// Region, credentials and endpoint come from where AWS's own tools take them: `AWS_BEARER_TOKEN_BEDROCK`, `AWS_ACCESS_KEY_ID`,
/// `AWS_REGION`, `AWS_PROFILE` and the shared files (SSO, roles and credential processes too), `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`,
/// web identity, container, instance. Credentials are looked for when the model is first asked, and renewed when they run out.
///
/// # Errors
/// [`BedrockBuildError::NoRegion`] if no source names a region.
pub async fn bedrock(model: impl Into<String>) -> Result<Arc<dyn Model>, BedrockBuildError> {
    bedrock_from(Bedrock::builder(model), AwsSource::default()).await
}

/// The Bedrock model of a builder, with what it does not set taken from AWS's default chain.
///
/// # Errors
/// [`BedrockBuildError`] if no source names a region, or the builder holds something that makes no sense.
pub async fn bedrock_from(
    builder: BedrockBuilder,
    source: AwsSource,
) -> Result<Arc<dyn Model>, BedrockBuildError> {
    let mut words =
        "the default AWS chain (environment, shared profile, web identity, container, instance)".to_owned();
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = source.profile {
        words = format!("the default AWS chain with profile `{profile}`");
        loader = loader.profile_name(profile);
    }
    if let Some(region) = source.region {
        loader = loader.region(Region::new(region));
    }
    let sdk = loader.load().await;
    Ok(Arc::new(builder.source(words).build_from(&sdk)?))
}
