//! Just enough Markdown and HTML to find headings and plain text.

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A heading.
    Heading,
    /// A paragraph or an item of a list.
    Prose,
    /// A line of code.
    Code,
}

/// One block of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// Splits a text into headings and paragraphs, without its markup. Code is kept as text.
pub(super) fn blocks(text: &str, html: bool) -> Vec<Block> {
    if html { html_blocks(text) } else { markdown_blocks(text) }
}

/// The first `# ` heading.
pub(super) fn first_heading(text: &str) -> Option<String> {
    let mut fenced = false;
    text.lines().find_map(|line| {
        fenced ^= is_fence(line);
        let title = line.strip_prefix("# ")?;
        (!fenced).then(|| plain(title.trim().trim_end_matches('#')))
    })
}

/// The content of the `<title>` tag, or else of the first `<h1>`.
pub(super) fn html_title(text: &str) -> Option<String> {
    ["title", "h1"].iter().find_map(|tag| {
        let inner = element(text, tag)?;
        let title = html_blocks(inner).into_iter().map(|block| block.text).collect::<Vec<_>>().join(" ");
        (!title.is_empty()).then_some(title)
    })
}

/// The first block that is not a heading.
pub(super) fn first_paragraph(text: &str, html: bool) -> Option<String> {
    let body = if html { element(text, "body").unwrap_or(text) } else { text };
    let found =
        blocks(body, html).into_iter().find(|block| block.kind == Kind::Prose && block.text.len() > 3)?;
    Some(found.text)
}

fn element<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let open = lower.find(&format!("<{tag}"))?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find(&format!("</{tag}"))?;
    text.get(start..end)
}

fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

fn markdown_blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    let mut fenced = false;
    let mut comment = false;
    let flush = |paragraph: &mut String, blocks: &mut Vec<Block>, fenced: bool| {
        let text = plain(paragraph);
        paragraph.clear();
        if !text.is_empty() {
            blocks.push(Block { text, kind: if fenced { Kind::Code } else { Kind::Prose } });
        }
    };
    for line in text.lines() {
        let trimmed = line.trim();
        comment |= trimmed.starts_with("<!--");
        if comment {
            comment = !trimmed.contains("-->");
            continue;
        }
        if is_fence(line) {
            flush(&mut paragraph, &mut blocks, fenced);
            fenced = !fenced;
            continue;
        }
        let hashes = trimmed.chars().take_while(|c| *c == '#').count();
        let is_heading = !fenced && (1..=6).contains(&hashes) && trimmed.chars().nth(hashes) == Some(' ');
        let is_item = trimmed.starts_with("- ") || trimmed.starts_with("* ") || trimmed.starts_with('|');
        if is_heading {
            flush(&mut paragraph, &mut blocks, fenced);
            let text = plain(trimmed.trim_matches('#').trim());
            blocks.push(Block { text, kind: Kind::Heading });
        } else if trimmed.is_empty() {
            flush(&mut paragraph, &mut blocks, fenced);
        } else {
            if is_item || fenced {
                flush(&mut paragraph, &mut blocks, fenced);
            }
            paragraph.push_str(trimmed.trim_start_matches(['-', '*', '>', '|']).trim_start());
            paragraph.push(' ');
        }
    }
    flush(&mut paragraph, &mut blocks, fenced);
    blocks
}

/// Markdown without links, emphasis and code marks, in one line.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        match before.rsplit_once('[') {
            Some((head, label)) => {
                out.push_str(head.trim_end_matches('!'));
                out.push_str(label);
            }
            None => out.push_str(before),
        }
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    let unmarked: String = out.replace("**", "").chars().filter(|c| !matches!(c, '`' | '*')).collect();
    squeeze(&unmarked)
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn html_blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut current = String::new();
    let mut kind = Kind::Prose;
    let mut silent = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (words, tagged) = rest.split_once('<').unwrap_or((rest, ""));
        if !silent {
            current.push_str(words);
        }
        let (tag, after) = tagged.split_once('>').unwrap_or(("", ""));
        rest = after;
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        let closing = tag.starts_with('/');
        match name.as_str() {
            "script" | "style" => silent = !closing,
            "a" | "b" | "i" | "em" | "strong" | "code" | "span" | "small" | "sub" | "sup" => {}
            _ => {
                let text = squeeze(&unescape(&current));
                current.clear();
                if !text.is_empty() {
                    blocks.push(Block { text, kind });
                }
                let level = name.strip_prefix('h').and_then(|level| level.parse::<u8>().ok());
                let heading = level.is_some() || name == "title";
                kind = match closing {
                    false if heading => Kind::Heading,
                    false if name == "pre" => Kind::Code,
                    _ => Kind::Prose,
                };
            }
        }
    }
    let text = squeeze(&unescape(&current));
    if !text.is_empty() {
        blocks.push(Block { text, kind });
    }
    blocks
}

fn unescape(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
