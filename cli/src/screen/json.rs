//! A run as JSON lines; the shapes are listed in the crate's documentation.

use super::Screen;
use crate::commands::research::{Outcome, Setting};
use bursar::Event;
use serde::Serialize;
use serde_json::json;
use std::io::Write as _;

/// The number of the shapes; it changes when a reader of the old ones would misread.
const FORM: u32 = 1;

/// Prints a run to stdout, one JSON object a line.
#[derive(Debug)]
pub(crate) struct JsonScreen;

impl Screen for JsonScreen {
    fn begin(&mut self, setting: &Setting) {
        put(&json!({
            "cli": "session",
            "form": FORM,
            "session": setting.session,
            "resumed": setting.resumed,
            "question": setting.question,
            "place": setting.place,
            "budget": setting.budget,
            "approve": setting.approve.as_str(),
        }));
    }

    fn event(&mut self, event: &Event) {
        put(event);
    }

    fn end(&mut self, outcome: &Outcome) {
        put(&json!({
            "cli": "brief",
            "answered": outcome.brief.is_some(),
            "answer": outcome.brief.as_ref().map(|brief| &brief.answer),
            "stopped": outcome.stopped,
            "sources": outcome.sources,
            "uses": outcome.uses,
        }));
        put(&json!({
            "cli": "spend",
            "session": outcome.session.id,
            "budget": outcome.session.budget,
            "spent": outcome.session.spent,
            "payments": outcome.payments,
            "open": outcome.open,
        }));
        put(&json!({
            "cli": "verification",
            "verifies": outcome.verification.problems.is_empty(),
            "entries": outcome.verification.head.size,
            "root": outcome.verification.head.root,
            "problems": outcome.verification.problems,
            "chain": outcome.chain.as_ref().map(|chain| json!({
                "agrees": chain.agrees(),
                "left": chain.left,
                "booked": chain.booked,
            })),
        }));
        put(&json!({
            "cli": "end",
            "exit": outcome.exit.code(),
            "interrupted": outcome.interrupted,
            "go_on": outcome.go_on,
            "waiting": outcome.waiting,
            "asked": outcome.asked,
        }));
    }
}

fn put(value: &impl Serialize) {
    match serde_json::to_string(value) {
        // A reader that went away is no fault of the payments'.
        Ok(text) => drop(writeln!(std::io::stdout().lock(), "{text}")),
        Err(error) => tracing::error!(%error, "an event cannot be written as JSON"),
    }
}
