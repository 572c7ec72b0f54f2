//! What is printed: text for people, JSON for programs, notes on stderr.

pub(crate) mod csv;
mod json;
mod table;
mod text;
mod words;

pub(crate) use json::JsonScreen;
pub(crate) use table::{table, table_of};
pub(crate) use text::TextScreen;
pub(crate) use words::{Amounts, line, short, vendor};

use crate::commands::research::{Outcome, Setting};
use bursar::Event;
use std::io::Write as _;

/// Shows a run.
pub(crate) trait Screen {
    /// Before anything happens.
    fn begin(&mut self, setting: &Setting);
    /// As it happens.
    fn event(&mut self, event: &Event);
    /// After everything is durable and closed.
    fn end(&mut self, outcome: &Outcome);
}

/// Lines for people on stderr: progress, warnings, how to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes;

impl Notes {
    /// Says one line. Nobody there to read it is no fault.
    pub(crate) fn say(self, text: impl AsRef<str>) {
        let _ = writeln!(anstream::stderr().lock(), "{}", text.as_ref());
    }

    /// Says why a command could not be done, and what to do next.
    pub(crate) fn error(self, message: &str, next_step: Option<&str>) {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let mut text = format!("{red}error:{red:#} {message}");
        if let Some(next_step) = next_step {
            text.push_str(&format!("\n  next: {next_step}"));
        }
        self.say(text);
    }
}
