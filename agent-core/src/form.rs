//! Answers that have a form: JSON that fits a type.

mod schema;

use crate::model::OutputSchema;
use crate::report::{NoAnswer, RunOutcome, RunReport};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Longest name that providers take.
const NAME_MAX: usize = 64;

/// The form of an answer, and what checks it.
#[derive(Clone)]
pub(crate) struct Form {
    pub(crate) schema: OutputSchema,
    check: fn(&Value) -> Result<(), String>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Form {
    /// The form of a type.
    pub(crate) fn of<T: JsonSchema + DeserializeOwned>() -> Self {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name = T::schema_name().chars().map(allowed).take(NAME_MAX).collect();
        Self {
            schema: OutputSchema { name, schema: schemars::schema_for!(T).to_value() },
            check: |value| fits::<T>(value).map(drop),
        }
    }

    /// The value of a text, if the text is that value and nothing else.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let value = serde_json::from_str(text)
            .map_err(|error| format!("it is not one JSON value and nothing else: {error}"))?;
        (self.check)(&value)?;
        let problems = schema::problems(&self.schema.schema, &value);
        if problems.is_empty() { Ok(value) } else { Err(problems.join("; ")) }
    }
}

/// A value with a field that the type does not know does not fit: what nobody reads was not asked for.
fn fits<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let mut unknown = Vec::new();
    let read = serde_ignored::deserialize(value, |path| unknown.push(path.to_string()));
    let read = read.map_err(|error: serde_json::Error| error.to_string())?;
    if unknown.is_empty() { Ok(read) } else { Err(format!("it has unknown fields: {}", unknown.join(", "))) }
}

/// A run with an answer of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed<T> {
    /// The run. The answer's text is the JSON as the model wrote it, and its details hold the value.
    pub report: RunReport,
    value: Option<T>,
}

impl<T: DeserializeOwned> Typed<T> {
    pub(crate) fn of(report: RunReport) -> Self {
        let value = match &report.outcome {
            RunOutcome::Answered { answer } => fits(&answer.details).ok(),
            RunOutcome::Stopped { .. } => None,
        };
        Self { report, value }
    }

    /// The value.
    ///
    /// # Errors
    /// [`NoAnswer`] says why there is none.
    pub fn value(self) -> Result<T, NoAnswer> {
        let Self { report, value } = self;
        match (value, report.outcome) {
            (Some(value), _) => Ok(value),
            (None, RunOutcome::Stopped { cause }) => Err(NoAnswer { run: report.run, cause }),
            (None, RunOutcome::Answered { .. }) => {
                Err(NoAnswer { run: report.run, cause: crate::StopCause::EmptyReply })
            }
        }
    }
}
