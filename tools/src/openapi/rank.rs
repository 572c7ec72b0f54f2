//! Finding operations by words.

use super::operation::Operation;
use std::collections::{BTreeMap, BTreeSet};

/// What a word counts where it stands: in the name, in the path, in the tags and the summary, in the description.
const WEIGHTS: [u64; 4] = [8, 6, 5, 1];
const DESCRIPTION_CHARS: usize = 400;
const QUERY_WORDS_MAX: usize = 16;

/// Words of operations.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// For each word, the operations that have it and what it counts there.
    words: BTreeMap<String, BTreeMap<usize, u64>>,
    operations: usize,
}

impl Index {
    pub(super) fn of<'a>(operations: impl Iterator<Item = &'a Operation>) -> Self {
        let mut index = Self::default();
        for (number, operation) in operations.enumerate() {
            index.operations = index.operations.saturating_add(1);
            let described: String = operation.description.chars().take(DESCRIPTION_CHARS).collect();
            let about = format!("{} {}", operation.summary, operation.tags.join(" "));
            let verb = format!("{} {}", operation.method, operation.path);
            for (text, weight) in [&operation.name, &verb, &about, &described].into_iter().zip(WEIGHTS) {
                for word in words(text) {
                    let at = index.words.entry(word).or_default().entry(number).or_default();
                    *at = (*at).max(weight);
                }
            }
        }
        index
    }

    /// The operations that have most to do with these words, the best first.
    pub(super) fn find(&self, query: &str, max: usize) -> Vec<usize> {
        let mut scores: BTreeMap<usize, u64> = BTreeMap::new();
        for word in words(query).into_iter().take(QUERY_WORDS_MAX) {
            let mut best: BTreeMap<usize, u64> = BTreeMap::new();
            for (found, at) in
                self.words.range(word.clone()..).take_while(|(found, _)| found.starts_with(&word))
            {
                let rare = u64::from(self.operations.checked_div(at.len()).unwrap_or(1).max(1).ilog2())
                    .saturating_add(1);
                // The beginning of a word counts less than the whole of it.
                let exact = if *found == word { 4 } else { 1 };
                for (number, weight) in at {
                    let score = weight.saturating_mul(rare).saturating_mul(exact);
                    let best = best.entry(*number).or_default();
                    *best = (*best).max(score);
                }
            }
            for (number, score) in best {
                let sum = scores.entry(number).or_default();
                *sum = sum.saturating_add(score);
            }
        }
        let mut ranked: Vec<(usize, u64)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.into_iter().take(max).map(|(number, _)| number).collect()
    }
}

/// The words of a text in lower case and without a plural's `s`; `listPullRequests` has three.
fn words(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut word = String::new();
    let mut lower = false;
    for c in text.chars().chain([' ']) {
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && lower);
        if ends && !word.is_empty() {
            let plain = word.strip_suffix('s').filter(|plain| plain.len() > 2 && !plain.ends_with('s'));
            all.insert(plain.unwrap_or(&word).to_owned());
            word.clear();
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase() || c.is_numeric();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_told_apart_as_people_do() {
        let found: Vec<String> = words("repos/listPullRequests address x_y v2Keys").into_iter().collect();
        assert_eq!(found, ["address", "key", "list", "pull", "repo", "request", "v2", "x", "y"]);
    }
}
