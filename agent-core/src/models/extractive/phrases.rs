//! Wordings that keep a piece of text from standing alone, and those that say nothing.

/// Longest piece in words; longer ones are lists or tables in disguise.
const WORDS_MAX: usize = 70;
/// Shortest piece in words.
const WORDS_MIN: usize = 6;
/// Shortest list item in words, where its announcement is shown with it.
const ITEM_WORDS_MIN: usize = 2;

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
const INCOMPLETE: &[&str] = &["(", "MUST ", "SHOULD ", "MAY ", "SHALL ", "REQUIRED ", "NOTE:", "@"];

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

/// The piece without a beginning that only joins it to the one before.
pub(super) fn without_opener(piece: &str) -> &str {
    OPENERS.iter().find_map(|opener| piece.strip_prefix(opener)).unwrap_or(piece)
}

/// Whether it points at something said before it.
pub(super) fn unresolved(piece: &str) -> bool {
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
pub(super) fn trimmed(piece: &str) -> &str {
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

/// Whether a piece says something by itself.
pub(super) fn quotable(quote: &str) -> bool {
    let text = plain(quote);
    let count = text.split_whitespace().count();
    let begins = INCOMPLETE.iter().any(|beginning| text.starts_with(beginning));
    let open = text.ends_with(':') && (count < 20 || announces(&text.to_lowercase()));
    count >= WORDS_MIN && prose(&text, count) && !begins && !open
}

/// Whether a list item says something beside its announcement.
pub(super) fn quotable_item(quote: &str) -> bool {
    let text = plain(quote);
    let count = text.split_whitespace().count();
    count >= ITEM_WORDS_MIN && prose(&text, count) && !text.ends_with(':')
}

fn prose(text: &str, words: usize) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic() || c.is_whitespace()).count();
    let enough_letters = letters.saturating_mul(100) >= text.chars().count().saturating_mul(78);
    let lower = text.to_lowercase();
    words <= WORDS_MAX
        && enough_letters
        && !text.ends_with('?')
        && !BOILERPLATE.iter().any(|phrase| lower.contains(phrase))
}

/// Whether nothing is left of it without what follows.
fn announces(lower: &str) -> bool {
    const TAILS: &[&str] = &[
        "to",
        "by",
        "with",
        "as",
        "of",
        "for",
        "is",
        "are",
        "that",
        "because",
        "following",
        "follows",
        "below",
    ];
    let last = lower.trim_end_matches(':').rsplit(char::is_whitespace).next().unwrap_or_default();
    TAILS.contains(&last)
        || last.ends_with("ing")
        || lower.contains("following")
        || lower.contains("as follows")
}

/// Without emphasis and link targets, on one line.
pub(super) fn plain(text: &str) -> String {
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
