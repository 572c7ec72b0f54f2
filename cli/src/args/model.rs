//! Which model, and where it is.

use clap::{Args, ValueEnum};
use std::fmt;
use std::str::FromStr;

/// The model of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelArgs {
    /// The model: `extractive` (built in, offline, retrieves and quotes), `openai:NAME`, or `bedrock:ID` [default: `[model]` of the
    /// configuration, or `extractive`].
    ///
    /// It stands for the whole section; the other options stand for its fields. OpenAI's key is taken from OPENAI_API_KEY; AWS's region and credentials from where AWS's own tools take them.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<ModelName>,
    /// With `openai:`: another server that speaks its API, such as http://localhost:11434/v1 [default: OPENAI_BASE_URL, or OpenAI's own].
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// With `openai:`: the API to speak [default: `responses` at OpenAI, `chat` elsewhere].
    #[arg(long, value_enum)]
    pub(crate) model_api: Option<ModelApiArg>,
    /// With `bedrock:`: the AWS region [default: AWS_REGION, or the profile's].
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// With `bedrock:`: the profile of AWS's shared files [default: AWS_PROFILE, or `default`].
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// With `openai:` or `bedrock:`: asks for whole answers instead of streams.
    #[arg(long)]
    pub(crate) no_stream: bool,
}

impl ModelArgs {
    /// What was given on the command line, with its values.
    pub(crate) fn given(&self) -> Vec<(&'static str, Option<String>)> {
        let api = self.model_api.and_then(|api| api.to_possible_value()).map(|api| api.get_name().to_owned());
        let model = self.model.as_ref().map(ModelName::to_string);
        let valued = [
            ("--model", model),
            ("--base-url", self.base_url.clone()),
            ("--model-api", api),
            ("--region", self.region.clone()),
            ("--profile", self.profile.clone()),
        ];
        let valued = valued.into_iter().filter(|(_, value)| value.is_some());
        valued.chain(self.no_stream.then_some(("--no-stream", None))).collect()
    }
}

/// A model by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelName {
    /// Built in, offline: retrieves and quotes.
    Extractive,
    /// A model of OpenAI, or of a server that speaks its API.
    OpenAi(String),
    /// A model of Amazon Bedrock.
    Bedrock(String),
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "extractive" => Ok(Self::Extractive),
            Some(("openai", name)) if !name.is_empty() => Ok(Self::OpenAi(name.to_owned())),
            Some(("bedrock", id)) if !id.is_empty() => Ok(Self::Bedrock(id.to_owned())),
            _ => Err("it is `extractive`, `openai:NAME` or `bedrock:ID`".to_owned()),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extractive => f.write_str("extractive"),
            Self::OpenAi(name) => write!(f, "openai:{name}"),
            Self::Bedrock(id) => write!(f, "bedrock:{id}"),
        }
    }
}

/// Which of OpenAI's APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelApiArg {
    /// The Responses API: reasoning is given back in later turns.
    Responses,
    /// The Chat Completions API, which nearly every server has.
    Chat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_is_shown() {
        for text in ["extractive", "openai:gpt-5-mini", "openai:qwen3:8b", "bedrock:us.anthropic.claude-v1:0"]
        {
            assert_eq!(text.parse::<ModelName>().unwrap().to_string(), text);
        }
        for text in ["", "openai", "openai:", "bedrock:", "gpt-5", "other:x"] {
            assert!(text.parse::<ModelName>().is_err(), "{text}");
        }
    }
}
