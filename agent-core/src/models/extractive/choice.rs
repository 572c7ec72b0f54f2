//! Which documents are worth their price.

use super::ExtractiveSettings;
use super::compose::answered;
use super::question::{Kind, Question, weight};
use super::state::{Hit, State};
use super::text::stems;
use std::collections::BTreeMap;

/// A document that is worth less than this part of the best is not bought beside it.
const FAR_BELOW: f64 = 0.65;
/// The same where the question asks for several documents.
const FAR_BELOW_SEVERAL: f64 = 0.6;
/// What a document must be worth to be bought beside one that the question names.
const BESIDE_NAMED: f64 = 0.75;
/// Share of the question that a further document must add.
const ADDS: f64 = 0.28;
/// At most so many documents where the question names none.
const UNNAMED_MAX: usize = 3;
/// Below this a document has nothing to do with the question.
const RELEVANT: f64 = 0.2;
/// A document that shows less than this share of the words asked for is about something else.
const ASKED: f64 = 0.25;
/// How much a word counts there that only stands near one that was asked for.
const NEAR_SHARE: f64 = 0.3;
/// Most that all such words add.
const NEAR_MOST: f64 = 0.25;

/// A document with every place that offers it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) urls: Vec<String>,
    pub(super) owned: bool,
    pub(super) price_micro_usd: Option<u64>,
    pub(super) value: f64,
}

/// A document that may be worth having.
struct Candidate {
    document: Document,
    /// Share of the question that it shows, by word.
    covered: BTreeMap<String, f64>,
    /// Whether the question names it.
    named: bool,
}

/// The documents worth having, best first, owned ones among them.
///
/// One is bought only if it is worth it for the whole question, what is owned counted in, so that the same question asked
/// again buys nothing; and for what is still open, so that a follow-up buys only what is missing.
pub(super) fn choose(state: &State, settings: &ExtractiveSettings) -> Vec<Document> {
    let answered = answered(state, settings);
    let mut chosen = choose_for(&asked(state, &[]), state, settings);
    if answered.contains(&true) {
        let open = choose_for(&asked(state, &answered), state, settings);
        chosen.retain(|document| document.owned || open.iter().any(|other| other.urls == document.urls));
    }
    chosen
}

fn choose_for(asked: &Asked, state: &State, settings: &ExtractiveSettings) -> Vec<Document> {
    let mut found: Vec<Candidate> = Vec::new();
    for hits in group(&state.hits) {
        let Some(best) = hits.first() else { continue };
        let text: Vec<String> = hits.iter().flat_map(|hit| stems(&hit.text)).collect();
        let covered = asked.covered(&text);
        let named = named(&state.question, &best.title);
        let support = hits.iter().map(|hit| hit.support).fold(0.0, f64::max) / state.support_max.max(1.0);
        let share = covered.values().sum::<f64>();
        let near = asked.near(&text);
        let titled = asked.covered(&stems(&best.title)).values().sum::<f64>();
        let value = 0.45f64.mul_add(support, 0.35f64.mul_add(share + near, 0.2 * titled));
        let about = share + near >= ASKED && value >= RELEVANT;
        if named || about {
            let document = Document {
                title: best.title.clone(),
                urls: hits.iter().map(|hit| hit.url.clone()).collect(),
                owned: hits.iter().any(|hit| hit.owned),
                price_micro_usd: hits.iter().filter_map(|hit| hit.price_micro_usd).min(),
                value: if named { 1.0 + value } else { value },
            };
            found.push(Candidate { document, covered, named });
        }
    }
    let several = state.question.facets.iter().any(|facet| facet.several)
        || (state.question.named.is_empty()
            && state.question.facets.first().is_some_and(|facet| facet.kind == Kind::Difference));
    pick(found, settings.documents_max, several)
}

/// Greedy: what is worth most for its price, then only what adds to it.
fn pick(mut found: Vec<Candidate>, documents_max: usize, several: bool) -> Vec<Document> {
    let usual = median(found.iter().filter_map(|candidate| candidate.document.price_micro_usd).collect());
    let any_named = found.iter().any(|candidate| candidate.named);
    let mut covered: BTreeMap<String, f64> = BTreeMap::new();
    let mut best: Option<f64> = None;
    let mut chosen: Vec<Document> = Vec::new();
    while chosen.len() < documents_max {
        let adds = |candidate: &Candidate| -> f64 {
            let new = |(term, share): (&String, &f64)| (share - covered.get(term).unwrap_or(&0.0)).max(0.0);
            candidate.covered.iter().map(new).sum()
        };
        let worth = |candidate: &Candidate| {
            // Beside others, what is new counts; the first is all new.
            let fresh =
                if best.is_none() || candidate.named { 1.0 } else { 0.5f64.mul_add(adds(candidate), 1.0) };
            candidate.document.value * fresh / price_factor(&candidate.document, usual)
        };
        let enough = |candidate: &Candidate| match best {
            None => true,
            _ if candidate.named => true,
            Some(best) if any_named => candidate.document.value >= BESIDE_NAMED * best,
            Some(best) if several => {
                chosen.len() < UNNAMED_MAX && candidate.document.value >= FAR_BELOW_SEVERAL * best
            }
            Some(best) => {
                chosen.len() < UNNAMED_MAX
                    && candidate.document.value >= FAR_BELOW * best
                    && adds(candidate) >= ADDS
            }
        };
        let mut next: Option<(usize, f64)> = None;
        for (index, candidate) in found.iter().enumerate().filter(|(_, candidate)| enough(candidate)) {
            let worth = worth(candidate);
            if next.is_none_or(|(_, most)| worth > most + 1e-9) {
                next = Some((index, worth));
            }
        }
        let Some((index, worth)) = next else { break };
        let Candidate { mut document, covered: own, .. } = found.remove(index);
        for (term, share) in own {
            let most = covered.entry(term).or_insert(0.0);
            *most = most.max(share);
        }
        best = best.or(Some(document.value));
        document.value = worth;
        chosen.push(document);
    }
    chosen
}

/// A document at the usual price keeps four fifths of its worth; at four times the price, half.
fn price_factor(document: &Document, usual: Option<u64>) -> f64 {
    match (document.price_micro_usd, usual) {
        _ if document.owned => 1.0,
        (Some(price), Some(usual)) if usual > 0 => {
            let small = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
            0.25f64.mul_add(small(price) / small(usual), 1.0)
        }
        _ => 1.25,
    }
}

fn median(mut prices: Vec<u64>) -> Option<u64> {
    prices.sort_unstable();
    prices.get(prices.len() / 2).copied()
}

/// Hits of the same document, best first: same title, or the same last part of the address.
fn group(hits: &[Hit]) -> Vec<Vec<&Hit>> {
    let mut groups: Vec<(String, Vec<&Hit>)> = Vec::new();
    for hit in hits {
        let key = key(hit);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(hit),
            None => groups.push((key, vec![hit])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn key(hit: &Hit) -> String {
    let title: String = hit.title.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() { hit.url.rsplit('/').next().unwrap_or_default().to_lowercase() } else { title }
}

/// Whether the question names this document by its number.
pub(super) fn named(question: &Question, title: &str) -> bool {
    let title = stems(title);
    let first = title.iter().find(|word| super::text::is_numbered(word));
    first.is_some_and(|first| question.named.contains(first))
}

/// What is asked for, each word with its share of the whole.
struct Asked {
    /// Each word, those that say the same, and its share.
    words: Vec<(String, Vec<String>, f64)>,
    near: Vec<(String, f64)>,
}

/// What the clauses ask for that are not answered yet.
fn asked(state: &State, answered: &[bool]) -> Asked {
    let common = frequencies(&state.hits);
    let telling = |forms: &mut dyn Iterator<Item = &String>| {
        let count = forms.filter_map(|form| common.get(form)).max().copied().unwrap_or_default();
        super::corpus::idf(count, state.hits.len()).max(0.3)
    };
    let open: Vec<_> = state
        .question
        .facets
        .iter()
        .enumerate()
        .filter(|(index, _)| answered.get(*index) != Some(&true))
        .collect();
    let mut words: Vec<(String, Vec<String>, f64)> = Vec::new();
    let mut near: Vec<(String, f64)> = Vec::new();
    for (_, facet) in open {
        // What a clause asks of "it" says less about which document it is.
        let part = if facet.refers { 0.5 } else { 1.0 };
        for term in &facet.own {
            let same = super::text::same(term);
            let mut forms = std::iter::once(term).chain(&same);
            // A word that no hit holds cannot tell them apart.
            let held = forms.clone().any(|form| common.contains_key(form));
            let telling = if held { telling(&mut forms) } else { 1.0 };
            if !words.iter().any(|(known, ..)| known == term) {
                words.push((term.clone(), same, part * weight(term) * telling));
            }
        }
        let only_near = facet.terms.iter().map(|(term, _)| term).filter(|term| !facet.own.contains(term));
        near.extend(only_near.map(|term| (term.clone(), part * telling(&mut std::iter::once(term)))));
    }
    let whole: f64 = words.iter().map(|(_, _, weight)| weight).sum::<f64>().max(f64::EPSILON);
    for (_, _, weight) in &mut words {
        *weight /= whole;
    }
    for (_, weight) in &mut near {
        *weight /= whole;
    }
    Asked { words, near }
}

impl Asked {
    /// Share of the question that a text covers, by word, in these or words that say the same.
    fn covered(&self, text: &[String]) -> BTreeMap<String, f64> {
        let mut shares = BTreeMap::new();
        for (term, same, share) in &self.words {
            if text.contains(term) {
                shares.insert(term.clone(), *share);
            } else if same.iter().any(|other| text.contains(other)) {
                shares.insert(term.clone(), 0.8 * share);
            }
        }
        shares
    }

    /// What the words add that only stand near.
    fn near(&self, text: &[String]) -> f64 {
        let there = self.near.iter().filter(|(term, _)| text.contains(term));
        f64::min(NEAR_SHARE * there.map(|(_, share)| share).sum::<f64>(), NEAR_MOST)
    }
}

/// In how many hits each stem stands.
fn frequencies(hits: &[Hit]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for hit in hits {
        let mut own = stems(&hit.text);
        own.sort();
        own.dedup();
        for stem in own {
            let count: &mut usize = counts.entry(stem).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts
}
