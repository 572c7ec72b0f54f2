//! Reading what may be erased: sessions, payments, runs and sagas, each with its payloads.

use crate::error::BursarError;
use bursar_agent_core::{Record, RecordEntry};
use bursar_ledger::{Commitment, Entry, Ledger, Require, StreamId};
use bursar_payments::{
    ObligationEvent, Payment, PaymentEvent, Received, SagaEvent, SessionEvent, SessionState,
};
use bursar_types::{ArtifactId, PaymentId, RunId, SessionId, StoredRecord, Timestamp};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// A stream, as far as it matters for everything in it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) stream: StreamId,
    pub(super) length: u64,
    /// When the last thing happened.
    pub(super) last: Timestamp,
    /// The payloads of its entries, and those that they name.
    pub(super) payloads: BTreeSet<Commitment>,
}

impl Part {
    /// The condition that nothing happened to it since.
    pub(super) fn unmoved(&self) -> Require {
        Require::StreamAt { stream: self.stream.clone(), length: self.length }
    }

    fn of(stream: StreamId, entries: &[(Entry, Option<Bytes>)]) -> Self {
        let kept = entries.iter().filter(|(_, payload)| payload.is_some());
        Self {
            stream,
            length: u64::try_from(entries.len()).unwrap_or(u64::MAX),
            last: entries.last().map_or(Timestamp::from_unix_ms(0), |(entry, _)| entry.at),
            payloads: kept.filter_map(|(entry, _)| entry.detail()).collect(),
        }
    }
}

#[derive(Debug)]
pub(super) struct SessionPart {
    pub(super) id: SessionId,
    pub(super) part: Part,
    pub(super) state: SessionState,
}

#[derive(Debug)]
pub(super) struct PaymentPart {
    pub(super) id: PaymentId,
    pub(super) session: Option<SessionId>,
    pub(super) part: Part,
    /// `None` if it cannot be read to its end.
    pub(super) payment: Option<Payment>,
    pub(super) artifacts: BTreeSet<ArtifactId>,
    pub(super) resources: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct RunPart {
    pub(super) id: RunId,
    pub(super) session: Option<SessionId>,
    pub(super) part: Part,
    /// Whether it ended for good.
    pub(super) over: bool,
}

#[derive(Debug)]
pub(super) struct SagaPart {
    pub(super) session: SessionId,
    pub(super) part: Part,
    pub(super) open: bool,
}

fn event<E: DeserializeOwned>(payload: Option<&Bytes>) -> Option<E> {
    serde_json::from_slice(payload?).ok()
}

/// Sessions that can be read; those that were erased are left out.
pub(super) async fn sessions(ledger: &Ledger) -> Result<Vec<SessionPart>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("session/").await? {
        let Some(Ok(id)) = stream.as_str().strip_prefix("session/").map(SessionId::parse) else { continue };
        let entries = ledger.stream_with_payloads(&stream, 0).await?;
        let mut part = Part::of(stream, &entries);
        let mut state = None;
        for (_, payload) in &entries {
            let Some(event) = event::<SessionEvent>(payload.as_ref()) else { break };
            if let SessionEvent::PlanApproved { plan, .. } = &event {
                part.payloads.extend(plan.purpose);
            }
            let Ok(next) = SessionState::apply(id, state.take(), event) else { break };
            state = Some(next);
        }
        all.extend(state.map(|state| SessionPart { id, part, state }));
    }
    Ok(all)
}

/// Payments of which a payload is left.
pub(super) async fn payments(ledger: &Ledger) -> Result<Vec<PaymentPart>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("payment/").await? {
        let Some(Ok(id)) = stream.as_str().strip_prefix("payment/").map(PaymentId::parse) else { continue };
        let entries = ledger.stream_with_payloads(&stream, 0).await?;
        let named =
            |(entry, _): &(Entry, Option<Bytes>)| entry.body.get("session")?.as_str().map(str::to_owned);
        let session = entries.iter().find_map(named).and_then(|text| SessionId::parse(&text).ok());
        let part = Part::of(stream, &entries);
        if part.payloads.is_empty() {
            continue;
        }
        let (artifacts, resources) = (BTreeSet::new(), BTreeSet::new());
        let mut read = PaymentPart { id, session, part, payment: None, artifacts, resources };
        let mut whole = true;
        for (_, payload) in &entries {
            let Some(event) = event::<PaymentEvent>(payload.as_ref()) else {
                whole = false;
                continue;
            };
            note(&mut read, &event);
            match Payment::apply(read.payment.take(), event) {
                Ok(next) => read.payment = Some(next),
                Err(_) => whole = false,
            }
        }
        read.payment = read.payment.filter(|_| whole);
        all.push(read);
    }
    Ok(all)
}

/// Notes what an event of a payment names.
fn note(read: &mut PaymentPart, event: &PaymentEvent) {
    let payloads = &mut read.part.payloads;
    match event {
        PaymentEvent::Held(held) => {
            payloads.extend(held.ask.body);
            read.resources.insert(held.offer.quote.resource.clone());
        }
        PaymentEvent::Answered { received, .. } => {
            payloads.extend(received.as_ref().map(|received: &Received| received.payload));
        }
        PaymentEvent::Delivered { record } => {
            payloads.insert(Commitment::from_digest(record.payload));
            read.artifacts.insert(record.artifact.id);
        }
        PaymentEvent::Owed(ObligationEvent::StepEnded { file, .. }) => payloads.extend(*file),
        _ => {}
    }
}

/// Runs of which a payload is left.
pub(super) async fn runs(ledger: &Ledger) -> Result<Vec<RunPart>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("run/").await? {
        let Some(Ok(id)) = stream.as_str().strip_prefix("run/").map(RunId::parse) else { continue };
        let entries = ledger.stream_with_payloads(&stream, 0).await?;
        let part = Part::of(stream, &entries);
        if part.payloads.is_empty() {
            continue;
        }
        let (mut session, mut over) = (None, false);
        for (entry, payload) in entries {
            let stored = StoredRecord { sequence: entry.stream_sequence, kind: entry.kind, payload };
            match RecordEntry::decode(&stored).map(|entry| entry.record) {
                Ok(Record::Started { session: own, .. }) => session = Some(own),
                Ok(Record::Finished { .. }) => over = true,
                Ok(Record::Stopped { cause }) => over = !cause.can_go_on(),
                Ok(Record::Resumed { .. }) => over = false,
                _ => {}
            }
        }
        all.push(RunPart { id, session, part, over });
    }
    Ok(all)
}

/// Sagas that can be read.
pub(super) async fn sagas(ledger: &Ledger) -> Result<Vec<SagaPart>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("saga/").await? {
        let entries = ledger.stream_with_payloads(&stream, 0).await?;
        let first = entries.first().and_then(|(_, payload)| event::<SagaEvent>(payload.as_ref()));
        let Some(SagaEvent::Opened { session, .. }) = first else { continue };
        let id = stream.as_str().strip_prefix("saga/").unwrap_or_default();
        let keys = [format!("saga-open/{id}"), format!("saga-parked/{id}")];
        let open = ledger.link_values(&keys).await?.iter().any(Option::is_some);
        all.push(SagaPart { session, part: Part::of(stream, &entries), open });
    }
    Ok(all)
}
