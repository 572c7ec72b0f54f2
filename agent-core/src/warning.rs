//! What the model is told when it cannot go on as it does.

use crate::model::StopReason;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why nothing of a turn could be used, or why the model cannot go on like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// It hit the length limit before it was whole.
    CutOff,
    /// It holds a tool call that the provider could not read.
    Garbled,
    /// All of its calls are of tools that are not there, or have arguments that do not fit.
    Calls,
    /// It does not have the form that was asked for.
    Form,
    /// The same calls came with the same results again and again.
    Repetition,
}

impl Problem {
    /// Of a turn that ended so and is not whole.
    pub(crate) const fn of(stop: StopReason) -> Self {
        match stop {
            StopReason::Length | StopReason::ContextFull => Self::CutOff,
            _ => Self::Garbled,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutOff => "it was cut off at the length limit",
            Self::Garbled => "it holds a tool call that cannot be read",
            Self::Calls => "its tool calls do not fit any tool",
            Self::Form => "it does not have the form that was asked for",
            Self::Repetition => "it repeats what was done before",
        })
    }
}

/// Marks what the driver says in the user's place: the model must not take it for the user's word.
pub(crate) const FROM: &str = "[From the program that runs you, not from the user]";

/// What the model is told of a text that cannot be used.
pub(crate) fn of_text(problem: Problem) -> String {
    match problem {
        Problem::CutOff => {
            format!(
                "{FROM} Your last turn hit the length limit before it was whole, so it was not used. Say it again, shorter."
            )
        }
        _ => format!("{FROM} Of your last turn nothing could be used: {problem}. Try again."),
    }
}

/// What the model is told of an answer without the form that was asked for.
pub(crate) fn of_form(problem: &str) -> String {
    let problem = bursar_types::visible(problem, 2_000);
    format!(
        "{FROM} Your answer does not have the form that was asked for: {problem}. Answer again with one JSON value that fits the \
         schema, and nothing else: no words around it, no code fence."
    )
}

/// What the model is told when it goes round in a circle.
pub(crate) fn of_repetition(tools: &str) -> String {
    format!(
        "{FROM} You asked for the same again and again and got the same results: {tools}. Asking once more changes nothing. Do \
         something else, or answer with what you have and say what is missing."
    )
}

/// What the model is told of a call of a turn that is not whole.
pub(crate) const fn of_call(problem: Problem) -> &'static str {
    match problem {
        Problem::CutOff => {
            "the turn hit the length limit before it was whole, so none of its calls was made; call again, with less text and fewer calls at once"
        }
        _ => "the turn could not be read as a whole, so none of its calls was made; call again",
    }
}
