//! From a request of the run to one of rig's.

use super::ITEMS;
use bursar_agent_core::{
    Media, Message, ModelError, ModelErrorKind, ModelRequest, Part, Role, ToolChoice, ToolSpec,
};
use bursar_types::CallId;
use rig_core::completion::{CompletionRequest, ToolDefinition};
use rig_core::message::{
    self as theirs, AssistantContent, AssistantMessage, DocumentMediaType, ImageMediaType, MimeType as _,
    ToolFunction, ToolName, ToolResultContent, UserContent,
};
use serde_json::Value;
use std::collections::HashMap;

/// Who rig thinks a call is, and of which tool.
type Known = HashMap<CallId, (theirs::CallId, ToolName)>;

pub(super) fn render(request: &ModelRequest, account: &str) -> Result<CompletionRequest, ModelError> {
    let mut known = Known::new();
    let mut history: Vec<theirs::Message> = Vec::new();
    for message in &request.messages {
        history.extend(message_of(message, account, &mut known)?);
    }
    let Some(last) = history.pop() else { return Err(refused("there is nothing to answer")) };
    let mut rendered = CompletionRequest::new(last).messages(history);
    if !request.system.is_empty() {
        rendered = rendered.preamble(request.system.clone());
    }
    if let Some(most) = request.max_output_tokens {
        rendered = rendered.max_tokens(u64::from(most));
    }
    let tools = request.tools.iter().map(definition_of).collect::<Result<Vec<_>, _>>()?;
    if !tools.is_empty() {
        rendered = rendered.tools(tools);
    }
    match request.tool_choice {
        // Without tools there is nothing to choose, and several providers refuse the word.
        ToolChoice::Auto => {}
        _ if request.tools.is_empty() => {}
        ToolChoice::Required => rendered = rendered.tool_choice(theirs::ToolChoice::Required),
        ToolChoice::None => rendered = rendered.tool_choice(theirs::ToolChoice::None),
    }
    if let Some(output) = &request.output {
        let mut schema = output.schema.clone();
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("title".to_owned(), Value::String(output.name.clone()));
        }
        let schema = schemars::Schema::try_from(schema).map_err(|_| refused("the schema is none"))?;
        rendered = rendered.output_schema(schema);
    }
    Ok(rendered)
}

fn refused(problem: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Refused, format!("the request could not be made: {problem}"))
}

fn name_of(name: &str) -> Result<ToolName, ModelError> {
    ToolName::new(name).map_err(|_| refused("a tool has no name"))
}

fn definition_of(tool: &ToolSpec) -> Result<ToolDefinition, ModelError> {
    Ok(ToolDefinition::new(name_of(&tool.name)?, tool.description.clone(), tool.input_schema.clone()))
}

/// One message; none if nothing is left of it that rig could send.
fn message_of(
    message: &Message,
    account: &str,
    known: &mut Known,
) -> Result<Option<theirs::Message>, ModelError> {
    match message.role {
        Role::User => Ok(user_message(message)),
        Role::Assistant => assistant_message(message, account, known),
        Role::Tool => Ok(results(message, known)),
    }
}

fn user_message(message: &Message) -> Option<theirs::Message> {
    let content: Vec<UserContent> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text } => Some(UserContent::text(text.clone())),
            Part::Media(media) => Some(media_of(media)),
            _ => None,
        })
        .collect();
    (!content.is_empty()).then_some(theirs::Message::User { content })
}

fn media_of(media: &Media) -> UserContent {
    let data = theirs::DocumentSourceKind::base64(media.data.clone());
    if media.is_image() {
        return UserContent::Image(theirs::Image {
            data,
            media_type: ImageMediaType::from_mime_type(&media.media_type),
            ..theirs::Image::default()
        });
    }
    UserContent::Document(theirs::Document {
        data,
        media_type: DocumentMediaType::from_mime_type(&media.media_type),
        additional_params: None,
    })
}

/// An assistant's turn as rig kept it, or else made of its parts.
fn assistant_message(
    message: &Message,
    account: &str,
    known: &mut Known,
) -> Result<Option<theirs::Message>, ModelError> {
    let kept = message.parts.iter().find_map(|part| match part {
        Part::ProviderItem(item) if item.provider == ITEMS && item.endpoint == account => {
            match serde_json::from_value(item.payload.clone()) {
                Ok(theirs::Message::Assistant(turn)) => Some(turn),
                _ => None,
            }
        }
        _ => None,
    });
    let mut ours = Vec::new();
    for part in &message.parts {
        if let Part::ToolCall { call, provider_id, tool, arguments } = part {
            ours.push((*call, provider_id.clone(), name_of(tool)?, arguments.clone()));
        }
    }
    let turn = match kept {
        // Its calls stand in the same order; a turn of which some were left out is made anew.
        Some(turn) if turn.tool_calls().count() == ours.len() => turn,
        _ => AssistantMessage::new(content_of(message)?),
    };
    for ((call, _, name, _), theirs) in ours.into_iter().zip(turn.tool_calls()) {
        known.insert(call, (theirs.id.clone(), name));
    }
    Ok((!turn.content.is_empty()).then_some(theirs::Message::Assistant(turn)))
}

fn content_of(message: &Message) -> Result<Vec<AssistantContent>, ModelError> {
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } if !text.trim().is_empty() => content.push(AssistantContent::text(text)),
            Part::ToolCall { call, provider_id, tool, arguments } => {
                let id = provider_id.clone().unwrap_or_else(|| call.to_string());
                let function = ToolFunction::new(name_of(tool)?, arguments.clone());
                content.push(AssistantContent::ToolCall(theirs::ToolCall::from_wire(id, function)));
            }
            _ => {}
        }
    }
    Ok(content)
}

/// Results of calls. One without its call is told as text: no provider takes it otherwise.
fn results(message: &Message, known: &Known) -> Option<theirs::Message> {
    let mut content = Vec::new();
    for part in &message.parts {
        let Part::ToolResult { call, content: said, is_error, .. } = part else { continue };
        let said = match said {
            Value::String(text) => ToolResultContent::text(text.clone()),
            other => ToolResultContent::json(other.clone()),
        };
        match known.get(call) {
            Some((id, name)) => content.push(UserContent::ToolResult(theirs::ToolResult {
                call: id.clone(),
                name: name.clone(),
                content: vec![said],
                is_error: *is_error,
            })),
            None => {
                let text = said
                    .as_text()
                    .map_or_else(|| said.as_json().map(Value::to_string).unwrap_or_default(), str::to_owned);
                content.push(UserContent::text(format!("Result of an earlier call: {text}")));
            }
        }
    }
    (!content.is_empty()).then_some(theirs::Message::User { content })
}
