//! Compensations: once each, tried again and not for ever, parked in sight, and never at the cost of the others. FM2-07.

use crate::support::{Counting, events, session, taken_up, undone, with};
use crate::world::{World, get};
use bursar_payments::{
    Reconciled, RecoveryRules, SagaEnd, SagaError, SagaEvent, SagaOptions, StepFailure, Undo, UndoState,
    Undone,
};
use serde_json::json;

fn delete(upload: u64) -> Undo {
    Undo::by("delete", json!({ "upload": upload }))
}

async fn upload(saga: &mut bursar_payments::Saga, number: u64) {
    let name = format!("upload {number}");
    let id: u64 = saga.step(&name, delete(number), || async { Ok(number) }).await.unwrap();
    assert_eq!(id, number);
}

#[tokio::test]
async fn a_failure_that_is_reported_five_times_takes_each_step_back_once() {
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::new("delete");
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    for number in 1..=3 {
        upload(&mut saga, number).await;
    }
    for _ in 0..5 {
        let report = saga.unwind("the third is broken").await.unwrap();
        assert_eq!(report.end, SagaEnd::Compensated, "{report}");
    }
    // Also where another process hears of it.
    let other = taken_up(&world.reopened(2), &session).await;
    let mut again = other.saga("uploads", with(&[&bin])).await.unwrap();
    assert_eq!(again.unwind("the third is broken").await.unwrap().end, SagaEnd::Compensated);
    assert_eq!(bin.arguments(), [3, 2, 1].map(|number| json!({ "upload": number })));
    assert_eq!(bin.done(), 3);
}

#[tokio::test]
async fn a_compensation_that_keeps_failing_is_parked_and_the_others_still_run() {
    // FM2-07: it would fail 99 times; it is tried as often as the rules say.
    let world = World::new().await;
    let session = session(&world).await;
    let (bin, broken) = (Counting::new("delete"), Counting::failing("recall", 99));
    let mut saga = session.saga("uploads", with(&[&bin, &broken])).await.unwrap();
    upload(&mut saga, 1).await;
    let risk = crate::world::usd("0.25");
    let recall = Undo::by("recall", json!({})).at_risk(risk.clone());
    let _: u64 = saga.step("mail", recall, || async { Ok(0) }).await.unwrap();
    saga.buy("prices", get(&world.url("alpha"))).await.unwrap();
    let mut report = saga.unwind("nobody wants it").await.unwrap();
    assert_eq!(report.end, SagaEnd::Unwinding, "{report}");
    assert_eq!((broken.asked(), bin.asked()), (1, 0), "the last step first, and one after the other");
    for _ in 0..20 {
        // A pass before the wait is over tries nothing.
        let asked = broken.asked();
        world.payments.recover().await.unwrap();
        assert_eq!(broken.asked(), asked);
        world.advance_s(15 * 60);
        world.payments.recover().await.unwrap();
        report = world.payments.saga(saga.id()).await.unwrap().unwrap();
    }
    assert_eq!(report.end, SagaEnd::Parked, "{report}");
    let tries = usize::try_from(RecoveryRules::default().tries).unwrap();
    assert_eq!((broken.asked(), bin.done()), (tries, 1));
    let at_risk: Vec<_> = report.at_risk().collect();
    let [("mail", Some(amount), "ada", due)] = at_risk.as_slice() else { panic!("{at_risk:?}") };
    assert_eq!((*amount, *due > world.now()), (&risk, true));
    assert!(matches!(report.step("prices").unwrap().undo, UndoState::Over(Undone::Kept { .. })), "{report}");
    assert_eq!(world.payments.sagas().await.unwrap().len(), 1, "it stays in sight");
    world.verify().await;
}

#[tokio::test]
async fn a_refused_compensation_is_not_repeated() {
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::refusing("delete");
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    upload(&mut saga, 1).await;
    upload(&mut saga, 2).await;
    let report = saga.unwind("broken").await.unwrap();
    assert_eq!((report.end.clone(), bin.asked()), (SagaEnd::Parked, 2), "{report}");
    assert!(report.to_string().contains("ada looks after it until"), "{report}");
    // A person says what became of them, one by one; nobody asks again meanwhile.
    let settle = |step, by| world.payments.settle_saga_step(saga.id(), step, by, "deleted by hand");
    assert!(matches!(settle("upload 1", " ").await, Err(SagaError::Unexplained)));
    let silent = world.payments.settle_saga_step(saga.id(), "upload 1", "eve", "").await;
    assert_eq!(silent.unwrap_err().to_string(), "whoever settles a step says who they are, and why");
    assert!(matches!(settle("upload 9", "eve").await, Err(SagaError::Illegal(_))));
    assert_eq!(settle("upload 1", "eve").await.unwrap().unwrap().end, SagaEnd::Parked);
    assert!(matches!(settle("upload 1", "eve").await, Err(SagaError::Illegal(_))));
    assert_eq!(settle("upload 2", "eve").await.unwrap().unwrap().end, SagaEnd::Compensated);
    world.payments.recover().await.unwrap();
    assert_eq!((world.payments.sagas().await.unwrap().len(), bin.asked()), (0, 2));
}

#[tokio::test]
async fn a_compensation_that_fails_once_is_tried_again_under_the_same_id() {
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::failing("delete", 1);
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    upload(&mut saga, 1).await;
    assert_eq!(saga.unwind("broken").await.unwrap().end, SagaEnd::Unwinding);
    world.advance_s(60);
    world.payments.recover().await.unwrap();
    assert_eq!(world.payments.saga(saga.id()).await.unwrap().unwrap().end, SagaEnd::Compensated);
    assert_eq!((bin.asked(), bin.done()), (2, 1));
    // Recovery went on with it; a failure that is reported again says how it stands.
    assert_eq!(saga.unwind("broken").await.unwrap().end, SagaEnd::Compensated);
    assert!(matches!(saga.complete().await, Err(SagaError::Unwinds(_))));
}

#[tokio::test]
async fn a_step_whose_compensator_nobody_knows_waits_and_the_others_still_run() {
    let world = World::new().await;
    let session = session(&world).await;
    let (bin, recall) = (Counting::new("delete"), Counting::new("recall"));
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    upload(&mut saga, 1).await;
    let _: u64 = saga.step("mail", Undo::by("recall", json!({})), || async { Ok(0) }).await.unwrap();
    let report = saga.unwind("broken").await.unwrap();
    assert_eq!((report.end.clone(), bin.done()), (SagaEnd::Unwinding, 1), "{report}");
    // A process that knows it takes it up.
    let other = world.reopened(2);
    other.compensators().register(recall.clone());
    other.recover().await.unwrap();
    assert_eq!(other.saga(saga.id()).await.unwrap().unwrap().end, SagaEnd::Compensated);
    assert_eq!(recall.done(), 1);
}

#[tokio::test]
async fn a_step_whose_compensator_never_comes_is_parked() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut saga = session.saga("uploads", SagaOptions::default()).await.unwrap();
    upload(&mut saga, 1).await;
    assert_eq!(saga.unwind("broken").await.unwrap().end, SagaEnd::Unwinding);
    world.advance_s(8 * 24 * 3_600);
    world.payments.recover().await.unwrap();
    assert_eq!(world.payments.saga(saga.id()).await.unwrap().unwrap().end, SagaEnd::Parked);
}

/// How a step whose worker died in the middle goes on.
enum Then {
    Unwinds,
    Runs,
    Knows,
}

async fn check_uncertain(undo: Undo, answer: Option<Reconciled<u64>>, then: Then) {
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::new("delete");
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    {
        let running = saga.step("upload", undo.clone(), std::future::pending::<Result<u64, StepFailure>>);
        tokio::pin!(running);
        // It begins, and is dropped in the middle.
        let began = async {
            loop {
                let all = world.ledger.streams("saga/").await.unwrap();
                if all.first().is_some_and(|(_, length)| *length == 2) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut running => panic!("it never ends"),
            () = began => {}
        }
    }
    drop(saga);
    let other = taken_up(&world.reopened(2), &session).await;
    let mut again = other.saga("uploads", with(&[&bin])).await.unwrap();
    let run = || async { Ok(8_u64) };
    let gave = match answer {
        None => again.step("upload", undo, run).await,
        Some(answer) => again.step_or_ask("upload", undo, || async move { Ok(answer) }, run).await,
    };
    match then {
        Then::Runs => assert_eq!(gave.unwrap(), 8),
        Then::Knows => assert_eq!(gave.unwrap(), 7),
        Then::Unwinds => {
            let Err(SagaError::Unwinds(report)) = gave else { panic!("{gave:?}") };
            assert_eq!((report.end, bin.done()), (SagaEnd::Compensated, 1), "it counts as done");
            return;
        }
    }
    assert_eq!((again.complete().await.unwrap().end, bin.asked()), (SagaEnd::Completed, 0));
}

#[tokio::test]
async fn a_step_that_died_in_the_middle_counts_as_done_and_is_taken_back() {
    check_uncertain(delete(1), None, Then::Unwinds).await;
}

#[tokio::test]
async fn a_step_that_died_in_the_middle_runs_again_where_it_may() {
    check_uncertain(delete(1).may_run_again(), None, Then::Runs).await;
    check_uncertain(delete(1), Some(Reconciled::NotDone), Then::Runs).await;
}

#[tokio::test]
async fn a_step_that_died_in_the_middle_gives_what_was_found_out() {
    check_uncertain(delete(1), Some(Reconciled::Done(7)), Then::Knows).await;
}

#[tokio::test]
async fn a_step_that_is_done_after_it_was_taken_back_is_taken_back_once_more() {
    // The first worker is slow, not dead; another one gives the saga up in the middle of its step.
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::new("delete");
    let mut slow = session.saga("uploads", with(&[&bin])).await.unwrap();
    let other = taken_up(&world.reopened(2), &session).await;
    let late = slow
        .step("upload", delete(1), || async {
            let mut quick = other.saga("uploads", with(&[&bin])).await.unwrap();
            let report = quick.unwind("nobody heard of it").await.unwrap();
            assert_eq!((report.end, bin.done()), (SagaEnd::Compensated, 1));
            Ok(7_u64)
        })
        .await;
    let Err(SagaError::Unwinds(report)) = late else { panic!("{late:?}") };
    assert_eq!((report.end.clone(), bin.done()), (SagaEnd::Compensated, 2), "{report}");
    let found = events(&world, slow.id()).await;
    assert!(found.iter().any(|event| matches!(event, SagaEvent::StepLate { .. })), "{found:?}");
    assert_eq!(undone(&world, slow.id()).await, ["upload", "upload"]);
}

#[tokio::test]
async fn a_compensation_that_is_under_way_elsewhere_is_left_alone_until_its_worker_counts_as_dead() {
    // FM2-07: the worker dies in the middle of a compensation, and others look at the saga all the while.
    let world = World::new().await;
    let session = session(&world).await;
    let bin = Counting::new("delete");
    let mut saga = session.saga("uploads", with(&[&bin])).await.unwrap();
    upload(&mut saga, 1).await;
    let stuck = Counting::stuck("delete");
    let other = taken_up(&world.reopened(2), &session).await;
    let mut dies = other.saga("uploads", with(&[&stuck])).await.unwrap();
    {
        let unwinding = dies.unwind("broken");
        tokio::pin!(unwinding);
        tokio::select! {
            _ = &mut unwinding => panic!("it never ends"),
            () = stuck.reached() => {}
        }
        world.payments.recover().await.unwrap();
        assert_eq!(saga.unwind("broken").await.unwrap().end, SagaEnd::Unwinding);
        assert_eq!(bin.asked(), 0, "somebody is at it");
    }
    world.advance_s(60);
    world.payments.recover().await.unwrap();
    assert_eq!(saga.unwind("broken").await.unwrap().end, SagaEnd::Compensated);
    assert_eq!(bin.done(), 1);
}

#[tokio::test]
async fn one_name_is_one_step() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut saga = session.saga("uploads", SagaOptions::default()).await.unwrap();
    upload(&mut saga, 1).await;
    let other = saga.step("upload 1", delete(2), || async { Ok(2_u64) }).await;
    assert!(matches!(other, Err(SagaError::Changed { .. })), "{other:?}");
    let another = saga.step::<String, _, _>("upload 1", delete(1), || async { Ok(String::new()) }).await;
    assert!(matches!(another, Err(SagaError::Result { .. })), "{another:?}");
    for name in [String::new(), "x".repeat(201)] {
        assert!(matches!(session.saga(&name, SagaOptions::default()).await, Err(SagaError::Name)));
        let step = saga.step(&name, Undo::nothing(), || async { Ok(0_u64) }).await;
        assert!(matches!(step, Err(SagaError::Name)), "{step:?}");
    }
}
