//! What may go, and what is kept and why.

use super::read::{PaymentPart, RunPart, SagaPart, SessionPart, payments, runs, sagas, sessions};
use super::{EraseScope, Erased, Kept};
use crate::error::BursarError;
use bursar_ledger::{Commitment, Entry, Ledger, LinkWrite, Require, StreamId};
use bursar_memory::UseRecord;
use bursar_payments::{DecisionRecord, Offer, Payment, agent_freezes, principal_links};
use bursar_types::{ArtifactRecord, PaymentId, SessionId, Timestamp};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Quotes are worth nothing after this long, also in a session that lives.
const QUOTE_LIVES_MS: u64 = 86_400_000;
const OF_SESSIONS: [&str; 5] =
    ["quotes", "requests", "calls", DecisionRecord::DECISIONS, DecisionRecord::REFUSALS];

/// What one transaction erases.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) payloads: BTreeSet<Commitment>,
    /// That nothing happened to any of it meanwhile.
    pub(super) require: Vec<Require>,
    /// Links that lead to it.
    pub(super) links: Vec<LinkWrite>,
    pub(super) told: Erased,
}

/// Everything of a ledger that may be meant.
struct Everything {
    now: Timestamp,
    sessions: BTreeMap<SessionId, SessionPart>,
    /// Why those are kept that are.
    live: BTreeMap<SessionId, &'static str>,
    payments: Vec<PaymentPart>,
    runs: Vec<RunPart>,
    sagas: Vec<SagaPart>,
    /// Payments that somebody still looks after.
    open: BTreeSet<PaymentId>,
}

pub(super) async fn collect(
    ledger: &Ledger,
    scope: &EraseScope,
    now: Timestamp,
) -> Result<Found, BursarError> {
    let mut open = BTreeSet::new();
    for prefix in ["open/", "claimed/", "owed/", "refund/"] {
        open.extend(ledger.links(prefix).await?.iter().filter_map(|(_, id)| PaymentId::parse(id).ok()));
    }
    let mut all = Everything {
        now,
        sessions: sessions(ledger).await?.into_iter().map(|one| (one.id, one)).collect(),
        live: BTreeMap::new(),
        payments: payments(ledger).await?,
        runs: runs(ledger).await?,
        sagas: sagas(ledger).await?,
        open,
    };
    let mut found = Found::default();
    let frozen = match scope {
        EraseScope::User(user) => all.frozen(ledger, user, &mut found).await?,
        EraseScope::Payment(_) | EraseScope::Session(_) | EraseScope::OlderThan(_) => BTreeSet::new(),
    };
    all.live = all.live(&frozen);
    let gone = all.payments(scope, &mut found);
    all.sessions(scope, &mut found);
    all.runs(scope, &mut found);
    all.sagas(scope, &mut found);
    all.beside_sessions(ledger, scope, &gone, &mut found).await?;
    beside_payments(ledger, &gone, &mut found).await?;
    let whole = found.told.kept.is_empty();
    if let EraseScope::User(user) = scope
        && whole
    {
        issued(ledger, user, &mut found).await?;
    }
    found.links = links(ledger, &gone, &found).await?;
    if let EraseScope::User(user) = scope
        && whole
    {
        all.forget(ledger, user, &mut found).await?;
    }
    found.told.payloads = u64::try_from(found.payloads.len()).unwrap_or(u64::MAX);
    found.told.kept.sort();
    Ok(found)
}

/// What goes of payments, as other records name it.
#[derive(Debug, Default)]
struct Gone {
    payments: BTreeSet<String>,
    artifacts: BTreeSet<String>,
    /// What was bought, by session.
    resources: BTreeSet<(SessionId, String)>,
}

impl Everything {
    /// Whether what belongs to a session is meant, and happened before the moment up to which everything goes.
    fn means(&self, scope: &EraseScope, session: Option<SessionId>, at: Timestamp) -> bool {
        match scope {
            EraseScope::Payment(_) => false,
            EraseScope::Session(id) => session == Some(*id),
            EraseScope::User(user) => session
                .and_then(|id| self.sessions.get(&id))
                .is_some_and(|session| session.state.mandate.user == *user),
            EraseScope::OlderThan(before) => at < *before,
        }
    }

    fn payments(&self, scope: &EraseScope, found: &mut Found) -> Gone {
        let mut gone = Gone::default();
        for one in &self.payments {
            let meant = match scope {
                EraseScope::Payment(id) => one.id == *id,
                _ => self.means(scope, one.session, one.part.last),
            };
            if !meant {
                continue;
            }
            if let Some(why) = self.why_open(one) {
                found.told.kept.push(Kept { what: one.id.to_string(), why: why.to_owned() });
                continue;
            }
            found.told.payments.push(one.id);
            found.require.push(one.part.unmoved());
            found.payloads.extend(&one.part.payloads);
            gone.payments.insert(one.id.to_string());
            gone.artifacts.extend(one.artifacts.iter().map(ToString::to_string));
            let resources = one.resources.iter().cloned();
            gone.resources
                .extend(one.session.into_iter().flat_map(|id| resources.clone().map(move |r| (id, r))));
        }
        gone
    }

    /// Why a payment is kept.
    fn why_open(&self, one: &PaymentPart) -> Option<&'static str> {
        Some(match &one.payment {
            None => "its record cannot be read to its end, so nobody can say that it is over",
            Some(Payment::Held(_)) => "money is set aside for it",
            Some(Payment::Signing(_) | Payment::Unknown { .. }) => "nobody can say yet whether money moved",
            Some(payment @ Payment::Paid { .. })
                if !payment.obligation().is_some_and(|owed| owed.is_over()) =>
            {
                "the payee still owes something for it: see `bursar obligations`"
            }
            Some(payment) if !payment.is_final() => "the chain has not confirmed it yet",
            Some(_) if self.open.contains(&one.id) => "it is still looked after: see `bursar obligations`",
            Some(_) => return None,
        })
    }

    /// Sessions of which mandate, plans and approvals are kept, and why.
    fn live(&self, frozen: &BTreeSet<SessionId>) -> BTreeMap<SessionId, &'static str> {
        let open = self.payments.iter().filter(|payment| self.why_open(payment).is_some());
        let paying: BTreeSet<_> = open.filter_map(|payment| payment.session).collect();
        let sagas: BTreeSet<_> =
            self.sagas.iter().filter(|saga| saga.open).map(|saga| saga.session).collect();
        let mut live = BTreeMap::new();
        for (id, one) in &self.sessions {
            let why = if one.state.revoked.is_none() && !one.state.mandate.expired(self.now) {
                "its mandate still counts: end the session first, or wait until the mandate runs out"
            } else if self.is_asking(one) {
                "an approval of it waits: answer it, or wait until it runs out"
            } else if paying.contains(id) {
                "a payment of it is open"
            } else if sagas.contains(id) {
                "a saga of it is open"
            } else if frozen.contains(id) {
                "its agent is frozen, and would go on under another pseudonym: thaw it first"
            } else {
                continue;
            };
            live.insert(*id, why);
        }
        // What a live session was cut from is read with it.
        for id in live.keys().copied().collect::<Vec<_>>() {
            let mut above = self.sessions.get(&id).and_then(|one| one.state.parent);
            while let Some(id) = above.filter(|id| !live.contains_key(id)) {
                live.insert(id, "a session that it delegated to is not over");
                above = self.sessions.get(&id).and_then(|one| one.state.parent);
            }
        }
        live
    }

    /// Sessions of a user whose agents stand still. Who freezes or thaws one meanwhile is noticed.
    async fn frozen(
        &self,
        ledger: &Ledger,
        user: &str,
        found: &mut Found,
    ) -> Result<BTreeSet<SessionId>, BursarError> {
        let own = || self.sessions.values().filter(|one| one.state.mandate.user == user);
        let agents: BTreeSet<&str> = own().map(|one| one.state.mandate.agent.as_str()).collect();
        let mut still = BTreeSet::new();
        for (agent, stream, length, frozen) in agent_freezes(ledger, user, agents).await? {
            found.require.push(Require::StreamAt { stream, length });
            if frozen {
                still.extend(own().filter(|one| one.state.mandate.agent == agent).map(|one| one.id));
            }
        }
        Ok(still)
    }

    fn is_asking(&self, one: &SessionPart) -> bool {
        let waits = |expires_at: Timestamp| expires_at > self.now;
        one.state.pending.values().any(|waiting| waits(waiting.question.expires_at))
            || one.state.given.values().any(|given| waits(given.expires_at))
    }

    fn is_over(&self, id: Option<SessionId>) -> bool {
        id.is_none_or(|id| !self.live.contains_key(&id))
    }

    fn sessions(&self, scope: &EraseScope, found: &mut Found) {
        for one in self.sessions.values() {
            if !self.means(scope, Some(one.id), one.part.last) {
                continue;
            }
            if let Some(why) = self.live.get(&one.id) {
                found.told.kept.push(Kept { what: one.id.to_string(), why: (*why).to_owned() });
                continue;
            }
            found.told.sessions.push(one.id);
            found.require.push(one.part.unmoved());
            found.payloads.extend(&one.part.payloads);
        }
    }

    fn runs(&self, scope: &EraseScope, found: &mut Found) {
        for one in &self.runs {
            if !self.means(scope, one.session, one.part.last) {
                continue;
            }
            if one.over || self.is_over(one.session) {
                found.told.runs.push(one.id);
                found.require.push(one.part.unmoved());
                found.payloads.extend(&one.part.payloads);
            } else {
                let why = "it can go on: resume it to its end, or end its session";
                found.told.kept.push(Kept { what: one.id.to_string(), why: why.to_owned() });
            }
        }
    }

    fn sagas(&self, scope: &EraseScope, found: &mut Found) {
        let meant = |one: &&SagaPart| !one.open && self.means(scope, Some(one.session), one.part.last);
        for one in self.sagas.iter().filter(meant) {
            found.require.push(one.part.unmoved());
            found.payloads.extend(&one.part.payloads);
        }
    }

    /// Quotes, requests, decisions and uses: those of what goes, and of sessions that are meant.
    async fn beside_sessions(
        &self,
        ledger: &Ledger,
        scope: &EraseScope,
        gone: &Gone,
        found: &mut Found,
    ) -> Result<(), BursarError> {
        let kept: BTreeSet<String> = self.open.iter().map(ToString::to_string).collect();
        for prefix in OF_SESSIONS {
            for (stream, _) in ledger.streams(&format!("{prefix}/")).await? {
                let id = stream.as_str().strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
                let session = id.and_then(|id| SessionId::parse(id).ok());
                for (entry, payload) in ledger.stream_with_payloads(&stream, 0).await? {
                    let (Some(detail), Some(payload)) = (entry.detail(), payload) else { continue };
                    let of = text_of(&entry, "payment");
                    let bought = of.is_some_and(|of| gone.payments.contains(of))
                        || quoted(&payload)
                            .zip(session)
                            .is_some_and(|(resource, session)| gone.resources.contains(&(session, resource)));
                    let stays = of.is_some_and(|of| kept.contains(of))
                        || (prefix == "quotes"
                            && entry.at.plus_ms(QUOTE_LIVES_MS) > self.now
                            && !self.is_over(session));
                    if bought || (self.means(scope, session, entry.at) && !stays) {
                        found.payloads.insert(detail);
                    }
                }
            }
        }
        for (entry, payload) in of_stream(ledger, UseRecord::STREAM).await? {
            let (Some(detail), Some(payload)) = (entry.detail(), payload) else { continue };
            let used: Option<UseRecord> = serde_json::from_slice(&payload).ok();
            let of_gone = text_of(&entry, "artifact").is_some_and(|of| gone.artifacts.contains(of));
            if of_gone || self.means(scope, used.map(|used| used.session), entry.at) {
                found.payloads.insert(detail);
            }
        }
        Ok(())
    }

    /// The user's own pseudonym, those of the user's agents, and those of projects that nobody else has.
    async fn forget(&self, ledger: &Ledger, user: &str, found: &mut Found) -> Result<(), BursarError> {
        let mandates = || self.sessions.values().map(|session| &session.state.mandate);
        let own = || mandates().filter(|mandate| mandate.user == user);
        let agents: BTreeSet<&str> = own().map(|mandate| mandate.agent.as_str()).collect();
        let mut projects: BTreeSet<&str> = own().map(|mandate| mandate.project.as_str()).collect();
        for other in mandates().filter(|mandate| mandate.user != user) {
            projects.remove(other.project.as_str());
        }
        let keys = principal_links(user, agents, projects);
        let values = ledger.link_values(&keys).await?;
        for (key, expected) in keys.into_iter().zip(values).filter(|(_, value)| value.is_some()) {
            found.links.push(LinkWrite { key, expected, value: None });
            found.told.forgotten = true;
        }
        Ok(())
    }
}

/// Records of the library.
async fn beside_payments(ledger: &Ledger, gone: &Gone, found: &mut Found) -> Result<(), BursarError> {
    for (entry, payload) in of_stream(ledger, ArtifactRecord::STREAM).await? {
        let of_gone = text_of(&entry, "payment").is_some_and(|of| gone.payments.contains(of));
        if of_gone && payload.is_some() {
            found.payloads.extend(entry.detail());
        }
    }
    Ok(())
}

/// Mandates in files of their own that were given for a user.
async fn issued(ledger: &Ledger, user: &str, found: &mut Found) -> Result<(), BursarError> {
    let of_user = |payload: &Bytes| {
        let issued: serde_json::Value = serde_json::from_slice(payload).ok()?;
        let file: toml::Table = toml::from_str(issued.get("file")?.as_str()?).ok()?;
        Some(file.get("user")?.as_str()? == user)
    };
    for (entry, payload) in of_stream(ledger, "mandates/issued").await? {
        if payload.as_ref().and_then(of_user) == Some(true) {
            found.payloads.extend(entry.detail());
        }
    }
    Ok(())
}

/// The links that lead to what goes: to payments by what was bought, to quotes, to questions.
async fn links(ledger: &Ledger, gone: &Gone, found: &Found) -> Result<Vec<LinkWrite>, BursarError> {
    let details: BTreeSet<String> = found.payloads.iter().map(ToString::to_string).collect();
    let sessions: BTreeSet<String> = found.told.sessions.iter().map(ToString::to_string).collect();
    let mut all = BTreeMap::new();
    for (prefix, values) in
        [("bought/", &gone.payments), ("quote/", &details), ("use/", &details), ("approval/", &sessions)]
    {
        let known = ledger.links(prefix).await?;
        all.extend(known.into_iter().filter(|(_, value)| values.contains(value)));
    }
    Ok(all.into_iter().map(|(key, value)| LinkWrite { key, expected: Some(value), value: None }).collect())
}

async fn of_stream(ledger: &Ledger, name: &str) -> Result<Vec<(Entry, Option<Bytes>)>, BursarError> {
    let Ok(stream) = StreamId::new(name) else { return Ok(Vec::new()) };
    Ok(ledger.stream_with_payloads(&stream, 0).await?)
}

/// The resource of a quote; `None` for any other record.
fn quoted(payload: &Bytes) -> Option<String> {
    serde_json::from_slice::<Offer>(payload).ok().map(|offer| offer.quote.resource)
}

fn text_of<'a>(entry: &'a Entry, field: &str) -> Option<&'a str> {
    entry.body.get(field)?.as_str()
}
