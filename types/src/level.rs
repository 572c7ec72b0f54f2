//! How far a budget is used up, as its gates say.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The highest gate that a budget has reached.
///
/// Which share of a budget each gate stands at is the mandate's to say; usual are 50 %, 75 % and 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateLevel {
    /// None.
    #[default]
    None,
    /// Whoever watches was told.
    Notified,
    /// It is time to decide with what there is: rules may be stricter from here on.
    Tightened,
    /// Nothing is left.
    Stopped,
}

impl GateLevel {
    /// The name in policies, journals and screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notified => "notified",
            Self::Tightened => "tightened",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for GateLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
