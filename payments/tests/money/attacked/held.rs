//! Many at once, and sums that hold.

use super::*;

#[tokio::test]
async fn many_passes_at_once_in_two_processes_credit_one_transfer_once() {
    let (world, purse, id) = owed(RefundRule::Exact).await;
    let young = undelivered(&world, &purse, "beta").await;
    run_out(&world);
    let other = world.reopened(5);
    world.payments.recover().await.unwrap();
    world.market.chain().mine();
    let passes: Vec<_> = (0..64)
        .map(|n| {
            let payments = if n % 2 == 0 { world.payments.clone() } else { other.clone() };
            tokio::spawn(async move { payments.recover().await })
        })
        .collect();
    for pass in passes {
        pass.await.unwrap().unwrap();
    }
    world.payments.recover().await.unwrap();
    for id in [id, young] {
        let end = standing(&world, id).await;
        assert_eq!((end.obligation.refunds.len(), end.obligation.refunded()), (1, Some(1_000)));
        assert_eq!(end.obligation.state, ObligationState::Refunded);
    }
    assert_eq!(world.market.seller(0).unwrap().refund_claims().len(), 2);
    assert_eq!((world.books(&purse).await, world.payments.strays().await.unwrap().len()), ((0, 0), 0));
    world.verify().await;
}

#[tokio::test]
async fn two_persons_credit_one_transfer_to_one_payment() {
    let (world, purse, first) = owed(RefundRule::Foreign { from: None }).await;
    let second = undelivered(&world, &purse, "beta").await;
    run_out(&world);
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
        world.market.chain().mine();
    }
    let event = world.payments.strays().await.unwrap().remove(0).transfer.event;
    let other = world.reopened(5);
    let (one, two) = tokio::join!(
        world.payments.credit_stray(&event, first, "Ada"),
        other.credit_stray(&event, second, "Bob")
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    let sum = standing(&world, first).await.obligation.refunded().unwrap()
        + standing(&world, second).await.obligation.refunded().unwrap();
    assert_eq!((sum, world.books(&purse).await), (1_000, (1_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn a_presumed_payment_is_found_again_and_credited_when_it_is_disproved() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let seller = world.market.seller(0).unwrap();
    seller.faults().arm(FaultRule::from(Fault::DropBeforeSettle).times(1)).unwrap();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Unknown(open) = fetched else { panic!("{fetched:?}") };
    // Our clock alone goes on for three days: the chain cannot say yet.
    world.clock().advance_ms(3 * DAY_S * 1_000);
    let found = world.payments.recover().await.unwrap();
    assert_eq!((found.presumed, world.books(&purse).await), (1, (1_000, 0)));
    let again = purse.fetch(get(&world.url("alpha")), key("another")).await.unwrap();
    assert!(matches!(again, Fetched::Unknown(_)), "{again:?}");
    world.payments.write_off(open.id, "Ada", "too old").await.unwrap();
    run_out(&world);
    let found = world.payments.recover().await.unwrap();
    assert_eq!((found.failed, world.books(&purse).await, world.outflow()), (0, (0, 0), 0));
    world.verify().await;
}

#[tokio::test]
async fn refunds_in_parts_never_credit_more_than_was_paid() {
    let (world, purse, id) = owed(RefundRule::None).await;
    world.market.mint(world.market.seller(0).unwrap().pay_to(), 1_000);
    for part in [333, 333, 333, 1, 1_000] {
        send_back(&world, part);
        world.payments.recover().await.unwrap();
        world.payments.recover().await.unwrap();
    }
    let end = standing(&world, id).await;
    assert_eq!((end.obligation.refunded(), world.books(&purse).await), (Some(1_000), (0, 0)));
    world.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refund_that_is_sent_twice_is_credited_once_whoever_looks_at_the_same_time() {
    let (world, purse, id) = owed(RefundRule::Twice).await;
    run_out(&world);
    let other = world.reopened(5);
    world.market.mint(world.market.seller(0).unwrap().pay_to(), 5_000);
    let passes: Vec<_> = (0..32)
        .map(|n| {
            let payments = if n % 2 == 0 { world.payments.clone() } else { other.clone() };
            tokio::spawn(async move { payments.recover().await })
        })
        .collect();
    for pass in passes {
        pass.await.unwrap().unwrap();
    }
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let end = standing(&world, id).await;
    assert_eq!((end.obligation.refunds.len(), end.obligation.refunded()), (1, Some(1_000)));
    assert_eq!((world.books(&purse).await, world.payments.strays().await.unwrap().len()), ((0, 0), 1));
    world.verify().await;
}
