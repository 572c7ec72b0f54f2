//! The model that was asked for, with its key from the environment.

use crate::args::{ModelArgs, ModelName};
use crate::exit::CliError;
use bursar::agent::Model;
use bursar::models;
use std::sync::Arc;

/// The model. Nothing is sent to it yet.
pub(crate) async fn model(args: &ModelArgs) -> Result<Arc<dyn Model>, CliError> {
    match &args.model {
        ModelName::Extractive => Ok(models::extractive()),
        ModelName::OpenAi(name) => openai(name, args),
        ModelName::Bedrock(id) => bedrock(id, args).await,
    }
}

#[cfg(feature = "openai")]
fn openai(name: &str, args: &ModelArgs) -> Result<Arc<dyn Model>, CliError> {
    use crate::args::ModelApiArg;
    use bursar::models::{OpenAi, OpenAiApi, OpenAiError};

    let mut model = OpenAi::builder(name).streaming(!args.no_stream);
    if let Some(key) = environment("OPENAI_API_KEY") {
        model = model.key(key);
    }
    if let Some(url) = args.base_url.clone().or_else(|| environment("OPENAI_BASE_URL")) {
        model = model.base_url(url);
    }
    model = match args.model_api {
        Some(ModelApiArg::Responses) => model.api(OpenAiApi::Responses),
        Some(ModelApiArg::Chat) => model.api(OpenAiApi::Chat),
        None => model,
    };
    let built = model.build().map_err(|error| CliError::Model {
        problem: match error {
            OpenAiError::NoKey => "there is no key: put it into OPENAI_API_KEY".to_owned(),
            OpenAiError::KeyInTheClear => {
                "the key would travel over plain http to another machine: use https".to_owned()
            }
            error => error.to_string(),
        },
    })?;
    Ok(Arc::new(built))
}

#[cfg(feature = "openai")]
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(not(feature = "openai"))]
fn openai(_: &str, _: &ModelArgs) -> Result<Arc<dyn Model>, CliError> {
    Err(left_out("openai"))
}

#[cfg(feature = "bedrock")]
async fn bedrock(id: &str, args: &ModelArgs) -> Result<Arc<dyn Model>, CliError> {
    use bursar::models::{AwsSource, Bedrock, bedrock_from};

    let builder = Bedrock::builder(id).streaming(!args.no_stream);
    let source = AwsSource { region: args.region.clone(), profile: args.profile.clone() };
    let built = bedrock_from(builder, source).await;
    built.map_err(|error| CliError::Model { problem: error.to_string() })
}

#[cfg(not(feature = "bedrock"))]
async fn bedrock(_: &str, _: &ModelArgs) -> Result<Arc<dyn Model>, CliError> {
    Err(left_out("bedrock"))
}

/// Only one of the two may be left out of a build.
#[cfg(not(all(feature = "openai", feature = "bedrock")))]
fn left_out(feature: &str) -> CliError {
    let problem = format!("it was left out of this build: build with `--features {feature}`");
    CliError::Model { problem }
}
