//! Principals as the tree knows them.
//!
//! Leaves are kept for ever, so nothing in them may lead to a person by name: neither the name nor a digest of it, which a
//! dictionary finds. A user, an agent, a project and a wallet each have a random name per ledger instead, and the ids of
//! budgets and the names of streams are derived from that. The random name stands in a link, which is outside the tree;
//! whoever removes the link leaves leaves that lead to nobody.

use super::Shared;
use crate::freeze::{FreezeScope, THAWED};
use crate::session::SessionState;
use bursar_ledger::{CommitError, Ledger, LinkWrite, Refusal, StoreError, StreamId, Transaction};
use bursar_types::{AgentId, Digest};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Where the links are.
pub(super) const PRINCIPALS: &str = "principal/";
/// Where the freezes of agents are.
const OF_AGENT: &str = "freeze/agent";
/// How often a name is made again that another process is making too.
const TRIES: u32 = 16;

/// A principal, by the link that leads to its pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Principled(String);

impl Principled {
    pub(super) fn user(name: &str) -> Self {
        Self::of("user", name.as_bytes())
    }

    pub(super) fn project(name: &str) -> Self {
        Self::of("project", name.as_bytes())
    }

    /// An agent of a user.
    pub(super) fn agent(agent: AgentId) -> Self {
        Self::of("agent", agent.as_bytes())
    }

    fn wallet(address: &str) -> Self {
        Self::of("wallet", address.as_bytes())
    }

    fn of(kind: &str, name: &[u8]) -> Self {
        Self(format!("{PRINCIPALS}{kind}/{}", Digest::of_parts("bursar/principal/v1", &[name])))
    }
}

/// The pseudonyms under which a session's budgets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pseudonyms {
    pub(super) user: String,
    pub(super) agent: String,
    pub(super) project: String,
}

impl From<[String; 3]> for Pseudonyms {
    fn from([user, agent, project]: [String; 3]) -> Self {
        Self { user, agent, project }
    }
}

/// Those known here. A purchase reads no link for them.
#[derive(Debug, Default)]
pub(super) struct KnownPseudonyms(Mutex<HashMap<Principled, String>>);

impl KnownPseudonyms {
    fn get<const N: usize>(&self, all: &[Principled; N]) -> Option<[String; N]> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Option<Vec<_>> = all.iter().map(|one| known.get(one).cloned()).collect();
        names?.try_into().ok()
    }

    fn put<const N: usize>(&self, all: &[Principled; N], names: &[String; N]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(all.iter().cloned().zip(names.iter().cloned()));
    }
}

/// The links under which the pseudonyms of a user, of agents of theirs and of projects stand. Once they are removed, nothing
/// in the tree leads to the names; caps that outlive sessions begin anew under new pseudonyms.
#[must_use]
pub fn principal_links<'a>(
    user: &str,
    agents: impl IntoIterator<Item = &'a str>,
    projects: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let agents = agents
        .into_iter()
        .map(|agent| Principled::agent(AgentId::derived(&[user.as_bytes(), agent.as_bytes()])));
    let projects = projects.into_iter().map(Principled::project);
    std::iter::once(Principled::user(user)).chain(agents).chain(projects).map(|one| one.0).collect()
}

/// The freezes of agents of a user: each agent's stream of them, how long it is, and whether it stands still by it. Once a pseudonym is
/// forgotten, nobody knows any more that its agent stands still.
///
/// # Errors
/// [`StoreError`].
pub async fn agent_freezes(
    ledger: &Ledger,
    user: &str,
    agents: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, StreamId, u64, bool)>, StoreError> {
    let mut found = Vec::new();
    for agent in agents {
        let link = Principled::agent(AgentId::derived(&[user.as_bytes(), agent.as_bytes()]));
        let Some(name) = ledger.link(&link.0).await? else { continue };
        let stream = StreamId::of(OF_AGENT, name);
        let entries = ledger.stream(&stream, 0).await?;
        let length = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let frozen = entries.last().is_some_and(|entry| entry.kind != THAWED);
        found.push((agent.to_owned(), stream, length, frozen));
    }
    Ok(found)
}

/// The agent of a session, as it is known to rules and freezes.
pub(super) fn agent_of(state: &SessionState) -> AgentId {
    AgentId::derived(&[state.mandate.user.as_bytes(), state.mandate.agent.as_bytes()])
}

/// Whom a session names.
pub(super) fn principals_of(state: &SessionState) -> [Principled; 3] {
    let mandate = &state.mandate;
    [
        Principled::user(&mandate.user),
        Principled::agent(agent_of(state)),
        Principled::project(&mandate.project),
    ]
}

impl Shared {
    /// The pseudonyms of these, in their order. Made where there are none: once, whichever process comes first.
    async fn pseudonyms<const N: usize>(&self, all: &[Principled; N]) -> Result<[String; N], CommitError> {
        match self.pseudonyms.get(all) {
            Some(known) => Ok(known),
            None => self.read_pseudonyms(all).await,
        }
    }

    async fn read_pseudonyms<const N: usize>(
        &self,
        all: &[Principled; N],
    ) -> Result<[String; N], CommitError> {
        let keys: Vec<_> = all.iter().map(|one| one.0.clone()).collect();
        let mut tries: u32 = 0;
        loop {
            let found = self.ledger.link_values(&keys).await?;
            let names: Option<Vec<_>> = found.iter().cloned().collect();
            if let Some(Ok(names)) = names.map(<[String; N]>::try_from) {
                self.pseudonyms.put(all, &names);
                return Ok(names);
            }
            let mut transaction = Transaction::default();
            for (key, _) in keys.iter().zip(&found).filter(|(_, found)| found.is_none()) {
                let mut name = [0; 16];
                self.entropy.fill(&mut name);
                let value = Some(hex::encode(name));
                transaction.links.push(LinkWrite { key: key.clone(), expected: None, value });
            }
            match self.ledger.commit(transaction).await {
                Ok(_) => {}
                // Another process made one: what counts is what is there.
                Err(CommitError::Refused(Refusal::LinkMoved { .. })) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
            tries = tries.saturating_add(1);
        }
    }

    /// The pseudonyms of a session.
    pub(super) async fn pseudonyms_of(&self, state: &SessionState) -> Result<Pseudonyms, CommitError> {
        self.pseudonyms(&principals_of(state)).await.map(Pseudonyms::from)
    }

    /// The same as the ledger has them now. Whoever begins or takes up a session asks so: another process may have forgotten
    /// somebody.
    pub(super) async fn pseudonyms_now(&self, state: &SessionState) -> Result<Pseudonyms, CommitError> {
        self.read_pseudonyms(&principals_of(state)).await.map(Pseudonyms::from)
    }

    /// The pseudonym of a user.
    pub(super) async fn pseudonym_of_user(&self, user: &str) -> Result<String, CommitError> {
        let [name] = self.pseudonyms(&[Principled::user(user)]).await?;
        Ok(name)
    }

    /// The stream of a scope's freezes and thaws.
    pub(super) async fn freezes_of(&self, scope: &FreezeScope) -> Result<StreamId, CommitError> {
        let one = match scope {
            FreezeScope::All => return Ok(StreamId::of("freeze", "all")),
            FreezeScope::Session { session } => return Ok(StreamId::of("session", session)),
            FreezeScope::Wallet { address } => Principled::wallet(address),
            FreezeScope::Agent { agent } => Principled::agent(*agent),
        };
        let [name] = self.pseudonyms(&[one]).await?;
        let kind = if matches!(scope, FreezeScope::Wallet { .. }) { "freeze/wallet" } else { OF_AGENT };
        Ok(StreamId::of(kind, name))
    }
}
