//! What was refused, and why.

use super::work::{self, Wanted};
use super::{TracePart, event, events};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_payments::{DecisionRecord, SessionEvent};
use bursar_types::SessionId;

pub(super) async fn parts(
    ledger: &Ledger,
    entry: &Entry,
    session: SessionId,
) -> Result<(String, Vec<TracePart>), BursarError> {
    let payload = match entry.detail() {
        Some(detail) => ledger.payload(detail).await?,
        None => None,
    };
    let record = event::<DecisionRecord>(payload.as_deref());
    let codes: Vec<&str> = entry
        .body
        .get("codes")
        .and_then(|codes| codes.as_array())
        .map_or_else(Vec::new, |codes| codes.iter().filter_map(serde_json::Value::as_str).collect());
    let outcome = match codes.as_slice() {
        [] => "It was refused; no money moved.".to_owned(),
        codes => format!("It was refused with {}; no money moved.", codes.join(", ")),
    };
    let (mut wanted, mut decided) =
        (TracePart::new("what was wanted"), TracePart::new("what was decided, and why"));
    match &record {
        Ok(record) => {
            wanted.say("wanted", &record.what, Some(entry.sequence));
            decided.decision(entry, record);
        }
        Err(why) => wanted.unread(entry, why),
    }
    let mut authority = TracePart::new("under which mandate");
    for (entry, event) in events::<SessionEvent>(ledger, &StreamId::of("session", session)).await? {
        match event {
            Ok(event) => work::authority(&mut authority, &entry, &event, None),
            Err(why) => authority.unread(&entry, &why),
        }
    }
    let mut done = TracePart::new("in which work");
    done.say("session", session.to_string(), Some(entry.sequence));
    done.traces([entry]);
    let cause = record.as_ref().ok().and_then(|record| record.cause);
    let urls = record
        .as_ref()
        .ok()
        .and_then(|record| record.what.split_whitespace().find(|word| word.contains("://")));
    work::work(ledger, session, &Wanted { key: None, cause, url: urls, sequence: entry.sequence }, &mut done)
        .await?;
    Ok((outcome, vec![wanted, done, authority, decided]))
}
