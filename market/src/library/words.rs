//! From text to the terms that search counts.

use std::{collections::HashSet, sync::LazyLock};

const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "doe",
    "does",
    "doing",
    "else",
    "for",
    "from",
    "had",
    "has",
    "have",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "let",
    "lets",
    "may",
    "me",
    "more",
    "most",
    "much",
    "must",
    "my",
    "no",
    "not",
    "of",
    "on",
    "one",
    "or",
    "other",
    "our",
    "over",
    "should",
    "so",
    "some",
    "someone",
    "standard",
    "standards",
    "such",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "under",
    "up",
    "us",
    "use",
    "used",
    "using",
    "via",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "why",
    "will",
    "with",
    "within",
    "would",
    "you",
    "your",
];

/// Words that mean nearly the same: a question has one, the text that answers it often another.
const KINDRED: &[&[&str]] = &[
    &["replay", "nonce", "reuse"],
    &["gas", "fee", "gasless", "relayer", "sponsor", "paymaster"],
    &["stop", "prevent", "protect", "guard", "avoid", "mitigate", "defend"],
    &["someone", "relayer", "delegate", "sponsor", "behalf"],
    &["buy", "purchase", "pay"],
    &["price", "cost", "fee"],
    &["sign", "signature", "signer", "permit", "authorization"],
    &["attack", "exploit", "vulnerability", "attacker"],
    &["cancel", "revoke", "void"],
    &["expire", "expiry", "deadline", "validity"],
    &["lend", "loan", "borrow"],
    &["proxy", "upgrade", "upgradeable"],
];

/// The terms of words that mean nearly the same as the words of a query, without those the query has itself.
pub(super) fn kindred(query: &str) -> Vec<String> {
    let lower = query.to_lowercase();
    let asked: Vec<String> = terms(query);
    let said = |word: &str| {
        asked.contains(&stem(word)) || lower.split(|c: char| !c.is_alphanumeric()).any(|said| said == word)
    };
    let mut found: Vec<String> = Vec::new();
    for group in KINDRED.iter().filter(|group| group.iter().any(|word| said(word))) {
        for term in group.iter().map(|word| stem(word)) {
            if !asked.contains(&term) && !found.contains(&term) {
                found.push(term);
            }
        }
    }
    found
}

/// The terms of a text in order: words and identifiers (whole, and in parts), stemmed, without stop words.
/// `ERC-3009`, `EIP 3009` and `erc3009` all become `erc3009`.
pub(super) fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let mut words = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''))
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(word) = words.next() {
        let word = word.trim_end_matches("'s").trim_matches('\'');
        if is_standard_prefix(word)
            && let Some(number) = words.peek().and_then(|next| standard_number(next))
        {
            words.next();
            terms.push(standard_term(number));
            continue;
        }
        push_word(word, &mut terms);
    }
    terms
}

/// The standards a text names: by prefix (`ERC-20`, `eip 712`) or by a bare number of three to five digits.
pub(super) fn named_standards(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for term in terms(text) {
        let number = term.strip_prefix("erc").and_then(standard_number).or_else(|| {
            let bare = (3..=5).contains(&term.len());
            bare.then(|| standard_number(&term)).flatten()
        });
        if let Some(number) = number
            && !numbers.contains(&number)
        {
            numbers.push(number);
        }
    }
    numbers
}

/// The term of a standard.
pub(super) fn standard_term(number: u32) -> String {
    format!("erc{number}")
}

fn is_stop_word(word: &str) -> bool {
    static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.iter().copied().collect());
    STOP.contains(word)
}

fn is_standard_prefix(word: &str) -> bool {
    ["erc", "eip", "ercs", "eips"].iter().any(|prefix| word.eq_ignore_ascii_case(prefix))
}

fn standard_number(word: &str) -> Option<u32> {
    let digits = (1..=5).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

fn push_word(word: &str, terms: &mut Vec<String>) {
    let lower = word.to_lowercase();
    if let Some(number) =
        lower.strip_prefix("erc").or_else(|| lower.strip_prefix("eip")).and_then(standard_number)
    {
        terms.push(standard_term(number));
        return;
    }
    let parts = parts(word);
    if parts.len() > 1 {
        terms.push(lower.replace('_', ""));
    }
    for part in parts {
        let part = part.to_lowercase();
        if !part.is_empty() && !is_stop_word(&part) {
            terms.push(stem(&part));
        }
    }
}

/// `transferWithAuthorization` and `max_fee` in parts; a plain word is its only part.
fn parts(word: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut before: Option<char> = None;
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        let starts = before.is_some_and(|before| {
            let next_is_lower = chars.peek().is_some_and(|next| next.is_lowercase());
            c.is_uppercase()
                && (before.is_lowercase() || (before.is_uppercase() && next_is_lower && !plural(&chars)))
        });
        if c == '_' || starts {
            parts.push(std::mem::take(&mut part));
        }
        if c != '_' {
            part.push(c);
        }
        before = Some(c);
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether only the `s` of `NFTs` is left.
fn plural(rest: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    rest.clone().eq(['s'])
}

/// Takes plural and verb endings off, lightly.
fn stem(word: &str) -> String {
    if word.len() < 4 || !word.is_ascii() {
        return word.to_owned();
    }
    let long_enough = |stem: &&str| stem.len() >= 3 && stem.bytes().any(|b| b"aeiouy".contains(&b));
    let singular = if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() >= 3) {
        format!("{stem}y")
    } else if word.ends_with("sses")
        || word.ends_with("xes")
        || word.ends_with("shes")
        || word.ends_with("ches")
    {
        word.strip_suffix("es").unwrap_or(word).to_owned()
    } else if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        word.to_owned()
    } else {
        word.strip_suffix('s').unwrap_or(word).to_owned()
    };
    let bare = ["ing", "ed"].iter().find_map(|ending| singular.strip_suffix(ending).filter(long_enough));
    let stemmed = match bare {
        Some(stem) => single_end(stem),
        None => singular.as_str(),
    };
    let root = noun_root(stemmed);
    let without_e = root.strip_suffix('e').filter(|stem| stem.len() >= 3).unwrap_or(root);
    match without_e.strip_suffix('y').filter(|stem| stem.len() >= 3) {
        Some(stem) => format!("{stem}i"),
        None => without_e.to_owned(),
    }
}

/// `payment` to `pay`, `delegation` to `delegat`, `authorization` to `authoriz`.
fn noun_root(word: &str) -> &str {
    let endings: [(&str, &str); 4] = [("ization", "iz"), ("tion", "t"), ("sion", "s"), ("ment", "")];
    endings
        .iter()
        .find_map(|(ending, kept)| {
            let root = word.strip_suffix(ending)?;
            (root.len() >= 3).then(|| word.get(..root.len() + kept.len()))?
        })
        .unwrap_or(word)
}

/// `stopp` (of stopped) without its doubled end.
fn single_end(stem: &str) -> &str {
    let mut ends = stem.bytes().rev();
    match (ends.next(), ends.next()) {
        (Some(last), Some(before)) if last == before && !b"aeiouylsz".contains(&last) => {
            stem.get(..stem.len() - 1).unwrap_or(stem)
        }
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_terms() {
        let cases = [
            ("ERC-3009, EIP 3009 and erc3009", "erc3009 erc3009 erc3009"),
            ("transferWithAuthorization", "transferwithauthorization transfer authoriz"),
            ("authorize payments by delegation", "authoriz pay delegat"),
            ("safe_transfer_from", "safetransferfrom saf transfer"),
            ("NFTs vaults queries passes", "nft vault queri pass"),
            ("paying pays pay", "pay pay pay"),
            ("stopped stops stop", "stop stop stop"),
            ("delegated delegate delegating", "delegat delegat delegat"),
            ("status basis gas", "status basis gas"),
            ("the gas of the user's USDC", "gas user usdc"),
            ("getHTTPUrl", "gethttpurl get http url"),
        ];
        for (text, wanted) in cases {
            assert_eq!(terms(text).join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn standards_are_named_with_prefix_or_by_number() {
        let cases: [(&str, &[u32]); 4] = [
            ("How do ERC-4626 vaults and erc 20 tokens", &[4626, 20]),
            ("compare 721 with EIP1155", &[721, 1155]),
            ("20 tokens in 7 days", &[]),
            ("error-correcting erc codes", &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(named_standards(text), wanted, "{text}");
        }
    }
}
