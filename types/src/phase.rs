//! The phase of a session.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a session may do with money now. A pure function of the session's plans; nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Look around and ask prices; pay nothing.
    Explore,
    /// Buy what an approved plan lists.
    Acquire,
    /// Work with what was bought; pay nothing.
    Produce,
}

impl Phase {
    /// The name used in policies, journals and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explore => "explore",
            Self::Acquire => "acquire",
            Self::Produce => "produce",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
