//! The formats by name.

use super::baseline::Diff;
use super::{SuiteReport, html, json, junit, markdown, sarif};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Everything, for programs.
    Json,
    /// For servers that show tests.
    Junit,
    /// SARIF 2.1.0, for code hosts that show findings.
    Sarif,
    /// For a pull request.
    Markdown,
    /// One page that needs nothing else.
    Html,
}

/// There is no such format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no format of a report; there are json, junit, sarif, markdown and html")]
pub struct UnknownFormat(String);

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Json, Self::Junit, Self::Sarif, Self::Markdown, Self::Html];

    /// Writes a report, with what changed against a baseline where the format has a place for it (Markdown and HTML).
    #[must_use]
    pub fn write(self, report: &SuiteReport, diff: Option<&Diff>) -> String {
        match self {
            Self::Json => json::json(report),
            Self::Junit => junit::junit(report),
            Self::Sarif => sarif::sarif(report),
            Self::Markdown => markdown::markdown(report, diff),
            Self::Html => html::html(report, diff),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Sarif => "sarif",
            Self::Markdown => "markdown",
            Self::Html => "html",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.to_string() == text);
        known.ok_or_else(|| UnknownFormat(text.chars().take(40).flat_map(char::escape_debug).collect()))
    }
}
