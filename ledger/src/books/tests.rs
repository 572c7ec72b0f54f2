//! What only the inside shows; the rest is in `tests/it`, against both stores.

use super::*;
use crate::account::Budget;
use crate::transaction::{AccountOp, OpOutcome};
use bursar_types::AssetId;

fn op_open(name: &[u8]) -> AccountOp {
    AccountOp::Open(Budget {
        id: BudgetId::derived(&[name]),
        name: "b".to_owned(),
        limit: Amount::from_atomic(AssetId::micro_usd(), 10),
        window: Window::Life,
        gross: false,
        parent: None,
    })
}

fn op_hold(name: &[u8], expires_at: Timestamp) -> AccountOp {
    let amount = Amount::from_atomic(AssetId::micro_usd(), 10);
    let lines = vec![Line { budget: BudgetId::derived(&[name]), amount }];
    AccountOp::Hold { id: HoldId::derived(&[name]), lines, expires_at }
}

#[test]
fn a_decision_names_each_row_it_misses_and_succeeds_once_it_has_them() {
    let now = Timestamp::from_unix_ms(5);
    let mut books = Books::partial(BTreeSet::new());
    let op = op_hold(b"a", now.plus_ms(1));
    let mut needs = Vec::new();
    let changes = loop {
        let mut draft = Draft::new(&books, now);
        match draft.apply(&op) {
            Ok(outcome) => {
                assert_eq!(outcome, OpOutcome::Done);
                break draft.into_changes();
            }
            Err(Stop::Needs(need)) => needs.push(need),
            Err(Stop::Refused(refusal)) => panic!("{refusal}"),
        }
        match needs.last() {
            Some(Need::Budget(id)) => {
                let AccountOp::Open(budget) = op_open(b"a") else { panic!("not a budget") };
                books.learn_budget(*id, Some(BudgetRow::new(budget)));
            }
            Some(Need::Hold(id)) => books.learn_hold(*id, None),
            need => panic!("{need:?}"),
        }
    };
    assert_eq!(needs, [Need::Hold(HoldId::derived(&[b"a"])), Need::Budget(BudgetId::derived(&[b"a"]))]);
    books.adopt(changes);
    assert_eq!(books.take_dirty().holds.len(), 1);
    assert_eq!(books.take_dirty().holds.len(), 0);
}

#[test]
fn a_dropped_draft_leaves_no_trace() {
    let mut books = Books::complete();
    let mut draft = Draft::new(&books, Timestamp::from_unix_ms(5));
    draft.apply(&op_open(b"a")).unwrap();
    drop(draft);
    assert!(books.budgets().is_empty());
    assert!(books.take_dirty().budgets.is_empty());
}

#[test]
fn holds_expire_in_the_order_of_their_time_and_free_their_money() {
    let at = Timestamp::from_unix_ms;
    let mut books = Books::complete();
    let mut draft = Draft::new(&books, at(1));
    for op in [op_open(b"a"), op_open(b"b"), op_hold(b"a", at(10)), op_hold(b"b", at(20))] {
        draft.apply(&op).unwrap();
    }
    let changes = draft.into_changes();
    books.adopt(changes);
    for (now, held) in [(9, [10, 10]), (10, [0, 10]), (19, [0, 10]), (20, [0, 0])] {
        books.expire(at(now)).unwrap();
        let found = [b"a", b"b"].map(|name| books.budget(BudgetId::derived(&[name])).unwrap().unwrap().held);
        assert_eq!(found, held, "at {now}");
    }
}
