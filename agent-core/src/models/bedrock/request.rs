//! From our request to the service's.

use super::document::{document, object};
use super::items::replay;
use super::media;
use super::names::{Ids, Names};
use super::settings::{Settings, StructuredOutput};
use crate::message::{Message, Part, Role};
use crate::model::{ModelError, ModelErrorKind, ModelRequest, OutputSchema, ToolChoice};
use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::types::{
    self as sdk, AnyToolChoice, ContentBlock, ConversationRole, InferenceConfiguration, JsonSchemaDefinition,
    OutputConfig, OutputFormat, OutputFormatStructure, OutputFormatType, SystemContentBlock, Tool,
    ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolResultStatus,
    ToolSpecification, ToolUseBlock,
};
use bursar_types::CallId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Said where a turn must do without tools and the service has no word for it.
const NO_CALLS: &str = "Do not call any tool in this turn; answer in words.";
/// Said where the beginning of a conversation is missing.
const GO_ON: &str = "Go on.";
/// Said of a call without a result.
const NO_RESULT: &str = "Nothing is known of a result of this call.";
/// Said of a tool that the conversation speaks of and that is not offered any more.
const GONE: &str = "Not available any more. Do not call it.";

/// What the service is asked, apart from settings that are the same in each request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) messages: Vec<sdk::Message>,
    pub(super) system: Option<Vec<SystemContentBlock>>,
    pub(super) tools: Option<ToolConfiguration>,
    pub(super) output: Option<OutputConfig>,
    pub(super) inference: Option<InferenceConfiguration>,
    pub(super) names: Names,
}

/// Puts a request into the service's form.
pub(super) fn ask(request: &ModelRequest, settings: &Settings, model: &str) -> Result<Asked, ModelError> {
    let names = Names::of(request);
    let ids = Ids::of(&request.messages);
    let writer = Writer { settings, model, names: &names, ids: &ids };
    let messages = writer.messages(&request.messages)?;
    let tools = writer.tools(request)?;
    let system = writer.system(request, tools.is_some())?;
    let output = writer.output(request.output.as_ref())?;
    let inference = inference(request, settings);
    Ok(Asked { messages, system, tools, output, inference, names })
}

/// What is set, with the lesser of two words on how much may be written.
fn inference(request: &ModelRequest, settings: &Settings) -> Option<InferenceConfiguration> {
    let Some(most) = request.max_output_tokens else { return settings.inference.clone() };
    let mut inference =
        settings.inference.clone().unwrap_or_else(|| InferenceConfiguration::builder().build());
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    inference.max_tokens = Some(inference.max_tokens.map_or(most, |set| set.min(most)));
    Some(inference)
}

/// A required field that is missing is a mistake of ours: the service is not asked.
pub(super) fn built<T>(built: Result<T, BuildError>) -> Result<T, ModelError> {
    built.map_err(|error| {
        let message = "the request cannot be written for Bedrock";
        ModelError::new(ModelErrorKind::Protocol, message).with_source(error)
    })
}

struct Writer<'a> {
    settings: &'a Settings,
    model: &'a str,
    names: &'a Names,
    ids: &'a Ids,
}

impl Writer<'_> {
    fn system(
        &self,
        request: &ModelRequest,
        has_tools: bool,
    ) -> Result<Option<Vec<SystemContentBlock>>, ModelError> {
        let mut texts = vec![request.system.clone()];
        if request.tool_choice == ToolChoice::None && has_tools {
            texts.push(NO_CALLS.to_owned());
        }
        if let (Some(schema), StructuredOutput::Words) = (&request.output, self.settings.structured) {
            texts.push(in_words(schema));
        }
        texts.retain(|text| !text.trim().is_empty());
        if texts.is_empty() {
            return Ok(None);
        }
        let mut blocks = vec![SystemContentBlock::Text(texts.join("\n\n"))];
        if self.settings.cache.system {
            blocks.push(SystemContentBlock::CachePoint(self.settings.cache.point()?));
        }
        Ok(Some(blocks))
    }

    /// Turns of the service alternate, so what one side says in several messages is one. Each call has its result in the turn after
    /// it, and no other result stands there.
    fn messages(&self, messages: &[Message]) -> Result<Vec<sdk::Message>, ModelError> {
        let mut said: Vec<Said> = Vec::new();
        let mut documents = BTreeSet::new();
        let mut open = Vec::new();
        for message in messages {
            match message.role {
                Role::User => {
                    say(&mut said, ConversationRole::User, self.user(&message.parts, &mut documents)?)
                }
                Role::Tool => {
                    say(&mut said, ConversationRole::User, self.results(&message.parts, &mut open)?);
                }
                Role::Assistant => {
                    if said.is_empty() {
                        // The user has the first word.
                        say(&mut said, ConversationRole::User, vec![ContentBlock::Text(GO_ON.to_owned())]);
                    }
                    say(&mut said, ConversationRole::User, self.unanswered(&mut open)?);
                    say(&mut said, ConversationRole::Assistant, self.assistant(&message.parts)?);
                    open.extend(calls_of(&message.parts).map(|(call, _)| call));
                }
            }
        }
        say(&mut said, ConversationRole::User, self.unanswered(&mut open)?);
        self.finish(said)
    }

    fn finish(&self, said: Vec<Said>) -> Result<Vec<sdk::Message>, ModelError> {
        let last_user = said.iter().rposition(|(role, _)| *role == ConversationRole::User);
        let mut messages = Vec::with_capacity(said.len());
        for (index, (role, mut blocks)) in said.into_iter().enumerate() {
            if role == ConversationRole::User {
                // The service wants results before anything else that the user says.
                blocks.sort_by_key(|block| !matches!(block, ContentBlock::ToolResult(_)));
            }
            if self.settings.cache.conversation && last_user == Some(index) {
                blocks.push(ContentBlock::CachePoint(self.settings.cache.point()?));
            }
            messages.push(built(sdk::Message::builder().role(role).set_content(Some(blocks)).build())?);
        }
        Ok(messages)
    }

    fn user(
        &self,
        parts: &[Part],
        documents: &mut BTreeSet<String>,
    ) -> Result<Vec<ContentBlock>, ModelError> {
        let mut blocks = Vec::new();
        for part in parts {
            match part {
                Part::Text { text } => blocks.extend(text_block(text)),
                Part::Media(media) => blocks.push(media::block(media, documents)?),
                _ => {}
            }
        }
        let document = blocks.iter().any(|block| matches!(block, ContentBlock::Document(_)));
        if document && !blocks.iter().any(|block| matches!(block, ContentBlock::Text(_))) {
            // The service refuses a document that nothing is said about.
            blocks.push(ContentBlock::Text("See the document.".to_owned()));
        }
        Ok(blocks)
    }

    fn assistant(&self, parts: &[Part]) -> Result<Vec<ContentBlock>, ModelError> {
        if self.settings.replay_reasoning
            && let Some(blocks) = replay(parts, self.model, &self.settings.endpoint, self.names, self.ids)?
        {
            return Ok(blocks);
        }
        let mut blocks = Vec::new();
        for part in parts {
            match part {
                Part::Text { text } => blocks.extend(text_block(text)),
                Part::ToolCall { call, tool, arguments, .. } => {
                    let call = ToolUseBlock::builder()
                        .tool_use_id(self.ids.wire(*call))
                        .name(self.names.wire(tool))
                        .input(object(arguments));
                    blocks.push(ContentBlock::ToolUse(built(call.build())?));
                }
                // Reasoning without a signature is refused, and foreign items are read by whoever made them.
                _ => {}
            }
        }
        Ok(blocks)
    }

    /// Results of calls that are open. Any other, such as one whose call was summed up, is text.
    fn results(&self, parts: &[Part], open: &mut Vec<CallId>) -> Result<Vec<ContentBlock>, ModelError> {
        let mut blocks = Vec::new();
        for part in parts {
            let Part::ToolResult { call, content, is_error, .. } = part else { continue };
            let waiting = open.len();
            open.retain(|id| id != call);
            if open.len() == waiting {
                blocks.push(ContentBlock::Text(format!("Result of an earlier call: {}", plain(content))));
            } else {
                blocks.push(self.result(*call, content, *is_error)?);
            }
        }
        Ok(blocks)
    }

    /// Results for the calls that have none: of a turn that was ended by one of its calls, the others were not made.
    fn unanswered(&self, open: &mut Vec<CallId>) -> Result<Vec<ContentBlock>, ModelError> {
        let result = |call| self.result(call, &Value::String(NO_RESULT.to_owned()), true);
        open.drain(..).map(result).collect()
    }

    fn result(&self, call: CallId, content: &Value, is_error: bool) -> Result<ContentBlock, ModelError> {
        let tells = self.settings.tool_result_status;
        let mut result = ToolResultBlock::builder()
            .tool_use_id(self.ids.wire(call))
            .content(self.content(content, is_error && !tells));
        if is_error && tells {
            result = result.status(ToolResultStatus::Error);
        }
        Ok(ContentBlock::ToolResult(built(result.build())?))
    }

    /// The service takes no JSON but objects; everything else is text.
    fn content(&self, content: &Value, say_error: bool) -> ToolResultContentBlock {
        if self.settings.json_results && !say_error && content.is_object() {
            return ToolResultContentBlock::Json(document(content));
        }
        let text = plain(content);
        ToolResultContentBlock::Text(if say_error { format!("error: {text}") } else { text })
    }

    /// Where the conversation holds calls the service wants their tools described, whether they may be called or not.
    fn tools(&self, request: &ModelRequest) -> Result<Option<ToolConfiguration>, ModelError> {
        let calls = request.messages.iter().flat_map(|message| calls_of(&message.parts));
        let spoken_of: BTreeSet<&str> = calls.map(|(_, tool)| tool).collect();
        if request.tool_choice == ToolChoice::None && spoken_of.is_empty() {
            return Ok(None);
        }
        let mut tools = Vec::new();
        for tool in &request.tools {
            tools.push(self.tool(&tool.name, &tool.description, &tool.input_schema)?);
        }
        if tools.is_empty() {
            for name in spoken_of {
                tools.push(self.tool(name, GONE, &json!({"type": "object", "properties": {}}))?);
            }
        }
        if tools.is_empty() {
            return Ok(None);
        }
        if self.settings.cache.tools {
            tools.push(Tool::CachePoint(self.settings.cache.point()?));
        }
        let choice = match request.tool_choice {
            ToolChoice::Required => Some(sdk::ToolChoice::Any(AnyToolChoice::builder().build())),
            // What the service does by itself.
            ToolChoice::Auto | ToolChoice::None => None,
        };
        let tools = ToolConfiguration::builder().set_tools(Some(tools)).set_tool_choice(choice);
        Ok(Some(built(tools.build())?))
    }

    fn tool(&self, name: &str, description: &str, schema: &Value) -> Result<Tool, ModelError> {
        // An empty description is refused; none is not.
        let description = Some(description).filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let spec = ToolSpecification::builder()
            .name(self.names.wire(name))
            .set_description(description)
            .input_schema(ToolInputSchema::Json(document(schema)));
        Ok(Tool::ToolSpec(built(spec.build())?))
    }

    fn output(&self, output: Option<&OutputSchema>) -> Result<Option<OutputConfig>, ModelError> {
        let mut config = OutputConfig::builder().set_effort(self.settings.effort.clone());
        let native = output.filter(|_| self.settings.structured == StructuredOutput::Native);
        if let Some(OutputSchema { name, schema }) = native {
            let schema = JsonSchemaDefinition::builder().name(name).schema(sorted(schema));
            let format = OutputFormat::builder()
                .r#type(OutputFormatType::JsonSchema)
                .structure(OutputFormatStructure::JsonSchema(built(schema.build())?));
            config = config.text_format(built(format.build())?);
        } else if self.settings.effort.is_none() {
            return Ok(None);
        }
        Ok(Some(config.build()))
    }
}

type Said = (ConversationRole, Vec<ContentBlock>);

fn say(said: &mut Vec<Said>, role: ConversationRole, blocks: Vec<ContentBlock>) {
    match said.last_mut() {
        _ if blocks.is_empty() => {}
        Some((last, before)) if *last == role => before.extend(blocks),
        _ => said.push((role, blocks)),
    }
}

pub(super) fn calls_of(parts: &[Part]) -> impl Iterator<Item = (CallId, &str)> {
    parts.iter().filter_map(|part| match part {
        Part::ToolCall { call, tool, .. } => Some((*call, tool.as_str())),
        _ => None,
    })
}

/// A result as text; the service refuses an empty one.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) if text.trim().is_empty() => "(nothing)".to_owned(),
        Value::String(text) => text.clone(),
        other => sorted(other),
    }
}

fn in_words(OutputSchema { schema, .. }: &OutputSchema) -> String {
    let schema = sorted(schema);
    format!("Answer with one JSON value and nothing around it. It must follow this JSON schema:\n{schema}")
}

/// JSON as text, the same whichever order its keys were kept in.
fn sorted(json: &Value) -> String {
    let mut json = json.clone();
    json.sort_all_objects();
    json.to_string()
}

/// The service refuses texts of blanks only.
fn text_block(text: &str) -> Option<ContentBlock> {
    (!text.trim().is_empty()).then(|| ContentBlock::Text(text.to_owned()))
}
