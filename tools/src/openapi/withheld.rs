//! Operations that an agent does not get, and why.

use std::fmt;

/// An operation that an agent does not get, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithheldOperation {
    /// `METHOD /path`, made visible.
    pub operation: String,
    /// Why.
    pub why: Withholding,
}

/// Why an agent does not get an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Withholding {
    /// Its name holds hidden characters, or is too long.
    Name,
    /// Two operations of the document have this name; neither is used.
    NameTwice,
    /// It is not written as the specification says.
    Unreadable,
    /// Its path cannot be filled: braces without a parameter, dot segments, a query.
    Path,
    /// Its method echoes requests, or is unknown.
    Method,
    /// Something of it leads outside the document.
    Elsewhere,
    /// A reference of it leads to nothing, or in a circle.
    Reference,
    /// It has more parameters than are read.
    TooManyParameters,
    /// It needs a parameter that says who asks, where a request goes or how it is framed.
    Reserved,
    /// It needs a parameter in a form that cannot be written.
    Style,
    /// It needs a body of a kind that cannot be written.
    BodyKind,
    /// It needs a credential that the operator did not give.
    NoCredential,
    /// The document sends it to another server than the operator's.
    OtherServer,
    /// The schema of its arguments is no schema.
    Schema,
    /// The schema of its arguments is made of more than is read, or shown.
    SchemaTooLong,
    /// The document has more operations than are read.
    TooMany,
}

impl Withholding {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "API_NAME",
            Self::NameTwice => "API_NAME_TWICE",
            Self::Unreadable => "API_UNREADABLE",
            Self::Path => "API_PATH",
            Self::Method => "API_METHOD",
            Self::Elsewhere => "API_ELSEWHERE",
            Self::Reference => "API_REFERENCE",
            Self::TooManyParameters => "API_TOO_MANY_PARAMETERS",
            Self::Reserved => "API_RESERVED",
            Self::Style => "API_STYLE",
            Self::BodyKind => "API_BODY_KIND",
            Self::NoCredential => "API_NO_CREDENTIAL",
            Self::OtherServer => "API_OTHER_SERVER",
            Self::Schema => "API_SCHEMA",
            Self::SchemaTooLong => "API_SCHEMA_TOO_LONG",
            Self::TooMany => "API_TOO_MANY_OPERATIONS",
        }
    }
}

impl fmt::Display for Withholding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name holds hidden characters or is too long",
            Self::NameTwice => "two operations of the document have this name",
            Self::Unreadable => "it is not written as OpenAPI says",
            Self::Path => "its path cannot be filled in safely",
            Self::Method => "its method is not used",
            Self::Elsewhere => "it refers to something outside the document",
            Self::Reference => "it refers to nothing, or in a circle",
            Self::TooManyParameters => "it has too many parameters",
            Self::Reserved => "it needs a parameter that no caller may set",
            Self::Style => "it needs a parameter in a form that cannot be written",
            Self::BodyKind => "it needs a body that is neither JSON nor a form nor text",
            Self::NoCredential => "it needs a credential that was not given",
            Self::OtherServer => "the document sends it to another server",
            Self::Schema => "the schema of its arguments cannot be used",
            Self::SchemaTooLong => "the schema of its arguments is too long",
            Self::TooMany => "the document has more operations than are read",
        })
    }
}
