//! What the model itself costs, on the budgets that purchases count on: over a real data file, with other spenders beside it.

use crate::world::{World, get, key, usd};
use bursar_ledger::{LinkWrite, StreamId, Transaction};
use bursar_payments::{MoneyEvent, Runs, SessionHooks, SessionPurse};
use bursar_types::{
    Amount, AssetId, FetchError, Fetched, GateLevel, ModelCharge, ModelCost, ModelHold, ModelMeter, RunId,
};
use std::sync::Arc;

fn micro(atomic: u128) -> Amount {
    Amount::from_atomic(AssetId::micro_usd(), atomic)
}

fn charge(turn: u32, attempt: u32, most: u128) -> ModelCharge {
    let run = RunId::derived(&[b"run"]);
    ModelCharge { run, turn, attempt, model: "large".into(), most: micro(most) }
}

async fn held(purse: &SessionPurse, charge: &ModelCharge) -> bool {
    match purse.hold(charge).await.unwrap() {
        ModelHold::Held => true,
        ModelHold::Refused(_) => false,
    }
}

async fn code(purse: &SessionPurse, charge: &ModelCharge) -> String {
    match purse.hold(charge).await.unwrap() {
        ModelHold::Held => "HELD".into(),
        ModelHold::Refused(decision) => decision.reasons[0].code.to_string(),
    }
}

/// Kinds and amounts of a session's entries about its model.
async fn entries(world: &World, purse: &SessionPurse) -> Vec<(String, String)> {
    let entries = world.ledger.stream(&StreamId::of("model", purse.session()), 0).await.unwrap();
    let shown = |entry: bursar_ledger::Entry| {
        (entry.kind.clone(), entry.body["micro_usd"].as_str().unwrap_or_default().to_owned())
    };
    entries.into_iter().map(shown).collect()
}

#[tokio::test]
async fn a_turn_is_held_at_its_most_and_captured_at_what_it_cost() {
    let world = World::new().await;
    let purse = world.session().await;
    let handle = purse.handle();
    assert!(held(&purse, &charge(0, 0, 40_000)).await);
    assert_eq!(world.books(&handle).await, (0, 40_000));
    assert!(held(&purse, &charge(0, 0, 40_000)).await, "again is once");
    assert_eq!(world.books(&handle).await, (0, 40_000));
    let booked = purse.settle(&charge(0, 0, 40_000), &ModelCost::Known(micro(1_234))).await.unwrap();
    assert_eq!((booked, world.books(&handle).await), (micro(1_234), (1_234, 0)));
    let again = purse.settle(&charge(0, 0, 40_000), &ModelCost::Unknown).await.unwrap();
    assert_eq!((again, world.books(&handle).await), (micro(1_234), (1_234, 0)), "what was settled stands");
    assert_eq!(
        code(&purse, &charge(0, 0, 40_000)).await,
        "IN_FLIGHT",
        "a try that was settled is not made again"
    );
    let expected = [("model.held", "40000"), ("model.settled", "1234")];
    assert_eq!(
        entries(&world, &purse).await,
        expected.map(|(kind, amount)| (kind.to_owned(), amount.to_owned()))
    );
    world.verify().await;
}

#[tokio::test]
async fn an_unknown_cost_is_all_that_was_held_and_nothing_is_nothing() {
    let world = World::new().await;
    let purse = world.session().await;
    let handle = purse.handle();
    for (turn, cost, booked) in [
        (0, ModelCost::Unknown, 40_000),
        (1, ModelCost::Nothing, 0),
        (2, ModelCost::Known(micro(0)), 0),
        // More than was held is booked all the same: the provider takes it.
        (3, ModelCost::Known(micro(50_000)), 50_000),
    ] {
        let before = world.books(&handle).await.0;
        assert!(held(&purse, &charge(turn, 0, 40_000)).await);
        let found = purse.settle(&charge(turn, 0, 40_000), &cost).await.unwrap();
        assert_eq!((found.atomic(), world.books(&handle).await), (booked, (before + booked, 0)), "{cost:?}");
    }
    let never = purse.settle(&charge(9, 0, 40_000), &ModelCost::Unknown).await.unwrap();
    assert_eq!(never.atomic(), 0, "nothing was held, so nothing was asked");
    world.verify().await;
}

#[tokio::test]
async fn purchases_and_turns_share_one_cap_and_neither_passes_it() {
    let world = World::new().await;
    let purse = world.session_under(world.mandate().metered(world.metered("/documents/*")), None).await;
    let (alpha, handle) = (world.url("alpha"), purse.handle());
    // 0.50 in all: the model holds 0.4995, and the page costs 0.001.
    assert!(held(&purse, &charge(0, 0, 499_500)).await);
    assert_eq!(code(&purse, &charge(0, 1, 501)).await, "MODEL_OVER_BUDGET");
    let refused = handle.fetch(get(&alpha), key("1")).await;
    let Err(FetchError::Denied(decision)) = refused else { panic!("{refused:?}") };
    assert_eq!((decision.reasons[0].code.as_ref(), world.outflow()), ("BUDGET_EXCEEDED", 0));
    purse.settle(&charge(0, 0, 499_500), &ModelCost::Known(micro(100))).await.unwrap();
    let bought = handle.fetch(get(&alpha), key("2")).await.unwrap();
    assert!(matches!(bought, Fetched::Delivered(_)), "{bought:?}");
    assert_eq!(world.books(&handle).await, (1_100, 0));
    assert_eq!(code(&purse, &charge(1, 0, 498_901)).await, "MODEL_OVER_BUDGET");
    assert!(held(&purse, &charge(1, 0, 498_900)).await, "to the last micro-dollar");
    world.verify().await;
}

#[tokio::test]
async fn many_turns_at_once_pass_no_cap() {
    let world = World::new().await;
    let purse = world.session().await;
    let tries = (0..200).map(|turn| {
        let purse = Arc::clone(&purse);
        tokio::spawn(async move { held(&purse, &charge(turn, 0, 10_000)).await })
    });
    let mut made = 0;
    for one in tries.collect::<Vec<_>>() {
        made += u32::from(one.await.unwrap());
    }
    assert_eq!((made, world.books(&purse.handle()).await), (50, (0, 500_000)));
    world.verify().await;
}

#[tokio::test]
async fn what_a_dead_process_held_stays_held_and_is_settled_by_whoever_goes_on() {
    let world = World::new().await;
    let purse = world.session().await;
    assert!(held(&purse, &charge(0, 0, 40_000)).await);
    world.advance_s(1_000_000);
    let other = world.reopened(9).resume_session(purse.session(), SessionHooks::default()).await.unwrap();
    other.handle().standing().await.unwrap();
    assert_eq!(world.books(&other.handle()).await, (0, 40_000), "it does not run out");
    let booked = other.settle(&charge(0, 0, 40_000), &ModelCost::Unknown).await.unwrap();
    assert_eq!((booked.atomic(), world.books(&other.handle()).await), (40_000, (40_000, 0)));
    let late = purse.settle(&charge(0, 0, 40_000), &ModelCost::Known(micro(1))).await.unwrap();
    assert_eq!(late.atomic(), 40_000, "the first word stands");
    world.verify().await;
}

#[tokio::test]
async fn a_helpers_turns_count_in_every_session_above() {
    let world = World::new().await;
    let parent = world.session().await;
    let mandate = parent.mandate().await.unwrap().child("scout").cap_session(usd("0.10"));
    let child = parent.delegate(mandate, SessionHooks::default()).await.unwrap();
    assert!(held(&child, &charge(0, 0, 60_000)).await);
    assert_eq!(world.books(&parent.handle()).await, (0, 60_000));
    assert_eq!(code(&child, &charge(1, 0, 60_000)).await, "MODEL_OVER_BUDGET");
    child.settle(&charge(0, 0, 60_000), &ModelCost::Known(micro(7))).await.unwrap();
    assert_eq!(world.books(&parent.handle()).await, (7, 0));
    world.verify().await;
}

#[tokio::test]
async fn nothing_is_held_while_spending_stands_still() {
    let world = World::new().await;
    let purse = world.session().await;
    assert!(held(&purse, &charge(0, 0, 1_000)).await);
    purse.freeze("look first").await.unwrap();
    assert_eq!(code(&purse, &charge(1, 0, 1_000)).await, "FROZEN");
    let booked = purse.settle(&charge(0, 0, 1_000), &ModelCost::Known(micro(10))).await.unwrap();
    assert_eq!(booked.atomic(), 10, "what was asked before is settled");
    purse.thaw("ada").await.unwrap();
    purse.revoke("ada").await.unwrap();
    assert_eq!(code(&purse, &charge(2, 0, 1_000)).await, "MANDATE_REVOKED");
    world.verify().await;
}

#[tokio::test]
async fn gates_are_reached_by_what_turns_cost_and_not_by_what_they_might_have() {
    let world = World::new().await;
    let purse = world.session().await;
    let reached = || {
        let all = world.seen.all().into_iter();
        let levels = all.filter_map(|event| match event {
            MoneyEvent::GateReached { gate } => Some(gate.level),
            _ => None,
        });
        levels.collect::<Vec<_>>()
    };
    // 0.40 of 0.50 might be spent: past the second gate, if it were.
    assert!(held(&purse, &charge(0, 0, 400_000)).await);
    purse.settle(&charge(0, 0, 400_000), &ModelCost::Known(micro(1_000))).await.unwrap();
    assert_eq!(reached(), []);
    assert!(held(&purse, &charge(1, 0, 400_000)).await);
    purse.settle(&charge(1, 0, 400_000), &ModelCost::Unknown).await.unwrap();
    assert_eq!(reached(), [GateLevel::Notified, GateLevel::Tightened]);
    assert_eq!(purse.handle().standing().await.unwrap().gate(), GateLevel::Tightened);
    assert!(held(&purse, &charge(2, 0, 99_000)).await);
    assert_eq!(reached().len(), 2, "once each");
    world.verify().await;
}

/// Which runs are over, as a test says.
#[derive(Debug, Default)]
struct Over(std::sync::Mutex<std::collections::BTreeSet<RunId>>);

#[async_trait::async_trait]
impl Runs for Over {
    async fn is_over(&self, run: RunId) -> bool {
        self.0.lock().unwrap().contains(&run)
    }
}

fn of_run(name: &str, most: u128) -> ModelCharge {
    ModelCharge { run: RunId::derived(&[name.as_bytes()]), ..charge(0, 0, most) }
}

#[tokio::test]
async fn a_try_whose_run_is_over_counts_whole_and_one_that_may_go_on_stays_set_aside() {
    let world = World::new().await;
    let over = Arc::new(Over::default());
    let payments = world.reopened(9).knowing_runs(over.clone());
    let purse = world.session().await;
    let (dead, alive) = (of_run("dead", 40_000), of_run("alive", 30_000));
    assert!(held(&purse, &dead).await && held(&purse, &alive).await);
    // Nobody knows yet that it is over.
    let found = payments.recover().await.unwrap();
    assert_eq!((found.model_settled, found.model_open), (0, 2));
    assert_eq!(world.books(&purse.handle()).await, (0, 70_000));
    let open = payments.unsettled_tries().await.unwrap();
    assert_eq!(open.len(), 2);
    assert!(open.iter().all(|one| one.session == purse.session() && [&dead, &alive].contains(&&one.charge)));
    over.0.lock().unwrap().insert(dead.run);
    let found = payments.recover().await.unwrap();
    assert_eq!((found.model_settled, found.model_open, found.is_quiet()), (1, 1, true));
    assert_eq!(world.books(&purse.handle()).await, (40_000, 30_000), "unknown is never zero");
    // A worker that comes late changes nothing, and the other is settled by its own.
    let late = purse.settle(&dead, &ModelCost::Nothing).await.unwrap();
    assert_eq!((late.atomic(), world.books(&purse.handle()).await), (40_000, (40_000, 30_000)));
    purse.settle(&alive, &ModelCost::Known(micro(5))).await.unwrap();
    let found = payments.recover().await.unwrap();
    assert_eq!((found.model_settled, found.model_open), (0, 0));
    assert_eq!(
        (world.books(&purse.handle()).await, payments.unsettled_tries().await.unwrap()),
        ((40_005, 0), vec![])
    );
    world.verify().await;
}

#[tokio::test]
async fn the_end_of_a_session_looks_after_the_sessions_below_it_and_no_others() {
    let world = World::new().await;
    let over = Arc::new(Over::default());
    let payments = world.reopened(9).knowing_runs(over.clone());
    let (parent, other) = (world.session().await, world.session().await);
    let mandate = parent.mandate().await.unwrap().child("scout").cap_session(usd("0.10"));
    let child = parent.delegate(mandate, SessionHooks::default()).await.unwrap();
    let (below, beside) = (of_run("below", 40_000), of_run("beside", 30_000));
    assert!(held(&child, &below).await && held(&other, &beside).await);
    over.0.lock().unwrap().extend([below.run, beside.run]);
    assert_eq!(payments.settle_tries_under(parent.session()).await.unwrap(), 1);
    assert_eq!(world.books(&parent.handle()).await, (40_000, 0));
    assert_eq!(world.books(&other.handle()).await, (0, 30_000));
    let found = payments.recover_session(other.session()).await.unwrap();
    assert_eq!((found.model_settled, world.books(&other.handle()).await), (1, (30_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn the_timer_leaves_young_tries_alone_and_a_person_may_say_that_nobody_goes_on() {
    let world = World::new().await;
    let over = Arc::new(Over::default());
    let payments = world.reopened(9).knowing_runs(over.clone());
    let purse = world.session().await;
    let (first, lost) = (of_run("first", 40_000), of_run("lost", 30_000));
    assert!(held(&purse, &first).await && held(&purse, &lost).await);
    over.0.lock().unwrap().insert(first.run);
    let found = payments.recover_due().await.unwrap();
    assert_eq!((found.model_settled, found.model_open), (0, 2), "they may be under way");
    world.advance_s(600);
    let found = payments.recover_due().await.unwrap();
    assert_eq!((found.model_settled, found.model_open), (1, 1));
    assert_eq!(
        (payments.count_tries(lost.run).await.unwrap(), payments.count_tries(lost.run).await.unwrap()),
        (1, 0)
    );
    assert_eq!(world.books(&purse.handle()).await, (70_000, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_session_settles_no_try_of_another() {
    let world = World::new().await;
    let (purse, other) = (world.session().await, world.session().await);
    let one = of_run("one", 40_000);
    assert!(held(&purse, &one).await);
    let booked = other.settle(&one, &ModelCost::Nothing).await.unwrap();
    assert_eq!((booked.atomic(), world.books(&purse.handle()).await), (0, (0, 40_000)));
    assert!(held(&other, &one).await, "its own try of that name");
    assert_eq!(world.books(&other.handle()).await, (0, 40_000));
    world.verify().await;
}

#[tokio::test]
async fn a_try_that_costs_nothing_at_most_leaves_nothing_behind() {
    let world = World::new().await;
    let purse = world.session().await;
    for attempt in 0..3 {
        assert!(held(&purse, &charge(0, attempt, 0)).await);
    }
    assert_eq!(world.reopened(9).unsettled_tries().await.unwrap(), vec![]);
    assert_eq!(purse.settle(&charge(0, 0, 0), &ModelCost::Unknown).await.unwrap(), micro(0));
    assert_eq!((entries(&world, &purse).await, world.books(&purse.handle()).await), (vec![], (0, 0)));
    purse.freeze("look first").await.unwrap();
    assert_eq!(code(&purse, &charge(1, 0, 0)).await, "FROZEN");
    world.verify().await;
}

#[tokio::test]
async fn a_try_that_cannot_be_read_keeps_no_other_from_being_settled() {
    let world = World::new().await;
    let over = Arc::new(Over::default());
    let payments = world.reopened(9).knowing_runs(over.clone());
    let purse = world.session().await;
    let dead = of_run("dead", 40_000);
    assert!(held(&purse, &dead).await);
    over.0.lock().unwrap().insert(dead.run);
    let link = LinkWrite { key: "model-open/broken".into(), expected: None, value: Some("{".into()) };
    world.ledger.commit(Transaction { links: vec![link], ..Transaction::default() }).await.unwrap();
    let found = payments.recover().await.unwrap();
    assert_eq!((found.model_settled, found.failed), (1, 1), "it is told, and the rest goes on");
    assert_eq!(world.books(&purse.handle()).await, (40_000, 0));
}
