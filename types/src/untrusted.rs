//! Text from outside: data with a label.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where untrusted text came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Provenance {
    /// A model wrote it.
    Model,
    /// A page or an API at this host sent it.
    Host {
        /// The host, with its port.
        host: String,
    },
    /// A tool's result.
    Tool {
        /// The tool's name.
        tool: String,
    },
}

/// A value from outside, with where it came from. It is shown or searched, and fills no field that money depends on
/// except through a typed check.
///
/// `Display` escapes control and formatting characters, so that a page cannot write over a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Untrusted<T> {
    value: T,
    provenance: Provenance,
}

impl<T> Untrusted<T> {
    /// Labels a value.
    #[must_use]
    pub const fn new(value: T, provenance: Provenance) -> Self {
        Self { value, provenance }
    }

    /// The value as it came. Whoever calls this has checked what they use it for.
    #[must_use]
    pub const fn as_received(&self) -> &T {
        &self.value
    }

    /// Where it came from.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

impl<T: AsRef<str>> fmt::Display for Untrusted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.value.as_ref().chars() {
            let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            match (c.is_control() && c != '\n') || invisible {
                true => write!(f, "{}", c.escape_unicode())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_shown_escaped() {
        let text = Untrusted::new("a\u{1b}[31mb\u{202e}c\nd", Provenance::Model);
        assert_eq!(text.to_string(), "a\\u{1b}[31mb\\u{202e}c\nd");
    }
}
