//! Paragraphs and list items of a passage, and the pieces of them that end like sentences.

/// A paragraph or a list item.
pub(super) struct Block<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) item: bool,
}

/// Paragraphs and list items, without headings, tables, code, comments and front matter.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let (mut code, mut comment, mut matter) = (false, false, false);
    // A passage may begin inside a code block; comments of functions give it away.
    let doc_comment = text.contains("* @") || text.contains("*/");
    let mut open: Option<(usize, bool)> = None;
    let mut at = 0_usize;
    let mut end = 0_usize;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim();
        let fence = bare.starts_with("```") || bare.starts_with("~~~");
        let rule = bare == "---";
        if fence {
            code = !code;
        }
        if rule && (index == 0 || matter) {
            matter = !matter;
        }
        if bare.contains("<!--") {
            comment = true;
        }
        let skip = fence
            || code
            || rule
            || matter
            || comment
            || bare.is_empty()
            || not_prose(bare)
            || (doc_comment && bare.starts_with('*'));
        if bare.contains("-->") {
            comment = false;
        }
        let fresh = skip || list_marker(bare) > 0;
        if fresh && let Some((start, item)) = open.take() {
            blocks.extend(text.get(start..end).map(|text| Block { text, start, item }));
        }
        if !skip && open.is_none() {
            let indent = line.len().saturating_sub(line.trim_start().len());
            let marker = list_marker(bare);
            open = Some((at.saturating_add(indent).saturating_add(marker), marker > 0));
        }
        at = at.saturating_add(line.len());
        if !skip {
            end = at;
        }
    }
    if let Some((start, item)) = open {
        blocks.extend(text.get(start..end).map(|text| Block { text, start, item }));
    }
    blocks
}

/// Headings, tables, quotes of code, images, bare links.
fn not_prose(line: &str) -> bool {
    let code = line.ends_with('{') || line.ends_with(';') || line.starts_with('}') || line.starts_with("//");
    let solidity = ["function ", "event ", "pragma ", "contract ", "interface ", "mapping(", "struct "]
        .iter()
        .any(|word| line.starts_with(word) && line.contains('('));
    line.starts_with(['#', '|'])
        || line.starts_with("/*")
        || line.starts_with("![")
        || line.starts_with("http")
        || code
        || solidity
}

/// Length of a list marker with its space.
pub(super) fn list_marker(line: &str) -> usize {
    for marker in ["- ", "* ", "+ ", "> "] {
        if line.starts_with(marker) {
            return marker.len();
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..).unwrap_or_default();
    if (1..=2).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") ")) {
        digits + 2
    } else {
        0
    }
}

/// Cuts a block after full stops that end a sentence.
pub(super) fn split(block: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0_usize;
    let mut depth = 0_i32;
    let mut chars = block.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1).max(0),
            '.' | '!' | '?' if depth == 0 => {
                let next_is_space = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
                let end = at.saturating_add(c.len_utf8());
                let rest = block.get(end..).unwrap_or_default().trim_start();
                let fresh = rest.chars().next().is_none_or(|c| !c.is_lowercase());
                let so_far = block.get(start..end).unwrap_or_default();
                if next_is_space && fresh && !abbreviation(so_far) {
                    pieces.push(so_far);
                    start = end;
                }
            }
            _ => {}
        }
    }
    pieces.extend(block.get(start..).filter(|rest| !rest.trim().is_empty()));
    pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

fn abbreviation(text: &str) -> bool {
    let lower = text.rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    let word = lower.trim_start_matches(['(', '"', '[']);
    matches!(word, "e.g." | "i.e." | "etc." | "vs." | "cf." | "no." | "fig." | "al." | "approx." | "resp.")
}
