//! Sentences: verbatim slices of a passage that can stand alone.

use super::blocks::{Block, blocks, list_marker, split};
use super::phrases::{plain, quotable, quotable_item, trimmed, unresolved, without_opener};

/// Longest announcement that is shown with an item, in words.
const LEAD_WORDS_MAX: usize = 22;
/// The same for an announcement with its list.
const LIST_WORDS_MAX: usize = 48;
/// From so many words on, an item that ends like a sentence is one.
const SENTENCE_WORDS_MIN: usize = 8;

/// One quotable piece of a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// The slice as it stands in the passage.
    pub(super) quote: String,
    /// The same for reading: one line, markup removed, a list item with its announcement.
    pub(super) shown: String,
    /// Position among the pieces of the passage.
    pub(super) position: usize,
    /// Whether it is a part of a sentence whose beginning is not known.
    pub(super) fragment: bool,
}

/// The quotable pieces of a passage.
pub(super) fn sentences(text: &str) -> Vec<Sentence> {
    let blocks = blocks(text);
    let mut found: Vec<Sentence> = Vec::new();
    let mut position = 0_usize;
    // What the list at hand was announced with.
    let mut lead: Option<&str> = None;
    for (index, block) in blocks.iter().enumerate() {
        let mut before: Option<&str> = None;
        let pieces = split(block.text);
        if !block.item {
            lead = pieces.last().copied().filter(|last| announcement(last));
        }
        for (at, piece) in pieces.iter().copied().enumerate() {
            position = position.saturating_add(1);
            let broken_off = !block.item && piece.starts_with(char::is_lowercase);
            if broken_off {
                before = None;
                continue;
            }
            let list = piece.ends_with(':').then(|| with_list(text, piece, &blocks, index)).flatten();
            if let Some(list) = list {
                found.extend(whole(list, position));
            } else if block.item && at == 0 && !is_sentence(piece) {
                found.extend(item(piece, lead, position));
            } else if !unresolved(piece) {
                found.extend(whole(without_opener(piece), position));
            } else if let Some(before) = before.filter(|before| !unresolved(before))
                && let Some(both) = joined(block.text, before, piece)
            {
                found.extend(whole(without_opener(both), position));
            }
            before = Some(piece);
        }
    }
    found
}

fn whole(quote: &str, position: usize) -> Option<Sentence> {
    let quote = trimmed(quote);
    quotable(quote).then(|| Sentence {
        quote: quote.to_owned(),
        shown: shown(quote),
        position,
        fragment: false,
    })
}

/// A list item that is no sentence: shown after what announces it, or else marked as a fragment.
fn item(piece: &str, lead: Option<&str>, position: usize) -> Option<Sentence> {
    let quote = trimmed(piece);
    match lead {
        Some(lead) => quotable_item(quote).then(|| {
            let lead = plain(without_opener(lead));
            let shown = format!("{} {}", capitalised(&lead), closed(plain(quote)));
            Sentence { quote: quote.to_owned(), shown, position, fragment: false }
        }),
        None if unresolved(piece) => None,
        None => whole(piece, position).map(|sentence| Sentence { fragment: true, ..sentence }),
    }
}

fn is_sentence(piece: &str) -> bool {
    let capital = piece.trim_start_matches(['*', '_', '`', '"']).starts_with(char::is_uppercase);
    capital && piece.ends_with(['.', '!']) && piece.split_whitespace().count() >= SENTENCE_WORDS_MIN
}

fn announcement(piece: &str) -> bool {
    // "It" is mostly what the document is about; whose "its" is, is not known.
    let lost = ["its ", "their ", "they ", "these ", "such "];
    let lower = piece.to_lowercase();
    piece.ends_with(':')
        && piece.split_whitespace().count() <= LEAD_WORDS_MAX
        && !lost.iter().any(|beginning| lower.starts_with(beginning))
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

/// The slice from the beginning of one piece to the end of the next.
fn joined<'a>(block: &'a str, first: &str, second: &str) -> Option<&'a str> {
    let start = block.find(first)?;
    let after = start.checked_add(first.len())?;
    let second_at = after.checked_add(block.get(after..)?.find(second)?)?;
    block.get(start..second_at.checked_add(second.len())?)
}

/// One line for reading.
fn shown(quote: &str) -> String {
    let mut text = String::new();
    for line in quote.lines().map(str::trim) {
        let marker = list_marker(line);
        // Items of a list that is shown on one line are held apart.
        let joins = [" and", " or", " that"].iter().any(|tail| text.ends_with(tail));
        if marker > 0 && !joins && text.ends_with(|c: char| c.is_alphanumeric() || c == '`' || c == ')') {
            text.push(';');
        }
        text.push(' ');
        text.push_str(line.get(marker..).unwrap_or(line));
    }
    let text = plain(&text);
    capitalised(&closed(text.strip_suffix(':').map_or(text.clone(), str::to_owned)))
}

fn closed(mut text: String) -> String {
    if !text.ends_with(['.', '!', '?', ')', '"']) {
        text.push('.');
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
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
    fn list_items_are_shown_with_what_announces_them() {
        check(
            "It enables users to:\n\n- delegate the gas payment to [someone else](./x.md),\n- pay later, and\n",
            &[
                "It enables users to: delegate the gas payment to someone else, pay later.",
                "It enables users to: delegate the gas payment to someone else.",
                "It enables users to: pay later.",
            ],
        );
    }

    #[test]
    fn an_item_that_is_a_sentence_stands_alone() {
        check(
            "Points to note:\n\n- A nonce that was used once is refused for ever after.\n",
            &[
                "Points to note: A nonce that was used once is refused for ever after.",
                "A nonce that was used once is refused for ever after.",
            ],
        );
    }

    #[test]
    fn what_only_announces_code_is_left_out() {
        check(
            "The owner of an agent proves control of a new wallet with a signature, for which the registry has a function, by calling:\n",
            &[],
        );
    }

    #[test]
    fn an_item_whose_announcement_is_lost_is_a_fragment() {
        let found = sentences("- delegate the whole gas payment to someone else\n");
        assert!(found.iter().all(|sentence| sentence.fragment), "{found:?}");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn abbreviations_do_not_end_a_sentence() {
        check(
            "A relayer (e.g. A wallet) may pay, i.e. Nobody else has to hold any ether.",
            &["A relayer (e.g. A wallet) may pay, i.e. Nobody else has to hold any ether."],
        );
    }
}
