//! Bytes to plain text with structure.

mod blocks;
mod front_matter;
mod html;
mod markdown;
mod plain;
#[cfg(test)]
mod tests;

use blocks::Builder;
use std::fmt;

/// Longest input that is read, in bytes; the rest is left out with a [`Note`].
const BYTES_MAX: usize = 4 << 20;
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;
/// Longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 600;

/// What a block of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// A heading of level 1 to 6.
    Heading(u8),
    /// Prose on one line, but for hard breaks.
    Paragraph,
    /// Items or table rows, one per line.
    List,
    /// Code between fences of three backticks, line by line as it came.
    Code,
}

/// A block of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its text: no control characters but line ends, nothing invisible, never empty.
    pub text: String,
}

/// What a reader should know about how the text was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The bytes are not UTF-8; what could not be read was replaced.
    NotUtf8,
    /// The bytes are more than is read; the end is missing.
    Truncated,
    /// The bytes are no text at all; there is nothing to read.
    NotText,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8; unreadable bytes were replaced",
            Self::Truncated => "longer than is read; the end is missing",
            Self::NotText => "not a text",
        })
    }
}

/// A text with its structure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The title: from front matter, `<title>` or the first heading.
    pub title: Option<String>,
    /// The description, from front matter or a `description` meta element.
    pub description: Option<String>,
    /// The text in order.
    pub blocks: Vec<Block>,
    /// What a reader should know.
    pub notes: Vec<Note>,
}

impl Document {
    /// The whole text, blocks separated by an empty line.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.blocks.iter().map(|block| block.text.as_str()).collect();
        texts.join("\n\n")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
    Plain,
    Code,
    Binary,
}

/// Reads bytes as text. Never fails: what cannot be read is said in the notes.
///
/// The input is hostile: time and memory grow with its length and not with its nesting, and the text that comes out has
/// neither control nor invisible nor direction characters.
///
/// # Example
/// ```
/// use bursar_memory::{extract, split};
/// let page = extract(Some("text/html"), b"<title>Fees</title><h2>Gas</h2><p>It is paid in <b>ETH</b>.");
/// assert_eq!(page.title.as_deref(), Some("Fees"));
/// let passages = split(&page);
/// assert_eq!((passages[0].heading.join(" > "), passages[0].text.as_str()), ("Gas".into(), "It is paid in ETH."));
/// ```
#[must_use]
pub fn extract(media_type: Option<&str>, bytes: &[u8]) -> Document {
    let format = format_of(media_type, bytes);
    if format == Format::Binary {
        return Document { notes: vec![Note::NotText], ..Document::default() };
    }
    let mut notes = Vec::new();
    let kept = bytes.get(..BYTES_MAX).unwrap_or(bytes);
    if kept.len() < bytes.len() {
        notes.push(Note::Truncated);
    }
    let text = String::from_utf8_lossy(kept);
    // A cut through a character is not the sender's fault.
    if std::str::from_utf8(kept).is_err_and(|error| error.error_len().is_some() || notes.is_empty()) {
        notes.push(Note::NotUtf8);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut builder = Builder::default();
    match format {
        Format::Html => html::read(text, &mut builder),
        Format::Markdown => {
            let (facts, body) = front_matter::split(text);
            builder.title = facts.title;
            builder.description = facts.description;
            markdown::read(body, &mut builder);
        }
        Format::Plain => plain::read(text, &mut builder),
        Format::Code => builder.code(text, ""),
        Format::Binary => {}
    }
    let mut document = builder.finish();
    document.notes = notes;
    document
}

/// One line of outside text: whitespace folded, control and invisible characters dropped, at most `chars_max` characters.
#[must_use]
pub fn clean_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
        } else if !blocks::invisible(c) {
            if count + usize::from(gap) >= chars_max {
                line.push('…');
                break;
            }
            if gap {
                line.push(' ');
                count += 1;
                gap = false;
            }
            line.push(c);
            count += 1;
        }
    }
    line
}

/// Outside text that keeps its lines: control and invisible characters dropped, at most `chars_max` characters.
#[must_use]
pub fn clean_text(text: &str, chars_max: usize) -> String {
    let shown = |c: &char| (*c == '\n' || !c.is_control()) && !blocks::invisible(*c);
    let mut chars = text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(shown);
    let mut kept: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

fn format_of(media_type: Option<&str>, bytes: &[u8]) -> Format {
    let head = bytes.get(..1_024).unwrap_or(bytes);
    if head.contains(&0) {
        return Format::Binary;
    }
    let essence =
        media_type.and_then(|text| text.split(';').next()).unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "application/json" | "application/xml" | "text/xml" | "application/yaml" | "text/csv" => Format::Code,
        "" | "application/octet-stream" | "text/plain" => sniff(head),
        other if other.starts_with("text/") => Format::Plain,
        other if other.ends_with("+json") || other.ends_with("+xml") => Format::Code,
        _ => Format::Binary,
    }
}

/// Sellers often send everything as plain text; what begins like a page or like front matter is read as such.
fn sniff(head: &[u8]) -> Format {
    let head = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if head.starts_with("<!doctype html") || head.starts_with("<html") {
        Format::Html
    } else if head.starts_with("---\n") || head.starts_with("---\r\n") || head.starts_with("# ") {
        Format::Markdown
    } else {
        Format::Plain
    }
}
