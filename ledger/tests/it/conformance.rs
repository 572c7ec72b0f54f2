//! One suite; every store passes it.

use crate::support::*;
use bursar_ledger::{
    AccountOp, Budget, CommitError, Commitment, EventError, HoldPhase, LinkWrite, OpOutcome, Payload,
    Refusal, Require, SealedEvent, StoreError, StreamId, Transaction, Window,
};
use bursar_types::{Amount, AssetId, Digest, SeededEntropy, Timestamp};
use bytes::Bytes;
use serde_json::json;

macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Fixture::memory()).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::Fixture::sqlite()).await; })*
        }
    };
}

on_both_stores!(
    each_step_of_a_hold_gives_what_the_table_says,
    a_refused_transaction_writes_nothing,
    all_budgets_of_a_hold_are_debited_or_none,
    ancestors_are_debited_once,
    a_rolling_window_is_exact_to_the_millisecond,
    a_refund_credits_the_window_in_which_it_was_spent,
    a_hold_counts_until_it_runs_out_and_no_longer,
    a_pinned_hold_counts_for_ever,
    an_observed_settlement_is_always_booked,
    an_observed_settlement_corrects_a_claimed_one_upwards,
    budgets_that_cannot_be_are_refused,
    holds_that_cannot_be_are_refused,
    sums_that_do_not_fit_are_refused,
    conditions_are_checked_under_the_lock,
    links_change_only_from_what_was_seen,
    entries_are_numbered_and_read_back,
    account_changes_are_journaled_before_the_entries,
    only_the_ledger_writes_the_accounts_stream,
    bodies_without_canonical_bytes_are_refused,
    payloads_are_kept_once,
    a_stream_is_read_with_its_payloads,
    time_does_not_go_back,
    time_that_was_once_ahead_is_turned_back_and_nothing_counts_twice,
    nothing_works_after_close,
);

/// What one account change should give.
enum Gives {
    Done,
    Repeated,
    Refused(&'static str),
}

use Gives::{Done, Refused, Repeated};

async fn each_step_of_a_hold_gives_what_the_table_says(f: Fixture) {
    f.commit(vec![open(1, 100), open(2, 100)]).await.unwrap();
    let all: &[(u8, u128)] = &[(1, 40), (2, 30)];
    let steps = [
        (open(1, 100), Repeated, (0, 0)),
        (open(1, 101), Refused("DifferentParameters"), (0, 0)),
        (pin(1), Refused("UnknownHold"), (0, 0)),
        (hold(1, all), Done, (0, 40)),
        (hold(1, all), Repeated, (0, 40)),
        (hold(1, &[(2, 30), (1, 40)]), Repeated, (0, 40)),
        (hold(1, &[(1, 41), (2, 30)]), Refused("DifferentParameters"), (0, 40)),
        (refund("r", 1, &[(1, 1)]), Refused("HoldNot"), (0, 40)),
        (pin(1), Done, (0, 40)),
        (pin(1), Repeated, (0, 40)),
        (capture(1, Some(&[(1, 41)])), Refused("AboveHold"), (0, 40)),
        (capture(1, Some(&[(1, 25)])), Done, (25, 0)),
        (capture(1, Some(&[(1, 25)])), Repeated, (25, 0)),
        (capture(1, Some(&[(1, 25), (2, 0)])), Repeated, (25, 0)),
        (capture(1, None), Refused("DifferentParameters"), (25, 0)),
        (pin(1), Refused("HoldNot"), (25, 0)),
        (release(1), Refused("AlreadyResolved"), (25, 0)),
        (hold(1, all), Repeated, (25, 0)),
        (refund("r", 1, &[(1, 10)]), Done, (15, 0)),
        (refund("r", 1, &[(1, 10)]), Repeated, (15, 0)),
        (refund("r", 1, &[(1, 11)]), Refused("DifferentParameters"), (15, 0)),
        (refund("s", 1, &[(1, 16)]), Refused("AboveCapture"), (15, 0)),
        (refund("s", 1, &[(2, 1)]), Refused("AboveCapture"), (15, 0)),
        (refund("s", 1, &[]), Refused("BadLines"), (15, 0)),
        (refund("s", 1, &[(1, 15)]), Done, (0, 0)),
        (hold(2, &[(1, 101)]), Refused("OverLimit"), (0, 0)),
        (hold(2, &[(1, 100)]), Done, (0, 100)),
        (hold(3, &[(1, 1)]), Refused("OverLimit"), (0, 100)),
        (release(2), Done, (0, 0)),
        (release(2), Repeated, (0, 0)),
        (capture(2, None), Refused("AlreadyResolved"), (0, 0)),
        (pin(2), Refused("HoldNot"), (0, 0)),
        (hold(4, &[(1, 7)]), Done, (0, 7)),
        (capture(4, None), Done, (7, 0)),
    ];
    for (index, (op, gives, (spent, held))) in steps.into_iter().enumerate() {
        let what = format!("step {index}: {op:?}");
        match (f.commit(vec![op]).await, gives) {
            (Ok(committed), Done) => assert_eq!(committed.outcomes, [OpOutcome::Done], "{what}"),
            (Ok(committed), Repeated) => assert_eq!(committed.outcomes, [OpOutcome::Repeated], "{what}"),
            (Err(CommitError::Refused(refusal)), Refused(name)) => {
                assert!(format!("{refusal:?}").starts_with(name), "{what}: {refusal:?}");
            }
            (other, _) => panic!("{what}: {other:?}"),
        }
        let sums = f.sums(1).await;
        assert_eq!((sums.0, sums.1), (spent, held), "{what}");
    }
    f.verify().await;
}

async fn a_refused_transaction_writes_nothing(f: Fixture) {
    f.commit(vec![open(1, 100)]).await.unwrap();
    let head = f.ledger.head().await.unwrap();
    let payload = Payload::seal(Bytes::from_static(b"page"), &SeededEntropy::new(3));
    let refusal = f
        .refused(Transaction {
            accounts: vec![hold(1, &[(1, 60)]), hold(2, &[(1, 60)])],
            links: vec![LinkWrite { key: "k".to_owned(), expected: None, value: Some("v".to_owned()) }],
            entries: vec![entry("s", json!(1))],
            payloads: vec![payload.clone()],
            ..Transaction::default()
        })
        .await;
    let over = Refusal::OverLimit {
        budget: budget_id(1),
        name: "budget 1".to_owned(),
        limit: usd(100),
        spent: usd(0),
        held: usd(60),
        asked: usd(60),
    };
    assert_eq!(refusal, over);
    assert_eq!(f.sums(1).await, (0, 0, 100));
    assert_eq!(f.ledger.hold(hold_id(1)).await.unwrap(), None);
    assert_eq!(f.ledger.link("k").await.unwrap(), None);
    assert_eq!(f.ledger.payload(payload.commitment()).await.unwrap(), None);
    assert_eq!(f.ledger.head().await.unwrap(), head);
    f.verify().await;
}

async fn all_budgets_of_a_hold_are_debited_or_none(f: Fixture) {
    f.commit(vec![open(1, 100), open(2, 10)]).await.unwrap();
    f.refused(ops(vec![hold(1, &[(1, 50), (2, 11)])])).await;
    assert_eq!((f.sums(1).await, f.sums(2).await), ((0, 0, 100), (0, 0, 10)));
    f.commit(vec![hold(1, &[(1, 50), (2, 10)])]).await.unwrap();
    assert_eq!((f.sums(1).await, f.sums(2).await), ((0, 50, 50), (0, 10, 0)));
}

/// Budgets and amounts.
type Of = &'static [(u8, u128)];

/// Budgets 1 > 2 > 3 and 2 > 4, each named under its parent.
async fn family(f: &Fixture) {
    let child = |id, parent| AccountOp::Open(Budget { parent: Some(budget_id(parent)), ..budget(id, 1_000) });
    f.commit(vec![open(1, 1_000), child(2, 1), child(3, 2), child(4, 2)]).await.unwrap();
}

async fn ancestors_are_debited_once(f: Fixture) {
    family(&f).await;
    let cases: [(Of, [u128; 4]); 7] = [
        (&[(3, 10)], [10, 10, 10, 0]),
        (&[(3, 10), (2, 10)], [10, 10, 10, 0]),
        (&[(1, 10), (2, 10), (3, 10)], [10, 10, 10, 0]),
        (&[(3, 10), (4, 5)], [15, 15, 10, 5]),
        (&[(3, 10), (4, 5), (2, 12)], [15, 15, 10, 5]),
        (&[(3, 10), (2, 40)], [40, 40, 10, 0]),
        (&[(1, 7), (4, 3)], [7, 3, 0, 3]),
    ];
    for (id, (of, debits)) in (1_u32..).zip(cases) {
        f.commit(vec![hold(id, of)]).await.unwrap();
        for (budget, debit) in (1_u8..).zip(debits) {
            assert_eq!(f.sums(budget).await.1, debit, "budget {budget} of {of:?}");
        }
        f.commit(vec![release(id)]).await.unwrap();
    }
    f.commit(vec![hold(99, &[(3, 10)]), capture(99, Some(&[(3, 6)]))]).await.unwrap();
    assert_eq!((f.sums(1).await, f.sums(3).await), ((6, 0, 994), (6, 0, 994)));
    f.commit(vec![refund("r", 99, &[(3, 4)])]).await.unwrap();
    assert_eq!((f.sums(1).await, f.sums(3).await), ((2, 0, 998), (2, 0, 998)));
    f.verify().await;
}

async fn rolling(f: &Fixture, id: u8, limit: u128, length_ms: u64) {
    let window = Window::Rolling { length_ms };
    f.commit(vec![AccountOp::Open(Budget { window, ..budget(id, limit) })]).await.unwrap();
}

async fn a_rolling_window_is_exact_to_the_millisecond(f: Fixture) {
    rolling(&f, 1, 100, 1_000).await;
    f.commit(vec![hold(1, &[(1, 60)]), capture(1, None)]).await.unwrap();
    f.clock.advance_ms(400);
    f.commit(vec![hold(2, &[(1, 40)]), capture(2, None)]).await.unwrap();
    f.clock.advance_ms(599);
    assert_eq!(f.sums(1).await, (100, 0, 0));
    f.refused(ops(vec![hold(3, &[(1, 1)])])).await;
    f.clock.advance_ms(1);
    assert_eq!(f.sums(1).await, (40, 0, 60));
    f.refused(ops(vec![hold(3, &[(1, 61)])])).await;
    f.commit(vec![hold(3, &[(1, 60)]), pin(3)]).await.unwrap();
    f.clock.advance_ms(1_000_000);
    assert_eq!(f.sums(1).await, (0, 60, 40));
    f.verify().await;
}

async fn a_refund_credits_the_window_in_which_it_was_spent(f: Fixture) {
    rolling(&f, 1, 100, 1_000).await;
    f.commit(vec![open(2, 100), AccountOp::Open(Budget { gross: true, ..budget(3, 100) })]).await.unwrap();
    f.commit(vec![hold(1, &[(1, 50), (2, 50), (3, 50)]), capture(1, None)]).await.unwrap();
    f.clock.advance_ms(600);
    f.commit(vec![hold(2, &[(1, 30)]), capture(2, None)]).await.unwrap();
    f.clock.advance_ms(399);
    f.commit(vec![refund("early", 1, &[(1, 20), (2, 20), (3, 20)])]).await.unwrap();
    assert_eq!((f.sums(1).await.0, f.sums(2).await.0, f.sums(3).await.0), (60, 30, 50));
    f.clock.advance_ms(1);
    // What is left of the first capture has gone; a refund of it gives this window nothing.
    f.commit(vec![refund("late", 1, &[(1, 30), (2, 30), (3, 30)])]).await.unwrap();
    assert_eq!((f.sums(1).await.0, f.sums(2).await.0, f.sums(3).await.0), (30, 0, 50));
    f.clock.advance_ms(600);
    assert_eq!(f.sums(1).await, (0, 0, 100));
    f.commit(vec![hold(3, &[(1, 100)])]).await.unwrap();
    f.verify().await;
}

async fn a_hold_counts_until_it_runs_out_and_no_longer(f: Fixture) {
    f.commit(vec![open(1, 100), hold(1, &[(1, 100)])]).await.unwrap();
    f.clock.advance_ms(59_999);
    assert_eq!(f.sums(1).await, (0, 100, 0));
    let pending = Transaction { require: vec![Require::HoldPending(hold_id(1))], ..Transaction::default() };
    f.ledger.commit(pending.clone()).await.unwrap();
    f.clock.advance_ms(1);
    assert_eq!(f.sums(1).await, (0, 0, 100));
    assert_eq!(f.ledger.hold(hold_id(1)).await.unwrap().unwrap().phase, HoldPhase::Expired);
    let expired = Refusal::HoldNot { hold: hold_id(1), needed: "pending", found: "expired" };
    assert_eq!(f.refused(pending).await, expired);
    assert_eq!(f.refused(ops(vec![pin(1)])).await, expired);
    for op in [capture(1, None), release(1)] {
        let resolved = Refusal::AlreadyResolved { hold: hold_id(1), how: "expired" };
        assert_eq!(f.refused(ops(vec![op])).await, resolved);
    }
    let repeated = f.commit(vec![hold(1, &[(1, 100)])]).await.unwrap();
    assert_eq!(repeated.holds[0].phase, HoldPhase::Expired);
    let expires_at = f.now().plus_ms(1);
    let next = AccountOp::Hold { id: hold_id(2), lines: lines(&[(1, 100)]), expires_at };
    f.commit(vec![next, capture(2, None)]).await.unwrap();
    f.verify().await;
}

async fn a_pinned_hold_counts_for_ever(f: Fixture) {
    rolling(&f, 1, 100, 1_000).await;
    let committed = f.commit(vec![hold(1, &[(1, 100)]), pin(1)]).await.unwrap();
    assert_eq!(committed.holds[1].phase, HoldPhase::Pending { expires_at: None });
    f.clock.advance_ms(1 << 40);
    assert_eq!(f.sums(1).await, (0, 100, 0));
    let require = vec![Require::HoldPinned(hold_id(1)), Require::HoldPending(hold_id(1))];
    f.ledger.commit(Transaction { require, ..Transaction::default() }).await.unwrap();
    f.commit(vec![capture(1, None)]).await.unwrap();
    assert_eq!(f.sums(1).await, (100, 0, 0));
}

async fn an_observed_settlement_is_always_booked(f: Fixture) {
    f.commit(vec![open(1, 100), open(2, 50)]).await.unwrap();
    f.commit(vec![hold(1, &[(1, 10)]), hold(2, &[(1, 10)]), hold(3, &[(1, 10)])]).await.unwrap();
    f.commit(vec![pin(1), release(2)]).await.unwrap();
    f.clock.advance_ms(60_000);
    // Above hold and cap, and in a budget that the hold did not name.
    f.commit(vec![observe(1, Some(&[(1, 150), (2, 5)]))]).await.unwrap();
    assert_eq!((f.sums(1).await, f.sums(2).await), ((150, 0, 0), (5, 0, 45)));
    f.refused(ops(vec![hold(9, &[(1, 1)])])).await;
    // After release and after expiry.
    f.commit(vec![observe(2, None)]).await.unwrap();
    f.commit(vec![observe(3, Some(&[(1, 1)]))]).await.unwrap();
    assert_eq!(f.sums(1).await, (161, 0, 0));
    assert_eq!(f.commit(vec![observe(2, None)]).await.unwrap().outcomes, [OpOutcome::Repeated]);
    assert_eq!(f.commit(vec![capture(2, None)]).await.unwrap().outcomes, [OpOutcome::Repeated]);
    let different = Refusal::DifferentParameters { id: hold_id(2).to_string() };
    assert_eq!(f.refused(ops(vec![observe(2, Some(&[(1, 99)]))])).await, different);
    f.commit(vec![refund("r", 1, &[(1, 150)]), hold(9, &[(1, 89)])]).await.unwrap();
    f.verify().await;
}

async fn an_observed_settlement_corrects_a_claimed_one_upwards(f: Fixture) {
    rolling(&f, 1, 100, 1_000).await;
    f.commit(vec![open(2, 100), hold(1, &[(1, 40), (2, 40)]), capture(1, Some(&[(1, 30), (2, 40)]))])
        .await
        .unwrap();
    f.commit(vec![refund("r", 1, &[(1, 10)])]).await.unwrap();
    f.clock.advance_ms(999);
    let committed = f.commit(vec![observe(1, Some(&[(1, 50), (2, 35)]))]).await.unwrap();
    assert_eq!(committed.outcomes, [OpOutcome::Done]);
    assert_eq!((f.sums(1).await.0, f.sums(2).await.0), (40, 40));
    f.clock.advance_ms(1);
    assert_eq!((f.sums(1).await.0, f.sums(2).await.0), (0, 40));
    f.verify().await;
}

async fn budgets_that_cannot_be_are_refused(f: Fixture) {
    f.commit(vec![open(1, 100)]).await.unwrap();
    let count = Amount::from_atomic(AssetId::count(), 3);
    let cases = [
        (budget(2, 0), Refusal::BadBudget(budget_id(2))),
        (
            Budget { window: Window::Rolling { length_ms: 0 }, ..budget(2, 1) },
            Refusal::BadBudget(budget_id(2)),
        ),
        (Budget { parent: Some(budget_id(2)), ..budget(2, 1) }, Refusal::BadBudget(budget_id(2))),
        (Budget { parent: Some(budget_id(3)), ..budget(2, 1) }, Refusal::UnknownBudget(budget_id(3))),
        (
            Budget { parent: Some(budget_id(1)), limit: count, ..budget(2, 1) },
            Refusal::WrongUnit(budget_id(2)),
        ),
    ];
    for (budget, refusal) in cases {
        assert_eq!(f.refused(ops(vec![AccountOp::Open(budget)])).await, refusal);
    }
    // A circle of two cannot be closed: each would have to be there before the other.
    let child = |id, parent| AccountOp::Open(Budget { parent: Some(budget_id(parent)), ..budget(id, 1) });
    assert_eq!(f.refused(ops(vec![child(2, 3), child(3, 2)])).await, Refusal::UnknownBudget(budget_id(3)));
    let chain: Vec<_> = (2..=17).map(|id| child(id, id - 1)).collect();
    f.commit(chain).await.unwrap();
    assert_eq!(f.refused(ops(vec![child(18, 17)])).await, Refusal::BadBudget(budget_id(18)));
    f.commit(vec![hold(1, &[(17, 1)])]).await.unwrap();
    assert_eq!(f.sums(1).await, (0, 1, 99));
}

async fn holds_that_cannot_be_are_refused(f: Fixture) {
    f.commit(vec![open(1, 100)]).await.unwrap();
    let mut wrong_unit = lines(&[(1, 1)]);
    wrong_unit[0].amount = Amount::from_atomic(AssetId::count(), 1);
    let expires_at = Timestamp::from_unix_ms(START_MS + 1);
    let cases = [
        (hold(1, &[]), Refusal::BadLines(hold_id(1))),
        (hold(1, &[(1, 1), (1, 2)]), Refusal::BadLines(hold_id(1))),
        (hold(1, &[(1, 1), (9, 1)]), Refusal::UnknownBudget(budget_id(9))),
        (AccountOp::Hold { id: hold_id(1), lines: wrong_unit, expires_at }, Refusal::WrongUnit(budget_id(1))),
        (refund("r", 7, &[(1, 1)]), Refusal::UnknownHold(hold_id(7))),
        (observe(7, None), Refusal::UnknownHold(hold_id(7))),
    ];
    for (op, refusal) in cases {
        assert_eq!(f.refused(ops(vec![op])).await, refusal);
    }
    let late = AccountOp::Hold { id: hold_id(1), lines: lines(&[(1, 100)]), expires_at: f.now() };
    let committed = f.commit(vec![late, hold(2, &[(1, 100)])]).await.unwrap();
    assert_eq!(committed.holds[0].phase, HoldPhase::Expired);
    f.verify().await;
}

async fn sums_that_do_not_fit_are_refused(f: Fixture) {
    f.commit(vec![open(1, u128::MAX), open(2, 1)]).await.unwrap();
    f.commit(vec![hold(1, &[(1, u128::MAX)]), hold(2, &[(1, 0)])]).await.unwrap();
    assert_eq!(f.sums(1).await, (0, u128::MAX, 0));
    assert_eq!(f.refused(ops(vec![hold(3, &[(1, 1)])])).await, Refusal::OutOfRange);
    f.commit(vec![capture(1, None)]).await.unwrap();
    assert_eq!(f.refused(ops(vec![observe(2, Some(&[(1, 1)]))])).await, Refusal::OutOfRange);
    f.verify().await;
}

async fn conditions_are_checked_under_the_lock(f: Fixture) {
    f.commit(vec![open(1, 100), hold(1, &[(1, 30)]), hold(2, &[(1, 20)]), capture(2, None)]).await.unwrap();
    let stream = StreamId::new("payment/1").unwrap();
    let at = |length| Require::StreamAt { stream: stream.clone(), length };
    let used = |used_max| Require::UsedAtMost { budget: budget_id(1), used_max: usd(used_max) };
    let count = Amount::from_atomic(AssetId::count(), 1);
    let cases = [
        (at(0), None),
        (at(1), Some(Refusal::StreamMoved { stream: stream.clone(), expected: 1, found: 0 })),
        (used(50), None),
        (used(49), Some(Refusal::UsedMore { budget: budget_id(1), used: usd(50) })),
        (
            Require::UsedAtMost { budget: budget_id(1), used_max: count },
            Some(Refusal::WrongUnit(budget_id(1))),
        ),
        (
            Require::UsedAtMost { budget: budget_id(9), used_max: usd(1) },
            Some(Refusal::UnknownBudget(budget_id(9))),
        ),
        (Require::HoldPending(hold_id(1)), None),
        (
            Require::HoldPinned(hold_id(1)),
            Some(Refusal::HoldNot { hold: hold_id(1), needed: "pinned", found: "pending" }),
        ),
        (
            Require::HoldPending(hold_id(2)),
            Some(Refusal::HoldNot { hold: hold_id(2), needed: "pending", found: "captured" }),
        ),
        (Require::HoldPending(hold_id(3)), Some(Refusal::UnknownHold(hold_id(3)))),
    ];
    for (require, refusal) in cases {
        let transaction = Transaction { require: vec![require.clone()], ..Transaction::default() };
        match refusal {
            Some(refusal) => assert_eq!(f.refused(transaction).await, refusal),
            None => assert!(f.ledger.commit(transaction).await.is_ok(), "{require:?}"),
        }
    }
}

async fn links_change_only_from_what_was_seen(f: Fixture) {
    let write = |key: &str, expected: Option<&str>, value: Option<&str>| LinkWrite {
        key: key.to_owned(),
        expected: expected.map(str::to_owned),
        value: value.map(str::to_owned),
    };
    let links = |links| Transaction { links, ..Transaction::default() };
    f.ledger.commit(links(vec![write("r/a", None, Some("1")), write("r/b", None, Some("2"))])).await.unwrap();
    f.ledger
        .commit(links(vec![write("s", None, Some("3")), write("s", Some("3"), Some("4"))]))
        .await
        .unwrap();
    let moved = Refusal::LinkMoved { key: "r/a".to_owned(), found: Some("1".to_owned()) };
    assert_eq!(f.refused(links(vec![write("r/a", None, Some("9"))])).await, moved);
    assert_eq!(f.ledger.link("s").await.unwrap().as_deref(), Some("4"));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(f.ledger.links("r/").await.unwrap(), [pair("r/a", "1"), pair("r/b", "2")]);
    f.ledger.commit(links(vec![write("r/a", Some("1"), None)])).await.unwrap();
    assert_eq!(f.ledger.links("").await.unwrap(), [pair("r/b", "2"), pair("s", "4")]);
}

async fn entries_are_numbered_and_read_back(f: Fixture) {
    let entries = |list: &[(&str, u64)]| Transaction {
        entries: list.iter().map(|(stream, n)| entry(stream, json!({"n": n}))).collect(),
        ..Transaction::default()
    };
    let first = f.ledger.commit(entries(&[("a", 0), ("b/1", 1), ("a", 2)])).await.unwrap();
    assert_eq!((first.sequences, first.head.size), (vec![0, 1, 2], 3));
    f.clock.advance_ms(5);
    let second = f.ledger.commit(entries(&[("b/2", 3), ("a", 4)])).await.unwrap();
    assert_eq!(second.sequences, [3, 4]);
    let read = f.ledger.stream(&StreamId::new("a").unwrap(), 1).await.unwrap();
    let numbers: Vec<_> = read.iter().map(|e| (e.sequence, e.stream_sequence, e.body["n"].clone())).collect();
    assert_eq!(numbers, [(2, 1, json!(2)), (4, 2, json!(4))]);
    assert_eq!(read[1].at, Timestamp::from_unix_ms(START_MS + 5));
    let read = f.ledger.entries(1, 3).await.unwrap();
    assert_eq!(read.iter().map(|e| e.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(f.ledger.entries(u64::MAX, 3).await.unwrap(), []);
    let streams = f.ledger.streams("b/").await.unwrap();
    assert_eq!(streams, [(StreamId::new("b/1").unwrap(), 1), (StreamId::new("b/2").unwrap(), 1)]);
    assert_eq!(f.ledger.streams("").await.unwrap().len(), 3);
    assert_eq!(f.ledger.head().await.unwrap(), second.head);
    f.verify().await;
}

async fn account_changes_are_journaled_before_the_entries(f: Fixture) {
    f.commit(vec![open(1, 100)]).await.unwrap();
    let accounts = vec![open(1, 100), hold(1, &[(1, 5)]), observe(1, Some(&[(1, 6)]))];
    let transaction =
        Transaction { accounts, entries: vec![entry("s", json!(null))], ..Transaction::default() };
    let committed = f.ledger.commit(transaction).await.unwrap();
    assert_eq!(committed.sequences, [2]);
    assert_eq!(committed.holds.len(), 2);
    let journaled = f.ledger.stream(&StreamId::accounts(), 1).await.unwrap();
    assert_eq!((journaled.len(), journaled[0].sequence), (1, 1));
    assert_eq!(journaled[0].kind, "accounts.changed");
    let ops = journaled[0].body["ops"].as_array().unwrap();
    assert_eq!((ops.len(), &ops[0]["op"], &ops[1]["observed"]), (2, &json!("hold"), &json!(true)));
    // A transaction that only repeats is not journaled at all.
    let head = f.ledger.head().await.unwrap();
    f.commit(vec![open(1, 100), hold(1, &[(1, 5)])]).await.unwrap();
    assert_eq!(f.ledger.head().await.unwrap(), head);
}

async fn only_the_ledger_writes_the_accounts_stream(f: Fixture) {
    let forged = json!({"ops": []});
    let transaction = Transaction { entries: vec![entry("accounts", forged)], ..Transaction::default() };
    assert_eq!(f.refused(transaction).await, Refusal::ReservedStream(StreamId::accounts()));
}

async fn bodies_without_canonical_bytes_are_refused(f: Fixture) {
    for body in [json!(1.5), json!({"a": [1_u64 << 60]})] {
        let transaction = Transaction { entries: vec![entry("s", body)], ..Transaction::default() };
        assert!(matches!(f.refused(transaction).await, Refusal::NotCanonical(_)));
    }
}

async fn payloads_are_kept_once(f: Fixture) {
    let payload = Payload::seal(Bytes::from_static(b"page"), &SeededEntropy::new(3));
    let keep = Transaction { payloads: vec![payload.clone()], ..Transaction::default() };
    f.ledger.commit(keep.clone()).await.unwrap();
    f.ledger.commit(keep).await.unwrap();
    assert_eq!(f.ledger.payload(payload.commitment()).await.unwrap().unwrap(), "page");
    let unknown = Commitment::from_digest(Digest::of(b""));
    assert_eq!(f.ledger.payload(unknown).await.unwrap(), None);
    assert_eq!(f.ledger.verify().await.unwrap().payloads_checked, 1);
}

async fn a_stream_is_read_with_its_payloads(f: Fixture) {
    let stream = StreamId::new("orders").unwrap();
    let event =
        |n: u32| SealedEvent::new(stream.clone(), "order", [], &n, &SeededEntropy::new(n.into())).unwrap();
    let mut transaction = Transaction::default();
    event(7).add_to(&mut transaction);
    transaction.entries.push(entry("orders", json!("names no payload")));
    // The payload of this one is not kept.
    transaction.entries.push(event(8).entry);
    event(9).add_to(&mut transaction);
    f.ledger.commit(transaction).await.unwrap();
    let found = f.ledger.stream_with_payloads(&stream, 0).await.unwrap();
    let (entries, payloads): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    assert_eq!(entries, f.ledger.stream(&stream, 0).await.unwrap());
    assert_eq!(payloads, [Some("7".into()), None, None, Some("9".into())]);
    assert_eq!(f.ledger.events::<u32>(&stream, 3).await.unwrap(), [9]);
    let unread = f.ledger.events::<u32>(&stream, 1).await.unwrap_err();
    assert!(matches!(unread, EventError::Unreadable { sequence: 1, .. }), "{unread:?}");
    let gone = f.ledger.events::<u32>(&stream, 2).await.unwrap_err();
    assert!(matches!(gone, EventError::Erased { sequence: 2, .. }), "{gone:?}");
}

async fn time_does_not_go_back(f: Fixture) {
    // A second ledger on the same file whose clock lags; in memory there is only one clock.
    f.clock.advance_ms(1_000);
    f.commit(vec![open(1, 100)]).await.unwrap();
    let Some(folder) = &f.folder else { return };
    let lagging = bursar_ledger::SqliteStore::open(options(folder, &clock())).unwrap();
    let lagging = bursar_ledger::Ledger::new(std::sync::Arc::new(lagging));
    let committed = lagging.commit(ops(vec![hold(1, &[(1, 1)])])).await.unwrap();
    assert_eq!(committed.at, Timestamp::from_unix_ms(START_MS + 1_000));
    f.verify().await;
}

async fn time_that_was_once_ahead_is_turned_back_and_nothing_counts_twice(f: Fixture) {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let turn = |entries| Transaction { turn_back: true, entries, ..Transaction::default() };
    rolling(&f, 1, 100, 10_000).await;
    f.commit(vec![open(2, 1_000), hold(1, &[(1, 30), (2, 30)]), capture(1, None)]).await.unwrap();
    f.commit(vec![hold(2, &[(2, 5)])]).await.unwrap();
    let right = f.now();
    f.clock.advance_ms(10 * YEAR_MS);
    let late = AccountOp::Hold {
        id: hold_id(3),
        lines: lines(&[(1, 40), (2, 40)]),
        expires_at: f.now().plus_ms(60_000),
    };
    f.commit(vec![late, capture(3, None)]).await.unwrap();
    assert_eq!(f.sums(1).await, (40, 0, 60), "what was spent ten years before has left the window");
    let ahead = f.now();
    assert_eq!(f.refused(turn(vec![])).await, Refusal::BadTurn("it is not later than the clock"));

    f.clock.set(right.plus_ms(1_000));
    let still = |now| Transaction {
        require: vec![Require::ClockWithin { now, by_ms: 60_000 }],
        ..Transaction::default()
    };
    assert!(matches!(f.refused(still(f.now())).await, Refusal::ClockBehind { .. }));
    f.ledger.commit(still(ahead)).await.unwrap();
    let with_more = Transaction { accounts: vec![open(3, 1)], ..turn(vec![]) };
    assert_eq!(f.refused(with_more).await, Refusal::BadTurn("nothing else may change with it"));
    let forged = Transaction { entries: vec![entry("clock", json!({"from": 1}))], ..Transaction::default() };
    assert_eq!(f.refused(forged).await, Refusal::ReservedStream(StreamId::clock()));
    let committed = f.ledger.commit(turn(vec![entry("said", json!({"by": "ada"}))])).await.unwrap();
    assert_eq!(committed.at, f.now());
    let told = f.ledger.stream(&StreamId::clock(), 0).await.unwrap();
    assert_eq!((told.len(), told[0].at), (1, f.now()));
    assert_eq!(told[0].body, json!({"from": ahead.unix_ms()}));
    f.ledger.commit(still(f.now())).await.unwrap();

    // Holds live again, what had run out stays given back, and what was spent leaves its window a whole length from now.
    assert_eq!((f.sums(1).await, f.sums(2).await), ((40, 0, 60), (70, 0, 930)));
    let again =
        AccountOp::Hold { id: hold_id(4), lines: lines(&[(1, 60)]), expires_at: f.now().plus_ms(5_000) };
    f.commit(vec![again, pin(4), capture(4, None)]).await.unwrap();
    f.refused(ops(vec![hold(5, &[(1, 1)])])).await;
    f.commit(vec![refund("back", 3, &[(1, 10)])]).await.unwrap();
    assert_eq!(f.sums(1).await, (90, 0, 10));
    f.verify().await;
    f.clock.advance_ms(10_000);
    assert_eq!(f.sums(1).await, (0, 0, 100));
    f.commit(vec![hold(6, &[(1, 100)])]).await.unwrap();
    f.verify().await;
    if f.folder.is_some() {
        assert_eq!(f.another().budget(budget_id(1)).await.unwrap().unwrap().spent, usd(0));
    }
}

async fn nothing_works_after_close(f: Fixture) {
    f.commit(vec![open(1, 100)]).await.unwrap();
    f.ledger.close().await.unwrap();
    assert!(matches!(f.commit(vec![open(2, 1)]).await, Err(CommitError::Store(StoreError::Closed))));
    assert!(matches!(f.ledger.head().await, Err(StoreError::Closed)));
    assert!(matches!(f.ledger.verify().await, Err(StoreError::Closed)));
    assert!(matches!(f.ledger.close().await, Err(StoreError::Closed)));
}
