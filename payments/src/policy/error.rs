//! Why a set of rules was not loaded.

use std::error::Error;
use thiserror::Error;

/// Why a set of rules was not loaded. None of it is: a purse without its rules must not exist.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The schema that comes with this crate cannot be read.
    #[error("the shipped schema cannot be read")]
    Schema(#[source] Box<dyn Error + Send + Sync>),
    /// Two files have the same name, so a pinned digest would not say which one it means.
    #[error("there are two policy files named `{file}`")]
    DuplicateFile {
        /// The name.
        file: String,
    },
    /// The text is not Cedar.
    #[error("`{file}`, line {line}: not a Cedar policy")]
    Parse {
        /// The file.
        file: String,
        /// The line of the first mistake, from 1.
        line: usize,
        /// What the parser said.
        #[source]
        problem: Box<dyn Error + Send + Sync>,
    },
    /// A rule has no `@id`.
    #[error("`{file}`, line {line}: rule without `@id`")]
    MissingId {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
    },
    /// An `@id` holds something other than 1 to 96 letters, digits, `.`, `-` and `_`.
    #[error("`{file}`: `{rule}` cannot be a rule's id")]
    BadId {
        /// The file.
        file: String,
        /// The id, escaped.
        rule: String,
    },
    /// Two rules have the same `@id`.
    #[error("rule `{rule}` is in `{other}` and in `{file}`")]
    DuplicateId {
        /// The file of the first.
        other: String,
        /// The file of the second; may be the same.
        file: String,
        /// The id.
        rule: String,
    },
    /// A rule is a template (it has a `?principal` or `?resource` slot).
    #[error("`{file}`: rule `{rule}` is a template")]
    Template {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
    },
    /// An annotation that means nothing here, perhaps misspelt.
    #[error("`{file}`: rule `{rule}` has an unknown annotation `@{annotation}`")]
    UnknownAnnotation {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
        /// The annotation's name.
        annotation: String,
    },
    /// An annotation without a text.
    #[error("`{file}`: rule `{rule}` has an empty `@{annotation}`")]
    EmptyAnnotation {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
        /// The annotation's name.
        annotation: String,
    },
    /// `@escalate` on a permit: there is nothing for an approval to lift.
    #[error("`{file}`: rule `{rule}` is a permit with `@escalate`")]
    EscalateOnPermit {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
    },
    /// `@reason` is neither `CODE` nor `CODE: sentence`, or the code is one that only the engine gives.
    #[error("`{file}`: rule `{rule}` has an unusable reason code `{code}`")]
    BadReason {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
        /// The code, escaped.
        code: String,
    },
    /// The rule does not fit the schema, or the validator doubts that it can do what it says.
    #[error("`{file}`: rule `{rule}` does not fit the schema")]
    Invalid {
        /// The file.
        file: String,
        /// The rule.
        rule: String,
        /// What the validator said.
        #[source]
        problem: Box<dyn Error + Send + Sync>,
    },
}

impl PolicyError {
    /// The file to change, if one is at fault.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Schema(_) => None,
            Self::DuplicateFile { file }
            | Self::Parse { file, .. }
            | Self::MissingId { file, .. }
            | Self::BadId { file, .. }
            | Self::DuplicateId { file, .. }
            | Self::Template { file, .. }
            | Self::UnknownAnnotation { file, .. }
            | Self::EmptyAnnotation { file, .. }
            | Self::EscalateOnPermit { file, .. }
            | Self::BadReason { file, .. }
            | Self::Invalid { file, .. } => Some(file),
        }
    }

    /// The id of the rule to change, if one is at fault and has an id.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Schema(_) | Self::DuplicateFile { .. } | Self::Parse { .. } | Self::MissingId { .. } => {
                None
            }
            Self::BadId { rule, .. }
            | Self::DuplicateId { rule, .. }
            | Self::Template { rule, .. }
            | Self::UnknownAnnotation { rule, .. }
            | Self::EmptyAnnotation { rule, .. }
            | Self::EscalateOnPermit { rule, .. }
            | Self::BadReason { rule, .. }
            | Self::Invalid { rule, .. } => Some(rule),
        }
    }

    /// What the person who wrote the file does next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::Schema(_) => "reinstall: the shipped schema was changed",
            Self::DuplicateFile { .. } => "rename your file; the shipped names are taken",
            Self::Parse { .. } => "correct the text at that line; the shipped files are examples",
            Self::MissingId { .. } => "add `@id(\"your.rule\")` above the rule",
            Self::BadId { .. } => "use 1 to 96 ASCII letters, digits, `.`, `-` and `_`",
            Self::DuplicateId { .. } => "give one of the two rules another `@id`",
            Self::Template { .. } => "write the entity itself in place of `?principal` or `?resource`",
            Self::UnknownAnnotation { .. } => "use `@id`, `@escalate`, `@reason` and `@advice` only",
            Self::EmptyAnnotation { .. } => "give the annotation a text, or remove it",
            Self::EscalateOnPermit { .. } => "put `@escalate` on the forbid that an approval shall lift",
            Self::BadReason { .. } => {
                "write `CODE` or `CODE: sentence`, the code in A-Z, 0-9 and `_`, and none that the engine itself gives"
            }
            Self::Invalid { .. } => {
                "use only what `bursar.cedarschema` declares, and test `has` before an optional fact"
            }
        }
    }
}
