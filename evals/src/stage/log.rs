//! What the outside sees of the journal: a log under one key, a witness on loopback, and readers who keep what they were shown.

use super::set::StageError;
use super::street::Street;
use crate::scenario::{LogSpec, Scenario};
use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bursar::BursarError;
use bursar::audit::{AuditOptions, LogFolder, Witness, WitnessAnswer, WitnessError, read_or_make_key};
use bursar::proof::{
    Checkpoint, Cosignature, Hash, KeyKind, SignedNote, VerifierKey, perfect_root, tiles_between,
};
use bursar::types::{ManualClock, SeededEntropy};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const ORIGIN: &str = "buyer.test/agents";
const WITNESS: &str = "witness.test";

/// A log that is published, as far as everybody but its operator is concerned.
#[derive(Debug)]
pub(crate) struct Log {
    /// What readers got when the log began.
    key: VerifierKey,
    /// Where its private half is; every process signs with it.
    key_file: PathBuf,
    witness: Option<VerifierKey>,
    /// The hashes of all entries that each reader was shown, in order.
    readers: Mutex<BTreeMap<String, Vec<Hash>>>,
}

/// What a reader has against what they were shown: a code, and a sentence.
pub(crate) type Doubt = (&'static str, String);

impl Log {
    /// Makes the log's key and opens the witness's house, as far as the scenario has them.
    pub(super) async fn begin(
        scenario: &Scenario,
        seed: u64,
        folder: &Path,
        clock: &Arc<ManualClock>,
        street: &mut Street,
    ) -> Result<Option<Self>, StageError> {
        if scenario.log == LogSpec::Unpublished {
            return Ok(None);
        }
        // Those of processes are counted from one.
        let entropy = SeededEntropy::new(seed.wrapping_mul(1_000));
        let make = |file: &Path, name: &str, kind: KeyKind| {
            let key = read_or_make_key(file, name, kind, &entropy);
            key.map_err(|error| StageError::Open(Box::new(BursarError::from(error))))
        };
        let key_file = folder.join("log.key");
        let key = make(&key_file, ORIGIN, KeyKind::Log)?.verifier();
        let mut witness = None;
        if scenario.log == LogSpec::Witnessed {
            let own = make(&folder.join("witness.key"), WITNESS, KeyKind::Witness)?;
            witness = Some(own.verifier());
            let core = Witness::new(own, vec![key.clone()], folder.join("witness"), clock.clone());
            street.build(WITNESS, &serve(core).await?);
        }
        Ok(Some(Self { key, key_file, witness, readers: Mutex::default() }))
    }

    /// How a process publishes: into its data folder, when it opens and closes and when a step says so.
    pub(super) fn options(&self) -> AuditOptions {
        let options = AuditOptions::default().origin(ORIGIN).key(&self.key_file).every(None);
        match &self.witness {
            Some(key) => options.witness(format!("http://{WITNESS}"), key.clone()),
            None => options,
        }
    }

    /// A reader is shown the log in a data folder, and believes nothing but what follows from it. Answers what they doubt.
    pub(crate) fn shown(&self, reader: &str, data: &Path) -> Result<Vec<Doubt>, StageError> {
        let folder = LogFolder::new(data.join("log"));
        let note = folder.checkpoint().map_err(|error| StageError::Open(Box::new(error.into())))?;
        let note = note.ok_or_else(|| StageError::Scenario("nothing is published to be shown".to_owned()))?;
        let mut doubts = Vec::new();
        if let Some(witness) = &self.witness
            && let Err(error) = Cosignature::check(&note, witness)
        {
            doubts.push(("LOG_NOT_COSIGNED", format!("{reader}: {error}")));
        }
        let entries = match entries(&note, &self.key, folder.path()) {
            Ok(entries) => entries,
            Err(problem) => {
                doubts.push(("LOG_BROKEN", format!("{reader}: {problem}")));
                return Ok(doubts);
            }
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = readers.entry(reader.to_owned()).or_default();
        match kept.iter().zip(&entries).position(|(kept, shown)| kept != shown) {
            Some(at) => {
                let (before, now) = (kept.len(), entries.len());
                let now = match now.cmp(&before) {
                    Ordering::Less => format!("{} fewer", before.saturating_sub(now)),
                    Ordering::Equal => "as many".to_owned(),
                    Ordering::Greater => format!("{} more", now.saturating_sub(before)),
                };
                let text = format!(
                    "{reader} was shown {before} entries before and {now} now, both signed; they differ from {at} on"
                );
                doubts.push(("LOG_FORK", text));
            }
            None if entries.len() > kept.len() => *kept = entries,
            None => {}
        }
        Ok(doubts)
    }
}

/// The hashes of all entries of the tree that a log's key signed.
fn entries(note: &SignedNote, log: &VerifierKey, folder: &Path) -> Result<Vec<Hash>, String> {
    let checkpoint = Checkpoint::check(note, log).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for tile in tiles_between(0, checkpoint.size).into_iter().filter(|tile| tile.level == Some(0)) {
        let bytes =
            std::fs::read(folder.join(tile.to_string())).map_err(|error| format!("{tile}: {error}"))?;
        entries.extend(tile.read(&bytes).ok_or_else(|| format!("{tile} is no tile"))?);
    }
    match perfect_root(&entries) == checkpoint.root {
        true => Ok(entries),
        false => Err(format!("the {} entries are not those that were signed", checkpoint.size)),
    }
}

/// Opens the witness's house on loopback, for as long as the runtime lives.
async fn serve(witness: Witness) -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let bound = format!("http://{}", listener.local_addr()?);
    let add = async |State(witness): State<Arc<Witness>>, body: String| answer(witness.add_checkpoint(&body));
    let latest = async |State(witness): State<Arc<Witness>>, Segment(log): Segment<String>| {
        answer(witness.latest(&log))
    };
    let routes = Router::new()
        .route("/add-checkpoint", post(add))
        .route("/{log}/checkpoint", get(latest))
        .with_state(Arc::new(witness));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(bound)
}

fn answer(told: Result<WitnessAnswer, WitnessError>) -> (StatusCode, String) {
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    match told {
        Ok(told) => (StatusCode::from_u16(told.status).unwrap_or(failed), told.body),
        Err(error) => (failed, error.to_string()),
    }
}
