//! Plans that are taken back.

use crate::world::{World, buy, get, key, plan};
use bursar_ledger::StreamId;
use bursar_payments::MeteredItem;
use bursar_types::{FetchError, Fetched, Phase};

#[tokio::test]
async fn what_a_plan_listed_is_not_paid_after_it_was_taken_back() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    assert_eq!(purse.standing().await.unwrap().phase, Phase::Acquire);
    assert_eq!(purse.withdraw_plans().await.unwrap().len(), 1);
    let standing = purse.standing().await.unwrap();
    assert_eq!((standing.phase, standing.open_items.len()), (Phase::Explore, 0));
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Quotes { reasons, .. } = fetched else { panic!("{fetched:?}") };
    assert_eq!((reasons[0].code.as_ref(), world.authorizations()), ("NOT_IN_PLAN", 0));
    // Taking back again takes back nothing; another process sees the same; a new plan buys.
    assert!(purse.withdraw_plans().await.unwrap().is_empty());
    let other = world.reopened(7);
    let other = other.resume_session(session.session(), Default::default()).await.unwrap().handle();
    assert_eq!(other.standing().await.unwrap().phase, Phase::Explore);
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    world.verify().await;
}

#[tokio::test]
async fn what_the_mandate_itself_listed_is_taken_back_too() {
    let world = World::new().await;
    let mandate = world.mandate().metered(world.metered("/*"));
    let purse = world.session_under(mandate, None).await.handle();
    assert_eq!(purse.withdraw_plans().await.unwrap().len(), 1);
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_payment_is_signed_after_its_plan_was_taken_back_however_they_race() {
    let world = World::new().await;
    let item = MeteredItem { count: 50, ..world.metered("/*") };
    let session = world.session_under(world.mandate().metered(item), None).await;
    let purse = session.handle();
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let (purse, request) = (purse.clone(), get(&format!("{}?n={n}", world.url("alpha"))));
            let taking_back = purse.clone();
            tokio::spawn(async move {
                if n == 20 {
                    taking_back.withdraw_plans().await.unwrap();
                }
                purse.fetch(request, key(&format!("alpha/{n}"))).await
            })
        })
        .collect();
    let (mut paid, mut refused) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(Fetched::Delivered(_)) => paid += 1,
            Ok(Fetched::Quotes { .. }) => refused += 1,
            Err(FetchError::Denied(decision)) => {
                assert_eq!(decision.reasons[0].code, "PHASE_CHANGED", "{decision:?}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "nothing came after the withdrawal, so nothing was tried");
    let taken_back = world.ledger.stream(&StreamId::of("session", session.session()), 0).await.unwrap();
    let taken_back = taken_back.iter().find(|entry| entry.kind == "plans.withdrawn").unwrap().sequence;
    let mut signed = 0;
    for (payment, _) in world.ledger.streams("payment/").await.unwrap() {
        let entries = world.ledger.stream(&payment, 0).await.unwrap();
        for entry in entries.iter().filter(|entry| entry.kind == "payment.signing") {
            assert!(entry.sequence < taken_back, "{entry:?} after {taken_back}");
            signed += 1;
        }
    }
    assert_eq!((signed, signed, world.outflow()), (paid, world.authorizations(), 1_000 * signed as u128));
    world.verify().await;
}
