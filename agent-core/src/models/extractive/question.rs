//! A question taken apart: clauses, what each asks, and what to search for.

use super::text::{is_light, is_numbered, is_stopword, near, same, stem, topic_stems, words};

/// At most so many clauses are answered one by one.
const FACETS_MAX: usize = 3;
/// At most so many searches beside the question itself.
const SUBQUERIES_MAX: usize = 3;
/// How much a word counts that only means nearly what was asked.
const NEAR_WEIGHT: f64 = 0.4;

/// What a clause asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One thing out of several.
    Which,
    /// A way.
    How,
    /// A reason.
    Why,
    /// A comparison.
    Difference,
    /// Anything else.
    What,
}

/// How much a word counts that only says what kind of answer is wanted.
const LIGHT_WEIGHT: f64 = 0.3;

/// The same for a word that says that something is prevented: what is prevented tells more.
const PREVENT_WEIGHT: f64 = 0.5;

/// One clause of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facet {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// Stems of its own topic words.
    pub(super) own: Vec<String>,
    /// Stems to look for, with how much each counts.
    pub(super) terms: Vec<(String, f64)>,
    /// Whether it asks for several things.
    pub(super) several: bool,
    /// Whether it asks how something is kept from happening.
    pub(super) safety: bool,
    /// Whether it speaks of "it": what the clause before asked for.
    pub(super) refers: bool,
}

/// A question taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) text: String,
    pub(super) facets: Vec<Facet>,
    /// Numbered documents that it names, such as `erc20`.
    pub(super) named: Vec<String>,
}

/// How much a word of the question counts.
pub(super) fn weight(term: &str) -> f64 {
    if super::text::is_light(term) {
        LIGHT_WEIGHT
    } else if prevents(term) {
        PREVENT_WEIGHT
    } else {
        1.0
    }
}

/// Whether a stem says that something is kept from happening.
pub(super) fn prevents(term: &str) -> bool {
    let prevent = stem("prevent");
    term == prevent || same(&prevent).iter().any(|other| other == term)
}

impl Question {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut named: Vec<String> = Vec::new();
        for word in words(&text) {
            if is_numbered(&word) && !named.contains(&word) {
                named.push(word);
            }
        }
        let mut facets: Vec<Facet> = Vec::new();
        for clause in clauses(&text) {
            let mut facet = facet(&clause);
            let answerable = facet.own.iter().any(|term| !named.contains(term));
            let full = facets.len() >= FACETS_MAX;
            match facets.last_mut() {
                Some(last) if !answerable || full => {
                    *last = self::facet(&format!("{} {clause}", last.text));
                }
                Some(last) => {
                    facet.learn(last, &named);
                    facets.push(facet);
                }
                None => facets.push(facet),
            }
        }
        Self { text, facets, named }
    }

    /// What to search for beside the question itself: each document it names, each clause, and near words.
    pub(super) fn subqueries(&self) -> Vec<String> {
        let readable = |name: &String| {
            let letters: String = name.chars().take_while(char::is_ascii_alphabetic).collect();
            let digits = name.strip_prefix(letters.as_str()).unwrap_or_default();
            format!("{}-{digits}", letters.to_uppercase())
        };
        let mut queries: Vec<String> = self.named.iter().take(2).map(readable).collect();
        let several = self.facets.len() > 1;
        for facet in self.facets.iter().filter(|_| several) {
            // One word alone finds what speaks of it in any sense.
            if facet.topics().len() > 1 {
                queries.push(facet.topics().join(" "));
            }
        }
        queries.extend(self.facets.first().map(Facet::wider));
        self.distinct(queries)
    }

    /// What to look up in what is owned, beside the question itself: each clause in other words.
    pub(super) fn lookups(&self) -> Vec<String> {
        let mut queries = self.subqueries();
        queries.extend(self.facets.iter().map(Facet::wider));
        let mut queries: Vec<String> = queries.into_iter().rev().collect();
        queries.dedup();
        self.distinct(queries)
    }

    fn distinct(&self, queries: Vec<String>) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for query in queries {
            let fresh = !query.is_empty() && query != self.text && !kept.contains(&query);
            if fresh && kept.len() < SUBQUERIES_MAX {
                kept.push(query);
            }
        }
        kept
    }
}

impl Facet {
    /// "How does the other differ?" is asked about the subject of the clause before.
    fn learn(&mut self, before: &Self, named: &[String]) {
        if self.own.iter().all(|term| named.contains(term) || is_light(term)) {
            for term in before.own.iter().filter(|term| !named.contains(term)) {
                if !self.terms.iter().any(|(known, _)| known == term) {
                    self.terms.push((term.clone(), NEAR_WEIGHT));
                }
            }
        }
    }

    /// Its topic words as they were written.
    fn topics(&self) -> Vec<String> {
        words(&self.text).into_iter().filter(|word| !is_stopword(word)).collect()
    }

    /// Its topic words and those near to them.
    fn wider(&self) -> String {
        let topics = self.topics();
        let near: Vec<String> = topics
            .iter()
            .flat_map(|word| near(word))
            .chain(for_another(&self.text).iter().copied())
            .map(str::to_owned)
            .collect();
        let mut all: Vec<String> = Vec::new();
        for word in topics.into_iter().chain(near) {
            if !all.contains(&word) {
                all.push(word);
            }
        }
        all.join(" ")
    }
}

/// What texts say of doing something for another.
fn for_another(text: &str) -> &'static [&'static str] {
    let lower = text.to_lowercase();
    let phrases =
        ["someone else", "somebody else", "third party", "another party", "on behalf", "for the user"];
    if phrases.iter().any(|phrase| lower.contains(phrase)) {
        &["delegate", "relayer", "behalf", "someone", "else", "authorization"]
    } else {
        &[]
    }
}

/// Cuts at question marks, semicolons, and before an "and" that begins another question.
fn clauses(text: &str) -> Vec<String> {
    const ASKS: &[&str] =
        &["how", "what", "why", "which", "who", "when", "where", "does", "is", "can", "do", "are"];
    let mut clauses: Vec<Vec<&str>> = vec![Vec::new()];
    let all: Vec<&str> = text.split(' ').collect();
    for (index, word) in all.iter().enumerate() {
        let lower = word.to_lowercase();
        let asks_next = all.get(index.saturating_add(1)).is_some_and(|next| {
            let next = next.to_lowercase();
            ASKS.contains(&next.trim_matches(|c: char| !c.is_alphanumeric()))
        });
        let cut = (lower == "and" || lower == "but") && asks_next;
        if cut {
            clauses.push(Vec::new());
            continue;
        }
        if let Some(clause) = clauses.last_mut() {
            clause.push(word);
        }
        if word.ends_with(['?', ';']) {
            clauses.push(Vec::new());
        }
    }
    let tidy = |clause: Vec<&str>| {
        let clause = clause.join(" ");
        clause.trim_end_matches(['?', ';', ',', '.', ' ']).trim().to_owned()
    };
    clauses.into_iter().map(tidy).filter(|clause| !clause.is_empty()).collect()
}

fn facet(text: &str) -> Facet {
    let mut own: Vec<String> = Vec::new();
    for term in topic_stems(text) {
        if !own.contains(&term) {
            own.push(term);
        }
    }
    // "Someone else" is made of small words and yet what is asked for.
    if !for_another(text).is_empty() {
        own.push(stem("behalf"));
    }
    let mut terms: Vec<(String, f64)> = own.iter().map(|term| (term.clone(), weight(term))).collect();
    let alike = own.iter().flat_map(|term| same(term));
    let topics = words(text).into_iter().filter(|word| !is_stopword(word));
    let near = topics.flat_map(|word| near(&word)).chain(for_another(text).iter().copied()).map(stem);
    let more: Vec<String> = alike.chain(near).collect();
    for term in more {
        if !terms.iter().any(|(known, _)| *known == term) {
            terms.push((term, NEAR_WEIGHT));
        }
    }
    let lower = text.to_lowercase();
    let said = words(text);
    let refers =
        said.iter().any(|word| matches!(word.as_str(), "it" | "its" | "they" | "them" | "their" | "that"));
    let kind = kind(&lower);
    let several = kind == Kind::Which
        && said.iter().take(3).any(|word| DOCUMENTS.contains(&word.as_str()) && word.ends_with('s'));
    let safety = own.iter().any(|term| prevents(term));
    Facet { text: text.to_owned(), kind, own, terms, several, safety, refers }
}

/// Words for what is bought: who asks "which" of them asks for a document.
const DOCUMENTS: &[&str] = &[
    "standard",
    "standards",
    "erc",
    "ercs",
    "eip",
    "eips",
    "rfc",
    "rfcs",
    "specification",
    "specifications",
    "spec",
    "specs",
    "proposal",
    "proposals",
    "protocol",
    "protocols",
    "document",
    "documents",
    "paper",
    "papers",
    "article",
    "articles",
    "guide",
    "guides",
    "report",
    "reports",
    "book",
    "books",
    "source",
    "sources",
];

fn kind(lower: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let begins = |words: &[&str]| words.iter().any(|word| lower.starts_with(word));
    let asks_document = || words(lower).iter().take(3).any(|word| DOCUMENTS.contains(&word.as_str()));
    const COMPARES: &[&str] = &[
        "difference",
        "differences",
        "differ",
        "differs",
        "compare",
        "compares",
        "compared",
        "comparison",
        "versus",
        "vs",
        "distinguish",
        "distinguishes",
    ];
    let compares =
        words(lower).iter().any(|word| COMPARES.contains(&word.as_str())) || has(&["different from"]);
    if compares {
        Kind::Difference
    } else if begins(&["which", "what ", "is there a"]) && asks_document() {
        Kind::Which
    } else if begins(&["why"]) || has(&[" why "]) {
        Kind::Why
    } else if begins(&["how many", "how much"])
        || (begins(&["how do"])
            && words(lower).iter().any(|word| matches!(word.as_str(), "describe" | "define" | "represent")))
    {
        Kind::What
    } else if begins(&["how"]) || has(&[" how "]) {
        Kind::How
    } else {
        Kind::What
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_question_falls_into_its_clauses() {
        let question = Question::parse(
            "Which standard lets someone else pay the gas for a USDC transfer, and how does it stop a replay?",
        );
        let facets: Vec<_> = question.facets.iter().map(|facet| (facet.text.as_str(), facet.kind)).collect();
        assert_eq!(
            facets,
            [
                ("Which standard lets someone else pay the gas for a USDC transfer", Kind::Which),
                ("how does it stop a replay", Kind::How)
            ]
        );
        assert_eq!(question.facets[0].own, ["pay", "gas", "usdc", "transf", "behalf"]);
    }

    #[test]
    fn a_clause_without_a_subject_has_that_of_the_one_before() {
        let question =
            Question::parse("Is a nonce in ERC-1 random or sequential, and how does ERC-2 differ?");
        let terms =
            |index: usize| question.facets[index].terms.iter().map(|(term, _)| term).collect::<Vec<_>>();
        assert!(terms(1).iter().any(|term| term.starts_with("nonc")), "{:?}", terms(1));
        assert!(!question.facets[1].own.iter().any(|term| term.starts_with("nonc")));
    }

    #[test]
    fn what_is_different_is_no_comparison() {
        for (text, wanted) in [
            ("What if a key is used with a different payload?", Kind::What),
            ("How does A differ from B?", Kind::Difference),
            ("How is A different from B?", Kind::Difference),
            ("Which header carries it?", Kind::What),
            ("Which standard defines it?", Kind::Which),
        ] {
            assert_eq!(Question::parse(text).facets[0].kind, wanted, "{text}");
        }
    }

    #[test]
    fn named_standards_are_searched_by_name() {
        let question = Question::parse("What is the difference between ERC-2612 permit and EIP 3009?");
        assert_eq!(question.named, ["erc2612", "erc3009"]);
        assert_eq!(question.facets[0].kind, Kind::Difference);
        assert_eq!(question.subqueries()[..2], ["ERC-2612", "ERC-3009"]);
    }
}
