//! A journal of a million entries: writing its first checkpoint, how long after an entry the next one stands, proving an entry,
//! and verifying all of it (hashes, tree, salted payloads, balances from their entries, what the entries mean).
//!
//! Every tenth entry comes with a hold and every tenth with its capture. Read the figures beside the hashing of the same number of
//! bytes, which is printed first. Nothing is asserted but that it all verifies: of its meaning, that holds which no payment made
//! are found, all of them.
//!
//! `cargo bench -p bursar --bench journal [-- FOLDER]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use bursar_audit::{LogFolder, Publisher};
use bursar_ledger::{
    AccountOp, Budget, Ledger, Line, SealedEvent, SqliteOptions, SqliteStore, StreamId, Transaction, Window,
};
use bursar_proof::{KeyKind, NoteKey};
use bursar_types::{
    Amount, AssetId, BudgetId, Digest, Entropy, HoldId, ManualClock, SeededEntropy, SessionId, Timestamp,
};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const START: Timestamp = Timestamp::from_unix_ms(1_795_264_200_000);
/// Entries in one commit while the journal is filled.
const AT_ONCE: u64 = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it still works.
    let full = arguments.iter().any(|argument| argument == "--bench");
    let (size, publications) = if full { (1_000_000, 200) } else { (2_000, 3) };
    let folder = match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure(folder.path(), size, publications));
}

async fn measure(folder: &Path, size: u64, publications: u32) {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    let clock = Arc::new(ManualClock::new(START));
    let (path, mark) = (folder.join("ledger.db"), folder.join("mark/ledger.mark"));
    let options = SqliteOptions::new(path.clone(), mark, clock.clone(), entropy.clone());
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options).unwrap()));
    let started = Instant::now();
    fill(&ledger, size, entropy.as_ref()).await;
    let entries = ledger.head().await.unwrap().size;
    said(&format!("{entries} entries written, {AT_ONCE} a commit"), started.elapsed());
    let bytes = std::fs::metadata(&path).unwrap().len();
    let started = Instant::now();
    std::hint::black_box(Digest::of(&vec![7; usize::try_from(bytes).unwrap()]));
    said(&format!("hashing as many bytes as its file has ({} MiB)", bytes >> 20), started.elapsed());

    let key = NoteKey::from_seed("example.com/log", KeyKind::Log, &[7; 32]).unwrap();
    let publisher = Publisher::new(ledger.clone(), key, LogFolder::new(folder.join("log")), clock);
    let started = Instant::now();
    publisher.publish().await.unwrap();
    said("first checkpoint, with all tiles", started.elapsed());
    let mut times = Vec::new();
    for number in 0..publications {
        let mut transaction = Transaction::default();
        sealed(entries + u64::from(number), entropy.as_ref()).add_to(&mut transaction);
        let started = Instant::now();
        ledger.commit(transaction).await.unwrap();
        assert!(publisher.publish().await.unwrap().fresh);
        times.push(started.elapsed());
    }
    spread("an entry, and the checkpoint that holds it", times);

    let head = ledger.head().await.unwrap().size;
    let mut times = Vec::new();
    for number in 0..u64::from(publications) {
        let started = Instant::now();
        ledger.prove_inclusion(number * 7_919 % head, head).await.unwrap().unwrap();
        times.push(started.elapsed());
    }
    spread("a proof of an entry, made", times);

    let started = Instant::now();
    let journal = ledger.verify().await.unwrap();
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
    said("verified: hashes, tree, payloads, balances", started.elapsed());
    let started = Instant::now();
    let all = bursar::report::verify(&ledger).await.unwrap();
    let alone =
        |problem: &String| problem.contains("no payment is there for it") || problem.ends_with("more");
    assert!(all.journal.problems.iter().all(alone), "{:?}", all.journal.problems);
    said("verified: the same, and the meaning and the uses", started.elapsed());
    ledger.close().await.unwrap();
}

/// Fills a journal: entries of a hundred sessions, each with a payload, and a hold or its capture every now and then.
async fn fill(ledger: &Ledger, size: u64, entropy: &dyn Entropy) {
    let budget = Budget {
        id: BudgetId::derived(&[b"all"]),
        name: "all".into(),
        limit: Amount::from_atomic(AssetId::micro_usd(), 1 << 100),
        window: Window::Life,
        gross: false,
        parent: None,
    };
    let line = Line { budget: budget.id, amount: Amount::from_atomic(AssetId::micro_usd(), 250_000) };
    commit(ledger, Transaction { accounts: vec![AccountOp::Open(budget)], ..Transaction::default() }).await;
    let mut at = 0;
    while ledger.head().await.unwrap().size < size {
        let mut transaction = Transaction::default();
        for _ in 0..AT_ONCE * 8 / 10 {
            sealed(at, entropy).add_to(&mut transaction);
            at += 1;
        }
        for number in 0..AT_ONCE / 10 {
            let id = HoldId::derived(&[&at.to_be_bytes(), &number.to_be_bytes()]);
            let lines = vec![line.clone()];
            transaction.accounts.push(AccountOp::Hold { id, lines, expires_at: START.plus_ms(600_000) });
            transaction.accounts.push(AccountOp::Capture { id, lines: None, observed: false });
        }
        commit(ledger, transaction).await;
    }
}

async fn commit(ledger: &Ledger, transaction: Transaction) {
    ledger.commit(transaction).await.unwrap();
}

fn sealed(at: u64, entropy: &dyn Entropy) -> SealedEvent {
    let stream = StreamId::of("requests", SessionId::derived(&[&(at % 100).to_be_bytes()]));
    let event = json!({"method": "GET", "url": format!("https://api.example/documents/{at}"), "status": 200, "body_bytes": 4_711});
    SealedEvent::new(stream, "request.free", [("status", json!(200))], &event, entropy).unwrap()
}

fn said(what: &str, time: Duration) {
    println!("{what}: {} ms", time.as_millis());
}

fn spread(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |of: usize| times[times.len() * of / 100].as_micros();
    println!("{what}: p50 {} us, p99 {} us", at(50), at(99));
}
