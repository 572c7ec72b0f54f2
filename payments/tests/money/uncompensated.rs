//! Payments that fail after the money moved, and crashes around the signature: the cases FM2-02 to FM2-05 of the list of
//! attacks. FM2-01, 06, 07, 09 and 12 are chains of steps, and stand in the saga's tests.

use crate::traps::{Spring, Step, Traps};
use crate::world::{Setup, World, get, key, plan};
use bursar_market::{Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{ClaimReason, ObligationState, Payments, SessionHooks};
use bursar_types::Fetched;

/// The price of the cases: most of the session's dollar.
const PRICE: u128 = 900_000;

async fn world() -> World {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(900_000)).refunds(RefundRule::Exact);
    let world = World::with(Setup {
        seller: seller.refund_terms(86_400, true),
        funds: 10_000_000,
        ..Setup::default()
    })
    .await;
    assert_eq!(world.outflow(), 0);
    world
}

#[tokio::test]
async fn a_vendor_that_takes_the_payment_and_gives_nothing_gets_one_authorization_in_20_retries_and_a_claim()
{
    let cases = [
        ("FM2-02", Fault::SettleThenDrop, "no answer"),
        ("FM2-03", Fault::SettleThen500, "500"),
        ("FM2-04", Fault::SettleThen402, "402"),
    ];
    for (case, fault, says) in cases {
        let world = world().await;
        let mandate = bursar_payments::Mandate::new("tests", "ada")
            .session_budget(crate::world::usd("1.00"))
            .asset(world.usdc.clone());
        let purse = world.session_under(mandate, None).await.handle();
        plan(&world, &purse, "alpha").await;
        world.market.seller(0).unwrap().faults().arm(fault).unwrap();
        let mut paid = None;
        for retry in 0..20 {
            // Half of the retries are an agent that forgot which key it had chosen.
            let key = if retry % 2 == 0 { key("alpha") } else { key(&format!("alpha, try {retry}")) };
            let fetched = purse.fetch(get(&world.url("alpha")), key).await.unwrap();
            let Fetched::Undelivered(undelivered) = fetched else { panic!("{case}: {fetched:?}") };
            assert!(undelivered.problem.contains(says), "{case}: {}", undelivered.problem);
            paid = Some(undelivered.payment.id);
        }
        assert_eq!((world.authorizations(), world.outflow()), (1, PRICE), "{case}");
        assert_eq!(world.books(&purse).await, (PRICE, 0), "{case}");
        world.advance_s(120);
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
        world.payments.recover().await.unwrap();
        let end = world.payments.obligation(paid.unwrap()).await.unwrap().unwrap();
        let claim = end.obligation.claim.as_ref().unwrap();
        assert_eq!((claim.reason, claim.amount.atomic()), (ClaimReason::NotDelivered, PRICE), "{case}");
        assert_eq!(end.obligation.state, ObligationState::Refunded, "{case}");
        assert_eq!(world.authorizations(), 1, "{case}: a claim is no new payment");
    }
}

#[tokio::test]
async fn a_crash_between_signature_and_answer_is_taken_up_with_the_same_bytes() {
    // FM2-05: killed before the signature, after it, and after the vendor's answer.
    for step in [Step::Sign, Step::Present, Step::Answer] {
        let world = world().await;
        let (parts, traps) = Traps::around(world.parts(2));
        let dying = Payments::new(parts);
        let mandate = bursar_payments::Mandate::new("tests", "ada")
            .session_budget(crate::world::usd("1.00"))
            .asset(world.usdc.clone());
        let session = dying.open_session(mandate, SessionHooks::default()).await.unwrap();
        let purse = session.handle();
        plan(&world, &purse, "alpha").await;
        traps.set(step, Spring::Panic);
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert!(matches!(fetched, Fetched::Unknown(_)), "{step:?}: {fetched:?}");
        drop((purse, dying));

        let next = world.reopened(3);
        let found = next.recover().await.unwrap();
        let purse = next.resume_session(session.session(), SessionHooks::default()).await.unwrap().handle();
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert!(
            matches!(fetched, Fetched::Delivered(_) | Fetched::Owned(_)),
            "{step:?}: {found:?}: {fetched:?}"
        );
        assert_eq!((world.authorizations(), world.outflow()), (1, PRICE), "{step:?}");
        assert_eq!(world.books(&purse).await, (PRICE, 0), "{step:?}");
        world.verify().await;
    }
}
