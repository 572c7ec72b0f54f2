//! Sentences: verbatim slices of a passage that can stand alone.

/// One quotable piece of a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// The slice as it stands in the passage.
    pub(super) quote: String,
    /// The same for reading: one line, markup removed.
    pub(super) shown: String,
    /// Position among the pieces of the passage.
    pub(super) position: usize,
}

/// Longest piece in words; longer ones are lists or tables in disguise.
const WORDS_MAX: usize = 70;
const WORDS_MIN: usize = 6;
/// The same for an announcement with its list.
const LIST_WORDS_MAX: usize = 48;

/// Beginnings that point at something said before.
const UNRESOLVED: &[&str] = &[
    "this ",
    "it ",
    "its ",
    "they ",
    "their ",
    "these ",
    "those ",
    "that ",
    "such ",
    "he ",
    "she ",
    "them ",
    "however",
    "therefore",
    "thus",
    "hence",
    "also",
    "additionally",
    "furthermore",
    "moreover",
    "instead",
    "otherwise",
    "then ",
    "as a result",
    "in this case",
    "in that case",
    "for this reason",
    "in such",
    "but ",
    "and ",
    "or ",
    "so ",
    "yet ",
    "consequently",
    "similarly",
    "likewise",
    "conversely",
    "nevertheless",
    "in addition",
    "the latter",
    "the former",
    "for example",
    "for instance",
    "in conclusion",
    "lastly",
    "finally",
    "under such",
    "either ",
    "both ",
    "the same",
    "another ",
    "here ",
    "there ",
    "note that",
];

/// What "this" may stand before and still be clear without the sentence before.
const SELF: &[&str] = &[
    "this erc",
    "this eip",
    "this standard",
    "this proposal",
    "this specification",
    "this spec ",
    "this interface",
    "this document",
    "this extension",
];

/// Beginnings that can be cut off, and the sentence still stands.
const OPENERS: &[&str] = &[
    "Finally, ",
    "Lastly, ",
    "However, ",
    "In conclusion, ",
    "Additionally, ",
    "Furthermore, ",
    "Moreover, ",
    "Also, ",
    "Therefore, ",
    "Thus, ",
    "Hence, ",
    "Consequently, ",
    "In addition, ",
    "Please note that ",
    "Note that ",
];

/// Beginnings and phrases of sentences that only announce others, or that lack a subject.
const INCOMPLETE: &[&str] = &["(", "MUST ", "SHOULD ", "MAY ", "SHALL ", "REQUIRED ", "NOTE:"];

/// Texts that say nothing about the subject.
const BOILERPLATE: &[&str] = &[
    "copyright and related rights",
    "the key words",
    "rfc 2119",
    "rfc 8174",
    "discussions-to",
    "needs discussion",
    "todo",
    "ignore previous",
    "ignore all previous",
    "system prompt",
    "http://",
    "https://",
    "see the reference implementation",
    "test cases",
    "cc0",
    "requires:",
    "category: erc",
    "please cite",
];

/// The quotable pieces of a passage.
pub(super) fn sentences(text: &str) -> Vec<Sentence> {
    let blocks = blocks(text);
    let mut found: Vec<Sentence> = Vec::new();
    let mut position = 0_usize;
    let mut keep = |quote: &str, position: usize| {
        let quote = trimmed(quote);
        if quotable(quote) {
            found.push(Sentence { quote: quote.to_owned(), shown: shown(quote), position });
        }
    };
    for (index, block) in blocks.iter().enumerate() {
        let mut before: Option<&str> = None;
        for piece in split(block.text) {
            position = position.saturating_add(1);
            let broken_off = !block.item && piece.starts_with(char::is_lowercase);
            if broken_off {
                before = None;
                continue;
            }
            if !unresolved(piece) {
                keep(without_opener(piece), position);
                if let Some(list) =
                    piece.ends_with(':').then(|| with_list(text, piece, &blocks, index)).flatten()
                {
                    keep(list, position);
                }
            } else if let Some(before) = before.filter(|before| !unresolved(before))
                && let Some(both) = joined(block.text, before, piece)
            {
                keep(without_opener(both), position);
            }
            before = Some(piece);
        }
    }
    found
}

/// An announcement together with the list items that it announces, as many as one quote holds.
fn with_list<'a>(text: &'a str, piece: &str, blocks: &[Block<'_>], index: usize) -> Option<&'a str> {
    let block = blocks.get(index)?;
    let start = block.start.checked_add(block.text.find(piece)?)?;
    let mut longest = None;
    for item in blocks.iter().skip(index.saturating_add(1)).take_while(|item| item.item) {
        let end = item.start.checked_add(item.text.len())?;
        let quote = text.get(start..end)?;
        if quote.split_whitespace().count() > LIST_WORDS_MAX {
            break;
        }
        longest = Some(quote);
    }
    longest
}

fn without_opener(piece: &str) -> &str {
    OPENERS.iter().find_map(|opener| piece.strip_prefix(opener)).unwrap_or(piece)
}

/// A paragraph or a list item.
struct Block<'a> {
    text: &'a str,
    start: usize,
    item: bool,
}

/// Paragraphs and list items, without headings, tables, code, comments and front matter.
fn blocks(text: &str) -> Vec<Block<'_>> {
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
fn list_marker(line: &str) -> usize {
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
fn split(block: &str) -> Vec<&str> {
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

/// The slice from the beginning of one piece to the end of the next.
fn joined<'a>(block: &'a str, first: &str, second: &str) -> Option<&'a str> {
    let start = block.find(first)?;
    let after = start.checked_add(first.len())?;
    let second_at = after.checked_add(block.get(after..)?.find(second)?)?;
    block.get(start..second_at.checked_add(second.len())?)
}

fn unresolved(piece: &str) -> bool {
    let lower = plain(piece).to_lowercase();
    let points = UNRESOLVED.iter().any(|beginning| lower.starts_with(beginning));
    points && unopened(piece) && !SELF.iter().any(|beginning| lower.starts_with(beginning))
}

/// Whether it is not a sentence that stands once its opener is cut off.
fn unopened(piece: &str) -> bool {
    let rest = without_opener(piece);
    rest.len() == piece.len() || unresolved(rest)
}

/// A list item's tail that joins it to the next is no part of what it says.
fn trimmed(piece: &str) -> &str {
    let mut piece = piece.trim();
    loop {
        let shorter = [", and that", ", and", ", or", ";", ",", " and", "\\"]
            .iter()
            .find_map(|tail| piece.strip_suffix(tail))
            .map(str::trim_end);
        match shorter {
            Some(shorter) => piece = shorter,
            None => return piece,
        }
    }
}

fn quotable(quote: &str) -> bool {
    let text = plain(quote);
    let lower = text.to_lowercase();
    let count = text.split_whitespace().count();
    let letters = text.chars().filter(|c| c.is_alphabetic() || c.is_whitespace()).count();
    let enough_letters = letters.saturating_mul(100) >= text.chars().count().saturating_mul(78);
    (WORDS_MIN..=WORDS_MAX).contains(&count)
        && enough_letters
        && !text.ends_with('?')
        && (!text.ends_with(':') || count >= 20 && !announces(&lower))
        && !INCOMPLETE.iter().any(|beginning| text.starts_with(beginning))
        && !BOILERPLATE.iter().any(|phrase| lower.contains(phrase))
}

/// Whether nothing is left of it without what follows.
fn announces(lower: &str) -> bool {
    ["following", "because:", "as follows", "that:", "such as:", "below:", "to:", "are:", "is:"]
        .iter()
        .any(|word| lower.contains(word))
}

/// One line for reading.
fn shown(quote: &str) -> String {
    let lines: Vec<&str> = quote
        .lines()
        .map(|line| {
            let line = line.trim();
            line.get(list_marker(line)..).unwrap_or(line)
        })
        .collect();
    let mut text = plain(&lines.join(" "));
    if let Some(shorter) = text.strip_suffix(':') {
        text = shorter.to_owned();
    }
    if let Some(first) = text.chars().next().filter(|c| c.is_lowercase()) {
        let rest: String = text.chars().skip(1).collect();
        text = first.to_uppercase().chain(rest.chars()).collect();
    }
    if !text.ends_with(['.', '!', '?', ')', '"']) {
        text.push('.');
    }
    text
}

/// Without emphasis and link targets, on one line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (label_at, label) = before.rsplit_once('[').map_or(("", before), |(a, b)| (a, b));
        out.push_str(label_at);
        out.push_str(label);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    let out = out.replace("**", "").replace("__", "");
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = sentences(text);
        assert!(found.iter().all(|sentence| text.contains(&sentence.quote)), "quotes are verbatim");
        assert_eq!(found.iter().map(|sentence| sentence.shown.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn code_tables_headings_and_comments_are_left_out() {
        check(
            "## Rationale\n\nA nonce is random, so transfers\nneed no order at all.\n\n```solidity\nfunction f() external view returns (bool ok);\n```\n\
             | a | table with quite a few words in it |\n<!-- a comment that nobody is meant to read here -->\n",
            &["A nonce is random, so transfers need no order at all."],
        );
    }

    #[test]
    fn a_sentence_that_points_back_brings_the_one_before() {
        check(
            "The payer signs an authorization off chain. This lets a relayer submit it and pay the gas.",
            &[
                "The payer signs an authorization off chain.",
                "The payer signs an authorization off chain. This lets a relayer submit it and pay the gas.",
            ],
        );
        check("This lets a relayer submit it and pay the gas.", &[]);
    }

    #[test]
    fn list_items_stand_alone_and_lose_their_tails() {
        check(
            "It enables:\n\n- delegate the gas payment to [someone else](./x.md),\n- ERC-1 uses sequential nonces, but this uses random ones, and that\n",
            &[
                "Delegate the gas payment to someone else.",
                "ERC-1 uses sequential nonces, but this uses random ones.",
            ],
        );
    }

    #[test]
    fn abbreviations_do_not_end_a_sentence() {
        check(
            "A relayer (e.g. A wallet) may pay, i.e. Nobody else has to hold any ether.",
            &["A relayer (e.g. A wallet) may pay, i.e. Nobody else has to hold any ether."],
        );
    }
}
