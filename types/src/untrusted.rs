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

/// Whether a character is not seen as it stands: controls (so every terminal sequence), marks of direction, blanks without
/// width, joiners, line separators, fillers, variation selectors and tags.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text from outside on one line: what is not seen is shown as `\u{…}`, line ends and backslashes too, and what is longer
/// than `chars_max` characters ends with `…`.
///
/// ```
/// assert_eq!(bursar_types::visible("pay 0.01\u{202e}00.01\u{1b}[2K", 80), "pay 0.01\\u{202e}00.01\\u{1b}[2K");
/// ```
#[must_use]
pub fn visible(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == chars_max {
            shown.push('…');
            break;
        }
        match c {
            '\\' => shown.push_str("\\\\"),
            c if is_hidden(c) || (c.is_whitespace() && c != ' ') => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
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
        self.value.as_ref().chars().try_for_each(|c| match is_hidden(c) && c != '\n' {
            true => write!(f, "{}", c.escape_unicode()),
            false => write!(f, "{c}"),
        })
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
