//! Collects blocks, whatever the format they come from.

use super::{Block, BlockKind, DESCRIPTION_CHARS_MAX, Document, TITLE_CHARS_MAX, clean_line};

/// Longest heading, in characters.
const HEADING_CHARS_MAX: usize = 200;

/// Whether a character is shown as nothing, or turns the direction of others: such characters hide text from a reader
/// that a model sees.
pub(super) const fn invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The block that is being written, and those before it.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    blocks: Vec<Block>,
    current: String,
    gap: bool,
}

impl Builder {
    /// Adds running text; whitespace of any kind and length is one space.
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() || c.is_control() {
                self.gap = true;
            } else if !invisible(c) {
                if self.gap && !self.current.is_empty() && !self.current.ends_with(['\n', ' ']) {
                    self.current.push(' ');
                }
                self.gap = false;
                self.current.push(c);
            }
        }
    }

    /// Begins a new line of the same block with `mark`, such as `- `.
    pub(super) fn line(&mut self, mark: &str) {
        self.gap = false;
        let end = self.current.trim_end().len();
        self.current.truncate(end);
        if !self.current.is_empty() {
            self.current.push('\n');
        }
        self.current.push_str(mark);
    }

    /// Whether the current line already has something besides a mark.
    pub(super) fn line_has_text(&self) -> bool {
        let line = self.current.rsplit_once('\n').map_or(self.current.as_str(), |(_, line)| line);
        let mark = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.');
        !line.trim_start_matches(mark).is_empty()
    }

    /// Ends the block.
    pub(super) fn end(&mut self, kind: BlockKind) {
        self.gap = false;
        let text = std::mem::take(&mut self.current);
        let text = text.trim();
        if !text.chars().any(|c| !matches!(c, '-' | '|' | ' ' | '\n')) {
            return;
        }
        let text = match kind {
            BlockKind::Heading(_) => clean_line(text, HEADING_CHARS_MAX),
            BlockKind::Paragraph | BlockKind::List | BlockKind::Code => text.to_owned(),
        };
        if matches!(kind, BlockKind::Heading(1)) && self.title.is_none() {
            self.title = Some(clean_line(&text, TITLE_CHARS_MAX));
        }
        self.blocks.push(Block { kind, text });
    }

    /// Adds code, line by line as it is.
    pub(super) fn code(&mut self, code: &str, language: &str) {
        self.end(BlockKind::Paragraph);
        if code.trim().is_empty() {
            return;
        }
        let language: String = language.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        let mut text = format!("```{language}\n");
        for line in code.trim_matches(['\n', '\r']).lines() {
            text.extend(
                line.chars()
                    .map(|c| if c == '\t' { ' ' } else { c })
                    .filter(|c| !c.is_control() && !invisible(*c)),
            );
            text.push('\n');
        }
        text.push_str("```");
        self.blocks.push(Block { kind: BlockKind::Code, text });
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> Document {
        self.end(BlockKind::Paragraph);
        let bounded = |text: Option<String>, chars_max| {
            text.map(|text| clean_line(&text, chars_max)).filter(|text| !text.is_empty())
        };
        Document {
            title: bounded(self.title, TITLE_CHARS_MAX),
            description: bounded(self.description, DESCRIPTION_CHARS_MAX),
            blocks: self.blocks,
            notes: Vec::new(),
        }
    }
}
