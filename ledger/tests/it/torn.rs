//! The data file as a crash may leave it: its write-ahead log cut anywhere, changed in its last frame, without its index.
//!
//! The reference is what each commit was acknowledged with. An image of the files must open to exactly the first so many
//! commits, or be refused as behind its high-water mark.

use crate::support::*;
use bursar_ledger::{
    LinkWrite, Payload, SqliteOptions, SqliteStore, Store as _, StoreError, Transaction, TreeHead,
};
use bursar_types::SeededEntropy;
use bytes::Bytes;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// How many commits the log holds.
const COMMITS: u32 = 8;
/// The header of the log, and of each frame.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The files as they were while the ledger was open, and the head that each commit was acknowledged with.
struct Taken {
    data: Vec<u8>,
    log: Vec<u8>,
    index: Vec<u8>,
    mark: Vec<u8>,
    /// The mark before any of the commits.
    first_mark: Vec<u8>,
    heads: Vec<TreeHead>,
}

/// What is made of them.
struct Image<'a> {
    name: String,
    log: &'a [u8],
    index: Option<&'a [u8]>,
}

/// One commit of everything: entries, payloads, links, accounts.
fn commit(n: u32) -> Transaction {
    let payload = Payload::seal(Bytes::from(vec![7; 3_000]), &SeededEntropy::new(n.into()));
    let link = LinkWrite { key: format!("open/{n}"), expected: None, value: Some(n.to_string()) };
    Transaction {
        accounts: vec![hold(n, &[(1, 3), (2, 1)]), capture(n, Some(&[(1, 2), (2, 1)]))],
        links: vec![link],
        entries: vec![
            entry("s", json!({ "n": n, "payload": payload.commitment() })),
            entry("t", json!("x".repeat(2_000))),
        ],
        payloads: vec![payload],
        ..Transaction::default()
    }
}

async fn take() -> Taken {
    let f = Fixture::sqlite();
    let folder = f.folder.as_ref().unwrap().path();
    f.commit(vec![open(1, 1 << 60), open(2, 1 << 60)]).await.unwrap();
    f.ledger.close().await.unwrap();
    let ledger = f.another();
    let mut heads = vec![ledger.head().await.unwrap()];
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let first_mark = read("marks/ledger.mark");
    for n in 0..COMMITS {
        heads.push(ledger.commit(commit(n)).await.unwrap().head);
    }
    let (data, log, index) = (read("data/ledger.db"), read("data/ledger.db-wal"), read("data/ledger.db-shm"));
    Taken { data, log, index, mark: read("marks/ledger.mark"), first_mark, heads }
}

/// Where each frame of the log begins, and whether it ends a transaction; the end of the log last.
fn frames(log: &[u8]) -> Vec<(usize, bool)> {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let size = FRAME_HEADER + number(8) as usize;
    // The log may be longer than what was written since its salt was last changed.
    let lives = |at: &usize| log.len() >= at + size && log[at + 8..at + 16] == log[16..24];
    let starts = std::iter::successors(Some(LOG_HEADER), |at| Some(at + size)).take_while(lives);
    let mut frames: Vec<_> = starts.map(|at| (at, number(at + 4) > 0)).collect();
    frames.push((frames.last().unwrap().0 + size, false));
    frames
}

/// What opening an image gave.
#[derive(Debug, PartialEq)]
enum Opened {
    /// So many commits are there, and it verifies.
    Commits(usize),
    /// It is behind its mark, which saw so many entries.
    RolledBack { found: u64 },
}

async fn look(taken: &Taken, image: &Image<'_>, mark: &[u8]) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), taken, image, mark);
    let store = match SqliteStore::open(at(&folder)) {
        Ok(store) => store,
        Err(StoreError::RolledBack { found, seen, .. }) => {
            assert_eq!(seen, taken.heads.last().unwrap().size, "{}", image.name);
            return Opened::RolledBack { found };
        }
        Err(error) => panic!("{}: {error:?}", image.name),
    };
    assert!(!store.mark_was_missing());
    let head = store.head().await.unwrap();
    let commits = taken.heads.iter().position(|known| *known == head);
    let commits = commits.unwrap_or_else(|| panic!("{}: {head:?} was never acknowledged", image.name));
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new(), "{}", image.name);
    for n in 0..COMMITS {
        let there = (n as usize) < commits;
        assert_eq!(store.hold(hold_id(n)).await.unwrap().is_some(), there, "{}: {n}", image.name);
        assert_eq!(store.link(&format!("open/{n}")).await.unwrap().is_some(), there, "{}: {n}", image.name);
    }
    Opened::Commits(commits)
}

/// An image is a ledger like any other.
async fn go_on(taken: &Taken, image: &Image<'_>, commits: usize) {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), taken, image, &taken.first_mark);
    for n in [100, 101] {
        let store = SqliteStore::open(at(&folder)).unwrap();
        store.commit(commit(n)).await.unwrap();
        assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new(), "{}", image.name);
        store.close().await.unwrap();
    }
    let head = SqliteStore::open(at(&folder)).unwrap().head().await.unwrap();
    let entries_each = taken.heads[1].size - taken.heads[0].size;
    assert_eq!(head.size, taken.heads[commits].size + 2 * entries_each);
}

fn at(folder: &TempDir) -> SqliteOptions {
    options(folder, &clock())
}

fn lay(folder: &Path, taken: &Taken, image: &Image<'_>, mark: &[u8]) {
    for name in ["data", "marks"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("data/ledger.db", &taken.data);
    write("data/ledger.db-wal", image.log);
    if let Some(index) = image.index {
        write("data/ledger.db-shm", index);
    }
    write("marks/ledger.mark", mark);
}

#[tokio::test]
async fn a_log_cut_anywhere_opens_to_the_commits_that_are_whole_or_is_refused_as_behind_its_mark() {
    let taken = take().await;
    let frames = frames(&taken.log);
    assert_eq!(frames.iter().filter(|(_, ends)| *ends).count(), COMMITS as usize);
    let (mut images, mut seen) = (0, BTreeSet::new());
    let mut whole = 0;
    for pair in frames.windows(2) {
        let ((start, ends), end) = (pair[0], pair[1].0);
        let within = [0, 1, FRAME_HEADER, (end - start) / 2, end - start - 1];
        for (number, cut) in within.into_iter().enumerate() {
            let index = (number % 2 == 0).then_some(taken.index.as_slice());
            let name = format!("log cut at {start} + {cut}, index kept: {}", index.is_some());
            let image = Image { name, log: &taken.log[..start + cut], index };
            // The mark as it stood before the commits refuses nothing: what is whole is there, and no more.
            assert_eq!(
                look(&taken, &image, &taken.first_mark).await,
                Opened::Commits(whole),
                "{}",
                image.name
            );
            images += 1;
            if seen.insert(whole) {
                go_on(&taken, &image, whole).await;
            }
            // The mark as it stands knows that commits are gone.
            if number == 3 {
                let found = taken.heads[whole].size;
                let opened = look(&taken, &image, &taken.mark).await;
                assert_eq!(opened, Opened::RolledBack { found }, "{}", image.name);
                images += 1;
            }
        }
        whole += usize::from(ends);
    }
    let log = &taken.log[..frames.last().unwrap().0];
    for index in [None, Some(taken.index.as_slice())] {
        let image = Image { name: "the whole log".to_owned(), log, index };
        assert_eq!(look(&taken, &image, &taken.mark).await, Opened::Commits(COMMITS as usize));
        images += 1;
    }
    assert_eq!(seen.len(), COMMITS as usize, "not every number of commits was met");
    assert!(images >= 400, "{images} images");
}

#[tokio::test]
async fn a_changed_byte_in_the_last_frame_loses_the_last_commit_and_no_other() {
    let taken = take().await;
    let frames = frames(&taken.log);
    let [.., (start, true), (end, _)] = frames[..] else { panic!("the last frame ends no transaction") };
    let mut images = 0;
    for at in (start..end).step_by(193).chain(start..start + FRAME_HEADER) {
        for mask in [0x01, 0x80] {
            let mut log = taken.log[..end].to_vec();
            log[at] ^= mask;
            let image = Image { name: format!("byte {at} ^ {mask:#x}"), log: &log, index: None };
            let opened = look(&taken, &image, &taken.first_mark).await;
            assert_eq!(opened, Opened::Commits(COMMITS as usize - 1), "{}", image.name);
            let found = taken.heads[COMMITS as usize - 1].size;
            let opened = look(&taken, &image, &taken.mark).await;
            assert_eq!(opened, Opened::RolledBack { found }, "{}", image.name);
            images += 2;
        }
    }
    assert!(images >= 150, "{images} images");
}
