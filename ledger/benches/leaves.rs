//! How many durable leaves a second one SQLite ledger writes, beside what the disk alone would do.
//!
//! A leaf is an entry with a sealed event, in its stream and in the tree, on the disk before its commit returns. Callers
//! commit one or four at a time. The bare baseline appends one page to a file and syncs it, in the same place. Nothing here is
//! asserted.
//!
//! `cargo bench -p bursar-ledger --bench leaves [-- FOLDER]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use bursar_ledger::{Ledger, SealedEvent, SqliteOptions, SqliteStore, StreamId, Transaction};
use bursar_types::{Entropy, ManualClock, SeededEntropy, SessionId, Timestamp};
use serde_json::json;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it still works.
    let scale = if arguments.iter().any(|argument| argument == "--bench") { 100 } else { 1 };
    let folder = match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let bare = bare_sync(folder.path(), 10 * scale);
    println!("bare append and sync: p50 {} us", bare.as_micros());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for (callers, commits, leaves) in [(1, 20, 1), (64, 20, 1), (512, 4, 1), (64, 10, 4), (512, 2, 4)] {
        let folder = folder.path().join(format!("{callers}-{leaves}"));
        let commits = commits * scale;
        let (elapsed, mut times) = runtime.block_on(run(&folder, callers, commits, leaves));
        times.sort();
        let done = u128::from(callers) * u128::from(commits) * u128::from(leaves);
        println!(
            "{callers:>3} callers, {leaves} a commit: {:>6} leaves/s, a commit p50 {:>5} us, p99 {:>6} us",
            done * 1_000_000 / elapsed.as_micros(),
            times[times.len() / 2].as_micros(),
            times[times.len() * 99 / 100].as_micros(),
        );
    }
}

/// The median time of appending a page and syncing it.
fn bare_sync(folder: &Path, count: u32) -> Duration {
    let mut file = File::create(folder.join("bare")).unwrap();
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&[7; 4_096]).unwrap();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

async fn run(folder: &Path, callers: u32, commits: u32, leaves: u32) -> (Duration, Vec<Duration>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_795_264_200_000)));
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    let (path, mark) = (folder.join("ledger.db"), folder.join("mark/ledger.mark"));
    let options = SqliteOptions::new(path, mark, clock, entropy.clone());
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options).unwrap()));
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (ledger, entropy) = (ledger.clone(), entropy.clone());
            tokio::spawn(async move {
                let stream = StreamId::of("requests", SessionId::derived(&[&caller.to_be_bytes()]));
                let mut times = Vec::new();
                for commit in 0..commits {
                    let mut transaction = Transaction::default();
                    for leaf in 0..leaves {
                        leaf_of(&stream, commit, leaf, entropy.as_ref()).add_to(&mut transaction);
                    }
                    let started = Instant::now();
                    ledger.commit(transaction).await.unwrap();
                    times.push(started.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let elapsed = started.elapsed();
    ledger.close().await.unwrap();
    (elapsed, times)
}

/// A request as the purse journals one.
fn leaf_of(stream: &StreamId, commit: u32, leaf: u32, entropy: &dyn Entropy) -> SealedEvent {
    let url = format!("https://api.example/documents/{commit}/{leaf}");
    let event = json!({"method": "GET", "url": url, "status": 200, "body_bytes": 4_711});
    SealedEvent::new(stream.clone(), "request.free", [("status", json!(200))], &event, entropy).unwrap()
}
