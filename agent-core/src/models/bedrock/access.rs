//! With what the service is asked.

use crate::models::key::account_of;
use aws_sdk_bedrockruntime::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_bedrockruntime::config::{Builder, ConfigBag, Credentials, Intercept, RuntimeComponents, Token};
use aws_sdk_bedrockruntime::error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemePreference;
use aws_smithy_runtime_api::client::auth::http::HTTP_BEARER_AUTH_SCHEME_ID;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the right to ask comes from. Its text names the source and shows no secret.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// A Bedrock API key.
    ApiKey(Token),
    /// Keys that were handed in.
    Keys(Credentials),
    /// Whatever the SDK's configuration finds; in words.
    Configured(String),
}

impl Access {
    /// Sets it, in front of whatever else the configuration holds.
    pub(super) fn put_into(&self, config: Builder) -> Builder {
        match self {
            Self::ApiKey(token) => config
                .bearer_token(token.clone())
                .auth_scheme_preference(AuthSchemePreference::from([HTTP_BEARER_AUTH_SCHEME_ID])),
            Self::Keys(credentials) => config.credentials_provider(credentials.clone()),
            Self::Configured(_) => config,
        }
    }

    /// Tells one account from another, as far as that is known: keys that are renewed count as another's.
    pub(super) fn account(&self) -> String {
        match self {
            Self::ApiKey(token) => account_of(token.token()),
            Self::Keys(keys) => account_of(keys.access_key_id()),
            Self::Configured(source) => account_of(source),
        }
    }

    /// What whoever runs this can do about a refusal.
    pub(super) fn next_step(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "make a new API key in the Bedrock console: the old one may have run out",
            Self::Keys(_) => "check the access key, and the session token if the keys are temporary",
            Self::Configured(_) => {
                "set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile \
                 that has credentials; `aws sts get-caller-identity` shows what the same sources give"
            }
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(_) => f.write_str("the API key that was handed in"),
            Self::Keys(_) => f.write_str("the access keys that were handed in"),
            Self::Configured(source) => f.write_str(source),
        }
    }
}

/// Notes whether a request got as far as being signed. The SDK has one error for what fails before and after.
#[derive(Debug, Clone, Default)]
pub(super) struct Signed(Arc<AtomicBool>);

impl Signed {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Intercept for Signed {
    fn name(&self) -> &'static str {
        "Signed"
    }

    fn read_after_signing(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(true, Ordering::Release);
        Ok(())
    }
}
