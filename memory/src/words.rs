//! Names in many spellings, and questions as safe index queries.
//!
//! People write `ERC-3009`, `erc 3009` and `EIP3009`; code writes `transferWithAuthorization` where prose writes "transfer
//! with authorization". Texts and questions both go through [`names`], which gives every spelling one form.

use std::collections::BTreeSet;

/// Longest question that is read, in characters.
const QUERY_CHARS_MAX: usize = 1_000;
/// Most words of a question that count.
const QUERY_WORDS_MAX: usize = 40;
/// Longest word that counts, in characters.
const WORD_CHARS_MAX: usize = 64;
/// Longest run of words that may be one identifier.
const RUN_MAX: usize = 5;

const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "but", "by", "can", "could", "did", "do", "does", "doing", "each", "else", "for", "from", "get", "had",
    "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "let", "lets", "may", "me", "might",
    "more", "most", "much", "must", "my", "no", "not", "of", "on", "one", "or", "other", "our", "over", "s",
    "should", "so", "some", "someone", "such", "t", "tell", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "under", "up", "us", "use", "used", "using", "via",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will",
    "with", "within", "would", "you", "your",
];

/// The identifiers of a text in their one form, separated by spaces: what the index keeps beside the text.
pub(crate) fn names(text: &str) -> String {
    let words = words(text);
    let mut found = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let parts = parts(word);
        if parts.len() > 1 {
            found.insert(parts.concat());
            found.extend(parts);
        }
        found.extend(numbered(word, words.get(index.saturating_add(1)).copied()));
        if let Some((_, digits)) = letters_and_digits(word) {
            found.insert(digits.to_owned());
        }
    }
    found.into_iter().collect::<Vec<_>>().join(" ")
}

/// The terms of a question, each a query of the full-text index; none if it has no word that says anything.
///
/// Only letters and digits of the question get into them, each word between quotation marks, so that nothing in it can
/// be read as an operator.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
    let words: Vec<&str> = words(&text).into_iter().take(QUERY_WORDS_MAX).collect();
    let (mut anywhere, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (index, word) in words.iter().enumerate() {
        let parts = parts(word);
        if parts.len() > 1 {
            named.insert(parts.concat());
        }
        for part in parts {
            if !STOP_WORDS.contains(&part.as_str()) {
                anywhere.insert(part);
            }
        }
        named.extend(numbered(word, words.get(index.saturating_add(1)).copied()));
    }
    // Any run of words may be an identifier in a text: `transfer with authorization`.
    for length in 2..=RUN_MAX {
        for run in words.windows(length) {
            let plain = run.iter().all(|word| word.chars().all(char::is_alphabetic));
            let says = run.iter().any(|word| !STOP_WORDS.contains(&word.to_lowercase().as_str()));
            if plain && says {
                named.insert(run.concat().to_lowercase());
            }
        }
    }
    if anywhere.is_empty() && named.iter().all(|name| !name.chars().any(|c| c.is_ascii_digit())) {
        return Vec::new();
    }
    let anywhere = anywhere.into_iter().map(|word| format!("\"{word}\""));
    let named = named.into_iter().map(|name| format!("names : \"{name}\""));
    anywhere.chain(named).collect()
}

/// Runs of letters, digits and underscores.
fn words(text: &str) -> Vec<&str> {
    let fits =
        |word: &&str| word.chars().any(char::is_alphanumeric) && word.chars().nth(WORD_CHARS_MAX).is_none();
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(fits).collect()
}

/// A word's parts in lower case: `transferWithAuthorization` and `max_fee` have several, a plain word one.
fn parts(word: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut before: Option<char> = None;
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        let new_word = before.is_some_and(|before| {
            let next_is_lower = rest.peek().is_some_and(|next| next.is_lowercase());
            // `NFTs` is one word.
            let plural = rest.clone().eq(['s']);
            c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_lower && !plural))
        });
        if (c == '_' || new_word) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if c != '_' {
            part.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        }
        before = Some(c);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// `ERC-3009`, `erc 3009`, `EIP3009` as `erc3009`; `x402` and `X-402` as `x402`.
fn numbered(word: &str, next: Option<&str>) -> Option<String> {
    let join = |letters: &str, digits: &str| {
        let letters = letters.to_ascii_lowercase();
        let letters = if matches!(letters.as_str(), "eip" | "eips" | "ercs") { "erc" } else { &letters };
        format!("{letters}{digits}")
    };
    if let Some((letters, digits)) = letters_and_digits(word) {
        return Some(join(letters, digits));
    }
    let letters = (1..=6).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
    let digits =
        next.filter(|next| (1..=6).contains(&next.len()) && next.bytes().all(|b| b.is_ascii_digit()));
    digits.filter(|_| letters).map(|digits| join(word, digits))
}

fn letters_and_digits(word: &str) -> Option<(&str, &str)> {
    let (letters, digits) = word.split_at(word.find(|c: char| c.is_ascii_digit())?);
    let letters_fit = (1..=6).contains(&letters.len()) && letters.bytes().all(|b| b.is_ascii_alphabetic());
    let digits_fit = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (letters_fit && digits_fit).then_some((letters, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_has_one_form() {
        for (text, wanted) in [
            ("ERC-3009", "erc3009"),
            ("erc 3009", "erc3009"),
            ("EIP-3009", "erc3009"),
            ("eip3009", "3009 erc3009"),
            ("X-402", "x402"),
            ("x402", "402 x402"),
            ("transferWithAuthorization", "authorization transfer transferwithauthorization with"),
            ("max_fee_per_gas", "fee gas max maxfeepergas per"),
            ("NFTs are words", ""),
            ("HTTPServer", "http httpserver server"),
            ("", ""),
        ] {
            assert_eq!(names(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_question_becomes_quoted_words_and_names() {
        for (text, wanted) in [
            ("Who pays?", r#""pays" | names : "whopays""#),
            ("erc 3009", r#""3009" | "erc" | names : "erc3009""#),
            ("transferWith", r#""transfer" | names : "transferwith""#),
            ("what is it, and who are they", ""),
            ("", ""),
            ("\"*()'; --", ""),
            (
                "\"gas\" NEAR(fee) * ^",
                r#""fee" | "gas" | "near" | names : "gasnear" | names : "gasnearfee" | names : "nearfee""#,
            ),
        ] {
            assert_eq!(terms(text).join(" | "), wanted, "{text}");
        }
    }

    #[test]
    fn a_long_question_is_bounded() {
        let long = "word".repeat(100_000);
        assert!(terms(&long).is_empty());
        let many = "gas ".repeat(100_000);
        assert!(terms(&many).len() < 10);
    }
}
