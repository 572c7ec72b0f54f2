//! Money that comes back at the wrong time, twice, in parts, or under a wrong clock.

use super::*;

#[tokio::test]
async fn a_refund_that_comes_before_anybody_asks_is_not_passed_over() {
    let (world, purse, old) = owed(RefundRule::NeverSends).await;
    // The vendor takes payments at another address from now on.
    let faults = world.market.seller(0).unwrap().faults();
    faults.clear();
    plan(&world, &purse, "beta").await;
    faults.arm(FaultRule::from(Fault::SwapPayee { to: None }).times(1)).unwrap();
    let _unpaid = purse.fetch(get(&world.url("beta")), key("beta")).await;
    run_out(&world);
    world.payments.recover().await.unwrap();
    // A part of the old one came back: less is awaited of it than another purchase costs.
    let seller = world.market.seller(0).unwrap().pay_to();
    world.market.chain().transfer(seller, wallet(&world), 400).unwrap();
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    assert_eq!(standing(&world, old).await.obligation.refunded(), Some(400));
    let session = world.session().await;
    let purse = session.handle();
    let payee = quotes(&purse, &world.url("beta")).await[0].payee.clone();
    assert_ne!(payee, standing(&world, old).await.payment.payee);
    let young = delivered(&world, &purse, "beta").await;
    world.payments.recover().await.unwrap();
    // It notices by itself that what it sold is no good, and sends the money back. A pass sees that.
    world.market.chain().transfer(payee.parse::<Address>().unwrap(), wallet(&world), 1_000).unwrap();
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    // Then its buyer notices, and asks.
    let _asked = session.claim(young, None, ClaimReason::PartDelivered, "it is empty").await.unwrap();
    for _ in 0..3 {
        world.payments.recover().await.unwrap();
        world.advance_s(10 * DAY_S);
        world.market.chain().mine();
    }
    let strays = world.payments.strays().await.unwrap();
    let end = standing(&world, young).await;
    let seen = end.obligation.refunded() == Some(1_000) || !strays.is_empty();
    assert!(seen, "1000 came back, nobody is told, and the claim is {:?}", end.obligation.state);
}

#[tokio::test]
async fn a_claim_of_which_nobody_knows_whether_it_arrived_is_not_dropped() {
    let world = World::with(refunding(RefundRule::Late { after_s: 3 * DAY_S })).await;
    let session = world.session().await;
    let id = delivered(&world, &session.handle(), "alpha").await;
    world.payments.recover().await.unwrap();
    // It accepts and pays three days later; none of its answers arrives.
    world.market.seller(0).unwrap().faults().arm(Fault::RefundAnswerLost).unwrap();
    let _asked = session.claim(id, None, ClaimReason::FailedLater, "the analysis failed").await.unwrap();
    for _ in 0..8 {
        world.advance_s(900);
        world.payments.recover().await.unwrap();
    }
    world.advance_s(4 * DAY_S);
    world.market.send_due_refunds();
    world.market.chain().mine();
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    let strays = world.payments.strays().await.unwrap();
    let end = standing(&world, id).await;
    let seen = end.obligation.refunded() == Some(1_000) || !strays.is_empty();
    assert!(seen, "1000 came back, nobody is told, and the obligation is {:?}", end.obligation.state);
}

#[tokio::test]
async fn a_payment_that_a_person_credited_can_still_be_disproved() {
    let (world, purse, _owed) = owed(RefundRule::Foreign { from: None }).await;
    run_out(&world);
    world.payments.recover().await.unwrap();
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let stray = world.payments.strays().await.unwrap().remove(0);
    // The seller says that it was paid, and settles nothing.
    world.market.seller(0).unwrap().faults().clear();
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(Fault::LyingReceipt).times(1)).unwrap();
    let lied = delivered(&world, &purse, "beta").await;
    let spent = world.spent_by(lied).await;
    assert_eq!(spent, 2_000);
    let credited = world.payments.credit_stray(&stray.transfer.event, lied, "Ada").await;
    run_out(&world);
    let first = world.payments.recover().await.unwrap();
    let second = world.payments.recover().await.unwrap();
    assert_eq!(
        (first.failed, second.failed),
        (0, 0),
        "it can never be booked that it did not move: {credited:?}"
    );
    assert_eq!(world.books(&purse).await, (1_000, 0), "what was not paid is not spent");
}

#[tokio::test]
async fn no_more_is_asked_back_than_is_left() {
    let (world, _purse, id) = owed(RefundRule::Exact).await;
    send_back(&world, 400);
    world.payments.recover().await.unwrap();
    assert_eq!(standing(&world, id).await.obligation.refunded(), Some(400));
    run_out(&world);
    for _ in 0..3 {
        world.payments.recover().await.unwrap();
        world.market.chain().mine();
    }
    let end = standing(&world, id).await;
    let asked = end.obligation.claim.as_ref().map(|claim| claim.amount.atomic());
    let strays = world.payments.strays().await.unwrap().len();
    assert_eq!((asked, strays), (Some(600), 0), "{:?}", end.obligation.state);
}

#[tokio::test]
async fn a_refund_of_what_was_written_off_before_it_was_claimed_is_credited() {
    let (world, purse, id) = owed(RefundRule::None).await;
    world.payments.write_off(id, "Ada", "not worth the trouble").await.unwrap();
    send_back(&world, 1_000);
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    // "Whether it ended. Money may still come back, and is credited then."
    assert_eq!(standing(&world, id).await.obligation.refunded(), Some(1_000));
    assert_eq!(world.books(&purse).await, (0, 0));
}

#[tokio::test]
async fn a_refund_is_credited_where_our_clock_is_a_minute_fast() {
    let world = World::with(refunding(RefundRule::None)).await;
    world.clock().advance_ms(60_000);
    let purse = world.session().await.handle();
    let id = undelivered(&world, &purse, "alpha").await;
    send_back(&world, 1_000);
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    let why: Vec<_> = world.payments.strays().await.unwrap().into_iter().map(|stray| stray.why).collect();
    assert_eq!((standing(&world, id).await.obligation.refunded(), why), (Some(1_000), vec![]));
}
