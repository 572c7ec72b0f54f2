//! Reading runs and events back from the ledger.

use super::RunBrief;
use crate::error::BursarError;
use bursar_agent_core::{Record, RecordEntry};
use bursar_ledger::{Commitment, Entry, Ledger};
use bursar_memory::UseRecord;
use bursar_payments::{Mandate, SessionEvent};
use bursar_tools::Brief;
use bursar_types::{ArtifactId, Digest, Journal, RunId, SessionId};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// A run with what it used.
pub(super) struct RunRead {
    pub(super) session: SessionId,
    pub(super) brief: RunBrief,
    uses: Vec<(ArtifactId, String)>,
}

/// Every run; one whose first record was erased is left out.
pub(super) async fn runs(ledger: &Ledger) -> Result<Vec<RunRead>, BursarError> {
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("run/").await? {
        let Some(Ok(run)) = stream.as_str().strip_prefix("run/").map(RunId::parse) else { continue };
        let stored = match Journal::read(ledger, run, 0).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%run, %error, "a run cannot be read");
                continue;
            }
        };
        let mut read: Option<RunRead> = None;
        for entry in stored.iter().filter_map(|stored| RecordEntry::decode(stored).ok()) {
            match (entry.record, &mut read) {
                (Record::Started { session, question, .. }, _) => {
                    let brief = RunBrief { run, question, answered: false, stopped: None };
                    read = Some(RunRead { session, brief, uses: Vec::new() });
                }
                (Record::Finished { answer }, Some(read)) => {
                    read.brief.answered = true;
                    let brief = serde_json::from_value::<Brief>(answer.details).ok();
                    let uses = brief.into_iter().flat_map(|brief| brief.uses);
                    read.uses = uses.map(|used| (used.artifact, used.used_for)).collect();
                }
                (Record::Resumed { .. }, Some(read)) => read.brief.stopped = None,
                (Record::Stopped { cause }, Some(read)) => read.brief.stopped = Some(cause),
                _ => {}
            }
        }
        all.extend(read);
    }
    Ok(all)
}

/// The mandate of every session; one whose record was erased or is damaged is left out.
pub(super) async fn mandates(ledger: &Ledger) -> Result<BTreeMap<SessionId, Mandate>, BursarError> {
    let mut all = BTreeMap::new();
    for (stream, _) in ledger.streams("session/").await? {
        let Some(Ok(id)) = stream.as_str().strip_prefix("session/").map(SessionId::parse) else { continue };
        let Some(first) = ledger.stream(&stream, 0).await?.into_iter().next() else { continue };
        if let Ok(SessionEvent::Opened { mandate, .. }) = read(ledger, &first).await? {
            all.insert(id, *mandate);
        }
    }
    Ok(all)
}

/// What each artifact was used for: as recorded, and as runs say that are older than such records.
pub(super) fn uses(runs: &[RunRead], records: &[UseRecord]) -> BTreeMap<ArtifactId, Vec<String>> {
    let recorded: BTreeSet<_> = records.iter().map(|used| (used.run, used.artifact)).collect();
    let told = runs.iter().flat_map(|run| run.uses.iter().map(|used| (Some(run.brief.run), used)));
    let told = told.filter(|(run, (artifact, _))| !recorded.contains(&(*run, *artifact)));
    let told = told.map(|(_, (artifact, used_for))| (*artifact, used_for));
    let mut uses: BTreeMap<ArtifactId, Vec<String>> = BTreeMap::new();
    for (artifact, used_for) in told.chain(records.iter().map(|used| (used.artifact, &used.used_for))) {
        let all = uses.entry(artifact).or_default();
        if !all.contains(used_for) {
            all.push(used_for.clone());
        }
    }
    uses
}

/// Reads the event that an entry's `detail` commits to; the inner error says what is wrong with it.
pub(super) async fn read<E: DeserializeOwned>(
    ledger: &Ledger,
    entry: &Entry,
) -> Result<Result<E, String>, BursarError> {
    let detail = entry.body.get("detail").and_then(|detail| detail.as_str());
    let Some(Ok(commitment)) = detail.map(Digest::parse) else {
        return Ok(Err("its entry names no payload".to_owned()));
    };
    let Some(bytes) = ledger.payload(Commitment::from_digest(commitment)).await? else {
        return Ok(Err("its payload was erased".to_owned()));
    };
    Ok(serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar_types::Timestamp;

    #[test]
    fn a_run_without_records_of_its_uses_still_tells_them() {
        let session = SessionId::derived(&[b"s"]);
        let (old, new) = (RunId::derived(&[b"old"]), RunId::derived(&[b"new"]));
        let (one, two) = (ArtifactId::derived(&[b"1"]), ArtifactId::derived(&[b"2"]));
        let run = |run, uses: &[(ArtifactId, &str)]| RunRead {
            session,
            brief: RunBrief { run, question: String::new(), answered: true, stopped: None },
            uses: uses.iter().map(|(artifact, used_for)| (*artifact, (*used_for).to_owned())).collect(),
        };
        let record = |run, artifact, used_for: &str| UseRecord {
            artifact,
            session,
            run,
            used_for: used_for.to_owned(),
            evidence: Vec::new(),
            at: Timestamp::from_unix_ms(0),
        };
        let runs =
            [run(old, &[(one, "gas"), (two, "old")]), run(new, &[(one, "told at length"), (two, "told")])];
        let records = [record(Some(new), one, "told"), record(None, one, "gas"), record(None, two, "code")];
        let found = uses(&runs, &records);
        // The record stands for what its run says of the same artifact, and no words come twice.
        assert_eq!(found[&one], ["gas", "told"]);
        assert_eq!(found[&two], ["old", "told", "code"]);
    }
}
