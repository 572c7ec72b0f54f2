//! The parameters of an operation.

use super::api::Api;
use super::document::Document;
use super::operation::Place as At;
use super::security::{Schemes, Whose};
use super::withheld::Withholding;
use bursar_types::is_hidden;
use http::HeaderName;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const NAME_CHARS_MAX: usize = 128;
/// Longest name of an argument that providers take.
const ARGUMENT_CHARS_MAX: usize = 64;
/// The argument that holds the body.
pub(super) const BODY: &str = "body";
/// Headers in which a call is named, so that a second one is known to be the same.
const IDEMPOTENCY: [&str; 2] = ["idempotency-key", "x-idempotency-key"];

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Path,
    Query,
    Header,
    Cookie,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    Space,
    Pipe,
    Deep,
    /// As JSON.
    Json,
}

/// A parameter that a model sets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    /// The document's name for it.
    pub(super) name: String,
    /// The argument's name: the same, in characters that providers take.
    pub(super) argument: String,
    pub(super) place: Where,
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) required: bool,
    /// Whether its value may hold slashes.
    pub(super) slashes: bool,
    pub(super) description: String,
    pub(super) schema: Value,
}

/// The parameters of an operation, and the header in which a call is named.
pub(super) fn parameters(
    api: &Api,
    document: &Document,
    schemes: &Schemes,
    at: &At<'_>,
) -> Result<(Vec<Parameter>, Option<HeaderName>), Withholding> {
    let mut found: Vec<Parameter> = Vec::new();
    let mut idempotency = None;
    let lists = [at.said.get("parameters"), at.item.get("parameters")];
    let own = lists.iter().map(|list| list.and_then(Value::as_array).map_or(0, Vec::len));
    if own.fold(0_usize, usize::saturating_add) > api.bounds().parameters_max {
        return Err(Withholding::TooManyParameters);
    }
    let mut seen = BTreeSet::new();
    for (level, list) in lists.into_iter().enumerate() {
        for said in list.and_then(Value::as_array).into_iter().flatten() {
            let said = document.object(said)?;
            let Some(read) = read(api, schemes, said)? else { continue };
            let key = (read.name.clone(), said.get("in").and_then(Value::as_str).unwrap_or_default());
            let (name, place) = (key.0, key.1.to_owned());
            if !seen.insert((name.clone(), place.clone())) {
                // What the operation says stands before what its path says.
                if level == 0 {
                    return Err(Withholding::Unreadable);
                }
                continue;
            }
            if read.place == Where::Header && IDEMPOTENCY.contains(&name.to_ascii_lowercase().as_str()) {
                idempotency = name.parse().ok();
                continue;
            }
            found.push(read);
        }
    }
    in_the_path(at.path, &found)?;
    name_arguments(&mut found);
    Ok((found, idempotency))
}

/// One parameter; `None` for one that nobody sets and nobody needs.
fn read(api: &Api, schemes: &Schemes, said: &Map<String, Value>) -> Result<Option<Parameter>, Withholding> {
    let text = |field: &str| said.get(field).and_then(Value::as_str);
    let (Some(name), Some(place)) = (text("name"), text("in")) else { return Err(Withholding::Unreadable) };
    let required = said.get("required").and_then(Value::as_bool) == Some(true);
    let place = match place {
        "path" => Where::Path,
        "query" => Where::Query,
        "header" => Where::Header,
        "cookie" => Where::Cookie,
        _ if required => return Err(Withholding::Style),
        _ => return Ok(None),
    };
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(is_hidden) {
        return if required { Err(Withholding::Name) } else { Ok(None) };
    }
    let whose = match place {
        Where::Path => Whose::Models,
        Where::Query => schemes.query(name),
        Where::Header => schemes.header(name),
        Where::Cookie => schemes.cookie(name),
    };
    match whose {
        Whose::Models => {}
        Whose::Ours => return Ok(None),
        Whose::Nobodys if required => return Err(Withholding::Reserved),
        Whose::Nobodys => return Ok(None),
    }
    let content = said.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
    let (style, schema) = match content {
        Some((media, told)) if media.contains("json") => (Some(Style::Json), told.get("schema")),
        Some(_) => (None, None),
        None => (style(place, text("style")), said.get("schema")),
    };
    let Some(style) = style else {
        return if required { Err(Withholding::Style) } else { Ok(None) };
    };
    Ok(Some(Parameter {
        name: name.to_owned(),
        argument: String::new(),
        place,
        style,
        explode: said.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form),
        required: required || place == Where::Path,
        slashes: place == Where::Path && api.may_hold_slashes(name),
        description: text("description").unwrap_or_default().to_owned(),
        schema: schema.cloned().unwrap_or(Value::Bool(true)),
    }))
}

fn style(place: Where, said: Option<&str>) -> Option<Style> {
    match (place, said) {
        (Where::Path | Where::Header, None | Some("simple")) => Some(Style::Simple),
        (Where::Path, Some("label")) => Some(Style::Label),
        (Where::Path, Some("matrix")) => Some(Style::Matrix),
        (Where::Query | Where::Cookie, None | Some("form")) => Some(Style::Form),
        (Where::Query, Some("spaceDelimited")) => Some(Style::Space),
        (Where::Query, Some("pipeDelimited")) => Some(Style::Pipe),
        (Where::Query, Some("deepObject")) => Some(Style::Deep),
        _ => None,
    }
}

/// Every brace of the path has its parameter, and every parameter its brace.
fn in_the_path(path: &str, found: &[Parameter]) -> Result<(), Withholding> {
    let named =
        |name: &str| found.iter().any(|parameter| parameter.place == Where::Path && parameter.name == name);
    let braces: Vec<&str> =
        path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
    let unused = found
        .iter()
        .any(|parameter| parameter.place == Where::Path && !braces.contains(&parameter.name.as_str()));
    if unused || !braces.iter().all(|name| named(name)) { Err(Withholding::Path) } else { Ok(()) }
}

/// Gives each parameter a name of its own, in characters that providers take, and none the body's.
fn name_arguments(found: &mut [Parameter]) {
    let mut taken: BTreeSet<String> = BTreeSet::from([BODY.to_owned()]);
    for parameter in found {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let plain: String = parameter.name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
        let plain = plain.trim_end_matches('_');
        let plain: String = plain.chars().take(ARGUMENT_CHARS_MAX.saturating_sub(12)).collect();
        let place = match parameter.place {
            Where::Path => "path",
            Where::Query => "query",
            Where::Header => "header",
            Where::Cookie => "cookie",
        };
        let mut name = if plain.is_empty() { place.to_owned() } else { plain.clone() };
        if taken.contains(&name) {
            name = format!("{place}_{plain}");
        }
        let mut number = 2_usize;
        while !taken.insert(name.clone()) {
            name = format!("{place}_{plain}_{number}");
            number = number.saturating_add(1);
        }
        parameter.argument = name;
    }
}
