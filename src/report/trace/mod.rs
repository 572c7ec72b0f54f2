//! Decision proof traces: one record about one payment or refusal, each line with the journal's entry that it comes from.

mod find;
mod page;
mod payment;
mod refusal;
mod work;

pub use find::{Denied, denied, trace, trace_refusal};

use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_memory::clean_line;
use bursar_payments::DecisionRecord;
use bursar_types::{Decision, PaymentId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write as _;

/// Longest text that others wrote, in characters; the rest is cut off.
const TEXT_CHARS_MAX: usize = 2_000;
/// What stands in the place of what an erased payload said.
const ERASED: &str = "erased, not re-checkable";

/// What a trace is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "about")]
pub enum Subject {
    /// A payment.
    Payment {
        /// Its id.
        payment: PaymentId,
    },
    /// Something that was refused, and never became a payment.
    Refusal {
        /// Position of its entry in the journal.
        entry: u64,
    },
}

/// Everything that the journal tells about one payment or refusal.
///
/// # Example
/// ```no_run
/// # async fn show(payment: bursar::types::PaymentId) -> Result<(), bursar::BursarError> {
/// let ledger = bursar::report::open_ledger(".bursar")?;
/// if let Some(trace) = bursar::report::trace(&ledger, payment).await? {
///     print!("{}", trace.text());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// How it ended, in a sentence.
    pub outcome: String,
    /// The questions that it answers, in order.
    pub parts: Vec<TracePart>,
}

/// One question and its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracePart {
    /// The question, such as `who was paid`.
    pub question: &'static str,
    /// The answers; empty if the journal has none.
    pub lines: Vec<TraceLine>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceLine {
    /// What it says, such as `payee`.
    pub name: String,
    /// The answer, as text in one line. Parts of it may have been written by models, sellers or pages.
    pub value: String,
    /// Position in the journal of the entry that it comes from, which can be proven; none for what follows from several.
    pub entry: Option<u64>,
    /// Whether the entry's payload was erased: the entry is there, and what it said cannot be checked any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl TracePart {
    const fn new(question: &'static str) -> Self {
        Self { question, lines: Vec::new() }
    }

    fn say(&mut self, name: impl Into<String>, value: impl AsRef<str>, entry: Option<u64>) {
        let (name, value) = (clean_line(&name.into(), 200), clean_line(value.as_ref(), TEXT_CHARS_MAX));
        self.lines.push(TraceLine { name, value, entry, erased: false });
    }

    fn maybe(&mut self, name: &str, value: Option<impl AsRef<str>>, entry: Option<u64>) {
        if let Some(value) = value {
            self.say(name, value, entry);
        }
    }

    /// The traces that entries name, each once: a payment that was taken up again later has several.
    fn traces<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        for entry in entries {
            let text = |name: &str| entry.body.get(name)?.as_str();
            if let (Some(trace), Some(span)) = (text("trace"), text("span"))
                && !self.lines.iter().any(|line| line.name == "trace" && line.value.starts_with(trace))
            {
                self.say("trace", format!("{trace}, from span {span} on"), Some(entry.sequence));
            }
        }
    }

    /// The event of an entry cannot be read any more, or never could.
    fn unread(&mut self, entry: &Entry, why: &Unread) {
        let (value, erased) = match why {
            Unread::Erased => (ERASED.to_owned(), true),
            Unread::Damaged(problem) => (format!("cannot be read: {problem}"), false),
        };
        let value = clean_line(&value, TEXT_CHARS_MAX);
        self.lines.push(TraceLine { name: entry.kind.clone(), value, entry: Some(entry.sequence), erased });
    }

    /// A decision with its reasons, rules and facts.
    fn decision(&mut self, entry: &Entry, record: &DecisionRecord) {
        let at = Some(entry.sequence);
        let DecisionRecord { what, decision, facts, approved, shadow, .. } = record;
        self.say(what.as_str(), format!("{} at {}", super::verdict_name(decision.verdict), entry.at), at);
        self.reasons(decision, at);
        if !approved.is_empty() {
            self.say("a person had approved what these rules ask about", approved.join(", "), at);
        }
        if let Some(shadow) = shadow.as_ref().filter(|_| record.shadow_differs()) {
            let value = format!("{} by {}", super::verdict_name(shadow.verdict), shadow.rules.join(", "));
            self.say("rules that are only tried out", value, at);
        }
        self.say("digest of the facts", decision.facts.to_string(), at);
        if let Some(facts) = facts.as_ref().and_then(|facts| serde_json::to_value(facts).ok()) {
            self.facts("", &facts, at);
        }
    }

    fn reasons(&mut self, decision: &Decision, at: Option<u64>) {
        for reason in &decision.reasons {
            self.say(reason.code.to_string(), &reason.message, at);
        }
        match decision.rules.as_slice() {
            [] => self.say("rules", "none: structure, the ledger, or the lack of a rule that allows it", at),
            rules => self.say("rules that determined it", rules.join(", "), at),
        }
    }

    fn facts(&mut self, name: &str, value: &Value, at: Option<u64>) {
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                    self.facts(&name, value, at);
                }
            }
            Value::Null => {}
            Value::String(text) => self.say(format!("fact {name}"), text, at),
            other => self.say(format!("fact {name}"), other.to_string(), at),
        }
    }
}

impl Trace {
    /// As text for a terminal: a question, then its answers with `[entry]` before each.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title(), self.outcome);
        for part in &self.parts {
            let _ = writeln!(text, "\n{}", part.question);
            if part.lines.is_empty() {
                let _ = writeln!(text, "          the journal does not say");
            }
            for TraceLine { name, value, entry, .. } in &part.lines {
                let entry = entry.map_or_else(String::new, |entry| format!("[{entry}]"));
                let _ = writeln!(text, "{entry:>9} {name}: {value}");
            }
        }
        text
    }

    /// As one page of HTML that holds everything it shows: no script, nothing that is loaded.
    #[must_use]
    pub fn html(&self) -> String {
        page::page(self)
    }

    fn title(&self) -> String {
        match &self.subject {
            Subject::Payment { payment } => format!("payment {payment}"),
            Subject::Refusal { entry } => format!("refusal {entry}"),
        }
    }
}

/// Why an event cannot be read.
#[derive(Debug)]
enum Unread {
    Erased,
    Damaged(String),
}

/// The events of a stream with their entries.
async fn events<E: DeserializeOwned>(
    ledger: &Ledger,
    stream: &StreamId,
) -> Result<Vec<(Entry, Result<E, Unread>)>, BursarError> {
    let found = ledger.stream_with_payloads(stream, 0).await?;
    Ok(found.into_iter().map(|(entry, payload)| (entry, event(payload.as_deref()))).collect())
}

fn event<E: DeserializeOwned>(payload: Option<&[u8]>) -> Result<E, Unread> {
    let payload = payload.ok_or(Unread::Erased)?;
    serde_json::from_slice(payload).map_err(|error| Unread::Damaged(error.to_string()))
}
