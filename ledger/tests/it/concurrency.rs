//! Many callers at once.

use crate::support::*;
use bursar_ledger::{CommitError, Ledger, Refusal, Require, SqliteStore, Store as _, StreamId, Transaction};
use bursar_types::SeededEntropy;
use serde_json::json;
use std::sync::Arc;

/// A thousand tasks, spread over the handles, each asking for 7 of 1,000; 142 may have it.
async fn check(f: Fixture, handles: Vec<Ledger>) {
    f.commit(vec![open(1, 1_000), open(2, 1_000_000)]).await.unwrap();
    let tasks: Vec<_> = (0..1_000_u32)
        .map(|id| {
            let ledger = handles[id as usize % handles.len()].clone();
            tokio::spawn(async move { ledger.commit(ops(vec![hold(id, &[(1, 7), (2, 1)])])).await })
        })
        .collect();
    let mut held = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => held += 1,
            Err(CommitError::Refused(Refusal::OverLimit { .. })) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(held, 142);
    assert_eq!((f.sums(1).await, f.sums(2).await), ((0, 994, 6), (0, 142, 999_858)));
    f.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_holds_never_pass_the_cap_in_memory() {
    let f = Fixture::memory();
    let handles = vec![f.ledger.clone()];
    check(f, handles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_holds_never_pass_the_cap_in_a_file() {
    let f = Fixture::sqlite();
    let handles = vec![f.ledger.clone()];
    check(f, handles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_holds_over_two_stores_on_one_file_never_pass_the_cap() {
    let f = Fixture::sqlite();
    let handles = vec![f.ledger.clone(), f.another()];
    check(f, handles).await;
}

/// Of tasks that saw the same length of a stream, one appends.
async fn check_streams(f: Fixture) {
    let stream = StreamId::new("run/1").unwrap();
    let other = f.another();
    for length in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|worker| {
                let ledger = if worker % 2 == 0 { f.ledger.clone() } else { other.clone() };
                let transaction = Transaction {
                    require: vec![Require::StreamAt { stream: stream.clone(), length }],
                    entries: vec![entry("run/1", json!(worker))],
                    ..Transaction::default()
                };
                tokio::spawn(async move { ledger.commit(transaction).await })
            })
            .collect();
        let mut appended = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => appended += 1,
                Err(error) => {
                    assert!(matches!(error, CommitError::Refused(Refusal::StreamMoved { .. })), "{error:?}")
                }
            }
        }
        assert_eq!(appended, 1);
    }
    f.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_appends_at_a_length_in_memory() {
    check_streams(Fixture::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_appends_at_a_length_over_two_stores_on_one_file() {
    check_streams(Fixture::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_on_another_handle_sees_what_was_acknowledged() {
    let f = Fixture::sqlite();
    let other = f.another();
    f.commit(vec![open(1, 1_000)]).await.unwrap();
    for id in 0..100 {
        f.commit(vec![hold(id, &[(1, 1)])]).await.unwrap();
        for ledger in [&f.ledger, &other] {
            let budget = ledger.budget(budget_id(1)).await.unwrap().unwrap();
            assert_eq!(budget.held, usd(u128::from(id) + 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_that_make_the_same_file_at_once_agree_on_it() {
    for _ in 0..10 {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let openers: Vec<_> = (0..6)
            .map(|n| {
                let folder = folder.clone();
                tokio::task::spawn_blocking(move || {
                    let mut options = options(&folder, &clock());
                    options.entropy = Arc::new(SeededEntropy::new(n));
                    SqliteStore::open(options).unwrap()
                })
            })
            .collect();
        let mut ids = Vec::new();
        for (n, opener) in openers.into_iter().enumerate() {
            let store = opener.await.unwrap();
            store.commit(ops(vec![open(u8::try_from(n).unwrap(), 1)])).await.unwrap();
            ids.push(store.id());
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
