//! What nobody can see is told as that.

use super::*;

#[tokio::test]
async fn a_payees_word_that_no_chain_confirms_is_not_waited_for_without_end() {
    let world = World::with(refunding(RefundRule::Exact)).await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    // It says that it was paid, and sends nothing; the chain cannot be read any more.
    world.market.seller(0).unwrap().faults().arm(Fault::EmptyBody).unwrap();
    for method in ["eth_getBlockByNumber", "eth_getLogs"] {
        world.market.chain().faults().arm(FaultRule::from(Fault::RpcDown).path(method)).unwrap();
    }
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Undelivered(undelivered) = fetched else { panic!("{fetched:?}") };
    for _ in 0..60 {
        world.advance_s(DAY_S);
        world.payments.recover().await.unwrap();
    }
    // "Every wait is bounded, and what outlasts it is parked with an owner."
    let end = standing(&world, undelivered.payment.id).await;
    let parked = matches!(end.obligation.state, ObligationState::Parked { .. });
    assert!(parked, "after 60 days: {:?}, {:?}", end.evidence, end.obligation);
}

#[tokio::test]
async fn a_refund_that_nobody_could_look_for_is_not_said_not_to_have_come() {
    let (world, _purse, id) = owed(RefundRule::Late { after_s: DAY_S }).await;
    run_out(&world);
    // The claim is opened and answered; from then on nothing that comes in can be read.
    world.payments.recover().await.unwrap();
    world.market.chain().faults().arm(FaultRule::from(Fault::RpcDown).path("eth_getLogs")).unwrap();
    for _ in 0..10 {
        world.advance_s(DAY_S);
        world.market.send_due_refunds();
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
    }
    assert_eq!(world.market.chain().plain_transfers().len(), 1, "it was sent");
    let ObligationState::Parked { problem } = standing(&world, id).await.obligation.state else { return };
    assert!(!problem.contains("did not come"), "nobody could look, and it says: {problem}");
}
