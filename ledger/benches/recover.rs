//! How long a ledger in an SQLite file takes to recover many open payments.
//!
//! Each payment has a stream of three events with their payloads, a pinned hold and a link. Recovery lists the links by
//! prefix; then, for each payment, it lists what is unknown of its vendor by prefix, reads its events and commits one
//! transaction that books the outcome: up to three entries with payloads, up to three links, one account change. So many
//! are under way at once. Nothing is asserted but that every payment is booked.
//!
//! `cargo bench -p bursar-ledger --bench recover [-- FOLDER]`
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use bursar_ledger::{
    AccountOp, Budget, Ledger, Line, LinkWrite, Require, SealedEvent, SqliteOptions, SqliteStore, StreamId,
    Transaction, Window,
};
use bursar_types::{Amount, AssetId, BudgetId, HoldId, ManualClock, SeededEntropy, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How many payments are under way at once.
const IN_FLIGHT: usize = 64;
/// How many events each payment has when it is taken up.
const EVENTS: u64 = 3;
/// How many vendors the payments go to.
const VENDORS: u64 = 100;
const START: Timestamp = Timestamp::from_unix_ms(1_795_264_200_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it still works.
    let payments = if arguments.iter().any(|argument| argument == "--bench") { 10_000 } else { 100 };
    let folder = match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for round in 0..3 {
        let folder = folder.path().join(round.to_string());
        runtime.block_on(leave_open(open(&folder), payments));
        // Recovery starts with nothing in the caches of the process.
        runtime.block_on(recover(open(&folder), payments));
    }
}

fn open(folder: &Path) -> Ledger {
    let (path, mark) = (folder.join("ledger.db"), folder.join("mark/ledger.mark"));
    let (clock, entropy) = (Arc::new(ManualClock::new(START)), Arc::new(SeededEntropy::new(1)));
    Ledger::new(Arc::new(SqliteStore::open(SqliteOptions::new(path, mark, clock, entropy)).unwrap()))
}

/// Runs `work` for every payment, so many at once.
async fn for_each<F: Future<Output = ()> + Send + 'static>(payments: u64, work: impl Fn(u64) -> F) {
    let turns = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tasks = Vec::new();
    for payment in 0..payments {
        let turn = turns.clone().acquire_owned().await.unwrap();
        let work = work(payment);
        tasks.push(tokio::spawn(async move {
            work.await;
            drop(turn);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// A ledger with open payments, as a process leaves it that was killed.
async fn leave_open(ledger: Ledger, payments: u64) {
    let accounts = (0..4).map(|id| AccountOp::Open(budget(id))).collect();
    ledger.commit(Transaction { accounts, ..Transaction::default() }).await.unwrap();
    let of = ledger.clone();
    for_each(payments, move |payment| {
        let ledger = of.clone();
        async move {
            let id = hold(payment);
            let mut transaction = Transaction {
                accounts: vec![
                    AccountOp::Hold { id, lines: lines(), expires_at: START.plus_ms(600_000) },
                    AccountOp::Pin { id },
                ],
                links: vec![
                    link(format!("open/{id}"), None, Some(id.to_string())),
                    link(unknown(payment, id), None, Some(id.to_string())),
                ],
                ..Transaction::default()
            };
            for kind in ["payment.held", "payment.signing", "payment.unknown"] {
                event(&ledger, payment, kind).add_to(&mut transaction);
            }
            ledger.commit(transaction).await.unwrap();
        }
    })
    .await;
    ledger.close().await.unwrap();
}

async fn recover(ledger: Ledger, payments: u64) {
    let started = Instant::now();
    let open = ledger.links("open/").await.unwrap();
    assert_eq!(open.len() as u64, payments);
    let listed = started.elapsed();
    let (reading, whole) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (of, spent) = (ledger.clone(), [reading.clone(), whole.clone()]);
    for_each(payments, move |payment| {
        let (ledger, [reading, whole]) = (of.clone(), spent.clone());
        async move {
            let started = Instant::now();
            recover_one(&ledger, payment, &reading).await;
            add(&whole, started.elapsed());
        }
    })
    .await;
    let elapsed = started.elapsed();
    assert!(ledger.links("open/").await.unwrap().is_empty());
    ledger.close().await.unwrap();
    let each = |sum: &AtomicU64| sum.load(Ordering::Relaxed) / payments;
    let (whole, read) = (each(&whole), each(&reading));
    println!(
        "{payments} open payments: {:>5} ms, {:>4} ms of it to list them; each reads {read} us and commits {} us",
        elapsed.as_millis(),
        listed.as_millis(),
        whole.saturating_sub(read),
    );
}

/// Takes one payment up and books what became of it.
async fn recover_one(ledger: &Ledger, payment: u64, reading: &AtomicU64) {
    let started = Instant::now();
    let (id, stream) = (hold(payment), stream(payment));
    let beside = ledger.links(&unknown_prefix(payment)).await.unwrap();
    assert!(beside.iter().any(|(_, value)| *value == id.to_string()));
    let events = ledger.events::<Value>(&stream, 0).await.unwrap();
    assert_eq!(events.len() as u64, EVENTS);
    add(reading, started.elapsed());
    let mut transaction = Transaction {
        require: vec![Require::StreamAt { stream, length: EVENTS }],
        accounts: vec![AccountOp::Capture { id, lines: None, observed: true }],
        ..Transaction::default()
    };
    for kind in
        ["payment.paid", "payment.observed", "payment.delivered"].into_iter().take(one_to_three(payment))
    {
        event(ledger, payment, kind).add_to(&mut transaction);
    }
    let links = [
        link(format!("open/{id}"), Some(id.to_string()), None),
        link(unknown(payment, id), Some(id.to_string()), None),
        link(format!("bought/{id}"), None, Some(id.to_string())),
    ];
    transaction.links.extend(links.into_iter().take(one_to_three(payment)));
    ledger.commit(transaction).await.unwrap();
}

fn add(sum: &AtomicU64, time: Duration) {
    sum.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
}

fn one_to_three(payment: u64) -> usize {
    usize::try_from(payment % 3 + 1).unwrap()
}

fn link(key: String, expected: Option<String>, value: Option<String>) -> LinkWrite {
    LinkWrite { key, expected, value }
}

fn unknown_prefix(payment: u64) -> String {
    format!("unknown/{:03}.example/", payment % VENDORS)
}

fn unknown(payment: u64, id: HoldId) -> String {
    format!("{}{id}", unknown_prefix(payment))
}

fn stream(payment: u64) -> StreamId {
    StreamId::of("payment", hold(payment))
}

fn hold(payment: u64) -> HoldId {
    HoldId::derived(&[&payment.to_be_bytes()])
}

/// About as large as the event of a payment.
fn event(ledger: &Ledger, payment: u64, kind: &'static str) -> SealedEvent {
    let event = json!({
        "kind": kind,
        "payment": payment,
        "request": {"method": "GET", "url": "https://seller.example/a/page?of=something"},
        "quote": {"asset": "eip155:8453/erc20:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", "amount": "10000"},
        "credential": "0123456789abcdef".repeat(40),
    });
    let summary = [("vendor", json!("seller.example")), ("payment", json!(payment.to_string()))];
    SealedEvent::new(stream(payment), kind, summary, &event, ledger.entropy()).unwrap()
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
