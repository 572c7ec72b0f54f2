//! What the tests are built from.

use async_trait::async_trait;
use bursar_audit::{LogFolder, Publisher, Witness, WitnessAt};
use bursar_ledger::{Ledger, MemoryStore, NewEntry, SqliteOptions, SqliteStore, StreamId, Transaction};
use bursar_proof::{KeyKind, NoteKey};
use bursar_types::{
    HttpRequest, HttpResponse, Limits, ManualClock, SeededEntropy, Timestamp, Transport, TransportError,
};
use bytes::Bytes;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(crate) const ORIGIN: &str = "example.com/ledger";

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_795_264_200_000)))
}

pub(crate) fn memory() -> Ledger {
    Ledger::new(Arc::new(MemoryStore::new(clock(), Arc::new(SeededEntropy::new(1)))))
}

pub(crate) fn sqlite(folder: &Path) -> Ledger {
    let (path, mark) = (folder.join("data/ledger.db"), folder.join("marks/ledger.mark"));
    let options = SqliteOptions::new(path, mark, clock(), Arc::new(SeededEntropy::new(2)));
    Ledger::new(Arc::new(SqliteStore::open(options).unwrap()))
}

pub(crate) fn entries(first: u64, count: u64, word: &str) -> Transaction {
    let entry = |n: u64| NewEntry {
        stream: StreamId::new("s").unwrap(),
        kind: "test.happened".into(),
        body: json!({ "n": n, "word": word }),
    };
    Transaction { entries: (first..first + count).map(entry).collect(), ..Transaction::default() }
}

/// Adds entries until the journal has this many.
pub(crate) async fn grow(ledger: &Ledger, size: u64, word: &str) {
    let head = ledger.head().await.unwrap().size;
    ledger.commit(entries(head, size - head, word)).await.unwrap();
}

pub(crate) fn log_key() -> NoteKey {
    NoteKey::from_seed(ORIGIN, KeyKind::Log, &[1; 32]).unwrap()
}

pub(crate) fn publisher(ledger: &Ledger, folder: &Path) -> Publisher {
    Publisher::new(ledger.clone(), log_key(), LogFolder::new(folder.join("log")), clock())
}

pub(crate) fn witness(folder: &Path, seed: u8) -> Witness {
    let key = NoteKey::from_seed("witness.example", KeyKind::Witness, &[seed; 32]).unwrap();
    Witness::new(key, vec![log_key().verifier()], folder.join("witness"), clock())
}

/// A network with one witness, and one place that takes `PUT`.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) witness: Mutex<Option<Witness>>,
    pub(crate) kept: Mutex<Option<Bytes>>,
    pub(crate) asked: Mutex<u32>,
    /// What the witness answers instead.
    pub(crate) instead: Mutex<Option<(u16, String)>>,
}

impl Net {
    pub(crate) fn with(witness: Witness) -> Arc<Self> {
        Arc::new(Self {
            witness: Mutex::new(Some(witness)),
            kept: Mutex::default(),
            asked: Mutex::default(),
            instead: Mutex::default(),
        })
    }

    pub(crate) fn at(&self) -> WitnessAt {
        let key = self.witness.lock().unwrap().as_ref().unwrap().key();
        WitnessAt { key, url: "http://witness.example/".to_owned() }
    }
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        *self.asked.lock().unwrap() += 1;
        let answer = |status: u16, body: String| {
            Ok(http::Response::builder().status(status).body(Bytes::from(body)).unwrap())
        };
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        match (request.method().as_str(), request.uri().path()) {
            ("POST", "/add-checkpoint") => {
                if let Some((status, body)) = self.instead.lock().unwrap().clone() {
                    return answer(status, body);
                }
                let witness = self.witness.lock().unwrap();
                let Some(witness) = &*witness else {
                    let host = "witness.example".to_owned();
                    return Err(TransportError::NotSent { host, source: "it is away".into() });
                };
                let told = witness.add_checkpoint(&body).unwrap();
                answer(told.status, told.body)
            }
            ("GET", path) if path.ends_with("/checkpoint") => {
                let hash = path.trim_start_matches('/').trim_end_matches("/checkpoint");
                let told = self.witness.lock().unwrap().as_ref().unwrap().latest(hash).unwrap();
                answer(told.status, told.body)
            }
            ("PUT", "/kept") => {
                *self.kept.lock().unwrap() = Some(request.into_body());
                answer(201, String::new())
            }
            ("GET", "/kept") => match &*self.kept.lock().unwrap() {
                Some(kept) => answer(200, String::from_utf8(kept.to_vec()).unwrap()),
                None => answer(404, String::new()),
            },
            other => panic!("nobody asks {other:?}"),
        }
    }
}
