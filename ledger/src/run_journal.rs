//! The record of runs, kept in the ledger.

use crate::entry::{Entry, NewEntry, StreamId};
use crate::ledger::Ledger;
use crate::payload::{Commitment, Payload};
use crate::refusal::{CommitError, Refusal};
use crate::transaction::{Require, Transaction};
use async_trait::async_trait;
use bursar_types::{Journal, JournalError, JournalRecord, RunId, StoredRecord};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use thiserror::Error;

/// The body of a run's entry: its content is a payload, named as every sealed event's is.
#[derive(Debug, Serialize, Deserialize)]
struct RunBody {
    detail: Commitment,
}

/// An entry of a run's stream is not a run's record.
#[derive(Debug, Error)]
#[error("entry {sequence} of the journal is not the record of a run")]
struct NotARecord {
    sequence: u64,
    #[source]
    source: serde_json::Error,
}

/// A record is an entry of the stream `run/<id>`; its content is sealed into a payload.
#[async_trait]
impl Journal for Ledger {
    /// Answers the run's new length.
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
        let stream = StreamId::of("run", run);
        let mut transaction = Transaction {
            require: vec![Require::StreamAt { stream: stream.clone(), length: expected }],
            ..Transaction::default()
        };
        let mut length = expected;
        for record in records {
            let payload = Payload::seal(record.payload, self.entropy());
            let body = RunBody { detail: payload.commitment() };
            let body = serde_json::to_value(body).map_err(|error| JournalError::Store(Box::new(error)))?;
            let kind = Cow::Owned(record.kind);
            transaction.entries.push(NewEntry { stream: stream.clone(), kind, body });
            transaction.payloads.push(payload);
            length = length.saturating_add(1);
        }
        match self.commit(transaction).await {
            Ok(_) => Ok(length),
            Err(CommitError::Refused(Refusal::StreamMoved { expected, found, .. })) => {
                Err(JournalError::Fenced { expected, found })
            }
            Err(error) => Err(JournalError::Store(Box::new(error))),
        }
    }

    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError> {
        let stream = StreamId::of("run", run);
        let entries =
            self.stream(&stream, from).await.map_err(|error| JournalError::Store(Box::new(error)))?;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let Entry { sequence, stream_sequence, kind, body, .. } = entry;
            let body: RunBody = serde_json::from_value(body)
                .map_err(|source| JournalError::Store(Box::new(NotARecord { sequence, source })))?;
            let payload =
                self.payload(body.detail).await.map_err(|error| JournalError::Store(Box::new(error)))?;
            records.push(StoredRecord { sequence: stream_sequence, kind, payload });
        }
        Ok(records)
    }
}
