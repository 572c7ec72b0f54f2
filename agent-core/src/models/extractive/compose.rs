//! From passages to a brief: the sentences that answer best, verbatim, each with its citation.

use super::ExtractiveSettings;
use super::corpus::{Candidate, Corpus, NEAR_WORTH, count, names_other};
use super::question::{Facet, Kind, Question};
use super::state::{Passage, State};
use super::text::{is_numbered, stems};
use std::collections::{BTreeMap, BTreeSet};

/// A sentence that scores below this part of the clause's best is left out.
const FAR_BELOW: f64 = 0.5;
/// So many sentences are taken for a clause even if they are below that, unless the first says it all.
const FEW: usize = 3;
/// From this cover on, a sentence says nearly all of it.
const SAYS_ALL: f64 = 0.9;
/// So many of the best come first; the rest reads in the order of its document.
const FIRST: usize = 2;
/// What a sentence of another document than the best one's has to reach of its score, unless several are asked for.
const ELSEWHERE: f64 = 0.65;
/// How alike two sentences may be.
const ALIKE: f64 = 0.6;
/// A sentence says something about a clause if it covers this share of its words.
const SAYS_SOMETHING: f64 = 0.15;
/// Below this cover the passages are about something else, and the clause stays without an answer.
const TOUCHES: f64 = 0.2;
/// A clause counts as answered well from this cover on.
const ANSWERED: f64 = 0.75;
/// Most sentences for a question of one clause.
const SENTENCES_ONE: usize = 5;

/// One cited sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cited {
    pub(super) facet: usize,
    pub(super) title: String,
    pub(super) citation: String,
    pub(super) artifact: String,
    pub(super) quote: String,
    pub(super) shown: String,
}

/// The answer before it is written down.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Brief {
    /// In the order they are read: by clause, the best first.
    pub(super) cited: Vec<Cited>,
    /// The document that a "which" asks for.
    pub(super) winner: Option<String>,
    /// Words of the question that no passage holds.
    pub(super) unmentioned: Vec<String>,
    /// Whether each clause is answered well.
    pub(super) answered: Vec<bool>,
    /// Whether every clause is answered well, out of every document that the question names.
    pub(super) strong: bool,
}

/// Selects and orders the sentences.
pub(super) fn compose(state: &State, settings: &ExtractiveSettings) -> Brief {
    brief(&state.question, &state.passages, settings)
}

/// Whether each clause was answered well before anything was fetched.
pub(super) fn answered(state: &State, settings: &ExtractiveSettings) -> Vec<bool> {
    let before = state.passages.get(..state.owned_before).unwrap_or_default();
    if before.is_empty() {
        return Vec::new();
    }
    let brief = brief(&state.question, before, settings);
    // If all clauses were answered, and yet the market was asked, then each of them counts again.
    if brief.answered.iter().all(|answered| *answered) { Vec::new() } else { brief.answered }
}

fn brief(question: &Question, passages: &[Passage], settings: &ExtractiveSettings) -> Brief {
    let corpus = Corpus::new(passages);
    let winner = corpus.winner(question);
    let share = settings.sentences_max.div_ceil(question.facets.len().max(1)).max(1);
    let per_facet =
        if question.facets.len() == 1 { settings.sentences_max.min(SENTENCES_ONE) } else { share };
    let mut cited: Vec<Cited> = Vec::new();
    let mut taken: Vec<BTreeSet<String>> = Vec::new();
    let mut answered: Vec<bool> = Vec::new();
    for (index, facet) in question.facets.iter().enumerate() {
        let candidates = corpus.candidates(question, facet, winner.as_deref());
        let candidates = match compared(facet, question, &candidates) {
            Some(wider) => corpus.candidates(question, &wider, winner.as_deref()),
            None => candidates,
        };
        let best_cover = candidates.iter().take(4).map(|candidate| candidate.cover).fold(0.0, f64::max);
        if best_cover < TOUCHES && question.named.is_empty() {
            answered.push(false);
            continue;
        }
        let room = settings.sentences_max.saturating_sub(cited.len()).min(per_facet);
        let mut picked = select(candidates, room, &mut taken, facet, question);
        answered.push(best_cover >= ANSWERED && picked.len() >= 2);
        order(&mut picked, winner.as_deref());
        cited.extend(picked.into_iter().map(|candidate| Cited {
            facet: index,
            title: candidate.passage.title.clone(),
            citation: candidate.passage.citation.clone(),
            artifact: candidate.passage.artifact.clone(),
            quote: candidate.sentence.quote,
            shown: candidate.sentence.shown,
        }));
    }
    let has_title = |name: &String| {
        passages.iter().any(|passage| stems(&passage.title).iter().find(|w| is_numbered(w)) == Some(name))
    };
    let unmentioned = corpus.unmentioned(question);
    let strong = answered.iter().all(|answered| *answered)
        && question.named.iter().all(has_title)
        && !cited.is_empty()
        && unmentioned.is_empty();
    Brief { cited, winner, unmentioned, answered, strong }
}

/// In a comparison, what one side says of the other names the points to look for in both.
fn compared(facet: &Facet, question: &Question, candidates: &[Candidate<'_>]) -> Option<Facet> {
    let is_comparison = facet.kind == Kind::Difference && question.named.len() > 1;
    let telling = candidates.iter().filter(|candidate| {
        let own: BTreeSet<String> = stems(&candidate.sentence.shown).into_iter().collect();
        is_comparison && names_other(question, &candidate.passage.title, &own)
    });
    let mut wider = facet.clone();
    for stem in telling.take(2).flat_map(|candidate| &candidate.stems) {
        if !is_numbered(stem) && !wider.terms.iter().any(|(term, _)| term == stem) {
            wider.terms.push((stem.clone(), NEAR_WORTH));
        }
    }
    (wider.terms.len() > facet.terms.len()).then_some(wider)
}

/// Best first, nothing twice, and in a comparison a fair share for each side.
fn select<'a>(
    candidates: Vec<Candidate<'a>>,
    room: usize,
    taken: &mut Vec<BTreeSet<String>>,
    facet: &Facet,
    question: &Question,
) -> Vec<Candidate<'a>> {
    let best = candidates.first().map_or(0.0, |candidate| candidate.score);
    let mut best_of: BTreeMap<&str, f64> = BTreeMap::new();
    for candidate in &candidates {
        let most = best_of.entry(&candidate.passage.artifact).or_insert(0.0);
        *most = most.max(candidate.score);
    }
    let meant = question.named.iter().filter(|name| facet.own.contains(name)).count();
    let unnamed = question.named.is_empty() && question.facets.iter().any(|facet| facet.several);
    let sides = if facet.several || (facet.kind == Kind::Difference && unnamed) {
        best_of.len()
    } else if meant > 0 {
        meant
    } else {
        question.named.len()
    };
    let compares = (facet.kind == Kind::Difference || facet.several) && sides > 1;
    let fair = if compares { room.div_ceil(sides) } else { room };
    let mut picked: Vec<Candidate<'a>> = Vec::new();
    let mut by_artifact: BTreeMap<&str, usize> = BTreeMap::new();
    for candidate in candidates {
        if picked.len() >= room {
            break;
        }
        let held = by_artifact.get(candidate.passage.artifact.as_str()).copied().unwrap_or_default();
        // In a comparison each side is measured by itself, so that the richer one does not crowd out the other.
        let own_best = best_of.get(candidate.passage.artifact.as_str()).copied().unwrap_or(best);
        let measure = if fair < room { own_best } else { best };
        // A lone sentence is a thin answer: the first few only have to say something.
        let few = if picked.first().is_some_and(|first| first.cover >= SAYS_ALL) { FIRST } else { FEW };
        let (share, least) =
            if picked.len() < few { (0.35, 0.5 * SAYS_SOMETHING) } else { (FAR_BELOW, SAYS_SOMETHING) };
        let elsewhere = !compares
            && picked.first().is_some_and(|first| first.passage.artifact != candidate.passage.artifact);
        let share = if elsewhere { ELSEWHERE } else { share };
        let far = candidate.score < share * measure || candidate.cover < least;
        let said = taken.iter().any(|other| alike(other, &candidate.stems) > ALIKE)
            || picked.iter().any(|other| overlap(&other.sentence.quote, &candidate.sentence.quote));
        if far || held >= fair || said {
            continue;
        }
        by_artifact.insert(candidate.passage.artifact.as_str(), held.saturating_add(1));
        taken.push(candidate.stems.clone());
        picked.push(candidate);
    }
    picked
}

/// The best stay first; the rest reads by document, and in a document in its own order.
fn order(picked: &mut [Candidate<'_>], winner: Option<&str>) {
    let mut documents: Vec<String> = winner.map(str::to_owned).into_iter().collect();
    for candidate in picked.iter() {
        if !documents.contains(&candidate.passage.artifact) {
            documents.push(candidate.passage.artifact.clone());
        }
    }
    let rank = |candidate: &Candidate<'_>| {
        let document = documents.iter().position(|artifact| *artifact == candidate.passage.artifact);
        let number =
            candidate.passage.citation.rsplit('#').next().and_then(|number| number.parse::<u64>().ok());
        (document, number, candidate.sentence.position)
    };
    if let Some(first) = picked.first().map(|candidate| candidate.passage.artifact.clone()) {
        let lead = winner.is_none_or(|winner| winner == first);
        let rest = if lead { picked.get_mut(FIRST..) } else { Some(picked) };
        rest.unwrap_or_default().sort_by_key(rank);
    }
}

/// Share of all the words of two sentences that stands in both.
fn alike(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    count(a.intersection(b).count()) / count(a.union(b).count()).max(1.0)
}

fn overlap(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a)
}
