//! HTML to blocks.
//!
//! Read as a stream of tokens and never as a tree: nesting costs nothing, so no page can blow the stack or make the time
//! grow faster than its length.

use super::blocks::Builder;
use super::{BlockKind, DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX, clean_line};
use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

/// Deepest list that is still shown indented.
const INDENT_MAX: usize = 6;

pub(super) fn read(text: &str, builder: &mut Builder) {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut reader = Reader::new(builder);
    for token in Tokenizer::new_with_emitter(text, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&name_of(&tag.name)),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    reader.finish();
}

fn name_of(name: &HtmlString) -> String {
    String::from_utf8_lossy(name.get(..16).unwrap_or(name)).to_ascii_lowercase()
}

struct Reader<'b> {
    builder: &'b mut Builder,
    /// The element whose content is left out, and how often it is open.
    skipped: Option<(String, u64)>,
    title: Option<String>,
    page_title: Option<String>,
    heading: Option<u8>,
    code: Option<String>,
    list_depth: usize,
    table: bool,
    cells: usize,
}

impl<'b> Reader<'b> {
    const fn new(builder: &'b mut Builder) -> Self {
        Self {
            builder,
            skipped: None,
            title: None,
            page_title: None,
            heading: None,
            code: None,
            list_depth: 0,
            table: false,
            cells: 0,
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        if let Some(title) = &mut self.title {
            title.push_str(text);
        } else if let Some(code) = &mut self.code {
            code.push_str(text);
        } else {
            self.builder.push(text);
        }
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let name = name_of(&tag.name);
        if let Some((skipped, depth)) = &mut self.skipped {
            if *skipped == name && !tag.self_closing {
                *depth = depth.saturating_add(1);
            }
            return;
        }
        match name.as_str() {
            "script" | "style" | "noscript" | "template" | "svg" | "math" | "iframe" | "object"
            | "canvas" | "select" | "textarea" | "noframes" | "noembed" => {
                let opens = !tag.self_closing || matches!(name.as_str(), "script" | "style");
                self.skipped = opens.then_some((name, 1));
            }
            "title" => self.title = Some(String::new()),
            "meta" => self.meta(tag),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush();
                self.heading = level_of(&name);
            }
            "pre" => {
                self.flush();
                self.code = Some(String::new());
            }
            "ul" | "ol" | "dl" => {
                if self.list_depth == 0 {
                    self.flush();
                }
                self.list_depth = self.list_depth.saturating_add(1);
            }
            "li" | "dt" if self.list_depth > 0 => {
                let indent = "  ".repeat(self.list_depth.saturating_sub(1).min(INDENT_MAX));
                self.builder.line(&format!("{indent}- "));
            }
            "table" => {
                self.flush();
                self.table = true;
            }
            "tr" => {
                self.builder.line("");
                self.cells = 0;
            }
            "td" | "th" => {
                if self.cells > 0 {
                    self.builder.push(" | ");
                }
                self.cells = self.cells.saturating_add(1);
            }
            "br" if self.code.is_some() => self.text("\n"),
            "br" | "dd" => self.builder.push(" "),
            name if is_block(name) => self.block(),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, depth)) = &mut self.skipped {
            if skipped == name {
                *depth = depth.saturating_sub(1);
                if *depth == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        match name {
            "title" => {
                if let Some(title) = self.title.take() {
                    let title = clean_line(&title, TITLE_CHARS_MAX);
                    self.page_title.get_or_insert(title);
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.flush(),
            "pre" => self.flush(),
            "ul" | "ol" | "dl" => {
                if self.list_depth <= 1 {
                    self.flush();
                }
                self.list_depth = self.list_depth.saturating_sub(1);
            }
            "table" => {
                self.flush();
                self.table = false;
            }
            name if is_block(name) => self.block(),
            _ => {}
        }
    }

    /// A block inside a list item or a table cell is only a gap; elsewhere it ends what came before.
    fn block(&mut self) {
        if self.code.is_some() {
            return;
        }
        if (self.list_depth > 0 || self.table) && self.heading.is_none() {
            self.builder.push(" ");
        } else {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(code) = self.code.take() {
            self.builder.code(&code, "");
            return;
        }
        let list = self.list_depth > 0 || self.table;
        self.builder.end(match self.heading.take() {
            Some(level) => BlockKind::Heading(level),
            None if list => BlockKind::List,
            None => BlockKind::Paragraph,
        });
    }

    fn meta(&mut self, tag: &StartTag<()>) {
        let value = |wanted: &[u8]| {
            let found = tag.attributes.iter().find(|(name, _)| name.0.as_slice() == wanted);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        if value(b"name").is_some_and(|name| name.eq_ignore_ascii_case("description")) {
            let description = value(b"content").map(|text| clean_line(&text, DESCRIPTION_CHARS_MAX));
            if self.builder.description.is_none() {
                self.builder.description = description;
            }
        }
    }

    fn finish(mut self) {
        self.flush();
        // The page's own title is shorter-lived than its heading, but it is what people know the page by.
        if let Some(title) = self.page_title.filter(|title| !title.is_empty()) {
            self.builder.title = Some(title);
        }
    }
}

fn level_of(name: &str) -> Option<u8> {
    name.strip_prefix('h').and_then(|digit| digit.parse().ok())
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "nav"
            | "aside"
            | "blockquote"
            | "figure"
            | "figcaption"
            | "address"
            | "details"
            | "summary"
            | "form"
            | "fieldset"
            | "body"
            | "html"
            | "head"
            | "hr"
            | "caption"
            | "thead"
            | "tbody"
            | "center"
            | "dialog"
    )
}
