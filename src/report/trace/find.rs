//! Finding what a trace is about.

use super::{Subject, Trace, TracePart, events, payment, refusal};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_memory::clean_line;
use bursar_payments::DecisionRecord;
use bursar_types::{PaymentId, SessionId, Timestamp};
use serde::Serialize;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// Position of its entry in the journal: its name for [`trace_refusal`].
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// The session.
    pub session: SessionId,
    /// What was wanted; none if that was erased.
    pub what: Option<String>,
    /// Why: stable codes.
    pub codes: Vec<String>,
    /// The payment it was about, if it was about one.
    pub payment: Option<PaymentId>,
}

/// What was refused in a session, or in all of them, oldest first.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn denied(ledger: &Ledger, session: Option<SessionId>) -> Result<Vec<Denied>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams(&format!("{}/", DecisionRecord::REFUSALS)).await? {
        let Some(of) = session_of(&stream) else { continue };
        if session.is_some_and(|session| session != of) {
            continue;
        }
        for (entry, record) in events::<DecisionRecord>(ledger, &stream).await? {
            let texts = |name: &str| entry.body.get(name).cloned().unwrap_or_default();
            let codes = serde_json::from_value(texts("codes")).unwrap_or_default();
            let payment = serde_json::from_value(texts("payment")).ok();
            let what = record.ok().map(|record| clean_line(&record.what, 200));
            all.push(Denied { entry: entry.sequence, at: entry.at, session: of, what, codes, payment });
        }
    }
    all.sort_by_key(|denied| denied.entry);
    Ok(all)
}

/// Everything that the journal tells about a payment; none if it knows no such payment and decided nothing about it.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn trace(ledger: &Ledger, id: PaymentId) -> Result<Option<Trace>, BursarError> {
    let subject = Subject::Payment { payment: id };
    if let Some((outcome, parts)) = payment::parts(ledger, id).await? {
        return Ok(Some(Trace { subject, outcome, parts }));
    }
    // It was named, and nothing was ever held for it.
    let all = denied(ledger, None).await?;
    match all.iter().rev().find(|denied| denied.payment == Some(id)) {
        Some(last) => Ok(trace_refusal(ledger, last.entry).await?.map(|found| Trace { subject, ..found })),
        None => Ok(None),
    }
}

/// Everything that the journal tells about a refusal, named by the position of its entry; none if no refusal stands there.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn trace_refusal(ledger: &Ledger, sequence: u64) -> Result<Option<Trace>, BursarError> {
    let Some(entry) = ledger.entries(sequence, 1).await?.pop().filter(|entry| entry.sequence == sequence)
    else {
        return Ok(None);
    };
    let Some(session) = session_of(&entry.stream).filter(|_| is_refusal(&entry)) else { return Ok(None) };
    let (outcome, parts): (String, Vec<TracePart>) = refusal::parts(ledger, &entry, session).await?;
    Ok(Some(Trace { subject: Subject::Refusal { entry: sequence }, outcome, parts }))
}

fn is_refusal(entry: &Entry) -> bool {
    entry.stream.as_str().split('/').next() == Some(DecisionRecord::REFUSALS)
}

fn session_of(stream: &StreamId) -> Option<SessionId> {
    SessionId::parse(stream.as_str().split_once('/')?.1).ok()
}
