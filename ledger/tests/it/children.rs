//! Other processes: killed in the middle of writing, or writing at the same time.
//!
//! A child is this test binary again, running the same test, told by its environment to be the child. It reads the folder of
//! the ledger from its standard input and answers on its standard output; a line `ack N` is written only after a commit was
//! acknowledged.

use crate::support::*;
use bursar_ledger::{CommitError, HoldPhase, Ledger, Refusal, SqliteOptions, SqliteStore, Transaction};
use bursar_types::SeededEntropy;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Set for a child.
const CHILD: &str = "BURSAR_TEST_CHILD";

struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(test: &str, folder: &TempDir, first: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{first} {}", folder.path().display()).unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next number acknowledged; `None` at the end.
    fn next(&mut self) -> Option<u32> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // A line that the kill cut short was not acknowledged to anyone.
            let line = line.strip_suffix('\n')?;
            if let Some((_, number)) = line.rsplit_once("ack ") {
                return Some(number.parse().unwrap());
            }
        }
    }
}

fn open_store(folder: &Path) -> Ledger {
    let options = SqliteOptions::new(
        folder.join("data/ledger.db"),
        folder.join("marks/ledger.mark"),
        clock(),
        Arc::new(SeededEntropy::new(2)),
    );
    Ledger::new(Arc::new(SqliteStore::open(options).unwrap()))
}

/// What a child was told; `None` in the parent.
#[expect(clippy::disallowed_methods, reason = "a child learns from its environment that it is one")]
fn told() -> Option<(u32, Ledger)> {
    std::env::var_os(CHILD)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let (first, folder) = line.trim_end().split_once(' ')?;
    Some((first.parse().unwrap(), open_store(Path::new(folder))))
}

fn acknowledge(number: u32) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "ack {number}").unwrap();
    output.flush().unwrap();
}

/// Commits until it is killed, eight at a time.
async fn write_until_killed(first: u32, ledger: Ledger) {
    let mut tasks = Vec::new();
    for lane in 0..8 {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move {
            for n in (first + lane..first + 1_000_000).step_by(8) {
                let accounts = vec![hold(n, &[(1, 3), (2, 1)]), capture(n, Some(&[(1, 2), (2, 1)]))];
                let entries = vec![entry("s", json!(n))];
                ledger.commit(Transaction { accounts, entries, ..Transaction::default() }).await.unwrap();
                acknowledge(n);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Takes holds of 1 until the cap is reached.
async fn hold_until_the_cap(first: u32, ledger: Ledger) {
    for n in first.. {
        match ledger.commit(ops(vec![hold(n, &[(1, 1)])])).await {
            Ok(_) => acknowledge(n),
            Err(CommitError::Refused(Refusal::OverLimit { .. })) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some((first, ledger)) = told() {
        return write_until_killed(first, ledger).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_store(folder.path());
    ledger.commit(ops(vec![open(1, 1 << 60), open(2, 1 << 60)])).await.unwrap();
    ledger.close().await.unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let mut running =
            Running::start("children::what_was_acknowledged_survives_a_kill", &folder, round * 1_000_000);
        for _ in 0..200 {
            acknowledged.push(running.next().expect("the child ended by itself"));
        }
        running.child.kill().unwrap();
        acknowledged.extend(std::iter::from_fn(|| running.next()));
        running.child.wait().unwrap();
        let ledger = open_store(folder.path());
        assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
        for n in &acknowledged {
            let state = ledger.hold(hold_id(*n)).await.unwrap().expect("an acknowledged hold is gone");
            assert!(matches!(state.phase, HoldPhase::Captured { .. }));
        }
        let captured = ledger.budget(budget_id(2)).await.unwrap().unwrap().spent.atomic();
        assert!(captured >= acknowledged.len() as u128);
        assert_eq!(ledger.budget(budget_id(1)).await.unwrap().unwrap().spent, usd(captured * 2));
        ledger.close().await.unwrap();
    }
}

#[tokio::test]
async fn two_processes_on_one_file_keep_the_cap() {
    if let Some((first, ledger)) = told() {
        return hold_until_the_cap(first, ledger).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_store(folder.path());
    ledger.commit(ops(vec![open(1, 300)])).await.unwrap();
    let mut children: Vec<_> = (0..2)
        .map(|child| {
            Running::start("children::two_processes_on_one_file_keep_the_cap", &folder, child * 1_000)
        })
        .collect();
    let mut held = 0;
    for running in &mut children {
        held += std::iter::from_fn(|| running.next()).count();
        assert!(running.child.wait().unwrap().success());
    }
    assert_eq!(held, 300);
    // This process has read nothing since it opened the budget, and still knows better.
    let refused = ledger.commit(ops(vec![hold(9_999, &[(1, 1)])])).await;
    assert!(matches!(refused, Err(CommitError::Refused(Refusal::OverLimit { .. }))), "{refused:?}");
    assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
    // The mark is where the file is, whoever wrote last.
    let (head, mark) = (ledger.head().await.unwrap(), folder.path().join("marks/ledger.mark"));
    let mark = std::fs::read_to_string(mark).unwrap();
    assert!(mark.contains(&format!("{:020} {}", head.size, head.root)), "{mark} is not {head:?}");
}
