//! Crashes at durable writes of the real store: the program is started again and pays once. FM2-01.

use crate::support::{session, taken_up};
use crate::traps::{Spring, Step, Traps};
use crate::world::{World, get};
use bursar_payments::{Payments, SagaEnd, SagaError, SagaOptions, SagaReport, SessionPurse, Undo};
use std::sync::Arc;

async fn program(world: &World, session: &Arc<SessionPurse>) -> Result<SagaReport, SagaError> {
    let mut saga = session.saga("report", SagaOptions::default()).await?;
    let prices = saga.buy("prices", get(&world.url("alpha"))).await?;
    let sum: usize = saga.step("sum", Undo::nothing(), || async { Ok(prices.body.len()) }).await?;
    assert_eq!(sum, prices.body.len());
    saga.complete().await
}

async fn check(kind: &'static str) {
    let world = World::new().await;
    let first = session(&world).await;
    let (parts, traps) = Traps::around(world.parts(3));
    let dies = taken_up(&Payments::new(parts), &first).await;
    traps.set(Step::Commit(kind), Spring::Fail);
    let _died = program(&world, &dies).await;
    let other = taken_up(&world.reopened(2), &first).await;
    let report = match program(&world, &other).await {
        // The answer was lost with the goods: whoever asks again gets them for what was paid.
        Err(SagaError::NotBought { .. }) => program(&world, &other).await.unwrap(),
        ended => ended.unwrap(),
    };
    assert_eq!(report.end, SagaEnd::Completed, "{kind}: {report}");
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1), "{kind}");
    assert_eq!(world.books(&other.handle()).await, (1_000, 0), "{kind}");
    world.verify().await;
}

#[tokio::test]
async fn a_program_that_is_started_again_after_any_failed_write_pays_once() {
    let kinds = [
        "saga.opened",
        "saga.step_started",
        "payment.held",
        "payment.signing",
        "payment.answered",
        "saga.step_done",
        "saga.completed",
    ];
    for kind in kinds {
        check(kind).await;
    }
}
