//! The brief written down, with citations that can be checked.

use super::ExtractiveSettings;
use super::compose::{Brief, Cited, compose};
use super::plan::Act;
use super::state::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Hands the answer in; as plain text if there is nothing to cite, nobody to take it, or it was rejected too often.
pub(super) fn answer(
    state: &State,
    settings: &ExtractiveSettings,
    missing: &[String],
    drafts_max: usize,
) -> Act {
    let mut brief = compose(state, settings);
    // A draft was rejected: what the message names goes; if it names nothing, everything but the best.
    if let Some(rejection) = state.rejected.last() {
        let named = |cited: &Cited| rejection.contains(&cited.citation);
        if brief.cited.iter().any(named) {
            brief.cited.retain(|cited| !named(cited));
        } else {
            brief.cited.truncate(1);
        }
    }
    let text = written(state, &brief, missing);
    if brief.cited.is_empty() || !state.offers_tool("finish") || state.rejected.len() >= drafts_max {
        return Act::Text(text);
    }
    let citations: Vec<Value> = (1_u32..)
        .zip(&brief.cited)
        .map(|(number, cited)| json!({"number": number, "citation": cited.citation, "quote": cited.quote}))
        .collect();
    let arguments = json!({"answer": text, "citations": citations, "uses": uses(state, &brief)});
    Act::Calls {
        why: "Writing down what the sources say.".to_owned(),
        calls: vec![("finish".to_owned(), arguments)],
    }
}

/// What each source was used for.
fn uses(state: &State, brief: &Brief) -> Vec<Value> {
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for cited in &brief.cited {
        let answered = state.question.facets.get(cited.facet).map_or("", |facet| facet.text.as_str());
        let list = uses.entry(&cited.artifact).or_default();
        if !list.contains(&answered) {
            list.push(answered);
        }
    }
    uses.into_iter()
        .map(|(artifact, answered)| json!({"artifact": artifact, "used_for": format!("cited on: {}", answered.join("; "))}))
        .collect()
}

fn written(state: &State, brief: &Brief, missing: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    if brief.cited.is_empty() {
        lines.push(nothing(state));
    } else {
        lines.push(direct(state, brief));
        let several = state.question.facets.len() > 1;
        for (index, facet) in state.question.facets.iter().enumerate() {
            let mut said = (1_u32..).zip(&brief.cited).filter(|(_, cited)| cited.facet == index).peekable();
            if several {
                lines.push(String::new());
                lines.push(format!("{}?", capitalised(&facet.text)));
                if said.peek().is_none() {
                    lines.push("The sources read do not say.".to_owned());
                }
            } else {
                lines.push(String::new());
            }
            lines.extend(said.map(|(number, cited)| format!("- {} [{number}]", cited.shown)));
        }
        if !brief.unmentioned.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "The passages read do not mention {}; the answer rests on what they say nearest to it.",
                brief.unmentioned.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    if !missing.is_empty() {
        lines.push(String::new());
        lines.push("Not obtained:".to_owned());
        lines.extend(missing.iter().map(|line| format!("- {line}")));
    }
    lines.join("\n")
}

/// The line that answers first.
fn direct(state: &State, brief: &Brief) -> String {
    let titles = |facet: usize| {
        let mut titles: Vec<&str> = Vec::new();
        for cited in brief.cited.iter().filter(|cited| cited.facet == facet) {
            if !titles.contains(&cited.title.as_str()) {
                titles.push(&cited.title);
            }
        }
        titles
    };
    if let Some(winner) = &brief.winner
        && let Some((number, cited)) =
            (1_u32..).zip(&brief.cited).find(|(_, cited)| cited.artifact == *winner)
    {
        return format!("{} [{number}].", cited.title);
    }
    let titles = titles(0);
    if !brief.unmentioned.is_empty() && !titles.is_empty() {
        return format!("Nearest to the question, from {}:", titles.join(" and "));
    }
    match titles.as_slice() {
        [] => format!("On \"{}\", the sources say:", state.question.text),
        [one] => format!("From {one}:"),
        several => format!("From {}:", several.join(" and ")),
    }
}

fn nothing(state: &State) -> String {
    let searched = if state.searches > 0 { "what is owned and the market" } else { "what is owned" };
    let bought = state.fetches.iter().any(|fetch| fetch.outcome == "delivered");
    let end = if bought { "The documents bought do not answer it." } else { "Nothing was bought." };
    format!("Nothing was found that answers \"{}\" in {searched}. {end}", state.question.text)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
