//! Short passages around what was asked: enough to judge relevance, not enough to replace the document.

use super::{
    document::Document,
    front_matter,
    markup::{self, Kind},
    words,
};
use std::collections::{BTreeMap, BTreeSet};

const SNIPPET_CHARS: usize = 160;

/// Up to `max` passages of `document` that hold the weightiest of the `wanted` terms, in order of the text.
pub(super) fn around(document: &Document, wanted: &BTreeMap<String, f64>, max: usize) -> Vec<String> {
    let (_, body) = front_matter::split(document.text());
    let html = document.media_type().starts_with("text/html");
    let mut passages = Vec::new();
    for block in markup::blocks(body, html).into_iter().filter(|block| block.kind == Kind::Prose) {
        passages.extend(sentences(&block.text));
    }
    let mut missing: BTreeSet<&String> = wanted.keys().collect();
    let mut chosen: Vec<(usize, String)> = Vec::new();
    while chosen.len() < max {
        let best = passages
            .iter()
            .enumerate()
            .filter(|(place, _)| chosen.iter().all(|(taken, _)| taken != place))
            .map(|(place, passage)| (worth(passage, wanted, &missing), place, passage))
            .filter(|(worth, ..)| *worth > 0.0)
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
        let Some((_, place, passage)) = best else { break };
        let said: BTreeSet<String> = words::terms(passage).into_iter().collect();
        missing.retain(|term| !said.contains(*term));
        chosen.push((place, window(passage, wanted)));
    }
    chosen.sort_by_key(|(place, _)| *place);
    chosen.into_iter().map(|(_, passage)| passage).collect()
}

/// Terms that no chosen passage has said yet count in full, others a little.
fn worth(passage: &str, wanted: &BTreeMap<String, f64>, missing: &BTreeSet<&String>) -> f64 {
    let said: BTreeSet<String> = words::terms(passage).into_iter().collect();
    let worth = wanted
        .iter()
        .filter(|(term, _)| said.contains(*term))
        .map(|(term, weight)| if missing.contains(term) { *weight } else { weight / 10.0 })
        .sum::<f64>();
    if passage.chars().count() < 30 { worth / 2.0 } else { worth }
}

fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(last) = sentences.last_mut() {
            last.push(c);
        }
        if matches!(c, '.' | '!' | '?') && chars.peek() == Some(&' ') {
            chars.next();
            sentences.push(String::new());
        }
    }
    sentences.retain(|sentence| !sentence.trim().is_empty());
    sentences
}

/// At most 160 characters of a passage, beginning shortly before its first wanted word.
fn window(passage: &str, wanted: &BTreeMap<String, f64>) -> String {
    if passage.chars().count() <= SNIPPET_CHARS {
        return passage.to_owned();
    }
    let tokens: Vec<&str> = passage.split(' ').collect();
    let hit = |token: &str| words::terms(token).iter().any(|term| wanted.contains_key(term));
    let first = tokens.iter().position(|token| hit(token)).unwrap_or(0).saturating_sub(4);
    let mut shown = if first > 0 { "…".to_owned() } else { String::new() };
    for token in tokens.iter().skip(first) {
        if shown.chars().count() + token.chars().count() + 2 > SNIPPET_CHARS {
            shown.push('…');
            break;
        }
        if !shown.is_empty() && shown != "…" {
            shown.push(' ');
        }
        shown.push_str(token);
    }
    shown.chars().take(SNIPPET_CHARS).collect()
}
