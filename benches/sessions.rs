//! What a step of the loop costs with a durable journal, and what sessions take that do nothing.
//!
//! A step is a turn of a model that answers at once and a call of a tool that does nothing, decided by the shipped rules; its five
//! records are four commits of a real SQLite file, each synced. So read it beside what one sync costs on the disk, which is printed
//! first. Idle sessions are opened and held; what they take is what the process grew by, as the system counts it.
//!
//! `cargo bench -p bursar --bench sessions [-- FOLDER]`
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use async_trait::async_trait;
use bursar::agent::models::{Scripted, ScriptedTurn};
use bursar::agent::{Limits, Tool, ToolContext, ToolError, ToolSet};
use bursar::types::{AssetRegistry, Effect};
use bursar::{Agent, Amount, Approve, Asset, Bursar, Mandate, Session};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const STEPS: u32 = 10;

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
struct Number {
    n: u32,
}

#[derive(Debug)]
struct Add;

#[async_trait]
impl Tool for Add {
    type Args = Number;
    type Output = u32;

    fn name(&self) -> &str {
        "add"
    }
    fn description(&self) -> &str {
        "Adds one."
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    async fn call(&self, _: &ToolContext, number: Number) -> Result<u32, ToolError> {
        Ok(number.n.wrapping_add(1))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it still works.
    let full = arguments.iter().any(|argument| argument == "--bench");
    let (runs, sessions) = if full { (100, 10_000) } else { (1, 20) };
    let folder = match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure(folder.path(), runs, sessions));
}

async fn session(bursar: &Bursar) -> Session {
    let registry = AssetRegistry::pinned();
    let usdc = registry.iter().find(|asset| asset.symbol() == "USDC" && !asset.live()).unwrap().id().clone();
    let half = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
    let mandate = Mandate::new("bench", "ada").session_budget(half).asset(usdc);
    bursar.session("bench").mandate(mandate).approve(Approve::Rule).start().await.unwrap()
}

fn agent() -> Agent {
    let turn = |n: u32| ScriptedTurn::Calls(vec![("add".into(), json!({"n": n}))]);
    let script = (0..STEPS).fold(Scripted::new(), |script, n| script.turn(turn(n))).text("done");
    let limits = Limits { turns: u32::MAX, ..Limits::default() };
    Agent::builder(Arc::new(script)).tools(ToolSet::new().with(Add).unwrap()).limits(limits).build().unwrap()
}

async fn measure(folder: &Path, runs: u32, sessions: u32) {
    println!("one sync of this disk: {:.0} us", sync_us(folder));
    let bursar =
        Bursar::builder(folder.join("data")).play_wallet().unwrap().watch_every(None).open().await.unwrap();
    let one = session(&bursar).await;
    let agent = agent();
    let began = Instant::now();
    for _ in 0..runs {
        agent.run(one.run_context(), "q").await.unwrap();
    }
    let steps = f64::from(runs * STEPS);
    println!("one run at a time: {:.0} us a step", began.elapsed().as_secs_f64() * 1e6 / steps);
    let began = Instant::now();
    let all = (0..16).map(|_| {
        let (agent, one) = (agent.clone(), one.run_context());
        tokio::spawn(async move {
            for _ in 0..runs {
                agent.run(one.clone(), "q").await.unwrap();
            }
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    println!("16 runs at a time: {:.0} us a step", began.elapsed().as_secs_f64() * 1e6 / (16.0 * steps));

    let before = resident();
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..sessions {
        held.push(session(&bursar).await);
    }
    let took = began.elapsed().as_secs_f64();
    match (before, resident()) {
        (Some(before), Some(after)) => println!(
            "{} idle sessions: {:.1} KiB each, opened in {took:.1} s",
            held.len(),
            after.saturating_sub(before) as f64 / held.len() as f64 / 1_024.0
        ),
        _ => println!(
            "{} idle sessions, opened in {took:.1} s; this system does not tell their memory",
            held.len()
        ),
    }
    drop(held);
    bursar.close().await.unwrap();
}

/// Bytes of this process in memory, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn sync_us(folder: &Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("probe")).unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        file.write_all(&[0; 4_096]).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed().as_secs_f64() * 1e6 / 50.0
}
