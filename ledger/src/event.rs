//! Events as entries: a summary in the leaf, the whole event in a payload that can be erased.

use crate::entry::{Entry, NewEntry, StreamId};
use crate::ledger::Ledger;
use crate::payload::{Commitment, Payload};
use crate::refusal::StoreError;
use crate::transaction::Transaction;
use bursar_types::{Digest, Entropy};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

/// The field of an entry's body that commits to the event.
const DETAIL: &str = "detail";

/// An event ready for one transaction.
///
/// The leaf keeps the summary for ever, so nothing personal belongs there; everything else is in the payload.
///
/// # Example
/// ```
/// use bursar_ledger::{SealedEvent, StreamId};
/// use bursar_types::SeededEntropy;
/// let stream = StreamId::new("orders")?;
/// let event = serde_json::json!({"url": "https://api.example/?q=private"});
/// let summary = [("kind", serde_json::json!("book"))];
/// let sealed = SealedEvent::new(stream, "order.placed", summary, &event, &SeededEntropy::new(1))?;
/// assert!(!sealed.entry.body.to_string().contains("private"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SealedEvent {
    /// The entry.
    pub entry: NewEntry,
    /// The payload that the entry commits to.
    pub payload: Payload,
}

/// Why an event could not be read back.
#[derive(Debug, Error)]
pub enum EventError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event's payload is not there any more. Whether it was erased by rule, `bursar audit verify` tells.
    #[error("what entry {sequence} of `{stream}` said was erased")]
    Erased {
        /// The stream.
        stream: StreamId,
        /// Position in the stream.
        sequence: u64,
    },
    /// The event is not of this kind, or damaged.
    #[error("entry {sequence} of `{stream}` cannot be read: {problem}")]
    Unreadable {
        /// The stream.
        stream: StreamId,
        /// Position in the stream.
        sequence: u64,
        /// What is wrong.
        problem: String,
    },
}

impl SealedEvent {
    /// Seals an event.
    ///
    /// # Errors
    /// [`serde_json::Error`] if the event cannot be written as JSON.
    pub fn new<'a, E: Serialize>(
        stream: StreamId,
        kind: &'static str,
        summary: impl IntoIterator<Item = (&'a str, Value)>,
        event: &E,
        entropy: &dyn Entropy,
    ) -> Result<Self, serde_json::Error> {
        let payload = Payload::seal(Bytes::from(serde_json::to_vec(event)?), entropy);
        let mut body: Map<String, Value> =
            summary.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        body.insert(DETAIL.to_owned(), Value::String(payload.commitment().to_string()));
        Ok(Self { entry: NewEntry { stream, kind: kind.into(), body: Value::Object(body) }, payload })
    }

    /// Adds it to a transaction.
    pub fn add_to(self, transaction: &mut Transaction) {
        transaction.entries.push(self.entry);
        transaction.payloads.push(self.payload);
    }
}

impl Entry {
    /// The commitment of the entry's event; `None` if it holds no sealed event.
    #[must_use]
    pub fn detail(&self) -> Option<Commitment> {
        let text = self.body.get(DETAIL)?.as_str()?;
        Digest::parse(text).ok().map(Commitment::from_digest)
    }
}

impl Ledger {
    /// Reads the event of an entry.
    ///
    /// # Errors
    /// [`EventError`].
    pub async fn event<E: DeserializeOwned>(&self, entry: &Entry) -> Result<E, EventError> {
        let payload = match entry.detail() {
            Some(detail) => self.payload(detail).await?,
            None => None,
        };
        event_of(entry, payload.as_deref())
    }

    /// Reads the events of a stream from a position.
    ///
    /// # Errors
    /// [`EventError`].
    pub async fn events<E: DeserializeOwned>(
        &self,
        stream: &StreamId,
        from: u64,
    ) -> Result<Vec<E>, EventError> {
        let found = self.stream_with_payloads(stream, from).await?;
        found.iter().map(|(entry, payload)| event_of(entry, payload.as_deref())).collect()
    }

    /// The same, each with its entry: for whoever needs what the leaf shows.
    ///
    /// # Errors
    /// [`EventError`].
    pub async fn events_with_entries<E: DeserializeOwned>(
        &self,
        stream: &StreamId,
        from: u64,
    ) -> Result<Vec<(Entry, E)>, EventError> {
        let found = self.stream_with_payloads(stream, from).await?;
        let read = |(entry, payload): (Entry, Option<Bytes>)| {
            let event = event_of(&entry, payload.as_deref())?;
            Ok((entry, event))
        };
        found.into_iter().map(read).collect()
    }
}

/// The event of an entry whose payload was read.
fn event_of<E: DeserializeOwned>(entry: &Entry, payload: Option<&[u8]>) -> Result<E, EventError> {
    let unreadable = |problem: String| EventError::Unreadable {
        stream: entry.stream.clone(),
        sequence: entry.stream_sequence,
        problem,
    };
    if entry.detail().is_none() {
        return Err(unreadable("it names no payload".to_owned()));
    }
    let payload = payload.ok_or_else(|| EventError::Erased {
        stream: entry.stream.clone(),
        sequence: entry.stream_sequence,
    })?;
    serde_json::from_slice(payload).map_err(|error| unreadable(error.to_string()))
}
