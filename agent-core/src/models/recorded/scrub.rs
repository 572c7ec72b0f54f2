//! Taking secrets out of what is written down.

use super::ids::each_text;
use serde_json::Value;
use std::fmt;

/// What stands in a secret's place.
const HIDDEN: &str = "[hidden]";
/// How keys of well-known services begin.
const KEYS: [&str; 12] = [
    "sk-",
    "sk_live_",
    "sk_test_",
    "AKIA",
    "ASIA",
    "ABSK",
    "ghp_",
    "gho_",
    "github_pat_",
    "xoxb-",
    "eyJhbGciOi",
    "bedrock-api-key-",
];
/// A shorter word is no key.
const KEY_BYTES_MIN: usize = 16;

/// Secrets that are known, and what looks like one.
#[derive(Clone, Default)]
pub(super) struct Scrub(Vec<String>);

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrub({})", self.0.len())
    }
}

impl Scrub {
    pub(super) fn hide(&mut self, secret: String) {
        if !secret.is_empty() {
            self.0.push(secret);
        }
    }

    /// Takes secrets out of every text of a value.
    pub(super) fn scrub(&self, value: &mut Value) {
        each_text(value, &mut |text| Some(self.text(text)).filter(|scrubbed| scrubbed != text));
    }

    /// Takes secrets out of a text.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text =
            self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN));
        for key in KEYS {
            text = without_keys(&text, key);
        }
        text
    }
}

/// Hides each word that begins in this way and is long enough.
fn without_keys(text: &str, begins: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(begins) {
        let (before, word) = rest.split_at(at);
        let end =
            word.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/=".contains(c))).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        let inside = before.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        out.push_str(if word.len() < KEY_BYTES_MIN || inside { word } else { HIDDEN });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_words_are_not() {
        let mut scrub = Scrub::default();
        scrub.hide("hunter2".into());
        scrub.hide(String::new());
        let cases = [
            ("it is hunter2.", "it is [hidden]."),
            ("Bearer sk-proj-0123456789abcdef, yes", "Bearer [hidden], yes"),
            ("AKIAIOSFODNN7EXAMPLE", "[hidden]"),
            ("task-oriented-programming-language", "task-oriented-programming-language"),
            ("sk-short", "sk-short"),
        ];
        for (text, expected) in cases {
            assert_eq!(scrub.text(text), expected);
        }
        assert!(!format!("{scrub:?}").contains("hunter2"));
    }
}
