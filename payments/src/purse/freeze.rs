//! Freezing and thawing, and reading what stands still.

use super::open::{add_session_event, fold_session};
use super::outflow::stopped_stream;
use super::{OpenError, Payments, Shared};
use crate::freeze::{FREEZES, FROZEN, Freeze, FreezeRecord, FreezeScope, THAWED};
use crate::session::SessionEvent;
use bursar_ledger::{
    CommitError, Entry, EventError, LinkWrite, Refusal, Require, SealedEvent, StreamId, Transaction,
};
use bursar_types::SessionId;
use serde_json::json;

/// Where sessions' events are.
const SESSIONS: &str = "session/";

/// A stream of freezes as it was read.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    pub(super) stream: StreamId,
    length: u64,
    pub(super) frozen: bool,
}

impl Stop {
    /// Whether it is because of what left the wallet.
    pub(super) fn is_outflow(&self) -> bool {
        self.stream == stopped_stream()
    }

    /// The condition that nobody froze or thawed it since.
    pub(super) fn unmoved(&self) -> Require {
        Require::StreamAt { stream: self.stream.clone(), length: self.length }
    }
}

/// Reads the freezes of these scopes, and what stops everybody because of what left the wallet.
pub(super) async fn stops(shared: &Shared, scopes: &[FreezeScope]) -> Result<Vec<Stop>, CommitError> {
    let ledger = &shared.ledger;
    let known = ledger.streams(FREEZES).await?;
    let mut streams = vec![stopped_stream()];
    for scope in scopes {
        streams.push(shared.freezes_of(scope).await?);
    }
    let mut stops = Vec::with_capacity(streams.len());
    for stream in streams {
        let length = known.iter().find(|(name, _)| *name == stream).map_or(0, |(_, length)| *length);
        let frozen = match length.checked_sub(1) {
            None => false,
            Some(last) => match ledger.stream(&stream, last).await?.first() {
                Some(entry) => entry.kind != THAWED,
                None => true,
            },
        };
        stops.push(Stop { stream, length, frozen });
    }
    Ok(stops)
}

impl Payments {
    /// Stops spending, in every process: nothing is planned, held, signed or presented again until it is thawed. What was
    /// signed before goes on to be settled.
    ///
    /// # Errors
    /// [`OpenError`] if there is no such session, or the ledger failed: it may or may not be frozen; call again.
    ///
    /// # Idempotency
    /// A second freeze is another record, and changes nothing.
    pub async fn freeze(&self, scope: &FreezeScope, by: &str, reason: &str) -> Result<(), OpenError> {
        let event = |_: SessionId| SessionEvent::Frozen { by: by.to_owned(), reason: reason.to_owned() };
        self.record_freeze(scope, FROZEN, by, reason, event).await
    }

    /// Lets spending go on. What other freezes stop stands still.
    ///
    /// # Errors
    /// As [`Payments::freeze`].
    ///
    /// # Idempotency
    /// A second thaw is another record, and changes nothing.
    pub async fn thaw(&self, scope: &FreezeScope, by: &str, reason: &str) -> Result<(), OpenError> {
        let event = |_: SessionId| SessionEvent::Thawed { by: by.to_owned() };
        self.record_freeze(scope, THAWED, by, reason, event).await
    }

    /// Stops all spending because the books contradict something, until a person lets it go on ([`Payments::thaw`] of
    /// [`FreezeScope::All`]). Says whether it was stopped now.
    ///
    /// # Errors
    /// [`OpenError`]: it may or may not be stopped; call again.
    ///
    /// # Idempotency
    /// `alarm` names what was found. It stops spending once: a person who thawed has seen it, and is not overruled by the same
    /// finding again. Another one is another alarm.
    pub async fn alarm(&self, alarm: &str, reason: &str) -> Result<bool, OpenError> {
        let key = format!("alarm/{}", bursar_types::Digest::of(alarm.as_bytes()));
        if self.0.ledger.link(&key).await?.is_some() {
            return Ok(false);
        }
        let scope = FreezeScope::All;
        let record =
            FreezeRecord { scope: scope.clone(), by: "the audit".to_owned(), reason: reason.to_owned() };
        let link = LinkWrite { key: key.clone(), expected: None, value: Some("raised".to_owned()) };
        let mut transaction = Transaction { links: vec![link], ..Transaction::default() };
        let stream = self.0.freezes_of(&scope).await?;
        SealedEvent::new(stream, FROZEN, [("by", json!("alarm"))], &record, &*self.0.entropy)
            .map_err(bursar_types::CanonicalError::Json)?
            .add_to(&mut transaction);
        match self.0.ledger.commit(transaction).await {
            Ok(_) => Ok(true),
            // Another process found the same at the same time.
            Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn record_freeze(
        &self,
        scope: &FreezeScope,
        kind: &'static str,
        by: &str,
        reason: &str,
        event: impl Fn(SessionId) -> SessionEvent,
    ) -> Result<(), OpenError> {
        let mut transaction = Transaction::default();
        let stream = self.0.freezes_of(scope).await?;
        match scope {
            FreezeScope::Session { session } => {
                fold_session(&self.0.ledger, *session, None).await?;
                add_session_event(&mut transaction, &self.0, &stream, &event(*session))?;
            }
            FreezeScope::All | FreezeScope::Wallet { .. } | FreezeScope::Agent { .. } => {
                let record =
                    FreezeRecord { scope: scope.clone(), by: by.to_owned(), reason: reason.to_owned() };
                SealedEvent::new(stream, kind, [("by", json!("person"))], &record, &*self.0.entropy)
                    .map_err(bursar_types::CanonicalError::Json)?
                    .add_to(&mut transaction);
            }
        }
        let committed: Result<_, CommitError> = self.0.ledger.commit(transaction).await;
        committed?;
        Ok(())
    }

    /// What stands still: sessions that were frozen on their own, too. What a frozen session delegated stands still with it and is
    /// not listed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn freezes(&self) -> Result<Vec<Freeze>, OpenError> {
        let mut found = self.frozen_sessions().await?;
        for (stream, length) in self.0.ledger.streams(FREEZES).await? {
            let last = self.0.ledger.stream(&stream, length.saturating_sub(1)).await?;
            let Some(entry) = last.first().filter(|entry| entry.kind != THAWED) else { continue };
            let record: FreezeRecord = self.0.ledger.event(entry).await?;
            found.push(Freeze { scope: record.scope, by: record.by, reason: record.reason, at: entry.at });
        }
        found.sort_by_key(|freeze| freeze.at);
        Ok(found)
    }

    /// Sessions whose last word on it is a freeze.
    async fn frozen_sessions(&self) -> Result<Vec<Freeze>, OpenError> {
        let mut found = Vec::new();
        for (stream, _) in self.0.ledger.streams(SESSIONS).await? {
            let Some(session) =
                stream.as_str().strip_prefix(SESSIONS).and_then(|id| SessionId::parse(id).ok())
            else {
                continue;
            };
            let entries = self.0.ledger.stream(&stream, 0).await?;
            let said = |entry: &&Entry| ["session.frozen", "session.thawed"].contains(&entry.kind.as_str());
            let Some(entry) = entries.iter().rfind(said).filter(|entry| entry.kind == "session.frozen")
            else {
                continue;
            };
            let event = match self.0.ledger.event::<SessionEvent>(entry).await {
                // What was erased is over: nothing of it is spent any more.
                Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => continue,
                event => event?,
            };
            if let SessionEvent::Frozen { by, reason } = event {
                found.push(Freeze { scope: FreezeScope::Session { session }, by, reason, at: entry.at });
            }
        }
        Ok(found)
    }
}
