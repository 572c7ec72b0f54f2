//! Reading runs and events back from the ledger.

use super::RunBrief;
use crate::error::BursarError;
use bursar_agent_core::{Record, RecordEntry};
use bursar_ledger::{Commitment, Entry, Ledger};
use bursar_tools::Brief;
use bursar_types::{ArtifactId, Digest, Journal, RunId, SessionId};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

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

/// What each artifact was used for.
pub(super) fn uses(runs: &[RunRead]) -> BTreeMap<ArtifactId, Vec<String>> {
    let mut uses: BTreeMap<ArtifactId, Vec<String>> = BTreeMap::new();
    for (artifact, used_for) in runs.iter().flat_map(|run| &run.uses) {
        let all = uses.entry(*artifact).or_default();
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
