//! The passages at hand as a small corpus, and its sentences scored against a clause.

use super::cues::{cues, hedged, hypothetical, is_aside, place, subject};
use super::question::{Facet, Kind, Question, prevents, weight};
use super::sentences::{Sentence, sentences};
use super::state::Passage;
use super::text::{stems, topic_stems};
use std::collections::{BTreeMap, BTreeSet};

/// How much a word counts that only stands near what was asked.
pub(super) const NEAR_WORTH: f64 = 0.5;
/// What it is worth in a comparison that one side speaks of the other.
const NAMES_OTHER: f64 = 3.0;
/// What it is worth that a sentence says the name that its clause asks about.
const SAYS_NAME: f64 = 0.8;
/// How much a word counts that stands in the announcement of a list item.
const ANNOUNCED: f64 = 0.6;
/// A small library speaks of one subject: even a word that every passage holds was asked for.
const TELLING_MIN: f64 = 0.7;
/// What a word that no passage holds counts in what a sentence misses.
const ABSENT: f64 = 1.5;

/// A sentence with what it is worth for a clause.
pub(super) struct Candidate<'a> {
    pub(super) passage: &'a Passage,
    pub(super) sentence: Sentence,
    pub(super) stems: BTreeSet<String>,
    pub(super) score: f64,
    /// Share of the clause's words that it covers.
    pub(super) cover: f64,
}

/// The passages at hand, as a small corpus.
pub(super) struct Corpus<'a> {
    passages: Vec<(&'a Passage, Vec<String>)>,
    holding: BTreeMap<String, usize>,
    titles: BTreeSet<String>,
}

impl<'a> Corpus<'a> {
    pub(super) fn new(passages: &'a [Passage]) -> Self {
        let mut holding: BTreeMap<String, usize> = BTreeMap::new();
        // The title stands above all passages of a document and tells none from another.
        let passages: Vec<(&Passage, Vec<String>)> = passages
            .iter()
            .map(|passage| (passage, stems(&format!("{} {}", passage.heading, passage.text))))
            .collect();
        for (_, words) in &passages {
            for word in words.iter().collect::<BTreeSet<_>>() {
                let held = holding.entry(word.clone()).or_default();
                *held = held.saturating_add(1);
            }
        }
        let titles = passages.iter().flat_map(|(passage, _)| stems(&passage.title)).collect();
        Self { passages, holding, titles }
    }

    fn says(&self, term: &String) -> bool {
        self.holding.contains_key(term) || self.titles.contains(term)
    }

    /// How telling a word is; 0 for one that no passage holds.
    fn telling(&self, term: &String) -> f64 {
        match self.holding.get(term) {
            Some(held) => weight(term) * idf(*held, self.passages.len()).max(TELLING_MIN),
            None if self.titles.contains(term) => weight(term) * TELLING_MIN,
            None => 0.0,
        }
    }

    /// The artifact that supports the first clause best, if it asks for one document out of several.
    pub(super) fn winner(&self, question: &Question) -> Option<String> {
        let asks = |facet: &&Facet| facet.kind == Kind::Which && !facet.several;
        let asked = question.facets.first().filter(asks)?;
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
            titles.insert(&passage.artifact, named.map(|(term, weight)| weight * self.telling(term)).sum());
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
                weight * self.telling(term) * times * 2.2 / (times + 1.2 * 0.75f64.mul_add(long, 0.25))
            })
            .sum()
    }

    /// Sentences with a score for this clause, best first.
    pub(super) fn candidates(
        &self,
        question: &Question,
        facet: &Facet,
        winner: Option<&str>,
    ) -> Vec<Candidate<'a>> {
        let clause = Clause::new(self, question, facet);
        let mut found: Vec<Candidate<'a>> = Vec::new();
        for (passage, words) in &self.passages {
            let standing = self.standing(question, facet, winner, passage);
            let context = 0.1 * self.bm25(facet, words);
            let heading: BTreeSet<String> = stems(&passage.heading).into_iter().collect();
            let title: BTreeSet<String> = stems(&passage.title).into_iter().collect();
            // Of the document that is asked about, a sentence need not say again what the title says.
            let asked_about =
                winner == Some(passage.artifact.as_str()) || super::choice::named(question, &passage.title);
            let titled = if asked_about { 0.5 } else { 0.25 };
            for sentence in sentences(&passage.text) {
                let list = topic_stems(&sentence.shown);
                let shown: BTreeSet<String> = stems(&sentence.shown).into_iter().collect();
                let own: BTreeSet<String> = stems(&sentence.quote).into_iter().collect();
                let worth = |term: &String, asked: bool| {
                    let share = if own.contains(term) {
                        1.0
                    } else if shown.contains(term) {
                        ANNOUNCED
                    } else if heading.contains(term) {
                        if asked { 0.4 } else { 0.1 }
                    } else if asked && title.contains(term) {
                        titled
                    } else {
                        0.0
                    };
                    share * self.telling(term)
                };
                let (mut score, mut cover) = clause.worth(worth);
                if facet.kind == Kind::Difference && names_other(question, &passage.title, &own) {
                    score += NAMES_OTHER;
                    cover += 0.5;
                }
                if cover <= 0.0 {
                    continue;
                }
                score += 0.6 * pairs(&facet.own, &list) + cues(facet, &sentence.shown);
                let length = count(sentence.shown.split_whitespace().count());
                score /= 1.0 + ((length - 32.0).max(0.0) / 40.0);
                score += subject(facet, &list);
                let says_name = |term: &String| question.named.contains(term) && shown.contains(term);
                if question.named.len() > 1 && facet.own.iter().any(says_name) {
                    score += SAYS_NAME;
                }
                if hypothetical(&sentence.shown) {
                    score *= 0.5;
                }
                score *= hedged(&sentence.shown);
                if sentence.fragment {
                    score *= 0.6;
                }
                score = (score + context) * standing;
                let stems = topic_stems(&sentence.quote).into_iter().collect();
                found.push(Candidate { passage, sentence, stems, score, cover });
            }
        }
        found.sort_by(|a, b| {
            let place = |c: &Candidate<'_>| (c.passage.citation.clone(), c.sentence.position);
            b.score.total_cmp(&a.score).then_with(|| place(a).cmp(&place(b)))
        });
        found
    }

    /// How much a passage's word counts: that of the document asked for, or one that the question names, more than others.
    fn standing(&self, question: &Question, facet: &Facet, winner: Option<&str>, passage: &Passage) -> f64 {
        let place = if is_aside(&passage.heading) { 0.5 } else { place(facet, &passage.heading) };
        let document = match winner {
            Some(winner) if winner == passage.artifact => 1.5,
            Some(_) if facet.refers => 0.3,
            Some(_) => 0.7,
            None if question.named.is_empty() => 1.0 + self.titled(facet, &passage.title),
            None => {
                // A clause that names a document asks about this one and not about the others of the question.
                let own: Vec<&String> =
                    question.named.iter().filter(|name| facet.own.contains(name)).collect();
                let title = stems(&passage.title);
                let number = title.iter().find(|word| super::text::is_numbered(word));
                let meant = number.is_some_and(|number| {
                    if own.is_empty() { question.named.contains(number) } else { own.contains(&number) }
                });
                if meant { 1.5 } else { 0.55 }
            }
        };
        place * document
    }

    /// Share of a clause's words that a title has.
    fn titled(&self, facet: &Facet, title: &str) -> f64 {
        let title = stems(title);
        let whole: f64 = facet.own.iter().map(|term| self.telling(term)).sum();
        let has = facet.own.iter().filter(|term| title.contains(term));
        has.map(|term| self.telling(term)).sum::<f64>() / whole.max(1.0)
    }

    /// Topic words of the question that no passage holds, as they were written.
    pub(super) fn unmentioned(&self, question: &Question) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for word in super::text::words(&question.text) {
            let stem = super::text::stem(&word);
            let known = self.says(&stem) || super::text::same(&stem).iter().any(|other| self.says(other));
            let counts = word.len() > 3
                && !super::text::is_stopword(&word)
                && weight(&stem) >= 1.0
                && !super::text::is_numbered(&word);
            if counts && !known && !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }
}

/// The words of a clause, prepared for scoring.
struct Clause<'q> {
    /// Each word asked for, those that say the same, and whether it only names the document.
    asked: Vec<(&'q String, Vec<String>, bool)>,
    near: Vec<&'q String>,
    /// Most that all near words add: no more than one that was asked for.
    near_most: f64,
    whole: f64,
}

impl<'q> Clause<'q> {
    fn new(corpus: &Corpus<'_>, question: &'q Question, facet: &'q Facet) -> Self {
        let asked: Vec<(&String, Vec<String>, bool)> = facet
            .own
            .iter()
            .map(|term| (term, super::text::same(term), question.named.contains(term)))
            .collect();
        let is_asked = |term: &String| asked.iter().any(|(own, same, _)| *own == term || same.contains(term));
        let near = facet.terms.iter().map(|(term, _)| term).filter(|term| !is_asked(term)).collect();
        let near_most = facet.own.iter().map(|term| corpus.telling(term)).fold(0.8, f64::max);
        let whole: f64 = asked
            .iter()
            .filter(|(.., names)| !names)
            .map(|(term, same, _)| {
                let forms = std::iter::once(*term).chain(same);
                let telling = forms.map(|form| corpus.telling(form)).fold(0.0, f64::max);
                match telling {
                    // Nobody mentions it: then whatever is said misses the question, unless it names its document.
                    0.0 if question.named.is_empty() => ABSENT * weight(term),
                    0.0 => weight(term),
                    _ => telling,
                }
            })
            .sum();
        Self { asked, near, near_most, whole: whole.max(TELLING_MIN) }
    }

    /// Score and cover of a sentence in which each word is worth so much; `worth` is told whether the word was asked for.
    fn worth(&self, worth: impl Fn(&String, bool) -> f64) -> (f64, f64) {
        let (mut score, mut cover, mut subject) = (0.0, 0.0, 0.0);
        for (term, same, names) in &self.asked {
            let said = same.iter().map(|other| 0.85 * worth(other, true)).fold(worth(term, true), f64::max);
            score += if *names { 0.3 * said } else { said };
            if !names {
                cover += said;
                subject += if prevents(term) { 0.0 } else { said };
            }
        }
        let nearly = NEAR_WORTH * self.near.iter().map(|term| worth(term, false)).sum::<f64>();
        let nearly = f64::min(nearly, self.near_most);
        // That something is prevented says nothing if it is something else.
        if subject + nearly <= 0.0 { (0.0, 0.0) } else { (score + nearly, (cover + nearly) / self.whole) }
    }
}

/// Whether a sentence of one document that the question names speaks of another that it names.
pub(super) fn names_other(question: &Question, title: &str, own: &BTreeSet<String>) -> bool {
    let title = stems(title);
    let this = title.iter().find(|word| super::text::is_numbered(word));
    question.named.iter().any(|name| Some(name) != this && own.contains(name))
}

/// Words of the clause that stand together in the sentence as they do in the question.
fn pairs(own: &[String], list: &[String]) -> f64 {
    let asked = own.windows(2);
    count(asked.filter(|pair| list.windows(2).any(|other| other == *pair)).count())
}

/// How telling a word is that stands in `holding` of `all` texts.
pub(super) fn idf(holding: usize, all: usize) -> f64 {
    let (holding, all) = (count(holding), count(all));
    (1.0 + (all - holding + 0.5).max(0.5) / (holding + 0.5)).ln()
}

pub(super) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
