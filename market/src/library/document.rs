//! A document as it is sold.

use super::{front_matter, search::Analysis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, OnceLock};

const PREVIEW_CHARS: usize = 300;

/// A text and the name under which it was found: what a folder or a test hands to the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDocument {
    /// A relative path with an extension the market sells: `guides/gas.md`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceDocument {
    /// A text under a relative path.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// A document ready to be sold.
#[derive(Debug, Clone)]
pub struct Document {
    id: String,
    title: String,
    preview: String,
    media_type: &'static str,
    text: String,
    sha256: String,
    standard: Option<u32>,
    words: OnceLock<Arc<Analysis>>,
}

impl Document {
    /// Reads title, preview and standard number out of a source. `id` must be unique among its fellows.
    pub(crate) fn read(id: String, source: &SourceDocument) -> Self {
        let facts = front_matter::read(&source.path, &source.text);
        let mut preview = facts.title.clone();
        if let Some(description) = &facts.description {
            preview.push_str(if preview.ends_with(['.', '!', '?']) { " " } else { ". " });
            preview.push_str(description);
        }
        Self {
            id,
            preview: shorten(&preview, PREVIEW_CHARS),
            title: facts.title,
            media_type: media_type(&source.path).unwrap_or("text/plain; charset=utf-8"),
            sha256: hex::encode(Sha256::digest(source.text.as_bytes())),
            text: source.text.clone(),
            standard: facts.standard,
            words: OnceLock::new(),
        }
    }

    /// The same document under another id.
    pub(crate) fn renamed(&self, id: String) -> Self {
        Self { id, ..self.clone() }
    }

    /// Its name in URLs: a slug of its path.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Title and description, free to read, at most 300 characters.
    #[must_use]
    pub fn preview(&self) -> &str {
        &self.preview
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The whole text: what is paid for.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Length of the text in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.text.len()
    }

    /// SHA-256 of the text, in hex: announced before, so that wrong content can be proven after.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What search needs to know of it.
    pub(super) fn words(&self) -> Arc<Analysis> {
        self.words.get_or_init(|| Arc::new(Analysis::of(self))).clone()
    }

    /// The number of the ERC or EIP that this document is.
    #[must_use]
    pub const fn standard(&self) -> Option<u32> {
        self.standard
    }
}

/// The media type of a path the market sells; `None` for any other.
pub(crate) fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "md" => Some("text/markdown; charset=utf-8"),
        "txt" => Some("text/plain; charset=utf-8"),
        "html" | "htm" => Some("text/html; charset=utf-8"),
        _ => None,
    }
}

/// A slug of a path without its extension: lower case, words joined by dashes.
pub(crate) fn slug(path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let mut slug = String::new();
    for c in stem.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "document".to_owned() } else { slug.to_owned() }
}

/// At most `max` characters, cut at a word, with an ellipsis if anything was cut.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    let kept = match kept.rsplit_once(char::is_whitespace) {
        Some((words, rest)) if rest.chars().count() < 30 => words,
        _ => &kept,
    };
    format!("{}…", kept.trim_end_matches(|c: char| c.is_whitespace() || c == ',' || c == ';'))
}
