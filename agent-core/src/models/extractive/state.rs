//! Where the research stands, read from the conversation. The model itself remembers nothing.

use super::question::Question;
use crate::message::{Message, Part, Role};
use crate::model::ModelRequest;
use crate::tool::Executed;
use bursar_types::CallId;
use serde_json::Value;

/// A document that a search offered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hit {
    pub(super) url: String,
    pub(super) title: String,
    pub(super) host: String,
    /// Title, preview and snippets.
    pub(super) text: String,
    /// `None` if the seller named no price; a free one is 0.
    pub(super) price_micro_usd: Option<u64>,
    /// Part of the best score in each search, 0 to 1, added up; the question itself counts twice a part of it.
    pub(super) support: f64,
    pub(super) owned: bool,
}

/// A passage of something owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) citation: String,
    pub(super) artifact: String,
    pub(super) title: String,
    pub(super) heading: String,
    pub(super) text: String,
}

/// A price that a seller quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) quote_id: String,
    pub(super) url: String,
    pub(super) price_micro_usd: Option<u64>,
    pub(super) payable: bool,
    pub(super) blocked: Option<String>,
}

/// A plan that was proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) quote_ids: Vec<String>,
    pub(super) outcome: String,
    pub(super) reasons: Vec<(String, String)>,
}

/// What came of fetching a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) url: String,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
}

/// Where the research stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) question: Question,
    tools: Vec<String>,
    pub(super) searches: usize,
    /// The most that the support of a hit can be.
    pub(super) support_max: f64,
    pub(super) hits: Vec<Hit>,
    pub(super) passages: Vec<Passage>,
    /// How many of the passages were there before anything was fetched.
    pub(super) owned_before: usize,
    pub(super) recalls: usize,
    pub(super) recalled_after_fetch: bool,
    pub(super) left_micro_usd: Option<u64>,
    pub(super) quoted: bool,
    pub(super) offers: Vec<Offer>,
    pub(super) free: Vec<String>,
    pub(super) quote_errors: Vec<(String, String)>,
    pub(super) plans: Vec<Proposal>,
    pub(super) fetches: Vec<Fetch>,
    /// What `finish` said against earlier drafts.
    pub(super) rejected: Vec<String>,
}

impl State {
    pub(super) fn read(request: &ModelRequest) -> Self {
        let asked = request.messages.iter().rfind(|message| message.role == Role::User);
        let mut state = Self {
            question: Question::parse(&asked.map(Message::plain_text).unwrap_or_default()),
            tools: request.tools.iter().map(|tool| tool.name.clone()).collect(),
            searches: 0,
            support_max: 0.0,
            hits: Vec::new(),
            passages: Vec::new(),
            owned_before: 0,
            recalls: 0,
            recalled_after_fetch: false,
            left_micro_usd: None,
            quoted: false,
            offers: Vec::new(),
            free: Vec::new(),
            quote_errors: Vec::new(),
            plans: Vec::new(),
            fetches: Vec::new(),
            rejected: Vec::new(),
        };
        let mut open: Vec<(CallId, &str, &Value)> = Vec::new();
        for part in request.messages.iter().flat_map(|message| &message.parts) {
            match part {
                Part::ToolCall { call, tool, arguments, .. } => open.push((*call, tool, arguments)),
                Part::ToolResult { call, content, is_error, executed } => {
                    if let Some((_, tool, arguments)) = open.iter().find(|(id, ..)| id == call) {
                        state.learn(tool, arguments, content, *is_error, *executed);
                    }
                }
                _ => {}
            }
        }
        state
    }

    pub(super) fn offers_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool == name)
    }

    fn learn(&mut self, tool: &str, arguments: &Value, content: &Value, is_error: bool, executed: Executed) {
        let parsed = content.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let content = parsed.as_ref().unwrap_or(content);
        match tool {
            "budget" => self.left_micro_usd = number(content, "left_micro_usd"),
            "recall" => {
                self.recalls = self.recalls.saturating_add(1);
                self.recalled_after_fetch = !self.fetches.is_empty();
                for passage in list(content, "passages").filter_map(passage) {
                    if !self.passages.iter().any(|known| known.citation == passage.citation) {
                        self.passages.push(passage);
                    }
                }
                if self.fetches.is_empty() {
                    self.owned_before = self.passages.len();
                }
            }
            "search_market" => {
                self.searches = self.searches.saturating_add(1);
                self.learn_hits(&text(arguments, "query"), content);
            }
            "get_quotes" => {
                self.quoted = true;
                self.offers.extend(list(content, "quotes").filter_map(offer));
                self.free.extend(list(content, "free").filter_map(Value::as_str).map(str::to_owned));
                let errors = list(content, "errors");
                self.quote_errors.extend(errors.map(|error| (text(error, "url"), text(error, "error"))));
                if is_error {
                    self.quote_errors.push((String::new(), reason(content)));
                }
            }
            "propose_plan" => self.plans.push(Proposal {
                quote_ids: list(arguments, "items").map(|item| text(item, "quote_id")).collect(),
                outcome: if is_error { "refused".to_owned() } else { text(content, "outcome") },
                reasons: reasons(content),
            }),
            "fetch" => self.fetches.push(Fetch {
                url: text(arguments, "url"),
                outcome: match executed {
                    _ if !is_error => text(content, "outcome"),
                    Executed::No => "failed".to_owned(),
                    Executed::Yes | Executed::Unknown => "unclear".to_owned(),
                },
                reason: Some(reason(content)).filter(|reason| !reason.is_empty()),
            }),
            "finish" if is_error => self.rejected.push(reason(content)),
            _ => {}
        }
    }

    fn learn_hits(&mut self, query: &str, content: &Value) {
        let weight = if query == self.question.text { 1.0 } else { 0.5 };
        self.support_max += weight;
        let best = list(content, "results").filter_map(|hit| number(hit, "score_milli")).max();
        for result in list(content, "results") {
            let url = text(result, "url");
            let relative = match (number(result, "score_milli"), best) {
                (Some(score), Some(best)) if best > 0 => ratio(score, best),
                _ => 0.5,
            };
            let support = weight * relative;
            if let Some(known) = self.hits.iter_mut().find(|known| known.url == url) {
                known.support += support;
                known.learn_snippets(result);
                continue;
            }
            let title = text(result, "title");
            let mut hit = Hit {
                text: format!("{title}\n{}", text(result, "preview")),
                host: text(result, "host"),
                price_micro_usd: number(result, "price_micro_usd"),
                owned: result.get("owned").and_then(Value::as_bool).unwrap_or(false),
                url,
                title,
                support,
            };
            hit.learn_snippets(result);
            self.hits.push(hit);
        }
    }
}

impl Hit {
    /// Each search shows other snippets of a document.
    fn learn_snippets(&mut self, result: &Value) {
        for snippet in list(result, "snippets").filter_map(Value::as_str) {
            if !self.text.contains(snippet) {
                self.text.push('\n');
                self.text.push_str(snippet);
            }
        }
    }
}

fn passage(value: &Value) -> Option<Passage> {
    let citation = text(value, "citation");
    let artifact = match text(value, "artifact") {
        artifact if artifact.is_empty() => citation.split('#').next().unwrap_or_default().to_owned(),
        artifact => artifact,
    };
    (!citation.is_empty()).then(|| Passage {
        citation,
        artifact,
        title: text(value, "title"),
        heading: text(value, "heading"),
        text: text(value, "text"),
    })
}

fn offer(value: &Value) -> Option<Offer> {
    let quote_id = text(value, "quote_id");
    (!quote_id.is_empty()).then(|| Offer {
        quote_id,
        url: text(value, "url"),
        price_micro_usd: number(value, "price_micro_usd"),
        payable: value.get("payable").and_then(Value::as_bool).unwrap_or(false),
        blocked: value.get("blocked").and_then(Value::as_str).map(str::to_owned),
    })
}

fn reasons(content: &Value) -> Vec<(String, String)> {
    list(content, "reasons").map(|reason| (text(reason, "code"), text(reason, "message"))).collect()
}

/// What a result says against itself, in words.
fn reason(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let said: Vec<String> = reasons(content)
        .into_iter()
        .map(|(_, message)| message)
        .filter(|message| !message.is_empty())
        .collect();
    said.join("; ")
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field).and_then(Value::as_u64)
}

/// A part of a whole as a float; both fit exactly after the cut to 32 bits.
fn ratio(part: u64, whole: u64) -> f64 {
    let small = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    small(part) / small(whole).max(1.0)
}
