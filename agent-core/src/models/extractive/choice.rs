//! Which documents are worth their price.

use super::question::Question;
use super::state::{Hit, Offer, State};
use super::text::stems;
use std::collections::BTreeMap;

/// A document that scores below this part of the best is not worth a price.
const FAR_BELOW: f64 = 0.45;
/// What a document must add to be bought beside one that the question names.
const BESIDE_NAMED: f64 = 0.75;
/// Below this a document has nothing to do with the question.
const RELEVANT: f64 = 0.2;
/// A document that shows less than this share of the words asked for is about something else.
const ASKED: f64 = 0.15;
/// How much a word counts there that only stands near one that was asked for.
const NEAR_SHARE: f64 = 0.3;

/// A document with every place that offers it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) urls: Vec<String>,
    pub(super) owned: bool,
    pub(super) price_micro_usd: Option<u64>,
    pub(super) value: f64,
}

/// A document with the offer chosen for it.
pub(super) type Offered<'a> = (&'a Document, &'a Offer);
/// A document that nobody sells, with the reason.
pub(super) type Blocked<'a> = (&'a Document, String);
/// A document, what it covers, and whether the question names it.
type Candidate = (Document, BTreeMap<String, f64>, bool);

/// The documents worth having, best first.
pub(super) fn choose(state: &State, documents_max: usize) -> Vec<Document> {
    let documents = group(&state.hits);
    let mut found: Vec<Candidate> = Vec::new();
    let common = frequencies(&state.hits);
    for hits in documents {
        let Some(best) = hits.first() else { continue };
        let text: Vec<String> = hits.iter().flat_map(|hit| stems(&hit.text)).collect();
        let covered = coverage(&state.question, &text, &common, state.hits.len());
        let named = named(&state.question, &best.title);
        let relative = hits.iter().map(|hit| hit.relative).fold(0.0, f64::max);
        let share: f64 = covered.values().sum();
        let relevance = 0.5f64.mul_add(relative, 0.5 * share) + if named { 1.0 } else { 0.0 };
        let document = Document {
            title: best.title.clone(),
            urls: hits.iter().map(|hit| hit.url.clone()).collect(),
            owned: hits.iter().any(|hit| hit.owned),
            price_micro_usd: hits.iter().filter_map(|hit| hit.price_micro_usd).min(),
            value: relevance,
        };
        if named
            || (relevance >= RELEVANT
                && asked_share(&state.question, &text, &common, state.hits.len()) >= ASKED)
        {
            found.push((document, covered, named));
        }
    }
    pick(found, documents_max)
}

/// Greedy: what adds most to what is covered already, for its price.
fn pick(mut found: Vec<Candidate>, documents_max: usize) -> Vec<Document> {
    let usual = median(found.iter().filter_map(|(document, ..)| document.price_micro_usd).collect());
    let any_named = found.iter().any(|(.., named)| *named);
    let best = found.iter().map(|(document, ..)| document.value).fold(0.0, f64::max);
    let mut covered: BTreeMap<String, f64> = BTreeMap::new();
    let mut chosen: Vec<Document> = Vec::new();
    while chosen.len() < documents_max && !found.is_empty() {
        let worth = |(document, own, named): &Candidate| {
            let all: f64 = own.values().sum();
            let new: f64 =
                own.iter().map(|(term, share)| (share - covered.get(term).unwrap_or(&0.0)).max(0.0)).sum();
            let fresh = if *named || all <= 0.0 { 1.0 } else { 0.7f64.mul_add(1.0, 0.3 * new / all) };
            document.value * fresh / price_factor(document, usual)
        };
        let mut best_at: Option<(usize, f64)> = None;
        for (index, candidate) in found.iter().enumerate() {
            let worth = worth(candidate);
            if best_at.is_none_or(|(_, most)| worth > most + 1e-9) {
                best_at = Some((index, worth));
            }
        }
        let Some((index, worth)) = best_at else { break };
        let (mut document, own, named) = found.remove(index);
        let enough = if any_named && !named { BESIDE_NAMED * best } else { FAR_BELOW * best };
        if worth < enough {
            break;
        }
        for (term, share) in own {
            let most = covered.entry(term).or_insert(0.0);
            *most = most.max(share);
        }
        document.value = worth;
        chosen.push(document);
    }
    chosen
}

/// A document at the usual price costs a tenth of its worth; at ten times the price, half.
fn price_factor(document: &Document, usual: Option<u64>) -> f64 {
    match (document.price_micro_usd, usual) {
        _ if document.owned => 1.0,
        (Some(price), Some(usual)) if usual > 0 => {
            let small = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
            0.1f64.mul_add(small(price) / small(usual), 1.0)
        }
        _ => 1.1,
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

/// Share of the question that a text covers, by term; all shares of a full cover add up to 1.
fn coverage(
    question: &Question,
    text: &[String],
    common: &BTreeMap<String, usize>,
    hits: usize,
) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    let mut whole = 0.0;
    for (term, weight) in question.facets.iter().flat_map(|facet| &facet.terms) {
        let Some(count) = common.get(term) else { continue };
        let weight = weight * super::compose::idf(*count, hits);
        whole += weight;
        if text.contains(term) {
            *shares.entry(term.clone()).or_insert(0.0) += weight;
        }
    }
    for share in shares.values_mut() {
        *share /= f64::max(whole, f64::EPSILON);
    }
    shares
}

/// Share of the words asked for that a text holds, in these or words that say the same; what no hit holds counts most.
fn asked_share(question: &Question, text: &[String], common: &BTreeMap<String, usize>, hits: usize) -> f64 {
    let (mut held, mut whole) = (0.0, 0.0);
    for term in question.facets.iter().flat_map(|facet| &facet.own) {
        let same = super::text::same(term);
        let forms = || std::iter::once(term).chain(&same);
        let count = forms().filter_map(|form| common.get(form)).max().copied().unwrap_or_default();
        let weight = super::compose::idf(count, hits);
        whole += weight;
        if forms().any(|form| text.contains(form)) {
            held += weight;
        }
    }
    let near = question.facets.iter().flat_map(|facet| &facet.terms).filter(|(_, weight)| *weight < 1.0);
    for (term, _) in near.filter(|(term, _)| text.contains(term)) {
        let count = common.get(term).copied().unwrap_or_default();
        held += NEAR_SHARE * super::compose::idf(count, hits);
    }
    held / f64::max(whole, f64::EPSILON)
}

/// The cheapest payable offer of each document; the documents without one, with the reason.
pub(super) fn cheapest<'a>(
    documents: &'a [Document],
    offers: &'a [Offer],
    errors: &'a [(String, String)],
) -> (Vec<Offered<'a>>, Vec<Blocked<'a>>) {
    let (mut payable, mut blocked) = (Vec::new(), Vec::new());
    for document in documents {
        let own: Vec<&Offer> = offers.iter().filter(|offer| document.urls.contains(&offer.url)).collect();
        let best = own
            .iter()
            .filter(|offer| offer.payable)
            .min_by_key(|offer| offer.price_micro_usd.unwrap_or(u64::MAX));
        match best {
            Some(offer) => payable.push((document, *offer)),
            None => {
                let reason = own.iter().find_map(|offer| offer.blocked.clone()).or_else(|| {
                    errors.iter().find(|(url, _)| document.urls.contains(url)).map(|(_, error)| error.clone())
                });
                blocked.push((document, reason.unwrap_or_else(|| "no seller quoted a price".to_owned())));
            }
        }
    }
    (payable, blocked)
}

/// As many as the money lasts for, best first. An unknown price does not count as zero: it takes what is left.
pub(super) fn within_budget<'a>(
    payable: Vec<Offered<'a>>,
    left_micro_usd: Option<u64>,
) -> (Vec<Offered<'a>>, Vec<&'a Document>) {
    let Some(mut left) = left_micro_usd else { return (payable, Vec::new()) };
    let (mut within, mut beyond) = (Vec::new(), Vec::new());
    for (document, offer) in payable {
        match left.checked_sub(offer.price_micro_usd.unwrap_or(u64::MAX)) {
            Some(rest) => {
                left = rest;
                within.push((document, offer));
            }
            None => beyond.push(document),
        }
    }
    (within, beyond)
}
