//! A run as text.

mod end;
mod plan;

use super::{Amounts, Screen, line, short, table, vendor};
use crate::args::ApproveArg;
use crate::commands::research::{Outcome, Setting};
use anstyle::{AnsiColor, Style};
use bursar::agent::{Record, RunEvent};
use bursar::types::{PaymentView, Quote, QuoteId};
use bursar::{Event, MoneyEvent};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

const TITLE_CHARS: usize = 56;
const HEAD: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints a run to stdout as it goes.
#[derive(Debug)]
pub(crate) struct TextScreen {
    amounts: Amounts,
    /// Prices since the last table.
    quoted: Vec<Quote>,
    /// What quotes are about, in their vendors' words.
    titles: BTreeMap<QuoteId, String>,
    /// The same by address.
    resources: BTreeMap<String, String>,
    /// A refusal that is told unless a plan's decision tells it better.
    refused: Option<String>,
}

impl TextScreen {
    pub(crate) const fn new(amounts: Amounts) -> Self {
        Self {
            amounts,
            quoted: Vec::new(),
            titles: BTreeMap::new(),
            resources: BTreeMap::new(),
            refused: None,
        }
    }

    fn money(&mut self, event: &MoneyEvent) {
        match event {
            MoneyEvent::PhaseChanged { from, to } => put(&format!("{HEAD}phase{HEAD:#}     {from} → {to}")),
            MoneyEvent::Quoted { quotes } => self.quotes_came(quotes),
            MoneyEvent::PlanDecided { outcome } => {
                self.refused = None;
                put(&plan::decided(outcome, &self.titles, &self.amounts));
            }
            MoneyEvent::Refused { what, decision } => {
                let why = decision.reasons.first().map_or_else(|| decision.to_string(), ToString::to_string);
                self.refused =
                    Some(format!("{BAD}refused{BAD:#}   {}: {}", line(what, 200), line(&why, 400)));
            }
            MoneyEvent::Paid { payment } => {
                let how = payment.receipt.as_ref().map_or("", |receipt| match receipt.observed {
                    true => " (observed on chain)",
                    false => " (claimed by the vendor)",
                });
                self.paid(payment, how);
            }
            MoneyEvent::Observed { payment } => put(&format!(
                "{GOOD}observed{GOOD:#}  {} on chain: {}",
                receipt(payment),
                self.title(&payment.resource)
            )),
            MoneyEvent::Delivered { payment, artifact } => put(&format!(
                "{GOOD}got{GOOD:#}       {} {DIM}({} bytes, {}){DIM:#}",
                self.title(&payment.resource),
                artifact.size_bytes,
                artifact.id
            )),
            MoneyEvent::Undelivered { payment, problem } => put(&format!(
                "{BAD}owed{BAD:#}      {} was paid and {} did not come: {}",
                self.amounts.show(&payment.amount),
                self.title(&payment.resource),
                line(problem, 300)
            )),
            MoneyEvent::Unknown { payment, problem } => put(&format!(
                "{BAD}unknown{BAD:#}   whether {} left for {}: {}",
                self.amounts.show(&payment.amount),
                self.title(&payment.resource),
                line(problem, 300)
            )),
            MoneyEvent::NotPaid { proof, .. } => {
                put(&format!("{DIM}not paid{DIM:#}  nothing moved: {}", line(proof, 300)));
            }
            MoneyEvent::GateReached { gate } => put(&format!(
                "{HEAD}budget{HEAD:#}    `{}` is {}: {} of {}",
                gate.name,
                gate.level,
                self.amounts.show(&gate.used),
                self.amounts.show(&gate.limit)
            )),
            // What is set aside or being signed is a moment's affair; the end of it is told.
            _ => {}
        }
    }

    fn paid(&self, payment: &PaymentView, how: &str) {
        put(&format!(
            "{GOOD}paid{GOOD:#}      {} to {}\n          for {}\n          receipt {}{how}",
            self.amounts.show(&payment.amount),
            vendor(&payment.host, &payment.payee),
            self.title(&payment.resource),
            receipt(payment),
        ));
    }

    fn quotes_came(&mut self, quotes: &[Quote]) {
        for quote in quotes {
            let title = quote.description.as_ref().map(|text| line(text.as_received(), TITLE_CHARS));
            let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| line(&quote.resource, 80));
            self.resources.insert(quote.resource.clone(), title.clone());
            self.titles.insert(quote.id, title);
        }
        self.quoted.extend_from_slice(quotes);
    }

    fn title(&self, resource: &str) -> String {
        self.resources.get(resource).map_or_else(|| line(resource, 120), |title| format!("“{title}”"))
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::ModelReplied { reply, .. } if !reply.reasoning.trim().is_empty() => {
                put(&format!("{DIM}          {}{DIM:#}", line(&reply.reasoning, 400)));
            }
            Record::ModelFailed { message, .. } => {
                put(&format!("{BAD}model{BAD:#}     {}", line(message, 300)));
            }
            Record::ModelWithheld { reasons, .. } => {
                let why = reasons.first().map_or("a budget says no", |reason| reason.message.as_str());
                put(&format!("{BAD}model{BAD:#}     {}", line(why, 300)));
            }
            Record::ModelRequested { cheaper: true, .. } => {
                put(&format!("{DIM}model     the cheaper one is asked: little is left of a budget{DIM:#}"));
            }
            Record::Compacted { .. } => {
                put(&format!("{DIM}model     the conversation was made shorter{DIM:#}"));
            }
            Record::Steered { by, text } => {
                put(&format!("{}      {}", line(by, 40), line(text, 400)));
            }
            Record::Warned { problem, .. } => {
                put(&format!("{DIM}model     is told: {problem}{DIM:#}"));
            }
            Record::CallFinished { result, .. } => {
                if result.is_error {
                    let message = result.content.as_str().unwrap_or_default();
                    put(&format!("{DIM}          {}{DIM:#}", line(message, 400)));
                }
                match serde_json::from_value::<Told>(result.content.clone()) {
                    Ok(Told::Search { results, total }) => {
                        let owned = results.iter().filter(|hit| hit.owned).count();
                        put(&format!(
                            "searched  {total} for sale fit; {owned} of the best {} owned already",
                            results.len()
                        ));
                    }
                    Ok(Told::Quotes { .. }) => self.prices(),
                    Ok(Told::Fetch { outcome, title, artifact: Some(artifact) }) if outcome == "owned" => {
                        let title = line(&title.unwrap_or_default(), TITLE_CHARS);
                        put(&format!(
                            "{GOOD}owned{GOOD:#}     “{title}” {DIM}({artifact}); nothing paid{DIM:#}",
                            artifact = line(&artifact, 60)
                        ));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The table of prices compared.
    fn prices(&mut self) {
        let mut quotes = std::mem::take(&mut self.quoted);
        // They come in the order of the answers; by document, the cheapest first, they can be compared.
        let title = |quote: &Quote| self.titles.get(&quote.id).cloned().unwrap_or_default();
        quotes.sort_by_key(|quote| (title(quote), quote.blocked.is_some(), quote.price.atomic()));
        if quotes.is_empty() {
            return;
        }
        let mut rows = table(["document", "vendor", "price", "payable"]);
        for quote in &quotes {
            let payable = quote
                .blocked
                .as_ref()
                .map_or_else(|| "yes".to_owned(), |why| format!("no: {}", line(&why.message, 80)));
            rows.add_row([title(quote), line(&quote.host, 60), self.amounts.show(&quote.price), payable]);
        }
        put(&format!("{HEAD}prices{HEAD:#}\n{}", rows.trim_fmt()));
    }
}

impl Screen for TextScreen {
    fn begin(&mut self, setting: &Setting) {
        let mut text = format!("{HEAD}question{HEAD:#}  {}\n", line(&setting.question, 1_000));
        let resumed = if setting.resumed { ", begun before" } else { "" };
        let _ = writeln!(text, "{HEAD}session{HEAD:#}   {}{resumed}", setting.session);
        let _ = writeln!(text, "{HEAD}market{HEAD:#}    {}", line(&setting.place, 300));
        let budget = setting
            .budget
            .as_ref()
            .map_or_else(|| "as the mandate says".to_owned(), |budget| self.amounts.show(budget));
        let who = match setting.approve {
            ApproveArg::Auto => "plans are approved by the rules",
            ApproveArg::Wait => "plans are approved by the rules, and answers are waited for",
            ApproveArg::Ask => "you are asked about every plan",
            ApproveArg::Never => "a dry run: no plan is approved",
        };
        let _ = write!(text, "{HEAD}budget{HEAD:#}    {budget}; {who}");
        put(&text);
    }

    fn event(&mut self, event: &Event) {
        // A plan's refusal comes twice: as a refusal, and with the plan.
        if !matches!(event, Event::Money(MoneyEvent::PlanDecided { .. }))
            && let Some(refused) = self.refused.take()
        {
            put(&refused);
        }
        match event {
            Event::Money(event) => self.money(event),
            Event::Run(RunEvent::Record { record, .. }) => self.record(record),
            Event::Run(RunEvent::Delta { .. }) => {}
        }
    }

    fn end(&mut self, outcome: &Outcome) {
        if let Some(refused) = self.refused.take() {
            put(&refused);
        }
        put(&end::text(outcome, &self.amounts));
    }
}

/// What tools tell the model, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Search {
        results: Vec<HitTold>,
        total: u64,
    },
    Quotes {
        #[serde(rename = "quotes")]
        _quotes: Vec<serde::de::IgnoredAny>,
        #[serde(rename = "free")]
        _free: Vec<serde::de::IgnoredAny>,
    },
    Fetch {
        outcome: String,
        title: Option<String>,
        artifact: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
struct HitTold {
    owned: bool,
}

fn receipt(payment: &PaymentView) -> String {
    payment
        .receipt
        .as_ref()
        .map_or_else(|| "none".to_owned(), |receipt| short(&line(&receipt.reference, 100)))
}

/// Prints to stdout. A reader that went away is no fault of the payments'.
fn put(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}
