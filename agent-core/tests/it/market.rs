//! A market, a library and a plan desk in memory: the tools that the research model knows by name.

use crate::support::World;
use async_trait::async_trait;
use bursar_agent_core::models::Extractive;
use bursar_agent_core::{Agent, DynTool, RunReport, ToolContext, ToolError, ToolOutput, ToolSet, ToolSpec};
use bursar_types::Effect;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub(crate) struct Doc {
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) price_micro_usd: u64,
}

/// How the desk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Desk {
    Approves,
    Refuses,
    RefusesMoreThan(usize),
    Waits,
}

#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) docs: Vec<Doc>,
    pub(crate) desk: Desk,
    /// What `fetch` answers for a slug, instead of delivering.
    pub(crate) faults: BTreeMap<String, &'static str>,
    pub(crate) left_micro_usd: u64,
    pub(crate) owned: Mutex<Vec<String>>,
    pub(crate) planned: Mutex<Vec<String>>,
    pub(crate) paid: Mutex<Vec<String>>,
    pub(crate) log: Mutex<Vec<String>>,
}

const DEAR: &str = "https://dear.example/";
const CHEAP: &str = "https://cheap.example/";

impl Market {
    pub(crate) fn new(docs: Vec<Doc>) -> Self {
        Self {
            docs,
            desk: Desk::Approves,
            faults: BTreeMap::new(),
            left_micro_usd: 1_000_000,
            owned: Mutex::default(),
            planned: Mutex::default(),
            paid: Mutex::default(),
            log: Mutex::default(),
        }
    }

    fn passages(&self) -> Vec<(String, &Doc, String, String)> {
        let owned = self.owned.lock().unwrap();
        let mut passages = Vec::new();
        for doc in self.docs.iter().filter(|doc| owned.contains(&doc.slug)) {
            let (mut heading, mut number, mut text) = (String::new(), 0, String::new());
            let mut flush = |heading: &str, text: &mut String| {
                if !text.trim().is_empty() {
                    number += 1;
                    let citation = format!("art_{}#{number}", doc.slug);
                    passages.push((citation, doc, heading.to_owned(), text.trim().to_owned()));
                }
                text.clear();
            };
            for line in doc.text.lines() {
                if let Some(next) = line.strip_prefix('#') {
                    flush(&heading, &mut text);
                    heading = next.trim_matches(['#', ' ']).to_owned();
                    continue;
                }
                if line.trim().is_empty() && text.len() > 900 {
                    flush(&heading, &mut text);
                }
                text.push_str(line);
                text.push('\n');
            }
            flush(&heading, &mut text);
        }
        passages
    }

    fn slug(url: &str) -> String {
        url.rsplit('/').next().unwrap_or_default().to_owned()
    }

    fn price(doc: &Doc, url: &str) -> u64 {
        if url.starts_with(DEAR) { doc.price_micro_usd * 2 } else { doc.price_micro_usd }
    }

    fn answer(&self, tool: &str, args: &Value) -> Result<ToolOutput, ToolError> {
        self.log.lock().unwrap().push(tool.to_owned());
        let text = |field: &str| args[field].as_str().unwrap_or_default().to_owned();
        let value = match tool {
            "budget" => {
                json!({"phase": "explore", "left_micro_usd": self.left_micro_usd, "limit_micro_usd": 1_000_000})
            }
            "search_market" => {
                let texts: Vec<String> =
                    self.docs.iter().map(|doc| format!("{} {} {}", doc.title, doc.title, doc.text)).collect();
                let ranked = rank(&text("query"), &texts);
                let mut results = Vec::new();
                for (index, score) in ranked.into_iter().take(8) {
                    let doc = &self.docs[index];
                    let words = tokens(&text("query"));
                    let common = |line: &str| {
                        tokens(line).iter().filter(|word| word.len() > 3 && words.contains(word)).count()
                    };
                    let mut snippets: Vec<&str> = doc.text.lines().filter(|line| line.len() > 40).collect();
                    snippets.sort_by_key(|line| std::cmp::Reverse(common(line)));
                    snippets.truncate(3);
                    for base in [DEAR, CHEAP] {
                        let url = format!("{base}{}", doc.slug);
                        results.push(json!({
                            "host": base.trim_start_matches("https://").trim_end_matches('/'), "title": doc.title, "media_type": "text/markdown",
                            "size_bytes": doc.text.len(), "price": {"amount": "0.01", "symbol": "USDC"},
                            "price_micro_usd": Self::price(doc, &url), "preview": doc.text.chars().take(160).collect::<String>(),
                            "snippets": snippets, "score_milli": score, "owned": self.owned.lock().unwrap().contains(&doc.slug), "url": url,
                        }));
                    }
                }
                json!({"total": results.len(), "results": results})
            }
            "recall" => {
                let passages = self.passages();
                let texts: Vec<String> = passages
                    .iter()
                    .map(|(_, doc, heading, text)| format!("{} {heading} {text}", doc.title))
                    .collect();
                let limit = usize::try_from(args["limit"].as_u64().unwrap_or(8)).unwrap();
                let found: Vec<Value> = rank(&text("query"), &texts)
                    .into_iter()
                    .take(limit)
                    .map(|(index, score)| {
                        let (citation, doc, heading, text) = &passages[index];
                        json!({"citation": citation, "artifact": format!("art_{}", doc.slug), "title": doc.title,
                            "url": format!("{CHEAP}{}", doc.slug), "heading": heading, "text": text, "score_milli": score})
                    })
                    .collect();
                json!({"passages": found})
            }
            "get_quotes" => {
                let quotes: Vec<Value> = args["urls"].as_array().unwrap().iter().map(|url| {
                    let url = url.as_str().unwrap();
                    let doc = self.docs.iter().find(|doc| doc.slug == Self::slug(url)).unwrap();
                    json!({"quote_id": format!("quo:{url}"), "url": url, "host": "h", "price": "x", "network": "n", "payable": true,
                        "price_micro_usd": Self::price(doc, url), "expires_at": "later"})
                }).collect();
                json!({"quotes": quotes, "free": [], "errors": []})
            }
            "propose_plan" => {
                let items = args["items"].as_array().unwrap();
                let refuse = |code: &str| json!({"outcome": "refused", "reasons": [{"code": code, "message": "the rules say no", "next_step": "ask for less"}]});
                match self.desk {
                    Desk::Refuses => refuse("RULE"),
                    Desk::RefusesMoreThan(most) if items.len() > most => refuse("BUDGET_EXCEEDED"),
                    Desk::Waits => json!({"outcome": "awaiting_approval", "plan_id": "pln_1", "reasons": []}),
                    Desk::Approves | Desk::RefusesMoreThan(_) => {
                        let urls = items.iter().map(|item| {
                            item["quote_id"].as_str().unwrap().trim_start_matches("quo:").to_owned()
                        });
                        self.planned.lock().unwrap().extend(urls);
                        json!({"outcome": "approved", "plan_id": "pln_1", "reasons": []})
                    }
                }
            }
            "fetch" => {
                let url = text("url");
                let slug = Self::slug(&url);
                if let Some(fault) = self.faults.get(&slug) {
                    match *fault {
                        "breaks" => return Err(ToolError::unknown("the connection broke")),
                        "fails" => return Err(ToolError::not_executed("the library cannot be read")),
                        _ => {}
                    }
                    json!({"outcome": fault, "url": url, "reasons": []})
                } else if self.planned.lock().unwrap().contains(&url) {
                    self.paid.lock().unwrap().push(url.clone());
                    self.owned.lock().unwrap().push(slug);
                    json!({"outcome": "delivered", "url": url, "paid": "0.01 USDC"})
                } else {
                    json!({"outcome": "quotes", "url": url})
                }
            }
            "finish" => return self.finish(args),
            other => return Err(ToolError::not_executed(format!("no tool `{other}`"))),
        };
        Ok(ToolOutput::value(value))
    }

    fn finish(&self, args: &Value) -> Result<ToolOutput, ToolError> {
        let passages = self.passages();
        for citation in args["citations"].as_array().unwrap() {
            let (name, quote) = (citation["citation"].as_str().unwrap(), citation["quote"].as_str().unwrap());
            if !passages.iter().any(|(known, _, _, text)| known == name && text.contains(quote)) {
                return Err(ToolError::not_executed(format!("`{quote}` does not stand in {name}")));
            }
        }
        let answer = args["answer"].as_str().unwrap().to_owned();
        Ok(ToolOutput::finish(answer)
            .with_details(json!({"citations": args["citations"], "uses": args["uses"]})))
    }
}

fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2).map(str::to_lowercase).collect()
}

/// BM25 in thousandths, best first; what shares no word is left out.
fn rank(query: &str, texts: &[String]) -> Vec<(usize, u64)> {
    let query = tokens(query);
    let texts: Vec<Vec<String>> = texts.iter().map(|text| tokens(text)).collect();
    let average = texts.iter().map(Vec::len).sum::<usize>() as f64 / texts.len().max(1) as f64;
    let mut scores: Vec<(usize, u64)> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let mut score = 0.0;
        for word in &query {
            let holding = texts.iter().filter(|other| other.contains(word)).count() as f64;
            let times = text.iter().filter(|other| *other == word).count() as f64;
            let idf = (1.0 + (texts.len() as f64 - holding + 0.5) / (holding + 0.5)).ln();
            score += idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * text.len() as f64 / average));
        }
        let milli = format!("{:.0}", score * 1_000.0).parse().unwrap();
        if milli > 0 {
            scores.push((index, milli));
        }
    }
    scores.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}

#[derive(Debug)]
struct MarketTool {
    spec: ToolSpec,
    market: Arc<Market>,
}

#[async_trait]
impl DynTool for MarketTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }
    fn check(&self, _: &Value) -> Result<(), ToolError> {
        Ok(())
    }
    async fn call(&self, _: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        self.market.answer(&self.spec.name, &arguments)
    }
}

pub(crate) fn tools(market: &Arc<Market>) -> ToolSet {
    let effects = [
        ("budget", Effect::Read),
        ("recall", Effect::Read),
        ("search_market", Effect::Read),
        ("get_quotes", Effect::Read),
        ("propose_plan", Effect::Write),
        ("fetch", Effect::Spend),
        ("finish", Effect::Write),
    ];
    effects.into_iter().fold(ToolSet::new(), |set, (name, effect)| {
        let spec = ToolSpec {
            name: name.into(),
            description: name.into(),
            input_schema: json!({"type": "object"}),
            effect,
        };
        set.with_dyn(Arc::new(MarketTool { spec, market: Arc::clone(market) })).unwrap()
    })
}

pub(crate) async fn research(market: &Arc<Market>, question: &str) -> RunReport {
    let agent = Agent::builder(Arc::new(Extractive::default())).tools(tools(market)).build().unwrap();
    agent.run(World::new().context(), question).await.unwrap()
}
