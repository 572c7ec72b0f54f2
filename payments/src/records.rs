//! Events as journal entries: a summary in the leaf, the whole event in a payload that can be erased.

use bursar_ledger::{Commitment, Entry, Ledger, NewEntry, Payload, StoreError, StreamId};
use bursar_types::{Digest, Entropy};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

/// Why an event could not be read back.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("entry {sequence} of `{stream}` was erased or is damaged: {problem}")]
    Unreadable { stream: StreamId, sequence: u64, problem: String },
}

/// An entry with its payload, ready for one transaction.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) entry: NewEntry,
    pub(crate) payload: Payload,
}

/// Makes the record of an event. The leaf holds `summary` and a commitment to the event.
pub(crate) fn record<E: Serialize>(
    stream: StreamId,
    kind: &'static str,
    summary: Map<String, Value>,
    event: &E,
    entropy: &dyn Entropy,
) -> Result<Record, serde_json::Error> {
    let payload = Payload::seal(Bytes::from(serde_json::to_vec(event)?), entropy);
    let mut body = summary;
    body.insert("detail".to_owned(), Value::String(payload.commitment().to_string()));
    Ok(Record { entry: NewEntry { stream, kind: kind.into(), body: Value::Object(body) }, payload })
}

/// The commitment of an entry's event.
fn detail(entry: &Entry) -> Option<Commitment> {
    let text = entry.body.get("detail")?.as_str()?;
    Digest::parse(text).ok().map(Commitment::from_digest)
}

/// Reads the event of an entry.
pub(crate) async fn read<E: DeserializeOwned>(ledger: &Ledger, entry: &Entry) -> Result<E, ReadError> {
    let unreadable = |problem: String| ReadError::Unreadable {
        stream: entry.stream.clone(),
        sequence: entry.stream_sequence,
        problem,
    };
    let commitment = detail(entry).ok_or_else(|| unreadable("it names no payload".to_owned()))?;
    let bytes =
        ledger.payload(commitment).await?.ok_or_else(|| unreadable("its payload is gone".to_owned()))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
}

/// Reads all events of a stream from a position.
pub(crate) async fn read_stream<E: DeserializeOwned>(
    ledger: &Ledger,
    stream: &StreamId,
    from: u64,
) -> Result<Vec<E>, ReadError> {
    let mut events = Vec::new();
    for entry in ledger.stream(stream, from).await? {
        events.push(read(ledger, &entry).await?);
    }
    Ok(events)
}

/// A summary from key and value pairs.
pub(crate) fn summary<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
