//! Ranking: BM25 over title, headings, preview and text, with a strong boost for a standard named in the query.

use super::{
    document::Document,
    front_matter,
    markup::{self, Kind},
    snippet, words,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

const TITLE_WEIGHT: u32 = 8;
const PREVIEW_WEIGHT: u32 = 4;
const HEADING_WEIGHT: u32 = 3;
const PROSE_WEIGHT: u32 = 1;
const SATURATION: f64 = 1.2;
const LENGTH_WEIGHT: f64 = 0.5;
/// What a word is worth that means nearly what was asked.
const KINDRED_WEIGHT: f64 = 0.3;
/// What a word in a title is worth by its rarity among titles.
const TITLED_WEIGHT: f64 = 0.8;
/// What it is worth that words stand in one passage.
const TOGETHER_WEIGHT: f64 = 0.8;
/// Above every score that words can reach, so that a named standard leads.
const NAMED_BOOST: f64 = 100.0;
const SNIPPETS_MAX: usize = 2;

/// One document found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Which.
    pub document: Arc<Document>,
    /// How well it fits, in thousandths.
    pub score_milli: u64,
    /// Up to two passages of at most 160 characters around what was asked.
    pub snippets: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    document: Arc<Document>,
    words: Arc<Analysis>,
}

/// What search needs to know of a text; made once, however many sell it.
#[derive(Debug)]
pub(super) struct Analysis {
    counts: HashMap<String, u32>,
    length: u32,
    passages: Vec<HashSet<String>>,
    title: HashSet<String>,
}

/// A searchable set of documents. The same documents and query always give the same answer.
#[derive(Debug)]
pub struct SearchIndex {
    entries: Vec<Entry>,
    found_in: HashMap<String, u32>,
    titled: HashMap<String, u32>,
    length_mean: f64,
}

impl SearchIndex {
    /// Indexes the whole text of every document.
    #[must_use]
    pub fn new(documents: &[Arc<Document>]) -> Self {
        let entry = |document: &Arc<Document>| Entry { document: document.clone(), words: document.words() };
        let entries: Vec<_> = documents.iter().map(entry).collect();
        let mut found_in = HashMap::new();
        let mut titled = HashMap::new();
        for entry in &entries {
            for term in entry.words.counts.keys() {
                *found_in.entry(term.clone()).or_insert(0) += 1;
            }
            for term in &entry.words.title {
                *titled.entry(term.clone()).or_insert(0) += 1;
            }
        }
        let total: f64 = entries.iter().map(|entry| f64::from(entry.words.length)).sum();
        let length_mean = (total / as_f64(entries.len().max(1))).max(1.0);
        Self { entries, found_in, titled, length_mean }
    }

    /// The documents that fit `query`, best first, at most `limit` of them, and how many fit in all. Equal scores
    /// come in order of id. A query without words finds nothing.
    #[must_use]
    pub fn search(&self, query: &str, limit: usize) -> (Vec<Hit>, usize) {
        let ranked = self.rank(query);
        let total = ranked.len();
        let hits = ranked.into_iter().take(limit).map(|(score_milli, document)| {
            let snippets = self.snippets(query, &document);
            Hit { document, score_milli, snippets }
        });
        (hits.collect(), total)
    }

    /// All documents that fit, best first, with their scores in thousandths.
    pub(crate) fn rank(&self, query: &str) -> Vec<(u64, Arc<Document>)> {
        let wanted = self.wanted(query);
        let named = words::named_standards(query);
        let mut scored: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (milli(self.score(entry, &wanted, &named)), entry.document.clone()))
            .filter(|(score, _)| *score > 0)
            .collect();
        scored.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id().cmp(b.1.id())));
        scored
    }

    /// The passages of a document that speak to `query`.
    pub(crate) fn snippets(&self, query: &str, document: &Document) -> Vec<String> {
        snippet::around(document, &self.wanted(query), SNIPPETS_MAX)
    }

    /// The terms of a query that occur anywhere, each with its weight.
    fn wanted(&self, query: &str) -> BTreeMap<String, f64> {
        let weighed = words::terms(query).into_iter().map(|term| {
            let weight = self.rarity(&term);
            (term, weight)
        });
        let mut wanted: BTreeMap<String, f64> = weighed.filter(|(_, weight)| *weight > 0.0).collect();
        for term in words::kindred(query) {
            let weight = self.rarity(&term) * KINDRED_WEIGHT;
            if weight > 0.0 {
                wanted.entry(term).or_insert(weight);
            }
        }
        wanted
    }

    fn rarity(&self, term: &str) -> f64 {
        self.rarity_in(&self.found_in, term)
    }

    /// How much a term tells: nothing if no document has it, little if all do.
    fn rarity_in(&self, counts: &HashMap<String, u32>, term: &str) -> f64 {
        let Some(with) = counts.get(term) else { return 0.0 };
        let (all, with) = (as_f64(self.entries.len()), f64::from(*with));
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    fn score(&self, entry: &Entry, wanted: &BTreeMap<String, f64>, named: &[u32]) -> f64 {
        let length = 1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * f64::from(entry.words.length) / self.length_mean;
        let mut score = 0.0;
        let mut covered = 0.0;
        for (term, weight) in wanted {
            let count = f64::from(entry.words.counts.get(term).copied().unwrap_or(0));
            if count > 0.0 {
                score += weight * count * (SATURATION + 1.0) / (count + SATURATION * length);
                covered += weight;
            }
        }
        let together = |passage: &HashSet<String>| -> f64 {
            wanted.iter().filter(|(term, _)| passage.contains(*term)).map(|(_, weight)| weight).sum()
        };
        score += TOGETHER_WEIGHT * entry.words.passages.iter().map(together).fold(0.0, f64::max);
        // A word that few titles have says more in a title than its frequency in texts tells.
        for (term, weight) in wanted.iter().filter(|(term, _)| entry.words.title.contains(*term)) {
            score += TITLED_WEIGHT * self.rarity_in(&self.titled, term) * weight / self.rarity(term).max(0.1);
        }
        // A text that speaks of all that was asked beats one that repeats a part of it.
        let asked: f64 = wanted.values().sum();
        if asked > 0.0 {
            score *= 0.5 + covered / asked;
        }
        let is_named = entry.document.standard().is_some_and(|number| named.contains(&number));
        if is_named { score + NAMED_BOOST } else { score }
    }
}

impl Analysis {
    /// Counts the words of a document.
    pub(super) fn of(document: &Document) -> Self {
        let mut counts: HashMap<String, u32> = HashMap::new();
        let mut length = 0_u32;
        let mut add = |text: &str, weight: u32| {
            for term in words::terms(text) {
                *counts.entry(term).or_insert(0) += weight;
                length = length.saturating_add(1);
            }
        };
        add(document.title(), TITLE_WEIGHT);
        add(document.preview(), PREVIEW_WEIGHT);
        if let Some(number) = document.standard() {
            add(&words::standard_term(number), TITLE_WEIGHT);
        }
        let (_, body) = front_matter::split(document.text());
        let title = words::terms(document.title()).into_iter().collect();
        let mut passages = Vec::new();
        for block in markup::blocks(body, document.media_type().starts_with("text/html")) {
            let terms = words::terms(&block.text);
            let weight = if block.kind == Kind::Heading { HEADING_WEIGHT } else { PROSE_WEIGHT };
            // Code repeats its names: it is found, but neither its length nor its repetitions count.
            for term in &terms {
                let count = counts.entry(term.clone()).or_insert(0);
                *count = if block.kind == Kind::Code { (*count).max(PROSE_WEIGHT) } else { *count + weight };
            }
            if block.kind != Kind::Code {
                length = length.saturating_add(u32::try_from(terms.len()).unwrap_or(u32::MAX));
                passages.push(terms.into_iter().collect());
            }
        }
        Self { counts, length, passages, title }
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a score is finite, at least zero and far below 2^53"
)]
fn milli(score: f64) -> u64 {
    (score * 1000.0).round() as u64
}
