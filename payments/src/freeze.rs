//! Freezes: spending stands still for an agent, a session, a wallet or everybody, in every process.

use bursar_types::{AgentId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Whose spending stands still.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scope")]
pub enum FreezeScope {
    /// Everybody's.
    All,
    /// Whatever this wallet signs, by its address.
    Wallet {
        /// The address.
        address: String,
    },
    /// An agent's, in all its sessions.
    Agent {
        /// The agent.
        agent: AgentId,
    },
    /// One session's, and that of sessions it delegated to.
    Session {
        /// The session.
        session: SessionId,
    },
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not `all`, `session:ID`, `agent:ID`, `agent:USER/NAME` or `wallet:ADDRESS`")]
pub struct ParseScopeError(String);

/// A freeze that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// Whose.
    pub scope: FreezeScope,
    /// Who froze it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What is in the journal about one freeze or thaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreezeRecord {
    pub(crate) scope: FreezeScope,
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// Where freezes are, but those of sessions, which are in the sessions' own streams.
pub(crate) const FREEZES: &str = "freeze/";
/// Kind of the entry that lets spending go on. Any other entry at the end of a stream means that it stands still.
pub(crate) const THAWED: &str = "freeze.thawed";
/// Kind of the entry that stops spending.
pub(crate) const FROZEN: &str = "freeze.frozen";

impl FreezeScope {
    /// The agent of a user, by the name that its mandates give it.
    #[must_use]
    pub fn agent_of(user: &str, name: &str) -> Self {
        Self::Agent { agent: AgentId::derived(&[user.as_bytes(), name.as_bytes()]) }
    }

    /// A wallet, by its address.
    #[must_use]
    pub fn wallet(address: &str) -> Self {
        Self::Wallet { address: address.to_ascii_lowercase() }
    }

    /// Reads `all`, `session:ID`, `agent:ID`, `agent:USER/NAME` or `wallet:ADDRESS`.
    ///
    /// # Errors
    /// [`ParseScopeError`].
    pub fn parse(text: &str) -> Result<Self, ParseScopeError> {
        let fail = || ParseScopeError(bursar_types::visible(text, 80));
        if text == "all" {
            return Ok(Self::All);
        }
        let (kind, name) = text.split_once(':').ok_or_else(fail)?;
        match (kind, name.split_once('/')) {
            ("session", None) => {
                SessionId::parse(name).map(|session| Self::Session { session }).map_err(|_| fail())
            }
            ("agent", None) => AgentId::parse(name).map(|agent| Self::Agent { agent }).map_err(|_| fail()),
            ("agent", Some((user, name))) if !user.is_empty() && !name.is_empty() => {
                Ok(Self::agent_of(user, name))
            }
            ("wallet", None) if !name.is_empty() => Ok(Self::wallet(name)),
            _ => Err(fail()),
        }
    }
}

impl fmt::Display for FreezeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Wallet { address } => write!(f, "wallet:{address}"),
            Self::Agent { agent } => write!(f, "agent:{agent}"),
            Self::Session { session } => write!(f, "session:{session}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_and_what_is_none_is_refused() {
        let session = SessionId::derived(&[b"s"]);
        for scope in [
            FreezeScope::All,
            FreezeScope::wallet("0xAA"),
            FreezeScope::agent_of("ada", "skipper"),
            FreezeScope::Session { session },
        ] {
            assert_eq!(FreezeScope::parse(&scope.to_string()), Ok(scope));
        }
        assert_eq!(FreezeScope::parse("agent:ada/skipper"), Ok(FreezeScope::agent_of("ada", "skipper")));
        for text in ["", "ALL", "agent:", "agent:/x", "session:1", "wallet:", "wallet:a/b", "host:x"] {
            assert!(FreezeScope::parse(text).is_err(), "{text}");
        }
    }
}
