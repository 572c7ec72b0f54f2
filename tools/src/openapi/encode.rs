//! Arguments as they go over the wire.
//!
//! # Source
//! OpenAPI 3.1, section "Style Values" (RFC 6570 levels); WHATWG URL for dot segments. Everything but unreserved characters is escaped,
//! whatever `allowReserved` says, so that no value ends its place.

use super::operation::{Body, BodyKind, Operation};
use super::parameter::{BODY, Parameter, Style, Where};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use url::Url;

/// A request without credentials.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Writes arguments that were checked.
///
/// # Errors
/// What cannot be written, in words that a model can act on.
pub(super) fn write(
    server: &Url,
    operation: &Operation,
    arguments: &Map<String, Value>,
    bytes_max: usize,
) -> Result<Written, String> {
    let mut path = operation.path.clone();
    let (mut query, mut cookies) = (Vec::new(), Vec::new());
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, operation.accept.clone());
    for parameter in &operation.parameters {
        let Some(value) = arguments.get(&parameter.argument) else { continue };
        let problem = |what: &str| format!("`{}` cannot be sent: {what}", parameter.argument);
        match parameter.place {
            Where::Path => {
                let text = in_path(parameter, value).map_err(|what| problem(&what))?;
                path = path.replace(&format!("{{{}}}", parameter.name), &text);
            }
            Where::Query => {
                let pairs = in_query(parameter, value).map_err(|what| problem(&what))?;
                if pairs.is_empty() && parameter.required {
                    return Err(problem("it is empty, and the operation needs it"));
                }
                query.extend(pairs);
            }
            Where::Header => {
                let text = simple(value, parameter.explode, &|text| text.to_owned(), parameter.style)
                    .map_err(|what| problem(&what))?;
                let name: HeaderName = parameter.name.parse().map_err(|_| problem("it is no header"))?;
                let fits = !text.is_empty()
                    && text.trim() == text
                    && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                let value = HeaderValue::from_str(&text).ok().filter(|_| fits);
                headers.append(name, value.ok_or_else(|| problem("a header holds visible ASCII only"))?);
            }
            Where::Cookie => {
                for (name, text) in in_query(parameter, value).map_err(|what| problem(&what))? {
                    cookies.push(format!("{name}={text}"));
                }
            }
        }
    }
    if !cookies.is_empty() {
        let value =
            HeaderValue::from_str(&cookies.join("; ")).map_err(|_| "a cookie cannot be sent".to_owned())?;
        headers.insert(header::COOKIE, value);
    }
    let body = match (&operation.body, arguments.get(BODY)) {
        (Some(body), Some(value)) => written_body(body, value, &mut headers)?,
        _ => Bytes::new(),
    };
    let url = joined(server, &operation.path, &path, &query)?;
    if url.as_str().len().saturating_add(body.len()) > bytes_max {
        return Err(format!("the request is longer than {bytes_max} bytes"));
    }
    Ok(Written { url, headers, body })
}

/// The whole address, which has the segments of its template and leads nowhere else.
fn joined(server: &Url, template: &str, path: &str, query: &[(String, String)]) -> Result<Url, String> {
    let base = server.path().trim_end_matches('/');
    let mut text = format!("{}{base}{path}", server.origin().ascii_serialization());
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    let url = Url::parse(&text).map_err(|_| "no address comes of these arguments".to_owned())?;
    let segments = |path: &str| path.split('/').count();
    let same = segments(url.path()) == segments(base).saturating_add(segments(template)).saturating_sub(1);
    let below = url.path().strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    if url.origin() == server.origin() && same && below && url.fragment().is_none() {
        Ok(url)
    } else {
        Err("these arguments would lead to another place than the operation's".to_owned())
    }
}

/// Everything but unreserved characters as percent signs and digits.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A value that is no list and no object, as text.
fn plain(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("it is nested deeper than a parameter can be".to_owned()),
    }
}

/// `a,b` and `k,v` or `k=v`.
fn simple(
    value: &Value,
    explode: bool,
    escape: &dyn Fn(&str) -> String,
    style: Style,
) -> Result<String, String> {
    if style == Style::Json {
        return Ok(escape(&value.to_string()));
    }
    let text = |value: &Value| plain(value).map(|text| escape(&text));
    match value {
        Value::Array(items) => Ok(items.iter().map(text).collect::<Result<Vec<_>, _>>()?.join(",")),
        Value::Object(members) => {
            let between = if explode { "=" } else { "," };
            let all =
                members.iter().map(|(name, value)| Ok(format!("{}{between}{}", escape(name), text(value)?)));
            Ok(all.collect::<Result<Vec<_>, String>>()?.join(","))
        }
        _ => text(value),
    }
}

fn in_path(parameter: &Parameter, value: &Value) -> Result<String, String> {
    for text in texts(value) {
        check_segment(&text, parameter.slashes)?;
    }
    let name = escaped(&parameter.name);
    let written = match parameter.style {
        Style::Label => {
            let between = if parameter.explode { "." } else { "," };
            let pairs = if parameter.explode { "=" } else { "," };
            format!(".{}", listed(value, between, pairs)?)
        }
        Style::Matrix => match (value, parameter.explode) {
            (Value::Array(items), true) => items
                .iter()
                .map(|item| Ok(format!(";{name}={}", escaped(&plain(item)?))))
                .collect::<Result<Vec<_>, String>>()?
                .concat(),
            (Value::Object(_), true) => format!(";{}", listed(value, ";", "=")?),
            _ => format!(";{name}={}", listed(value, ",", ",")?),
        },
        style => simple(value, parameter.explode, &escaped, style)?,
    };
    if written.is_empty() {
        return Err("it is empty, and the path needs it".to_owned());
    }
    Ok(written)
}

fn listed(value: &Value, between: &str, pair: &str) -> Result<String, String> {
    let text = |value: &Value| plain(value).map(|text| escaped(&text));
    match value {
        Value::Array(items) => Ok(items.iter().map(text).collect::<Result<Vec<_>, _>>()?.join(between)),
        Value::Object(members) => {
            let all =
                members.iter().map(|(name, value)| Ok(format!("{}{pair}{}", escaped(name), text(value)?)));
            Ok(all.collect::<Result<Vec<_>, String>>()?.join(between))
        }
        _ => text(value),
    }
}

/// The texts of a value and of what is in it.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.clone()).chain(texts(value)))
            .collect(),
        other => plain(other).into_iter().collect(),
    }
}

/// No value leads up, or to another place: not as it stands, and not to a server that decodes it once or twice more.
fn check_segment(text: &str, slashes: bool) -> Result<(), String> {
    let mut seen = text.to_owned();
    for _ in 0..4 {
        if seen.chars().any(char::is_control) {
            return Err("it holds control characters".to_owned());
        }
        let parts = || seen.split(['/', '\\']);
        if parts().any(|part| matches!(part.trim(), "." | "..")) {
            return Err("it would lead up the path".to_owned());
        }
        if parts().count() > 1 && !slashes {
            return Err("it holds a slash, and the path has a place for one segment".to_owned());
        }
        if slashes && parts().any(str::is_empty) {
            return Err("it holds an empty segment".to_owned());
        }
        let decoded = decoded(&seen);
        if decoded == seen {
            return Ok(());
        }
        seen = decoded;
    }
    Err("it is escaped again and again".to_owned())
}

fn decoded(text: &str) -> String {
    // `+` is no blank in a path.
    let kept = text.replace('+', "%2B");
    let pair = format!("x={}", kept.replace('&', "%26"));
    let first = url::form_urlencoded::parse(pair.as_bytes()).next();
    first.map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
}

/// The pairs of a query, or of cookies, escaped.
fn in_query(parameter: &Parameter, value: &Value) -> Result<Vec<(String, String)>, String> {
    let name = escaped(&parameter.name);
    let one = |text: String| Ok(vec![(name.clone(), text)]);
    match (parameter.style, value) {
        (Style::Json, _) => one(escaped(&value.to_string())),
        (Style::Deep, Value::Object(_) | Value::Array(_)) => deep(&parameter.name, value),
        (Style::Space, Value::Array(_)) if !parameter.explode => one(listed(value, "%20", "%20")?),
        (Style::Pipe, Value::Array(_)) if !parameter.explode => one(listed(value, "%7C", "%7C")?),
        (_, Value::Array(items)) if parameter.explode => {
            items.iter().map(|item| Ok((name.clone(), escaped(&plain(item)?)))).collect()
        }
        (_, Value::Object(members)) if parameter.explode => {
            members.iter().map(|(key, value)| Ok((escaped(key), escaped(&plain(value)?)))).collect()
        }
        _ => one(listed(value, ",", ",")?),
    }
}

/// `name[key][key]=value`, and `name[0]=value` for lists, as forms of widely used servers have it.
fn deep(name: &str, value: &Value) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut open = vec![(name.to_owned(), value, 0_usize)];
    while let Some((name, value, depth)) = open.pop() {
        if depth > 16 {
            return Err("it is nested deeper than a parameter can be".to_owned());
        }
        let below = depth.saturating_add(1);
        match value {
            Value::Object(members) => {
                open.extend(
                    members.iter().rev().map(|(key, value)| (format!("{name}[{key}]"), value, below)),
                );
            }
            Value::Array(items) => {
                let items = items.iter().enumerate().rev();
                open.extend(items.map(|(index, value)| (format!("{name}[{index}]"), value, below)));
            }
            other => pairs.push((escaped(&name), escaped(&plain(other)?))),
        }
    }
    Ok(pairs)
}

fn written_body(body: &Body, value: &Value, headers: &mut HeaderMap) -> Result<Bytes, String> {
    let (media, bytes) = match &body.kind {
        BodyKind::Json(media) => (media.as_str(), value.to_string()),
        BodyKind::Text(media) => (media.as_str(), plain(value)?),
        BodyKind::Form => ("application/x-www-form-urlencoded", form(body, value)?),
    };
    let media = HeaderValue::from_str(media).map_err(|_| "its kind of body cannot be named".to_owned())?;
    headers.insert(header::CONTENT_TYPE, media);
    Ok(bytes.into())
}

/// A form: lists once per item, objects by what the document says of them.
fn form(body: &Body, value: &Value) -> Result<String, String> {
    let members = value.as_object().ok_or("a form is an object")?;
    let mut pairs = Vec::new();
    for (name, value) in members {
        let said = body.encoding.get(name);
        let style = said.and_then(|said| said.get("style")).and_then(Value::as_str);
        let json = said.and_then(|said| said.get("contentType")).and_then(Value::as_str);
        let json = style.is_none() && json.is_some_and(|media| media.contains("json"));
        match value {
            _ if json => pairs.push((escaped(name), escaped(&value.to_string()))),
            Value::Array(items)
                if style != Some("deepObject")
                    && items.iter().all(|item| !item.is_object() && !item.is_array()) =>
            {
                for item in items {
                    pairs.push((escaped(name), escaped(&plain(item)?)));
                }
            }
            Value::Array(_) | Value::Object(_) => pairs.extend(deep(name, value)?),
            other => pairs.push((escaped(name), escaped(&plain(other)?))),
        }
    }
    Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests;
