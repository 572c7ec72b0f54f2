//! What to do next, given where the research stands. Every step is taken at most once, a plan and a draft at most twice.

use super::choice::{Document, choose};
use super::compose::{Brief, compose};
use super::offers::{cheapest, within_budget};
use super::state::{Offer, State};
use super::{ExtractiveSettings, answer};
use serde_json::{Value, json};

/// At most so many plans are proposed.
const PLANS_MAX: usize = 2;
/// At most so many drafts are handed in.
const DRAFTS_MAX: usize = 2;
/// Passages asked for at a time.
const RECALL_LIMIT: u32 = 20;
/// Search results asked for at a time.
const SEARCH_LIMIT: u32 = 16;

/// What the model says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    Calls { why: String, calls: Vec<(String, Value)> },
    Text(String),
}

/// The next step.
pub(super) fn act(state: &State, settings: &ExtractiveSettings) -> Act {
    if state.question.facets.is_empty() {
        return Act::Text(
            "No question was asked, so nothing was searched and nothing was bought.".to_owned(),
        );
    }
    if !state.rejected.is_empty() {
        return answer(state, settings, &missing(state, settings), DRAFTS_MAX);
    }
    if state.fetches.is_empty() {
        if state.recalls == 0 && state.offers_tool("recall") {
            return recall(state, "First, what is owned already.");
        }
        if state.searches == 0 {
            let owned = compose(state, settings);
            if sufficient(&owned) || !state.offers_tool("search_market") {
                return answer(state, settings, &[], DRAFTS_MAX);
            }
            return search(state);
        }
        if let Some(act) = buy(state, settings) {
            return act;
        }
    } else if !state.recalled_after_fetch && state.offers_tool("recall") {
        return recall(state, "Reading what was fetched.");
    }
    answer(state, settings, &missing(state, settings), DRAFTS_MAX)
}

/// Whether what is owned answers every clause, so that nothing has to be bought.
fn sufficient(brief: &Brief) -> bool {
    brief.strong
}

fn with_question(state: &State, more: Vec<String>) -> impl Iterator<Item = String> {
    std::iter::once(state.question.text.clone()).chain(more)
}

fn recall(state: &State, why: &str) -> Act {
    let mut calls: Vec<(String, Value)> = with_question(state, state.question.lookups())
        .map(|query| ("recall".to_owned(), json!({"query": query, "limit": RECALL_LIMIT})))
        .collect();
    if state.recalls == 0 && state.offers_tool("budget") {
        calls.push(("budget".to_owned(), json!({})));
    }
    Act::Calls { why: why.to_owned(), calls }
}

fn search(state: &State) -> Act {
    let calls = with_question(state, state.question.subqueries())
        .map(|query| ("search_market".to_owned(), json!({"query": query, "limit": SEARCH_LIMIT})))
        .collect();
    Act::Calls { why: "What is owned does not answer this; searching the market.".to_owned(), calls }
}

/// Quotes, then a plan, then the fetches; `None` when there is nothing (more) to buy.
fn buy(state: &State, settings: &ExtractiveSettings) -> Option<Act> {
    let chosen = choose(state, settings);
    let wanted: Vec<Document> = chosen.into_iter().filter(|document| !document.owned).collect();
    if wanted.is_empty() || !state.offers_tool("fetch") {
        return None;
    }
    if !state.quoted && state.offers_tool("get_quotes") {
        let urls: Vec<&String> = wanted.iter().flat_map(|document| &document.urls).collect();
        let why = format!("Asking prices for {}.", titles(&wanted));
        return Some(Act::Calls { why, calls: vec![("get_quotes".to_owned(), json!({"urls": urls}))] });
    }
    let (free, priced): (Vec<Document>, Vec<Document>) =
        wanted.into_iter().partition(|document| document.urls.iter().any(|url| state.free.contains(url)));
    let free_urls: Vec<String> = free
        .iter()
        .filter_map(|document| document.urls.iter().find(|url| state.free.contains(url)).cloned())
        .collect();
    let (payable, _) = cheapest(&priced, &state.offers, &state.quote_errors);
    let (within, _) = within_budget(payable, state.left_micro_usd);
    match state.plans.last() {
        None if !within.is_empty() && state.offers_tool("propose_plan") => Some(propose(state, &within)),
        Some(plan)
            if plan.outcome == "refused" && state.plans.len() < PLANS_MAX && plan.quote_ids.len() > 1 =>
        {
            let half = plan.quote_ids.len().div_ceil(2);
            let fewer: Vec<_> = within.into_iter().take(half).collect();
            Some(propose(state, &fewer))
        }
        Some(plan) if plan.outcome == "approved" => {
            let bought =
                state.offers.iter().filter(|o| plan.quote_ids.contains(&o.quote_id)).map(|o| o.url.clone());
            fetch(free_urls.into_iter().chain(bought).collect())
        }
        _ => fetch(free_urls),
    }
}

fn propose(state: &State, items: &[(&Document, &Offer)]) -> Act {
    let items_json: Vec<Value> = items
        .iter()
        .map(|(document, offer)| {
            json!({"quote_id": offer.quote_id, "count": 1, "purpose": format!("read \"{}\"", document.title)})
        })
        .collect();
    let why = format!("Proposing to buy {} of the documents found.", items.len());
    let purpose = format!("answer: {}", state.question.text);
    let arguments = json!({"purpose": purpose, "items": items_json});
    Act::Calls { why, calls: vec![("propose_plan".to_owned(), arguments)] }
}

fn fetch(urls: Vec<String>) -> Option<Act> {
    let calls: Vec<(String, Value)> =
        urls.into_iter().map(|url| ("fetch".to_owned(), json!({"url": url}))).collect();
    (!calls.is_empty()).then(|| Act::Calls { why: "Fetching what was approved.".to_owned(), calls })
}

fn titles(documents: &[Document]) -> String {
    documents.iter().map(|document| document.title.as_str()).collect::<Vec<_>>().join("; ")
}

/// What was wanted and not obtained, in words.
fn missing(state: &State, settings: &ExtractiveSettings) -> Vec<String> {
    let chosen = choose(state, settings);
    let wanted: Vec<Document> = chosen.into_iter().filter(|document| !document.owned).collect();
    let (payable, blocked) = cheapest(&wanted, &state.offers, &state.quote_errors);
    let (within, beyond) = within_budget(payable, state.left_micro_usd);
    let mut missing = Vec::new();
    let is_free = |document: &Document| document.urls.iter().any(|url| state.free.contains(url));
    if state.quoted {
        let blocked = blocked.into_iter().filter(|(document, _)| !is_free(document));
        missing.extend(blocked.map(|(document, reason)| format!("{}: {reason}", document.title)));
    }
    missing
        .extend(beyond.iter().map(|document| format!("{}: beyond what the budget has left", document.title)));
    if let Some(plan) = state.plans.last() {
        let reasons: Vec<&str> = plan.reasons.iter().map(|(_, message)| message.as_str()).collect();
        let said = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        for (document, offer) in &within {
            let planned = plan.quote_ids.contains(&offer.quote_id);
            match plan.outcome.as_str() {
                "approved" if planned => {}
                "approved" => missing.push(format!("{}: left out of the smaller plan", document.title)),
                "awaiting_approval" => {
                    missing.push(format!("{}: its purchase waits for approval{said}", document.title));
                }
                _ => missing.push(format!("{}: its purchase was refused{said}", document.title)),
            }
        }
    }
    for fetch in &state.fetches {
        let title = wanted
            .iter()
            .find(|document| document.urls.contains(&fetch.url))
            .map_or(fetch.url.as_str(), |document| document.title.as_str());
        let said = fetch.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let problem = match fetch.outcome.as_str() {
            "free" | "owned" | "delivered" => continue,
            "undelivered" => "it was paid for and did not arrive; the seller owes it",
            "unknown" => "it cannot be told yet whether the payment went through; it is not paid again",
            "quotes" => "the seller asked a price that the plan does not cover; nothing was paid",
            "awaiting_approval" => "its purchase waits for approval; nothing was paid",
            "unclear" => "fetching it failed, and it is not known whether anything was paid",
            "failed" => "fetching it failed before anything was paid",
            "refused" => "it was refused; nothing was paid",
            _ => "it did not come, and it is not known whether anything was paid",
        };
        missing.push(format!("{title}: {problem}{said}"));
    }
    missing
}
