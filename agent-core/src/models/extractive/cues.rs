//! What a sentence's wording and its place in a document say about whether it answers.

use super::corpus::count;
use super::question::{Facet, Kind};

/// What a sentence that answers such a question often says.
pub(super) fn cues(facet: &Facet, shown: &str) -> f64 {
    let lower = format!(" {} ", shown.to_lowercase());
    let (cues, worth): (&[&str], f64) = match facet.kind {
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
            &[
                " because ",
                " since ",
                " therefore",
                " in order to ",
                " so that ",
                " due to ",
                " reason",
                " protect",
            ],
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
        Kind::What => (
            &[" is a ", " is an ", " is the ", " as a ", " defines ", " means ", " refers to ", " consists "],
            0.4,
        ),
    };
    let said = worth * count(cues.iter().filter(|cue| lower.contains(*cue)).count().min(3));
    said + shape(&facet.text.to_lowercase(), &lower)
}

/// Asked for a number, a duty or an order, a sentence that gives one is nearer to the answer.
fn shape(asked: &str, said: &str) -> f64 {
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let number = has(
        asked,
        &["how many", "how much", "how long", "how often", "which status", "what fee", "what price"],
    ) && said.bytes().any(|b| b.is_ascii_digit());
    let duty =
        has(asked, &[" must ", " should ", " shall "]) && has(said, &[" must ", " should ", " shall "]);
    let order = has(asked, &["what order", "which order", "sequence"])
        && has(said, &[" first ", " last ", "reverse", " before ", " after "]);
    0.6 * count([number, duty, order].into_iter().filter(|fits| *fits).count())
}

/// What it is worth that a sentence begins with what the clause asks about, as one does that defines or describes it.
pub(super) fn subject(facet: &Facet, list: &[String]) -> f64 {
    let says = |term: &&String| !super::text::is_light(term) && !super::text::is_numbered(term);
    let Some(first) = list.first().filter(says) else { return 0.0 };
    match facet.own.iter().filter(says).position(|term| term == first) {
        Some(0) => 0.9,
        Some(_) => 0.5,
        None => 0.0,
    }
}

/// Whether it tells what was not done.
pub(super) fn hypothetical(shown: &str) -> bool {
    let lower = shown.to_lowercase();
    [
        "alternative",
        "was considered",
        "were considered",
        "would have",
        "out of scope",
        "could have",
        "one might",
        "it may be tempting",
        "we questioned",
    ]
    .iter()
    .any(|phrase| lower.contains(phrase))
}

/// A sentence about what may happen under conditions answers less than one that says what holds.
pub(super) fn hedged(shown: &str) -> f64 {
    let lower = format!(" {} ", shown.to_lowercase());
    let hedges =
        [" might ", " could ", " often ", " likely ", " sometimes ", " perhaps ", " usually ", " possibly "];
    let conditional = ["under ", "if ", "when ", "suppose ", "assuming ", "in case "]
        .iter()
        .any(|beginning| lower.trim_start().starts_with(beginning));
    let found = hedges.iter().filter(|hedge| lower.contains(*hedge)).count().min(3);
    0.88f64.powi(i32::try_from(found).unwrap_or(3))
        * match (conditional, found) {
            (true, 0) => 0.9,
            (true, _) => 0.8,
            (false, _) => 1.0,
        }
}

/// Sections beside the subject.
pub(super) fn is_aside(heading: &str) -> bool {
    let heading = heading.to_lowercase();
    [
        "copyright",
        "reference implementation",
        "test cases",
        "references",
        "backwards compat",
        "acknowledg",
        "changelog",
    ]
    .iter()
    .any(|name| heading.contains(name))
}

/// How well a section fits what a clause asks.
pub(super) fn place(facet: &Facet, heading: &str) -> f64 {
    let heading = heading.to_lowercase();
    let has = |names: &[&str]| names.iter().any(|name| heading.contains(name));
    let opens = heading.is_empty() || has(&["abstract", "summary", "overview", "introduction"]);
    if facet.safety
        && has(&["security", "safety", "attack", "threat", "risk", "protect", "replay", "griefing"])
    {
        return 1.25;
    }
    match facet.kind {
        Kind::Why if has(&["rationale", "motivation", "why", "reason", "background"]) => 1.25,
        Kind::Which | Kind::What | Kind::Difference if opens => 1.15,
        Kind::How if opens || has(&["specification", "how "]) => 1.1,
        Kind::How if has(&["rationale"]) => 0.9,
        _ => 1.0,
    }
}
