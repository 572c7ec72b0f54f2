//! How many durable hold and capture pairs a second one SQLite ledger does, beside what the disk alone would do.
//!
//! Each hold touches four budgets and each step is a commit of its own. The bare baseline appends one page to a file and
//! syncs it; both run in the same place, so read the ratio rather than the figure. Nothing here is asserted.
//!
//! `cargo bench -p bursar-ledger --bench pairs [-- FOLDER]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use bursar_ledger::{AccountOp, Budget, Ledger, Line, SqliteOptions, SqliteStore, Transaction, Window};
use bursar_types::{Amount, AssetId, BudgetId, Clock, HoldId, SeededEntropy, Timestamp};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The wall clock, as far as the benchmark needs one.
#[derive(Debug)]
struct Elapsed(Instant);

impl Clock for Elapsed {
    fn now(&self) -> Timestamp {
        let elapsed_ms = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_unix_ms(1_795_264_200_000).plus_ms(elapsed_ms)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it still works.
    let scale = if arguments.iter().any(|argument| argument == "--bench") { 100 } else { 1 };
    let folder = match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let bare = bare_fsync(folder.path(), 10 * scale);
    println!("bare append and sync: p50 {} us", bare.as_micros());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for (callers, pairs) in [(1, 20), (8, 20), (64, 10), (64, 10)] {
        let folder = folder.path().join(format!("{callers}"));
        let (elapsed, mut times) = runtime.block_on(run(&folder, callers, pairs * scale));
        times.sort();
        let p50 = times[times.len() / 2];
        let done = u128::from(callers) * u128::from(pairs * scale);
        println!(
            "{callers:>3} callers: {:>6} pairs/s, p50 {:>5} us, p99 {:>5} us an operation, {} % of a bare sync",
            done * 1_000_000 / elapsed.as_micros(),
            p50.as_micros(),
            times[times.len() * 99 / 100].as_micros(),
            p50.as_micros() * 100 / bare.as_micros().max(1),
        );
    }
}

/// The median time of appending a page and syncing it.
fn bare_fsync(folder: &Path, count: u32) -> Duration {
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

async fn run(folder: &Path, callers: u32, pairs: u32) -> (Duration, Vec<Duration>) {
    let clock = Arc::new(Elapsed(Instant::now()));
    let (path, mark) = (folder.join("ledger.db"), folder.join("mark/ledger.mark"));
    let _ = std::fs::remove_dir_all(folder);
    let options = SqliteOptions::new(path, mark, clock.clone(), Arc::new(SeededEntropy::new(1)));
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options).unwrap()));
    let accounts = (0..4).map(|id| AccountOp::Open(budget(id))).collect();
    commit(&ledger, accounts).await;
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (ledger, clock) = (ledger.clone(), clock.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for pair in 0..pairs {
                    let id = HoldId::derived(&[&caller.to_be_bytes(), &pair.to_be_bytes()]);
                    let expires_at = clock.now().plus_ms(600_000);
                    for op in [
                        AccountOp::Hold { id, lines: lines(), expires_at },
                        AccountOp::Capture { id, lines: None, observed: false },
                    ] {
                        let started = Instant::now();
                        commit(&ledger, vec![op]).await;
                        times.push(started.elapsed());
                    }
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

async fn commit(ledger: &Ledger, accounts: Vec<AccountOp>) {
    ledger.commit(Transaction { accounts, ..Transaction::default() }).await.unwrap();
}

/// One of the four counts over a rolling day.
fn budget(id: u8) -> Budget {
    let window = if id == 3 { Window::Rolling { length_ms: 86_400_000 } } else { Window::Life };
    Budget {
        id: BudgetId::derived(&[&[id]]),
        name: format!("budget {id}"),
        limit: Amount::from_atomic(AssetId::micro_usd(), 1 << 100),
        window,
        gross: false,
        parent: None,
    }
}

fn lines() -> Vec<Line> {
    let amount = Amount::from_atomic(AssetId::micro_usd(), 250_000);
    (0..4).map(|id| Line { budget: BudgetId::derived(&[&[id]]), amount: amount.clone() }).collect()
}
