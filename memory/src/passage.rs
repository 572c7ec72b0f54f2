//! Text to passages: what is found, shown and cited.

use crate::text::{Block, BlockKind, Document};

/// A passage is closed once it is at least this long, in characters.
const CHARS_MIN: usize = 400;
/// A passage of several blocks is at most this long, in characters.
const CHARS_MAX: usize = 900;
/// A block that stays whole is at most this long, in characters; a longer one is cut between lines.
const WHOLE_CHARS_MAX: usize = 4_000;
/// Most passages of one source.
const PASSAGES_MAX: usize = 10_000;

/// One passage of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its number in the text, from 1.
    pub number: u32,
    /// The headings above it, outermost first; a first heading that repeats the title is left out.
    pub heading: Vec<String>,
    /// Its text.
    pub text: String,
}

/// Splits a text into passages of about 400 to 900 characters.
///
/// A passage never crosses a heading. Paragraphs are joined up to the length, and a longer one is cut between
/// sentences; a list is kept together where it fits; code stands alone, whole, and between fences. The same document
/// always gives the same passages with the same numbers.
#[must_use]
pub fn split(document: &Document) -> Vec<Piece> {
    let mut splitter = Splitter { title: document.title.as_deref(), ..Splitter::default() };
    for block in &document.blocks {
        splitter.block(block);
    }
    splitter.close();
    splitter.pieces
}

#[derive(Default)]
struct Splitter<'d> {
    title: Option<&'d str>,
    path: Vec<(u8, &'d str)>,
    text: String,
    chars: usize,
    pieces: Vec<Piece>,
}

impl<'d> Splitter<'d> {
    fn block(&mut self, block: &'d Block) {
        match block.kind {
            BlockKind::Heading(level) => {
                self.close();
                self.path.retain(|(above, _)| *above < level);
                self.path.push((level, &block.text));
            }
            BlockKind::Code => {
                self.close();
                for part in parts(&block.text, WHOLE_CHARS_MAX, Cut::Lines) {
                    self.add(&part);
                    self.close();
                }
            }
            BlockKind::Paragraph => {
                for part in parts(&block.text, CHARS_MAX, Cut::Sentences) {
                    self.add(&part);
                }
            }
            BlockKind::List => {
                for part in parts(&block.text, CHARS_MAX, Cut::Lines) {
                    self.add(&part);
                }
            }
        }
    }

    fn add(&mut self, text: &str) {
        let chars = text.chars().count();
        if self.chars > 0 && (self.chars >= CHARS_MIN || self.chars.saturating_add(chars) > CHARS_MAX) {
            self.close();
        }
        if self.chars > 0 {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
        self.chars = self.chars.saturating_add(chars);
    }

    fn close(&mut self) {
        self.chars = 0;
        let text = std::mem::take(&mut self.text);
        if text.is_empty() || self.pieces.len() >= PASSAGES_MAX {
            return;
        }
        let Ok(number) = u32::try_from(self.pieces.len().saturating_add(1)) else { return };
        // A title may have its number before it, where the heading has not.
        let bare = |title: &'d str| title.split_once(": ").map_or(title, |(_, bare)| bare);
        let repeats = |index: usize, heading: &str| {
            index == 0 && self.title.is_some_and(|title| title == heading || bare(title) == heading)
        };
        let path = self.path.iter().enumerate().filter(|(index, (_, heading))| !repeats(*index, heading));
        let heading = path.map(|(_, (_, heading))| (*heading).to_owned()).collect();
        self.pieces.push(Piece { number, heading, text });
    }
}

#[derive(Clone, Copy)]
enum Cut {
    Sentences,
    Lines,
}

/// The text in parts of at most `chars_max` characters, cut where the format allows it and anywhere where it does not.
fn parts(text: &str, chars_max: usize, cut: Cut) -> Vec<String> {
    let total = text.chars().count();
    if total <= chars_max {
        return vec![text.to_owned()];
    }
    // Parts of about one length: no part that is only the rest of another.
    let chars_wanted = total.div_ceil(total.div_ceil(chars_max).max(1));
    let units: Vec<&str> = match cut {
        Cut::Lines => text.split_inclusive('\n').collect(),
        Cut::Sentences => sentences(text),
    };
    let mut parts = vec![String::new()];
    let mut chars = 0_usize;
    for unit in units {
        for piece in slices(unit, chars_max) {
            let length = piece.chars().count();
            if chars >= chars_wanted || (chars > 0 && chars.saturating_add(length) > chars_max) {
                parts.push(String::new());
                chars = 0;
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(piece);
            }
            chars = chars.saturating_add(length);
        }
    }
    let trimmed = parts.iter().map(|part| part.trim_end_matches(['\n', ' ']).to_owned());
    trimmed.filter(|part| !part.is_empty()).collect()
}

/// Sentences with the space after them.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut from = 0;
    let mut ended = false;
    for (at, c) in text.char_indices() {
        if ended && c.is_whitespace() {
            let to = at.saturating_add(c.len_utf8());
            sentences.extend(text.get(from..to));
            from = to;
        }
        ended = matches!(c, '.' | '!' | '?' | ':' | ';' | '。' | '！' | '？');
    }
    sentences.extend(text.get(from..).filter(|rest| !rest.is_empty()));
    sentences
}

/// Slices of at most `chars_max` characters.
fn slices(text: &str, chars_max: usize) -> Vec<&str> {
    let mut slices = Vec::new();
    let mut rest = text;
    while let Some((at, _)) = rest.char_indices().nth(chars_max) {
        let (head, tail) = rest.split_at(at);
        // Between words, if there is a word's end not far from here.
        let space = head.rfind(' ').filter(|space| *space > at / 2).map(|space| space.saturating_add(1));
        let (head, tail) = space.map_or((head, tail), |at| rest.split_at(at));
        slices.push(head);
        rest = tail;
    }
    slices.push(rest);
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::extract;

    fn pieces(markdown: &str) -> Vec<Piece> {
        split(&extract(Some("text/markdown"), markdown.as_bytes()))
    }

    fn paragraph(chars: usize) -> String {
        let mut text = "Words stand in a row here. ".repeat(chars.div_ceil(27));
        text.truncate(chars);
        format!("{}.", text.trim_end_matches([' ', '.']))
    }

    #[test]
    fn a_passage_never_crosses_a_heading() {
        let found = pieces("# T\n\nintro\n\n## A\n\none\n\n### B\n\ntwo\n\n## C\n\nthree");
        let shown: Vec<_> = found
            .iter()
            .map(|piece| format!("{} [{}] {}", piece.number, piece.heading.join("/"), piece.text))
            .collect();
        assert_eq!(shown, ["1 [] intro", "2 [A] one", "3 [A/B] two", "4 [C] three"]);
    }

    #[test]
    fn a_heading_that_repeats_a_numbered_title_is_left_out() {
        let found =
            pieces("---\neip: 9001\ncategory: ERC\ntitle: Signed\n---\n# Signed\n\nintro\n\n## A\n\none");
        let headings: Vec<_> = found.iter().map(|piece| piece.heading.join("/")).collect();
        assert_eq!(headings, ["", "A"]);
    }

    #[test]
    fn paragraphs_are_joined_and_cut_to_length() {
        let (short, long) = (paragraph(200), paragraph(2_000));
        let found = pieces(&format!("{short}\n\n{short}\n\n{short}\n\n{short}\n\n{long}"));
        let lengths: Vec<_> = found.iter().map(|piece| piece.text.chars().count()).collect();
        assert!(lengths.iter().all(|length| (CHARS_MIN..=CHARS_MAX + 2).contains(length)), "{lengths:?}");
        assert!(found.iter().all(|piece| piece.text.ends_with('.')), "{found:#?}");
    }

    #[test]
    fn code_is_whole_marked_and_alone() {
        let code = "let a = 1;\n".repeat(150);
        let found = pieces(&format!("before\n\n```rust\n{code}```\n\nafter"));
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].text, format!("```rust\n{code}```"));
    }

    #[test]
    fn a_list_stays_together_with_its_introduction() {
        let found = pieces("There are:\n\n- one\n- two\n  - deeper\n- three\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "There are:\n\n- one\n- two\n  - deeper\n- three");
    }

    #[test]
    fn a_long_list_is_cut_between_items() {
        let list: String = (0..60).map(|n| format!("- item {n} with some words\n")).collect();
        let found = pieces(&list);
        assert!(found.len() > 1);
        assert!(found.iter().all(|piece| piece.text.starts_with("- ") && piece.text.ends_with("words")));
    }

    #[test]
    fn nothing_of_a_text_without_spaces_is_lost() {
        let text = "é".repeat(5_000);
        let joined: String = pieces(&text).into_iter().map(|piece| piece.text).collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn the_same_text_gives_the_same_numbers() {
        let text = format!("# A\n\n{}\n\n## B\n\n{}", paragraph(1_500), paragraph(700));
        assert_eq!(pieces(&text), pieces(&text));
        let numbers: Vec<_> = pieces(&text).iter().map(|piece| piece.number).collect();
        assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    }
}
