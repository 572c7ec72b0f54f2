//! The section `[model]` of `bursar.toml`.

use crate::config::is_http;
use crate::error::BursarError;
use bursar_agent_core::models::Extractive;
use bursar_agent_core::{Agent, AgentBuilder, Model, Prices};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;
use std::sync::Arc;

/// Longest name of a variable that is taken for one.
const VARIABLE_CHARS_MAX: usize = 64;

/// A model, as it is written in the section `[model]`.
///
/// # Example
/// ```
/// let config: bursar::ModelConfig = toml::from_str(r#"
///     provider = "openai"
///     name = "gpt-5-mini"
///     key_env = "OPENAI_API_KEY"
///     max_output_tokens = 16_000
///     [prices]
///     input = 250_000
///     output = 2_000_000
///     output_tokens_max = 128_000
///     [cheaper]
///     provider = "openai"
///     name = "gpt-5-nano"
///     prices = { input = 50_000, output = 400_000, output_tokens_max = 128_000 }
/// "#)?;
/// assert_eq!(config.problem("model"), None);
/// assert!(config.cheaper.is_some());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Who serves it.
    pub provider: ModelProvider,
    /// Its name there: the deployment at Azure, at Bedrock the id of a model or an inference profile, or an ARN.
    pub name: Option<String>,
    /// Where it is. OpenAI: up to and without `/responses` or `/chat/completions`. Azure: `https://NAME.openai.azure.com`. Bedrock:
    /// another endpoint.
    pub base_url: Option<String>,
    /// The variable that holds the key; never the key. Unsaid, it is `OPENAI_API_KEY`, or `AZURE_OPENAI_API_KEY`, and at Bedrock AWS's
    /// default chain.
    pub key_env: Option<String>,
    /// Which of OpenAI's APIs is spoken. Unsaid, `responses` at OpenAI itself and `chat` elsewhere.
    pub api: Option<ModelApi>,
    /// The version of Azure's API, such as `2024-10-21`; without one its `/openai/v1` is spoken.
    pub api_version: Option<String>,
    /// The AWS region.
    pub region: Option<String>,
    /// The profile of AWS's shared files.
    pub profile: Option<String>,
    /// Whether answers come piece by piece, which they do unless this says otherwise.
    pub streaming: Option<bool>,
    /// The most tokens that it may write in one turn.
    pub max_output_tokens: Option<u32>,
    /// What it costs, in micro-USD for a million tokens. With prices, each turn is set aside and booked in the session's budgets.
    pub prices: Option<Prices>,
    /// The model that is asked once a budget is past its second gate, or where this one does not fit into one any more.
    pub cheaper: Option<Box<ModelConfig>>,
    /// A key has no place here. It is looked for so that it can be said, and is not read.
    #[serde(default)]
    key: Option<IgnoredAny>,
    #[serde(default)]
    api_key: Option<IgnoredAny>,
}

/// Who serves a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelProvider {
    /// Built in, offline, without a key: it retrieves and quotes.
    #[default]
    Extractive,
    /// OpenAI, or a server that speaks like it.
    OpenAi,
    /// OpenAI's models at Azure.
    Azure,
    /// Amazon Bedrock.
    Bedrock,
}

impl fmt::Display for ModelProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extractive => "extractive",
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Bedrock => "bedrock",
        })
    }
}

/// Which of OpenAI's APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelApi {
    /// Responses: reasoning is given back in later turns.
    Responses,
    /// Chat Completions, which nearly every server has.
    Chat,
}

/// A model that can be asked, with all that its section says. Nothing was sent to it yet.
#[derive(Debug, Clone)]
pub struct ConfiguredModel {
    /// The model.
    pub model: Arc<dyn Model>,
    /// What it costs.
    pub prices: Option<Prices>,
    /// The most tokens that it may write in one turn.
    pub max_output_tokens: Option<u32>,
    /// The cheaper one, with its prices.
    pub cheaper: Option<(Arc<dyn Model>, Prices)>,
}

impl ConfiguredModel {
    /// Begins an agent with it.
    pub fn agent(&self) -> AgentBuilder {
        let mut agent = Agent::builder(Arc::clone(&self.model));
        if let Some(prices) = self.prices {
            agent = agent.prices(prices);
        }
        if let Some(tokens) = self.max_output_tokens {
            agent = agent.max_output_tokens(tokens);
        }
        match &self.cheaper {
            Some((model, prices)) => agent.cheaper(Arc::clone(model), *prices),
            None => agent,
        }
    }
}

impl ModelConfig {
    /// A model by provider and name, with nothing else set.
    #[must_use]
    pub fn new(provider: ModelProvider, name: Option<String>) -> Self {
        Self { provider, name, ..Self::default() }
    }

    /// The model, with its key from the environment.
    ///
    /// # Errors
    /// [`BursarError::Model`], with what to do: a key that is missing, a provider that was left out of this build, settings that it
    /// cannot be made with.
    pub async fn open(&self) -> Result<ConfiguredModel, BursarError> {
        if let Some(problem) = self.problem("model") {
            return Err(BursarError::Model { problem });
        }
        let cheaper = match &self.cheaper {
            Some(cheaper) => {
                let prices = cheaper
                    .prices
                    .ok_or_else(|| BursarError::Model { problem: no_prices("model.cheaper") })?;
                Some((cheaper.model().await?, prices))
            }
            None => None,
        };
        let (prices, max_output_tokens) = (self.prices, self.max_output_tokens);
        Ok(ConfiguredModel { model: self.model().await?, prices, max_output_tokens, cheaper })
    }

    async fn model(&self) -> Result<Arc<dyn Model>, BursarError> {
        match self.provider {
            ModelProvider::Extractive => Ok(Arc::new(Extractive::default())),
            ModelProvider::OpenAi | ModelProvider::Azure => self.openai(),
            ModelProvider::Bedrock => self.bedrock().await,
        }
    }

    /// What can be seen to be wrong before anything is opened, with what to do; `section` is its name in the file.
    #[must_use]
    pub fn problem(&self, section: &str) -> Option<String> {
        if self.key.is_some() || self.api_key.is_some() {
            let field = if self.key.is_some() { "key" } else { "api_key" };
            return Some(format!(
                "{section}.{field}: a key does not stand in a file: put it into an environment variable, and that variable's name here \
                 as `key_env`"
            ));
        }
        if let Some(name) = self.key_env.as_deref().filter(|name| !is_variable(name)) {
            // It may be the key itself, and is not said again.
            let length = name.chars().count();
            return Some(format!(
                "{section}.key_env: these {length} characters are no variable's name in capitals: write one such as OPENAI_API_KEY, and put the key \
                 into that variable"
            ));
        }
        self.misplaced(section)
            .or_else(|| self.missing(section))
            .or_else(|| self.unreadable(section))
            .or_else(|| self.unpriced(section))
    }

    /// A field that this provider has no use for: rather than being passed over, it is told.
    fn misplaced(&self, section: &str) -> Option<String> {
        use ModelProvider::{Azure, Bedrock, Extractive, OpenAi};
        let fields: [(&str, bool, &[ModelProvider]); 9] = [
            ("name", self.name.is_some(), &[OpenAi, Azure, Bedrock]),
            ("base_url", self.base_url.is_some(), &[OpenAi, Azure, Bedrock]),
            ("key_env", self.key_env.is_some(), &[OpenAi, Azure, Bedrock]),
            ("api", self.api.is_some(), &[OpenAi, Azure]),
            ("api_version", self.api_version.is_some(), &[Azure]),
            ("region", self.region.is_some(), &[Bedrock]),
            ("profile", self.profile.is_some(), &[Bedrock]),
            ("streaming", self.streaming.is_some(), &[OpenAi, Azure, Bedrock]),
            ("max_output_tokens", self.max_output_tokens.is_some(), &[Extractive, OpenAi, Azure, Bedrock]),
        ];
        let (field, _, of) = fields.into_iter().find(|(_, set, of)| *set && !of.contains(&self.provider))?;
        let of: Vec<String> = of.iter().map(ModelProvider::to_string).collect();
        Some(format!(
            "{section}.{field}: a model of {} has no such field: leave it out, or set provider to {}",
            self.provider,
            of.join(" or ")
        ))
    }

    fn missing(&self, section: &str) -> Option<String> {
        let blank = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        if self.provider != ModelProvider::Extractive && blank(&self.name) {
            let example = match self.provider {
                ModelProvider::Azure => "the deployment's name",
                ModelProvider::Bedrock => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                ModelProvider::OpenAi | ModelProvider::Extractive => "gpt-5-mini",
            };
            return Some(format!(
                "{section}.name: a model of {} needs a name: give one, such as {example}",
                self.provider
            ));
        }
        (self.provider == ModelProvider::Azure && self.base_url.is_none()).then(|| {
            format!("{section}.base_url: Azure needs the address of the resource: give it, such as https://NAME.openai.azure.com")
        })
    }

    fn unreadable(&self, section: &str) -> Option<String> {
        if let Some(url) = self.base_url.as_deref().filter(|url| !is_http(url)) {
            let url = url.escape_debug();
            return Some(format!(
                "{section}.base_url: `{url}` is not a URL such as `https://api.openai.com/v1`"
            ));
        }
        let plain =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if let (ModelProvider::Azure, Some(name)) =
            (self.provider, self.name.as_deref().filter(|name| !plain(name)))
        {
            let name = name.escape_debug();
            return Some(format!(
                "{section}.name: `{name}` is no deployment: letters, digits, `-`, `_` and `.`"
            ));
        }
        if let Some(version) =
            self.api_version.as_deref().filter(|version| version.is_empty() || !plain(version))
        {
            let version = version.escape_debug();
            return Some(format!("{section}.api_version: `{version}` is not a version such as `2024-10-21`"));
        }
        (self.max_output_tokens == Some(0)).then(|| {
            format!("{section}.max_output_tokens: it could never say a word: leave it out, or give some")
        })
    }

    fn unpriced(&self, section: &str) -> Option<String> {
        let cheaper = self.cheaper.as_ref()?;
        let place = format!("{section}.cheaper");
        if cheaper.cheaper.is_some() {
            return Some(format!("{place}.cheaper: there is one cheaper model: leave this one out"));
        }
        if cheaper.max_output_tokens.is_some() {
            return Some(format!(
                "{place}.max_output_tokens: what {section} says holds for both: leave it out"
            ));
        }
        let unpriced = [(section, &self.prices), (place.as_str(), &cheaper.prices)];
        let unpriced =
            unpriced.into_iter().find(|(_, prices)| prices.is_none()).map(|(place, _)| no_prices(place));
        unpriced.or_else(|| cheaper.problem(&place))
    }

    #[cfg(feature = "openai")]
    fn openai(&self) -> Result<Arc<dyn Model>, BursarError> {
        use bursar_agent_core::models::{OpenAi, OpenAiApi, OpenAiError};

        let name = self.name.clone().unwrap_or_default();
        let mut model = OpenAi::builder(name.as_str()).streaming(self.streaming.unwrap_or(true));
        model = match self.api {
            Some(ModelApi::Responses) => model.api(OpenAiApi::Responses),
            Some(ModelApi::Chat) => model.api(OpenAiApi::Chat),
            None => model,
        };
        let azure = self.provider == ModelProvider::Azure;
        let usual = if azure { "AZURE_OPENAI_API_KEY" } else { "OPENAI_API_KEY" };
        if let Some(key) = self.key_or(usual)? {
            model = model.key(key);
        }
        if let Some(url) = &self.base_url {
            model = model.base_url(if azure { self.azure_url(url, &name) } else { url.clone() });
        }
        if azure {
            model = model.azure(self.api_version.as_deref());
        }
        let variable = self.key_env.as_deref().unwrap_or(usual);
        let built = model.build().map_err(|error| BursarError::Model {
            problem: match error {
                OpenAiError::NoKey => format!("there is no key: put it into {variable}"),
                OpenAiError::KeyInTheClear => {
                    "the key would travel over plain http to another machine: use https".to_owned()
                }
                error => error.to_string(),
            },
        })?;
        Ok(Arc::new(built))
    }

    /// Azure has an address for each deployment and version, and one that is like OpenAI's own.
    #[cfg(feature = "openai")]
    fn azure_url(&self, url: &str, name: &str) -> String {
        let resource = url.trim_end_matches('/');
        match (&self.api_version, self.api) {
            _ if resource.contains("/openai") => resource.to_owned(),
            (None, _) => format!("{resource}/openai/v1"),
            (Some(_), Some(ModelApi::Responses)) => format!("{resource}/openai"),
            (Some(_), Some(ModelApi::Chat) | None) => format!("{resource}/openai/deployments/{name}"),
        }
    }

    /// The key in the variable that is named. In the usual one there may be none.
    #[cfg(any(feature = "openai", feature = "bedrock"))]
    fn key_or(&self, usual: &str) -> Result<Option<String>, BursarError> {
        let variable = self.key_env.as_deref().unwrap_or(usual);
        match (environment(variable), &self.key_env) {
            (None, Some(_)) => {
                Err(BursarError::NoSecret { variable: variable.to_owned(), what: "the model's key" })
            }
            (key, _) => Ok(key),
        }
    }

    #[cfg(not(feature = "openai"))]
    fn openai(&self) -> Result<Arc<dyn Model>, BursarError> {
        Err(left_out("openai"))
    }

    #[cfg(feature = "bedrock")]
    async fn bedrock(&self) -> Result<Arc<dyn Model>, BursarError> {
        use crate::models::{AwsSource, Bedrock, bedrock_from};

        let mut builder = Bedrock::builder(self.name.clone().unwrap_or_default());
        builder = builder.streaming(self.streaming.unwrap_or(true));
        if let Some(url) = &self.base_url {
            builder = builder.endpoint_url(url);
        }
        if self.key_env.is_some()
            && let Some(key) = self.key_or("AWS_BEARER_TOKEN_BEDROCK")?
        {
            builder = builder.api_key(key);
        }
        let source = AwsSource { region: self.region.clone(), profile: self.profile.clone() };
        let built = bedrock_from(builder, source).await;
        built.map_err(|error| BursarError::Model { problem: error.to_string() })
    }

    #[cfg(not(feature = "bedrock"))]
    async fn bedrock(&self) -> Result<Arc<dyn Model>, BursarError> {
        Err(left_out("bedrock"))
    }
}

fn no_prices(place: &str) -> String {
    format!(
        "{place}.prices: with a cheaper model both need prices, since it is asked where the other does not fit into a budget: give \
         input, output and output_tokens_max"
    )
}

/// In capitals, as such names are written: a key that was put here by mistake is not taken for one and told.
fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= VARIABLE_CHARS_MAX
}

#[cfg(any(feature = "openai", feature = "bedrock"))]
#[expect(clippy::disallowed_methods, reason = "the composition root reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Only one of the two may be left out of a build.
#[cfg(not(all(feature = "openai", feature = "bedrock")))]
fn left_out(feature: &str) -> BursarError {
    BursarError::Model {
        problem: format!("it was left out of this build: build with `--features {feature}`"),
    }
}
