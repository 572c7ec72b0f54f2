//! The model that was asked for: what the command line says, over what the configuration says.

use crate::args::{ModelApiArg, ModelArgs, ModelName};
use crate::exit::CliError;
use bursar::{BursarError, ConfiguredModel, ModelApi, ModelConfig, ModelProvider};

/// The model. Nothing is sent to it yet.
pub(crate) async fn model(args: &ModelArgs, file: Option<&ModelConfig>) -> Result<ConfiguredModel, CliError> {
    chosen(args, file, environment("OPENAI_BASE_URL")).open().await.map_err(|error| match error {
        BursarError::Model { problem } => CliError::Model { problem },
        error => CliError::Bursar(error),
    })
}

/// `--model` stands for the whole section of the file, prices and cheaper model too: they are another model's. The other options
/// stand for its fields.
fn chosen(args: &ModelArgs, file: Option<&ModelConfig>, usual_url: Option<String>) -> ModelConfig {
    let mut config = match (&args.model, file) {
        (Some(name), _) => named(name),
        (None, Some(file)) => file.clone(),
        (None, None) => ModelConfig::default(),
    };
    let set = |field: &mut Option<String>, given: &Option<String>| {
        if given.is_some() {
            field.clone_from(given);
        }
    };
    set(&mut config.base_url, &args.base_url);
    set(&mut config.region, &args.region);
    set(&mut config.profile, &args.profile);
    if let Some(api) = args.model_api {
        config.api = Some(match api {
            ModelApiArg::Responses => ModelApi::Responses,
            ModelApiArg::Chat => ModelApi::Chat,
        });
    }
    if args.no_stream {
        config.streaming = Some(false);
    }
    if config.provider == ModelProvider::OpenAi && args.model.is_some() {
        config.base_url = config.base_url.or(usual_url);
    }
    config
}

fn named(name: &ModelName) -> ModelConfig {
    match name {
        ModelName::Extractive => ModelConfig::default(),
        ModelName::OpenAi(name) => ModelConfig::new(ModelProvider::OpenAi, Some(name.clone())),
        ModelName::Bedrock(id) => ModelConfig::new(ModelProvider::Bedrock, Some(id.clone())),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        model: ModelArgs,
    }

    fn of(line: &[&str], file: &str) -> ModelConfig {
        let args = Line::parse_from(std::iter::once(&"bursar").chain(line)).model;
        let file: ModelConfig = toml::from_str(file).unwrap();
        chosen(&args, Some(&file), Some("http://usual/v1".to_owned()))
    }

    #[test]
    fn what_the_command_line_says_stands_over_what_the_file_says() {
        let file = "provider = \"openai\"\nname = \"a\"\nbase_url = \"http://file/v1\"\nregion = \"r\"\n\
                    prices = { input = 1, output = 1, output_tokens_max = 1 }";
        let plain = of(&[], file);
        assert_eq!((plain.name.as_deref(), plain.base_url.as_deref()), (Some("a"), Some("http://file/v1")));
        let fields = of(&["--base-url", "http://line/v1", "--model-api", "chat", "--no-stream"], file);
        assert_eq!((fields.name.as_deref(), fields.base_url.as_deref()), (Some("a"), Some("http://line/v1")));
        assert_eq!(
            (fields.api, fields.streaming, fields.prices.is_some()),
            (Some(ModelApi::Chat), Some(false), true)
        );
        let whole = of(&["--model", "openai:b"], file);
        assert_eq!((whole.name.as_deref(), whole.base_url.as_deref()), (Some("b"), Some("http://usual/v1")));
        assert_eq!((whole.prices, whole.region), (None, None), "they are another model's");
        let other = of(&["--model", "bedrock:c", "--profile", "work"], file);
        assert_eq!(
            (other.provider, other.profile.as_deref(), other.base_url),
            (ModelProvider::Bedrock, Some("work"), None)
        );
        assert_eq!(of(&["--model", "extractive"], file).provider, ModelProvider::Extractive);
    }
}
