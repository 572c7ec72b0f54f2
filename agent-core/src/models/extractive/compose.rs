//! From passages to a brief: the sentences that answer best, verbatim, each with its citation.

use super::ExtractiveSettings;
use super::choice::named;
use super::question::{Facet, Kind, Question};
use super::sentences::{Sentence, sentences};
use super::state::{Passage, State};
use super::text::{stems, topic_stems};
use std::collections::{BTreeMap, BTreeSet};

/// A sentence that scores below this part of the clause's best is left out.
const FAR_BELOW: f64 = 0.42;
/// So many sentences are taken for a clause even if they are far below the best.
const FEW: usize = 3;
/// How alike two sentences may be.
const ALIKE: f64 = 0.45;
/// A sentence says something about a clause if it covers this share of its words.
const SAYS_SOMETHING: f64 = 0.12;
/// How much a word counts that only stands near what was asked.
const NEAR_WORTH: f64 = 0.4;
/// What it is worth in a comparison that one side speaks of the other.
const NAMES_OTHER: f64 = 3.0;
/// Below this cover the passages are about something else, and the clause stays without an answer.
const TOUCHES: f64 = 0.2;
/// A clause counts as answered well from this cover on.
const ANSWERED: f64 = 0.75;

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
    /// In the order they are read: by clause, the best document first.
    pub(super) cited: Vec<Cited>,
    /// The document that a "which" asks for.
    pub(super) winner: Option<String>,
    /// Words of the question that no passage holds.
    pub(super) unmentioned: Vec<String>,
    /// Whether every clause is answered well.
    pub(super) strong: bool,
}

struct Candidate<'a> {
    passage: &'a Passage,
    sentence: Sentence,
    stems: BTreeSet<String>,
    score: f64,
    cover: f64,
}

/// Selects and orders the sentences.
pub(super) fn compose(state: &State, settings: &ExtractiveSettings) -> Brief {
    let question = &state.question;
    let corpus = Corpus::new(&state.passages);
    let winner = corpus.winner(question);
    let share = settings.sentences_max.div_ceil(question.facets.len().max(1)).max(1);
    let per_facet = if question.facets.len() == 1 { settings.sentences_max.min(6) } else { share };
    let mut cited: Vec<Cited> = Vec::new();
    let mut taken: Vec<BTreeSet<String>> = Vec::new();
    let mut strong = true;
    for (index, facet) in question.facets.iter().enumerate() {
        let candidates = corpus.candidates(question, facet, winner.as_deref());
        let candidates = match compared(facet, question, &candidates) {
            Some(wider) => corpus.candidates(question, &wider, winner.as_deref()),
            None => candidates,
        };
        let best_cover = candidates.iter().take(4).map(|candidate| candidate.cover).fold(0.0, f64::max);
        if best_cover < TOUCHES && question.named.is_empty() {
            strong = false;
            continue;
        }
        let room = settings.sentences_max.saturating_sub(cited.len()).min(per_facet);
        let mut picked = select(candidates, room, &mut taken, facet, question);
        strong &= best_cover >= ANSWERED && picked.len() >= 2;
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
    let owned_all = question.named.iter().all(|name| {
        state
            .passages
            .iter()
            .any(|passage| stems(&passage.title).iter().find(|w| super::text::is_numbered(w)) == Some(name))
    });
    let unmentioned = corpus.unmentioned(question);
    strong &= owned_all && !cited.is_empty() && unmentioned.is_empty();
    Brief { unmentioned, winner, cited, strong }
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
        if !super::text::is_numbered(stem) && !wider.terms.iter().any(|(term, _)| term == stem) {
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
    let sides = question.named.len().max(1);
    let fair = if facet.kind == Kind::Difference && sides > 1 { room.div_ceil(sides) } else { room };
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
        let (share, least) =
            if picked.len() < FEW { (0.3, 0.5 * SAYS_SOMETHING) } else { (FAR_BELOW, SAYS_SOMETHING) };
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

/// The best stays first; the rest reads by document, and in a document in its own order.
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
        let rest = if lead { picked.get_mut(1..) } else { Some(picked) };
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

/// How telling a word is that stands in `holding` of `all` texts.
pub(super) fn idf(holding: usize, all: usize) -> f64 {
    let (holding, all) = (count(holding), count(all));
    (1.0 + (all - holding + 0.5).max(0.5) / (holding + 0.5)).ln()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The passages at hand, as a small corpus.
struct Corpus<'a> {
    passages: Vec<(&'a Passage, Vec<String>)>,
    holding: BTreeMap<String, usize>,
}

impl<'a> Corpus<'a> {
    fn new(passages: &'a [Passage]) -> Self {
        let mut holding: BTreeMap<String, usize> = BTreeMap::new();
        let passages: Vec<(&Passage, Vec<String>)> = passages
            .iter()
            .map(|passage| {
                (passage, stems(&format!("{} {} {}", passage.title, passage.heading, passage.text)))
            })
            .collect();
        for (_, words) in &passages {
            for word in words.iter().collect::<BTreeSet<_>>() {
                let held = holding.entry(word.clone()).or_default();
                *held = held.saturating_add(1);
            }
        }
        Self { passages, holding }
    }

    fn idf(&self, term: &str) -> f64 {
        self.holding.get(term).map_or(0.0, |held| idf(*held, self.passages.len()))
    }

    /// The artifact that supports the first clause best, if it asks for one thing out of several.
    fn winner(&self, question: &Question) -> Option<String> {
        let asked = question.facets.first().filter(|facet| facet.kind == Kind::Which)?;
        let mut best: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut titles: BTreeMap<&str, f64> = BTreeMap::new();
        for (passage, words) in &self.passages {
            let mut score = self.bm25(asked, words);
            for other in question.facets.iter().skip(1) {
                score += 0.3 * self.bm25(other, words);
            }
            best.entry(&passage.artifact).or_default().push(score);
            let title: BTreeSet<String> = stems(&passage.title).into_iter().collect();
            let named = asked.terms.iter().filter(|(term, _)| title.contains(term));
            titles.insert(
                &passage.artifact,
                named.map(|(term, weight)| weight * self.idf(term).max(0.5)).sum(),
            );
        }
        let mut winner: Option<(&str, f64)> = None;
        for (artifact, mut scores) in best {
            scores.sort_by(|a, b| b.total_cmp(a));
            let support: f64 = scores.iter().zip([1.0, 0.5, 0.25]).map(|(score, share)| score * share).sum();
            let support = support + 1.5 * titles.get(artifact).copied().unwrap_or_default();
            if support > 0.0 && winner.is_none_or(|(_, most)| support > most + 1e-9) {
                winner = Some((artifact, support));
            }
        }
        winner.map(|(artifact, _)| artifact.to_owned())
    }

    fn bm25(&self, facet: &Facet, words: &[String]) -> f64 {
        let long = count(words.len()) / 150.0;
        facet
            .terms
            .iter()
            .map(|(term, weight)| {
                let times = count(words.iter().filter(|word| *word == term).count());
                weight * self.idf(term) * times * 2.2 / (times + 1.2 * 0.75f64.mul_add(long, 0.25))
            })
            .sum()
    }

    /// Sentences with a score for this clause, best first.
    fn candidates(&self, question: &Question, facet: &Facet, winner: Option<&str>) -> Vec<Candidate<'a>> {
        let whole: f64 = facet
            .own
            .iter()
            .filter(|term| !question.named.contains(term))
            .map(|term| match self.holding.get(term) {
                // Nobody mentions it: then whatever is said misses the question, unless it names its document.
                None if question.named.is_empty() => idf(0, self.passages.len()),
                None => 1.0,
                Some(_) => self.idf(term).max(1.0),
            })
            .sum();
        let asked: Vec<(&String, Vec<String>)> =
            facet.own.iter().map(|term| (term, super::text::same(term))).collect();
        let is_asked = |term: &String| asked.iter().any(|(own, same)| *own == term || same.contains(term));
        let nearby: Vec<&String> =
            facet.terms.iter().map(|(term, _)| term).filter(|term| !is_asked(term)).collect();
        // Many words that are only near weigh no more than one that was asked for.
        let most_telling = facet.own.iter().map(|term| self.idf(term)).fold(0.8, f64::max);
        let mut found: Vec<Candidate<'a>> = Vec::new();
        for (passage, words) in &self.passages {
            let context = 0.12 * self.bm25(facet, words);
            let heading: BTreeSet<String> =
                stems(&format!("{} {}", passage.title, passage.heading)).into_iter().collect();
            for sentence in sentences(&passage.text) {
                let list = topic_stems(&sentence.shown);
                let own: BTreeSet<String> = stems(&sentence.shown).into_iter().collect();
                let topics: BTreeSet<String> = list.iter().cloned().collect();
                let (mut score, mut cover, mut nearly) = (0.0, 0.0, 0.0);
                let there = |term: &String| match (own.contains(term), heading.contains(term)) {
                    (true, _) => self.idf(term),
                    (false, true) => 0.35 * self.idf(term),
                    (false, false) => 0.0,
                };
                for (term, same) in &asked {
                    let worth = same.iter().map(|other| 0.85 * there(other)).fold(there(term), f64::max);
                    score += worth;
                    if !question.named.contains(term) {
                        cover += worth;
                    }
                }
                for term in &nearby {
                    nearly += NEAR_WORTH * there(term);
                }
                cover += nearly;
                score += f64::min(nearly, most_telling);
                if facet.kind == Kind::Difference && names_other(question, &passage.title, &own) {
                    score += NAMES_OTHER;
                    cover += 0.5 * whole;
                }
                if cover <= 0.0 {
                    continue;
                }
                score += 0.6 * pairs(&facet.own, &list) + cues(facet.kind, &sentence.shown);
                let length = count(sentence.shown.split_whitespace().count());
                score /= 1.0 + ((length - 32.0).max(0.0) / 40.0);
                if hypothetical(&sentence.shown) {
                    score *= 0.6;
                }
                score = (score + context) * standing(question, facet, winner, passage);
                found.push(Candidate {
                    passage,
                    sentence,
                    stems: topics,
                    score,
                    cover: cover / whole.max(1.0),
                });
            }
        }
        found.sort_by(|a, b| {
            let place = |c: &Candidate<'_>| (c.passage.citation.clone(), c.sentence.position);
            b.score.total_cmp(&a.score).then_with(|| place(a).cmp(&place(b)))
        });
        found
    }

    /// Topic words of the question that no passage holds, as they were written.
    fn unmentioned(&self, question: &Question) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for word in super::text::words(&question.text) {
            let stem = super::text::stem(&word);
            let said = |stem: &String| self.holding.contains_key(stem);
            let known = said(&stem) || super::text::same(&stem).iter().any(said);
            let counts =
                word.len() > 3 && !super::text::is_stopword(&word) && !super::text::is_numbered(&word);
            if counts && !known && !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }
}

/// Whether a sentence of one document that the question names speaks of another that it names.
fn names_other(question: &Question, title: &str, own: &BTreeSet<String>) -> bool {
    let title = stems(title);
    let this = title.iter().find(|word| super::text::is_numbered(word));
    question.named.iter().any(|name| Some(name) != this && own.contains(name))
}

/// Whether it tells what was not done.
fn hypothetical(shown: &str) -> bool {
    let lower = shown.to_lowercase();
    ["alternative", "was considered", "were considered", "would have", "out of scope", "could have"]
        .iter()
        .any(|phrase| lower.contains(phrase))
}

/// Words of the clause that stand together in the sentence as they do in the question.
fn pairs(own: &[String], list: &[String]) -> f64 {
    let asked = own.windows(2);
    count(asked.filter(|pair| list.windows(2).any(|other| other == *pair)).count())
}

/// What a sentence that answers such a question often says.
fn cues(kind: Kind, shown: &str) -> f64 {
    let lower = format!(" {} ", shown.to_lowercase());
    let (cues, worth): (&[&str], f64) = match kind {
        Kind::How => (
            &[
                " by ",
                " must ",
                " ensure",
                " prevent",
                " cannot ",
                " require",
                " so that ",
                " through ",
                " uses ",
                " unique",
                " only ",
                " protect",
                " achieved ",
                " verif",
                " mitigat",
            ],
            0.35,
        ),
        Kind::Why => (
            &[" because ", " since ", " therefore", " in order to ", " so that ", " due to ", " reason"],
            0.6,
        ),
        Kind::Difference => (
            &[
                " differ",
                " unlike ",
                " instead ",
                " whereas ",
                " rather than ",
                " while ",
                " but ",
                " existing spec",
                " compared ",
                " both ",
                " primary ",
            ],
            0.9,
        ),
        Kind::Which => (
            &[" enables ", " allows ", " lets ", " defines ", " enable ", " allow ", " standard ", " via "],
            0.35,
        ),
        Kind::What => (&[" is a ", " is the ", " defines ", " means ", " refers to ", " consists "], 0.4),
    };
    worth * count(cues.iter().filter(|cue| lower.contains(*cue)).count().min(3))
}

/// How much a document's word counts: the one asked for, or one that the question names, more than others.
fn standing(question: &Question, facet: &Facet, winner: Option<&str>, passage: &Passage) -> f64 {
    let heading = passage.heading.to_lowercase();
    let aside = ["copyright", "reference implementation", "test cases", "references", "backwards compat"];
    let place = if aside.iter().any(|name| heading.contains(name)) { 0.5 } else { 1.0 };
    let document = match winner {
        Some(winner) if winner == passage.artifact => 1.5,
        Some(_) if facet.refers => 0.3,
        Some(_) => 0.7,
        None if question.named.is_empty() => 1.0,
        None if named(question, &passage.title) => 1.5,
        None => 0.55,
    };
    place * document
}
