//! Markdown to blocks.

use super::BlockKind;
use super::blocks::Builder;
use super::html;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Deepest list that is still shown indented.
const INDENT_MAX: usize = 6;

pub(super) fn read(text: &str, builder: &mut Builder) {
    let mut reader = Reader { builder, lists: Vec::new(), code: None, html: String::new(), cells: 0 };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        reader.event(event);
    }
}

struct Reader<'b> {
    builder: &'b mut Builder,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Language and text of the open code block.
    code: Option<(String, String)>,
    html: String,
    cells: usize,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.builder.push(&text),
            },
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.builder.push(&text)
            }
            Event::Html(text) => self.html.push_str(&text),
            Event::InlineHtml(text) => {
                if text.to_ascii_lowercase().starts_with("<br") {
                    self.builder.push(" ");
                }
            }
            Event::SoftBreak => self.builder.push(" "),
            Event::HardBreak => self.builder.line(""),
            Event::Rule => self.flush(),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph if self.lists.is_empty() => self.flush(),
            // The first paragraph of an item stands on the item's own line.
            Tag::Paragraph if self.builder.line_has_text() => {
                let indent = "  ".repeat(self.lists.len().min(INDENT_MAX));
                self.builder.line(&indent);
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or("").to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.flush();
                }
                self.lists.push(first);
            }
            Tag::Item => {
                let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(INDENT_MAX));
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let mark = format!("{indent}{number}. ");
                        *number = number.saturating_add(1);
                        mark
                    }
                    _ => format!("{indent}- "),
                };
                self.builder.line(&mark);
            }
            Tag::TableHead | Tag::TableRow => {
                self.builder.line("");
                self.cells = 0;
            }
            Tag::TableCell => {
                if self.cells > 0 {
                    self.builder.push(" | ");
                }
                self.cells += 1;
            }
            Tag::Heading { .. } | Tag::Table(_) | Tag::HtmlBlock => self.flush(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.builder.end(BlockKind::Heading(level_of(level))),
            TagEnd::Paragraph if self.lists.is_empty() => self.flush(),
            TagEnd::CodeBlock => {
                if let Some((language, code)) = self.code.take() {
                    self.builder.code(&code, &language);
                }
            }
            TagEnd::List(_) => {
                if self.lists.len() <= 1 {
                    self.flush();
                }
                self.lists.pop();
            }
            TagEnd::Table => self.builder.end(BlockKind::List),
            TagEnd::HtmlBlock => html::read(&std::mem::take(&mut self.html), self.builder),
            _ => {}
        }
    }

    fn flush(&mut self) {
        let kind = if self.lists.is_empty() { BlockKind::Paragraph } else { BlockKind::List };
        self.builder.end(kind);
    }
}

const fn level_of(level: pulldown_cmark::HeadingLevel) -> u8 {
    use pulldown_cmark::HeadingLevel;
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
