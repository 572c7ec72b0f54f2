//! Chains of paid steps: what happens to the money when something fails after it was spent. FM2-01, FM2-09, FM2-12.

use crate::support::{claims, events, generous, refunding, session, taken_up, undone};
use crate::world::{Setup, World, get};
use bursar_market::{Fault, FaultRule, RefundRule};
use bursar_payments::{
    Check, OnFailure, Purchase, SagaEnd, SagaError, SagaEvent, SagaOptions, StepFailure, Undo, UndoState,
    Undone,
};
use bursar_types::Fetched;
use serde_json::json;

/// Past the deadline of a saga with default options, and past the time in which its own worker may still be at it.
const ABANDONED_S: u64 = 25 * 3_600;

fn undo_of<'a>(report: &'a bursar_payments::SagaReport, step: &str) -> &'a UndoState {
    &report.step(step).unwrap().undo
}

fn part_of_ten(delivered: u64) -> impl Fn(&bytes::Bytes) -> Check {
    move |_| Check::Part { delivered, of: 10, problem: "rows are missing".to_owned() }
}

#[tokio::test]
async fn money_for_data_comes_back_when_the_analysis_fails() {
    // FM2-01: paid, delivered, and what it was for fails.
    let (world, payments) = generous(Setup::default()).await;
    let session = taken_up(&payments, &*session(&world).await).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    let data = saga.buy("prices", get(&world.url("alpha"))).await.unwrap();
    assert_eq!(&data.body[..], b"# alpha\n\nText of alpha.\n");
    let failed = saga
        .step("analysis", Undo::nothing(), || async {
            Err::<u32, _>(StepFailure::new(format!("{} bytes are not enough", data.body.len())))
        })
        .await;
    assert!(matches!(failed, Err(SagaError::StepFailed { .. })), "{failed:?}");
    assert!(matches!(saga.complete().await, Err(SagaError::Incomplete { .. })));
    let report = saga.unwind("the analysis failed").await.unwrap();
    assert_eq!(report.end, SagaEnd::Unwinding, "{report}");
    let UndoState::Awaiting { at_risk: Some(at_risk), .. } = undo_of(&report, "prices") else {
        panic!("{report}")
    };
    assert_eq!(at_risk.atomic(), 1_000);
    payments.recover().await.unwrap();
    let report = payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    let UndoState::Over(Undone::Refunded { amount, price }) = undo_of(&report, "prices") else {
        panic!("{report}")
    };
    assert_eq!((amount.atomic(), price.atomic()), (1_000, 1_000));
    assert_eq!(world.books(&session.handle()).await, (0, 0), "the money may be spent again");
    assert!(payments.sagas().await.unwrap().is_empty());
    world.verify().await;
}

#[tokio::test]
async fn a_vendor_that_gives_refunds_sends_the_money_back_over_the_rail_itself() {
    // FM2-01, as above, without anything in between: the claim is posted, and the refund is seen on the chain.
    let setup = Setup::default();
    let world = World::with(Setup { seller: setup.seller.refunds(RefundRule::Exact), ..setup }).await;
    let session = session(&world).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    for document in ["alpha", "beta"] {
        saga.buy(document, get(&world.url(document))).await.unwrap();
    }
    saga.unwind("the analysis failed").await.unwrap();
    world.advance_s(60);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let report = world.payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    for document in ["alpha", "beta"] {
        let undo = undo_of(&report, document);
        assert!(matches!(undo, UndoState::Over(Undone::Refunded { .. })), "{report}");
    }
    assert_eq!(world.books(&session.handle()).await, (0, 0));
    world.verify().await;
}

#[tokio::test]
async fn data_is_kept_where_the_step_says_so_or_nobody_gives_money_back() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    let kept = Purchase::of(get(&world.url("alpha"))).on_failure(OnFailure::Keep);
    saga.buy("kept", kept).await.unwrap();
    saga.buy("asked back", get(&world.url("beta"))).await.unwrap();
    let report = saga.unwind("the analysis failed").await.unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert!(
        matches!(undo_of(&report, "kept"), UndoState::Over(Undone::Kept { problem: None, .. })),
        "{report}"
    );
    assert!(
        matches!(undo_of(&report, "asked back"), UndoState::Over(Undone::Kept { problem: Some(_), .. })),
        "{report}"
    );
    assert_eq!(world.outflow(), 2_000);
    world.verify().await;
}

#[tokio::test]
async fn another_process_takes_three_purchases_back_in_reverse_from_the_journal_alone() {
    // FM2-06: the process dies between the second and the third paid step.
    let (world, payments) = generous(Setup::default()).await;
    let first = taken_up(&payments, &*session(&world).await).await;
    let mut saga = first.saga("three", SagaOptions::default()).await.unwrap();
    let mut bought = Vec::new();
    for document in ["alpha", "beta"] {
        bought.push(saga.buy(document, get(&world.url(document))).await.unwrap().payment.unwrap().id);
    }
    let id = saga.id();
    drop((saga, first, payments));
    let other = refunding(&world, 8);
    other.recover().await.unwrap();
    assert_eq!(other.saga(id).await.unwrap().unwrap().end, SagaEnd::Running, "its time is not over");
    world.advance_s(ABANDONED_S);
    other.recover().await.unwrap();
    other.recover().await.unwrap();
    let report = other.saga(id).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert_eq!(report.reason, "it was not complete by its deadline");
    assert_eq!(undone(&world, id).await, ["beta", "alpha"]);
    let reverse: Vec<_> = bought.iter().rev().map(|payment| format!("payment/{payment}")).collect();
    assert_eq!(claims(&world).await, reverse);
    assert_eq!((world.outflow(), world.authorizations()), (2_000, 2), "the third was never paid");
    world.verify().await;
}

#[tokio::test]
async fn a_saga_that_is_taken_up_gives_what_was_done_and_buys_nothing_again() {
    // FM2-01: recovery is forward first.
    let world = World::new().await;
    let session = session(&world).await;
    let mut first = session.saga("report", SagaOptions::default()).await.unwrap();
    let data = first.buy("prices", get(&world.url("alpha"))).await.unwrap();
    let upload = || Undo::by("delete", json!({ "upload": 7 }));
    let sum: u64 = first.step("sum", upload(), || async { Ok(41) }).await.unwrap();
    drop(first);
    let other = taken_up(&world.reopened(2), &session).await;
    let mut again = other.saga("report", SagaOptions::default()).await.unwrap();
    let ran = std::cell::Cell::new(false);
    let same = again.buy("prices", get(&world.url("alpha"))).await.unwrap();
    assert_eq!((&same.body, &same.artifact), (&data.body, &data.artifact));
    let recorded: u64 = again
        .step("sum", upload(), || async {
            ran.set(true);
            Ok(0)
        })
        .await
        .unwrap();
    assert_eq!((recorded, ran.get()), (sum, false));
    assert_eq!(again.complete().await.unwrap().end, SagaEnd::Completed);
    // Also what is completed gives what was done, and can neither go on nor be taken back.
    assert_eq!(again.buy("prices", get(&world.url("alpha"))).await.unwrap().body, data.body);
    assert!(matches!(again.unwind("late").await, Err(SagaError::Completed)));
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
}

#[tokio::test]
async fn of_two_processes_the_second_is_fenced_and_pays_nothing() {
    let world = World::new().await;
    let session = session(&world).await;
    let other = taken_up(&world.reopened(2), &session).await;
    let mut one = session.saga("report", SagaOptions::default()).await.unwrap();
    let mut two = other.saga("report", SagaOptions::default()).await.unwrap();
    assert_eq!(one.id(), two.id());
    one.buy("prices", get(&world.url("alpha"))).await.unwrap();
    let fenced = two.buy("prices", get(&world.url("alpha"))).await;
    assert!(matches!(fenced, Err(SagaError::Fenced)), "{fenced:?}");
    assert!(matches!(two.unwind("I think it failed").await, Err(SagaError::Fenced)));
    assert_eq!(one.complete().await.unwrap().end, SagaEnd::Completed);
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
}

#[tokio::test]
async fn money_for_the_part_that_is_missing_is_asked_back() {
    // FM2-12: seven of ten rows come; the claim is for three tenths, rounded down.
    let (world, payments) = generous(Setup::default()).await;
    let session = taken_up(&payments, &*session(&world).await).await;
    let mut saga = session.saga("rows", SagaOptions::default()).await.unwrap();
    let rows = Purchase::of(get(&world.url("alpha"))).checked(part_of_ten(7));
    let bought = saga.buy("rows", rows).await.unwrap();
    assert_eq!(bought.claim.and_then(|claim| claim.amount).map(|amount| amount.atomic()), Some(300));
    assert_eq!(saga.complete().await.unwrap().end, SagaEnd::Completed);
    payments.recover().await.unwrap();
    assert_eq!(world.books(&session.handle()).await, (700, 0));
    assert_eq!(claims(&world).await.len(), 1);
    assert!(payments.sagas().await.unwrap().is_empty());
    world.verify().await;
}

#[tokio::test]
async fn something_else_than_was_bought_fails_the_step_and_is_asked_back_whole() {
    let (world, payments) = generous(Setup::default()).await;
    let session = taken_up(&payments, &*session(&world).await).await;
    let mut saga = session.saga("rows", SagaOptions::default()).await.unwrap();
    let wrong = |_: &bytes::Bytes| Check::Wrong { problem: "it is another year".to_owned() };
    let failed = saga.buy("rows", Purchase::of(get(&world.url("alpha"))).checked(wrong)).await;
    assert!(matches!(failed, Err(SagaError::StepFailed { .. })), "{failed:?}");
    saga.unwind("no rows").await.unwrap();
    payments.recover().await.unwrap();
    let report = payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert_eq!(claims(&world).await.len(), 1, "one claim for each payment");
    assert_eq!(world.books(&session.handle()).await, (0, 0));
}

#[tokio::test]
async fn paid_and_not_delivered_is_claimed_by_itself_and_ends_with_a_person() {
    // FM2-09: nothing is refunded, so it is parked with an owner, a date and the amount at risk.
    let world = World::new().await;
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(Fault::EmptyBody)).unwrap();
    let session = session(&world).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    let owed = saga.buy("prices", get(&world.url("alpha"))).await;
    let Err(SagaError::NotBought { fetched, .. }) = owed else { panic!("{owed:?}") };
    assert!(matches!(*fetched, Fetched::Undelivered(_)), "{fetched:?}");
    let report = saga.unwind("there are no prices").await.unwrap();
    assert_eq!(report.end, SagaEnd::Unwinding, "{report}");
    world.advance_s(1_800);
    world.market.chain().mine();
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    let report = world.payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Parked, "{report}");
    let at_risk: Vec<_> = report.at_risk().collect();
    let [("prices", Some(amount), "ada", due)] = at_risk.as_slice() else { panic!("{at_risk:?}") };
    assert_eq!(amount.atomic(), 1_000);
    assert!(*due > world.now());
    assert_eq!(world.payments.sagas().await.unwrap(), [report], "it stays in sight");
    // A person settles what is owed, and the saga follows.
    let owed = world.payments.obligations().await.unwrap();
    world.payments.settle_obligation(owed[0].payment.id, "eve", "they sent it by mail").await.unwrap();
    world.payments.recover().await.unwrap();
    assert!(world.payments.sagas().await.unwrap().is_empty());
    let report = world.payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert!(report.to_string().contains("eve settled it: they sent it by mail"), "{report}");
}

#[tokio::test]
async fn an_open_payment_is_given_up_and_nothing_is_lost_when_it_never_moved() {
    let world = World::new().await;
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(Fault::DropBeforeSettle)).unwrap();
    let session = session(&world).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    let open = saga.buy("prices", get(&world.url("alpha"))).await;
    assert!(matches!(&open, Err(SagaError::NotBought { .. })), "{open:?}");
    let report = saga.unwind("there are no prices").await.unwrap();
    assert_eq!(report.end, SagaEnd::Unwinding, "{report}");
    world.advance_s(1_800);
    world.market.chain().mine();
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    let report = world.payments.saga(saga.id()).await.unwrap().unwrap();
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert!(matches!(undo_of(&report, "prices"), UndoState::Over(Undone::NotPaid { .. })), "{report}");
    assert_eq!(world.books(&session.handle()).await, (0, 0));
}

#[tokio::test]
async fn a_step_that_costs_nothing_or_is_not_covered_says_so() {
    let world = World::new().await;
    let uncovered = world.session().await;
    let mut saga = uncovered.saga("report", SagaOptions::default()).await.unwrap();
    let quoted = saga.buy("prices", get(&world.url("alpha"))).await;
    let Err(SagaError::NotBought { fetched, .. }) = quoted else { panic!("{quoted:?}") };
    assert!(matches!(*fetched, Fetched::Quotes { .. }), "{fetched:?}");
    // A plan covers it now, so the same step goes on.
    crate::world::plan(&world, &uncovered.handle(), "alpha").await;
    saga.buy("prices", get(&world.url("alpha"))).await.unwrap();
    let other = saga.buy("prices", get(&world.url("beta"))).await;
    assert!(matches!(other, Err(SagaError::Changed { .. })), "one name, one request: {other:?}");
    assert_eq!(saga.complete().await.unwrap().end, SagaEnd::Completed);
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn no_step_starts_after_the_deadline() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut saga =
        session.saga("short", SagaOptions { within_ms: 60_000, ..SagaOptions::default() }).await.unwrap();
    saga.buy("prices", get(&world.url("alpha"))).await.unwrap();
    world.advance_s(61);
    let late = saga.buy("more", get(&world.url("beta"))).await;
    let Err(SagaError::Unwinds(report)) = late else { panic!("{late:?}") };
    assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn the_journal_alone_tells_no_names_of_sagas_and_steps() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut saga = session.saga("a private report", SagaOptions::default()).await.unwrap();
    saga.step("a private step", Undo::nothing(), || async { Ok(json!({ "private": 1 })) }).await.unwrap();
    saga.unwind("a private reason").await.unwrap();
    for entry in world.ledger.entries(0, 1_000).await.unwrap() {
        let leaf = serde_json::to_string(&entry).unwrap();
        assert!(!leaf.contains("private"), "{leaf}");
    }
    let kinds: Vec<_> = events(&world, saga.id()).await.iter().map(SagaEvent::name).collect();
    assert_eq!(kinds, ["opened", "step_started", "step_done", "unwind_started", "ended"]);
}
