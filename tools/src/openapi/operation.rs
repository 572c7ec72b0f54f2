//! One operation of a document, as it is used.

use super::api::Api;
use super::document::Document;
use super::parameter::{Parameter, parameters};
use super::security::{Filled, Schemes};
use super::withheld::Withholding;
use bursar_types::{Effect, is_hidden};
use http::{HeaderValue, Method};
use serde_json::{Map, Value};

const NAME_CHARS_MAX: usize = 256;
const PATH_BYTES_MAX: usize = 1_024;

/// How a body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// JSON, under this media type.
    Json(String),
    /// A form in the URL's encoding.
    Form,
    /// Text, under this media type.
    Text(String),
}

/// The body of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Body {
    pub(super) kind: BodyKind,
    pub(super) required: bool,
    pub(super) schema: Value,
    /// How properties of a form are written, where it is not as usual.
    pub(super) encoding: Map<String, Value>,
}

/// An operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// What an agent calls it: its id, or `METHOD /path`.
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) effect: Effect,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// The header in which a call may be named, so that a second one is known to be the same.
    pub(super) idempotency: Option<http::HeaderName>,
    /// The kinds of answer that it gives.
    pub(super) accept: HeaderValue,
    /// The credentials that go with it.
    pub(super) filled: Vec<Filled>,
}

impl Operation {
    /// `METHOD /path`.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Reads one.
    pub(super) fn read(
        api: &Api,
        document: &Document,
        schemes: &Schemes,
        at: &Place<'_>,
    ) -> Result<Self, Withholding> {
        let said = at.said;
        let name = at.id().map_or_else(|| format!("{} {}", at.method, at.path), str::to_owned);
        if name.chars().count() > NAME_CHARS_MAX || name.trim().is_empty() || name.chars().any(is_hidden) {
            return Err(Withholding::Name);
        }
        if at.method == Method::TRACE || at.method == Method::CONNECT {
            return Err(Withholding::Method);
        }
        check_path(at.path)?;
        schemes.at_the_server(said.get("servers").or_else(|| at.item.get("servers")))?;
        let filled = schemes.fill(said.get("security"))?;
        let (parameters, idempotency) = parameters(api, document, schemes, at)?;
        let body = body(document, &at.method, said)?;
        let text = |field: &str| said.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tags = said.get("tags").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            effect: api.effect(at.id(), &at.method, at.path),
            accept: accept(document, said),
            method: at.method.clone(),
            path: at.path.to_owned(),
            summary: text("summary"),
            description: text("description"),
            tags: tags.filter_map(Value::as_str).take(16).map(str::to_owned).collect(),
            name,
            parameters,
            body,
            idempotency,
            filled,
        })
    }
}

/// Where an operation stands in its document.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) item: &'a Map<String, Value>,
    pub(super) said: &'a Map<String, Value>,
}

impl Place<'_> {
    pub(super) fn id(&self) -> Option<&str> {
        self.said.get("operationId").and_then(Value::as_str)
    }
}

/// A path that can be filled in: no query, no segment that leads up, braces that match.
fn check_path(path: &str) -> Result<(), Withholding> {
    let plain = path.starts_with('/') && !path.starts_with("//") && path.len() <= PATH_BYTES_MAX;
    let sent = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\%<>\"^`|".contains(&byte));
    let up = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let mut open = false;
    for c in path.chars() {
        match (c, open) {
            ('{', false) => open = true,
            ('}', true) => open = false,
            ('{', true) | ('}', false) => return Err(Withholding::Path),
            _ => {}
        }
    }
    if plain && sent && !up && !open { Ok(()) } else { Err(Withholding::Path) }
}

/// The body, in the first kind that can be written: JSON, form, text.
fn body(
    document: &Document,
    method: &Method,
    said: &Map<String, Value>,
) -> Result<Option<Body>, Withholding> {
    let Some(said) = said.get("requestBody") else { return Ok(None) };
    // Its meaning is not defined there, and many servers refuse it.
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let said = document.object(said)?;
    let required = said.get("required").and_then(Value::as_bool) == Some(true);
    let content = said.get("content").and_then(Value::as_object);
    let mut best: Option<(u8, BodyKind, &Value)> = None;
    for (media, told) in content.into_iter().flatten() {
        let Some((rank, kind)) = kind(media) else { continue };
        if best.as_ref().is_none_or(|(taken, _, _)| rank < *taken) {
            best = Some((rank, kind, told));
        }
    }
    match best {
        Some((_, kind, told)) => Ok(Some(Body {
            kind,
            required,
            schema: told.get("schema").cloned().unwrap_or(Value::Bool(true)),
            encoding: told.get("encoding").and_then(Value::as_object).cloned().unwrap_or_default(),
        })),
        None if required => Err(Withholding::BodyKind),
        None => Ok(None),
    }
}

/// What is asked for: JSON where the document has it, or else what it has.
fn accept(document: &Document, said: &Map<String, Value>) -> HeaderValue {
    let responses = said.get("responses").and_then(Value::as_object).into_iter().flatten();
    let good = responses.filter(|(status, _)| status.starts_with('2') || *status == "default");
    let good = good.filter_map(|(_, response)| document.object(response).ok()?.get("content")?.as_object());
    let kinds: Vec<&str> = good.flat_map(Map::keys).map(String::as_str).take(8).collect();
    let json = HeaderValue::from_static("application/json");
    if kinds.is_empty() || kinds.iter().any(|kind| kind.contains("json") || kind.contains('*')) {
        return json;
    }
    HeaderValue::from_str(&format!("{}, */*;q=0.5", kinds.join(", "))).unwrap_or(json)
}

/// How a body of this media type is written, and how gladly; `None` if it cannot be.
fn kind(media: &str) -> Option<(u8, BodyKind)> {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    http::HeaderValue::from_str(media).ok()?;
    match essence.as_str() {
        "application/json" => Some((0, BodyKind::Json(essence))),
        "*/*" | "application/*" => Some((1, BodyKind::Json("application/json".to_owned()))),
        json if json.ends_with("+json") => Some((2, BodyKind::Json(essence))),
        "application/x-www-form-urlencoded" => Some((3, BodyKind::Form)),
        text if text.starts_with("text/") && !text.contains('*') => Some((4, BodyKind::Text(essence))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_elsewhere_cannot_be_filled_in() {
        for (path, fits) in [
            ("/", true),
            ("/a/{b}/c.{d}", true),
            ("/a/{b}:go", true),
            ("a", false),
            ("//evil.test/a", false),
            ("/a/../b", false),
            ("/a/%2e%2e/b", false),
            ("/a?x=1", false),
            ("/a#x", false),
            ("/a/{b", false),
            ("/a/b}", false),
            ("/a/{b{c}}", false),
            ("/a\\b", false),
            ("/a b", false),
            ("/\u{202e}a", false),
        ] {
            assert_eq!(check_path(path).is_ok(), fits, "{path}");
        }
    }

    #[test]
    fn json_is_written_before_forms_and_forms_before_text() {
        let kinds = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/merge-patch+json",
            "application/json; charset=utf-8",
        ];
        let ranks: Vec<u8> = kinds.iter().map(|media| kind(media).unwrap().0).collect();
        assert_eq!(ranks, [4, 3, 2, 0]);
        assert!(
            ["multipart/form-data", "application/octet-stream", "image/png", "text/*", ""]
                .iter()
                .all(|media| kind(media).is_none())
        );
    }
}
