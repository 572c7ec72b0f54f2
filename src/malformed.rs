//! Files that are no configuration: what is wrong and where, without what stands in them.

use crate::error::BursarError;
use std::path::Path;

/// A value of so many characters is not told wherever it stands in a message; a shorter one where it is quoted.
const TELLING_CHARS: usize = 8;
/// What stands in place of a value.
const HIDDEN: &str = "…";

impl BursarError {
    /// The file at `path` reads `text`, which is no configuration or mandate. The line and the names of fields are told, and no text
    /// that was given as a value: it may be a secret under a name that was mistyped.
    #[must_use]
    pub fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.as_bytes().get(..span.start));
        let ends = |before: &[u8]| before.iter().filter(|byte| **byte == b'\n').count();
        let line = before.map(|before| ends(before).saturating_add(1));
        Self::Config { path: path.to_owned(), line, problem: without_values(text, error.message()) }
    }
}

fn without_values(text: &str, message: &str) -> String {
    let mut values = Vec::new();
    // What does not even parse is told in the parser's own words, which hold none of it.
    if let Ok(table) = toml::from_str::<toml::Table>(text) {
        table.values().for_each(|value| collect(value, &mut values));
    }
    // The longest first: one may stand in another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(message.trim().to_owned(), |told, value| hide(&told, value))
}

fn collect(value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::String(text) if !text.is_empty() => found.push(text.clone()),
        toml::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        toml::Value::Table(fields) => fields.values().for_each(|field| collect(field, found)),
        _ => {}
    }
}

fn hide(message: &str, value: &str) -> String {
    let forms = [value.to_owned(), value.escape_debug().to_string(), value.escape_default().to_string()];
    forms.iter().fold(message.to_owned(), |told, form| {
        if form.chars().count() >= TELLING_CHARS {
            return told.replace(form.as_str(), HIDDEN);
        }
        let quoted = |told: String, mark: char| {
            told.replace(&format!("{mark}{form}{mark}"), &format!("{mark}{HIDDEN}{mark}"))
        };
        quoted(quoted(told, '"'), '`')
    })
}
