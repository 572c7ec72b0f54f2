//! Attempts to make the purse pay twice, pay the wrong party, pay without leave, forget money, or say that none moved
//! when it did.

use crate::traps::{Step, Traps};
use crate::world::{World, get, key, plan};
use bursar_ledger::{SealedEvent, StreamId, Transaction};
use bursar_market::{Fault, FaultRule};
use bursar_payments::{Payments, SessionEvent, SessionPurse};
use bursar_types::{FetchError, Purse, SeededEntropy, SessionId};

/// Another process over the same data file, with traps.
fn process(world: &World, seed: u64) -> (Payments, Traps) {
    let (parts, traps) = Traps::around(world.parts(seed));
    (Payments::new(parts), traps)
}

async fn resume(payments: &Payments, session: &SessionPurse) -> Purse {
    resume_id(payments, session.session()).await
}

async fn resume_id(payments: &Payments, session: SessionId) -> Purse {
    payments.resume_session(session, Default::default()).await.unwrap().handle()
}

/// The seller's faults, once each.
fn once(world: &World, fault: Fault) {
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(fault).times(1)).unwrap();
}

/// Stops a session's spending, as a person would.
async fn freeze(world: &World, session: SessionId) {
    let stream = StreamId::of("session", session);
    let event = SessionEvent::Frozen { reason: "stop".to_owned() };
    let mut transaction = Transaction::default();
    SealedEvent::new(stream, "session.frozen", [], &event, &SeededEntropy::new(99))
        .unwrap()
        .add_to(&mut transaction);
    world.ledger.commit(transaction).await.unwrap();
}

#[tokio::test]
async fn a_freeze_between_hold_and_signature_stops_it() {
    let world = World::new().await;
    let session = world.session().await;
    let (payments, traps) = process(&world, 2);
    let purse = resume(&payments, &session).await;
    plan(&world, &purse, "alpha").await;
    let pause = traps.pause(Step::Commit("payment.signing"));
    let request = get(&world.url("alpha"));
    let task = {
        let purse = purse.clone();
        tokio::spawn(async move { purse.fetch(request, key("alpha")).await })
    };
    pause.reached().await;
    freeze(&world, session.session()).await;
    pause.let_go();
    let told = task.await.unwrap();
    assert!(matches!(told, Err(FetchError::Denied(_))), "{told:?}");
    assert_eq!((world.authorizations(), world.books(&purse).await), (0, (0, 0)));
}
