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
    /// There is no rule in the file: nothing would be forbidden by it, whatever was meant.
    #[error("`{file}`, line 1: holds no rule")]
    Empty {
        /// The file.
        file: String,
    },
    /// No optional rules of this name are shipped.
    #[error("there are no shipped rules named `{name}`")]
    NotShipped {
        /// The name, escaped.
        name: String,
    },
    /// A shipped file cannot be in shadow: it is the floor under everything.
    #[error("shipped file `{file}` cannot be in shadow")]
    ShadowedFloor {
        /// The file.
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
    #[error("`{file}`, line {line}: `{rule}` cannot be a rule's id")]
    BadId {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The id, escaped.
        rule: String,
    },
    /// Two rules have the same `@id`.
    #[error("`{file}`, line {line}: rule `{rule}` is in `{other}` already")]
    DuplicateId {
        /// The file of the first.
        other: String,
        /// The file of the second; may be the same.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The id.
        rule: String,
    },
    /// A rule is a template (it has a `?principal` or `?resource` slot).
    #[error("`{file}`, line {line}: rule `{rule}` is a template")]
    Template {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The rule.
        rule: String,
    },
    /// An annotation that means nothing here, perhaps misspelt.
    #[error("`{file}`, line {line}: rule `{rule}` has an unknown annotation `@{annotation}`")]
    UnknownAnnotation {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The rule.
        rule: String,
        /// The annotation's name.
        annotation: String,
    },
    /// An annotation without a text.
    #[error("`{file}`, line {line}: rule `{rule}` has an empty `@{annotation}`")]
    EmptyAnnotation {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The rule.
        rule: String,
        /// The annotation's name.
        annotation: String,
    },
    /// `@escalate` on a permit: there is nothing for an approval to lift.
    #[error("`{file}`, line {line}: rule `{rule}` is a permit with `@escalate`")]
    EscalateOnPermit {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The rule.
        rule: String,
    },
    /// `@reason` is neither `CODE` nor `CODE: sentence`, or the code is one that only the engine gives.
    #[error("`{file}`, line {line}: rule `{rule}` has an unusable reason code `{code}`")]
    BadReason {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
        /// The rule.
        rule: String,
        /// The code, escaped.
        code: String,
    },
    /// The rule does not fit the schema, or the validator doubts that it can do what it says.
    #[error("`{file}`, line {line}: rule `{rule}` does not fit the schema")]
    Invalid {
        /// The file.
        file: String,
        /// The line where the rule starts, from 1.
        line: usize,
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
            Self::Schema(_) | Self::NotShipped { .. } => None,
            Self::DuplicateFile { file }
            | Self::Empty { file }
            | Self::ShadowedFloor { file }
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
            Self::Schema(_)
            | Self::DuplicateFile { .. }
            | Self::Empty { .. }
            | Self::NotShipped { .. }
            | Self::ShadowedFloor { .. }
            | Self::Parse { .. }
            | Self::MissingId { .. } => None,
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

    /// The line of the mistake or of its rule, from 1, if one is at fault.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::Schema(_)
            | Self::DuplicateFile { .. }
            | Self::NotShipped { .. }
            | Self::ShadowedFloor { .. } => None,
            Self::Empty { .. } => Some(1),
            Self::Parse { line, .. }
            | Self::MissingId { line, .. }
            | Self::BadId { line, .. }
            | Self::DuplicateId { line, .. }
            | Self::Template { line, .. }
            | Self::UnknownAnnotation { line, .. }
            | Self::EmptyAnnotation { line, .. }
            | Self::EscalateOnPermit { line, .. }
            | Self::BadReason { line, .. }
            | Self::Invalid { line, .. } => Some(*line),
        }
    }

    /// A stable code, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Schema(_) => "POLICY_SCHEMA",
            Self::DuplicateFile { .. } => "POLICY_DUPLICATE_FILE",
            Self::Empty { .. } => "POLICY_EMPTY",
            Self::NotShipped { .. } => "POLICY_NOT_SHIPPED",
            Self::ShadowedFloor { .. } => "POLICY_SHADOWED_FLOOR",
            Self::Parse { .. } => "POLICY_NOT_CEDAR",
            Self::MissingId { .. } => "POLICY_MISSING_ID",
            Self::BadId { .. } => "POLICY_BAD_ID",
            Self::DuplicateId { .. } => "POLICY_DUPLICATE_ID",
            Self::Template { .. } => "POLICY_TEMPLATE",
            Self::UnknownAnnotation { .. } => "POLICY_UNKNOWN_ANNOTATION",
            Self::EmptyAnnotation { .. } => "POLICY_EMPTY_ANNOTATION",
            Self::EscalateOnPermit { .. } => "POLICY_ESCALATE_ON_PERMIT",
            Self::BadReason { .. } => "POLICY_BAD_REASON",
            Self::Invalid { .. } => "POLICY_UNKNOWN_FIELD",
        }
    }

    /// What the person who wrote the file does next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::Schema(_) => "reinstall: the shipped schema was changed",
            Self::DuplicateFile { .. } => "name each file once, and none like a shipped one",
            Self::Empty { .. } => "write a rule into the file, or take the file out of the configuration",
            Self::NotShipped { .. } => "`bursar policy list` names the shipped rules that can be added",
            Self::ShadowedFloor { .. } => "take `shadow` off; only files of your own can be tried out",
            Self::Parse { .. } => {
                "write Cedar (https://docs.cedarpolicy.com), no other language; the shipped files are examples"
            }
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
