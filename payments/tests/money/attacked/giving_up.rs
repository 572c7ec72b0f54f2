//! What is given up is not paid for, and what is taken back is not presented.

use super::*;
use bursar_payments::{Signable, Wallet, WalletError};
use std::sync::atomic::AtomicUsize;
use tokio::sync::Barrier;

#[tokio::test]
async fn what_was_given_up_before_it_was_signed_is_not_paid_for_by_a_worker_that_was_on_the_way() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow = resumed(&slow, &session).await.handle();
    let pause = traps.pause(Step::Commit("payment.signing"));
    let request = get(&world.url("alpha"));
    let worker = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    let id = open_payment(&world).await;
    let given_up = session.give_up(id, "nobody wants it any more").await.unwrap();
    assert!(matches!(given_up, GivenUp::NotPaid { .. }), "{given_up:?}");
    pause.let_go();
    let fetched = worker.await.unwrap();
    // `GivenUp::NotPaid`: "No money moved, and none can any more."
    assert_eq!(world.outflow(), 0, "it was given up, and then paid: {fetched:?}");
}

#[tokio::test]
async fn a_saga_that_ended_compensated_has_no_purchase_that_pays_afterwards() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow_session = resumed(&slow, &session).await;
    let pause = traps.pause(Step::Commit("payment.held"));
    let mut saga = slow_session.saga("report", SagaOptions::default()).await.unwrap();
    // Its caller waits for so long and no longer; the payment's own task goes on.
    tokio::select! {
        bought = saga.buy("source", get(&world.url("alpha"))) => panic!("{bought:?}"),
        () = pause.reached() => {}
    }
    let report = saga.unwind("it took too long").await.unwrap();
    pause.let_go();
    slow.close().await;
    for _ in 0..3 {
        world.advance_s(1_800);
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
    }
    let now = world.payments.saga(report.saga).await.unwrap().unwrap();
    let forgotten = now.end == SagaEnd::Compensated && world.outflow() > 0;
    assert!(!forgotten, "{} left the wallet and the saga says {:?}", world.outflow(), now.steps[0].step.undo);
}

#[tokio::test]
async fn what_is_given_up_while_it_is_presented_is_paid_once_and_known() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow = resumed(&slow, &session).await.handle();
    let pause = traps.pause(Step::Present);
    let request = get(&world.url("alpha"));
    let worker = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    let id = open_payment(&world).await;
    let given_up = session.give_up(id, "nobody wants it any more").await.unwrap();
    assert!(matches!(given_up, GivenUp::Unknown(_)), "{given_up:?}");
    pause.let_go();
    let fetched = worker.await.unwrap();
    assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
    assert_eq!(world.books(&session.handle()).await, (1_000, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_wallet_that_fails_disproves_nothing_that_another_worker_paid() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let planned = propose(&purse, &[&found[0]], 2).await;
    assert!(matches!(planned, PlanOutcome::Approved { .. }), "{planned:?}");
    let (slow, traps) = process(&world, 2);
    let slow = resumed(&slow, &session).await.handle();
    let pause = traps.pause(Step::Sign);
    let request = get(&world.url("alpha"));
    let worker = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    // Its terms are durable: this process presents them. The seller settles and delivers; the chain's own word takes a while.
    world.market.chain().faults().arm(FaultRule::from(Fault::RpcDown).path("eth_getLogs")).unwrap();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    assert_eq!((world.outflow(), world.books(&purse).await), (1_000, (1_000, 0)));
    // The first worker's signer says no.
    pause.fail();
    let first = worker.await.unwrap();
    let books = world.books(&purse).await;
    let again = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(
        (world.outflow(), world.authorizations(), books),
        (1_000, 1, (1_000, 0)),
        "the first worker was told {first:?}, and whoever asks again {again:?}"
    );
}

#[tokio::test]
async fn what_is_being_taken_back_is_not_presented_again_on_the_payees_word() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow = resumed(&slow, &session).await.handle();
    world.market.chain().faults().arm(FaultRule::from(Fault::RpcDown).path("eth_getLogs")).unwrap();
    world.market.seller(0).unwrap().faults().arm(Fault::EmptyBody).unwrap();
    let pause = traps.pause(Step::Answer);
    let request = get(&world.url("alpha"));
    let worker = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    let given_up = session.give_up(open_payment(&world).await, "nobody wants it any more").await.unwrap();
    assert!(matches!(given_up, GivenUp::Unknown(_)), "{given_up:?}");
    pause.let_go();
    let fetched = worker.await.unwrap();
    // "Once that was begun, nothing is presented for the payment any more."
    assert_eq!(traps.paid().len(), 1, "{fetched:?}");
}

/// A wallet whose first two signatures wait for each other: neither payment is over when the other is decided on.
#[derive(Debug)]
struct Together {
    inner: Arc<dyn Wallet>,
    asked: AtomicUsize,
    both: Barrier,
}

#[async_trait]
impl Wallet for Together {
    fn address(&self) -> &str {
        self.inner.address()
    }

    fn can_approve_as(&self, approver: &bursar_payments::PublicKey) -> bool {
        self.inner.can_approve_as(approver)
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < 2 {
            self.both.wait().await;
        }
        self.inner.sign(signable).await
    }
}

#[tokio::test]
async fn two_that_are_taken_back_at_once_are_both_taken_back() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    for document in ["alpha", "beta"] {
        plan(&world, &purse, document).await;
    }
    world.market.chain().give_gas(wallet(&world), 1_000_000_000_000_000_000).unwrap();
    let mut parts = world.parts(8);
    let reader = NetworkReader {
        network: world.market.network(),
        rpc_urls: vec![world.market.rpc_url().to_owned()],
        finality: Finality::Latest,
    };
    let rail = X402::new(X402Options {
        assets: parts.registry.clone(),
        networks: vec![reader],
        transport: parts.transport.clone(),
        payer: parts.wallet.address().to_owned(),
        quote_ttl_ms: 600_000,
    });
    let cancel_fee_wei_max = [(world.market.network(), 1_000_000_000_000_000_000)].into();
    parts.rails = vec![Arc::new(rail.guarded_by(Safeguards { cancel_fee_wei_max, ..Safeguards::default() }))];
    parts.wallet =
        Arc::new(Together { inner: parts.wallet, asked: AtomicUsize::new(0), both: Barrier::new(2) });
    let payments = Payments::new(parts);
    let session = resumed(&payments, &session).await;
    let purse = session.handle();
    world.market.seller(0).unwrap().faults().arm(Fault::DropBeforeSettle).unwrap();
    let both = tokio::join!(
        purse.fetch(get(&world.url("alpha")), key("alpha")),
        purse.fetch(get(&world.url("beta")), key("beta")),
    );
    let (Ok(Fetched::Unknown(one)), Ok(Fetched::Unknown(two))) = both else { panic!("{both:?}") };
    let gave_up = tokio::join!(session.give_up(one.id, "no"), session.give_up(two.id, "no"));
    // Three quarters of their window.
    for _ in 0..9 {
        world.advance_s(5);
        world.market.chain().mine();
        payments.recover().await.unwrap();
    }
    assert!(gave_up.0.is_ok() && gave_up.1.is_ok());
    for id in [one.id, two.id] {
        let payment = session.payment(id).await.unwrap().unwrap();
        let Payment::Unknown { void, .. } = &payment else { continue };
        let step = void.as_ref().map(|void| &void.step);
        panic!("it may still be used by the payee, and taking it back counts as {step:?}");
    }
}

#[tokio::test]
async fn claiming_what_a_person_settled_before_it_came_is_answered() {
    let world = World::with(refunding(RefundRule::Exact)).await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow = resumed(&slow, &session).await.handle();
    let pause = traps.pause(Step::Answer);
    let request = get(&world.url("alpha"));
    let worker = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    let id = open_payment(&world).await;
    // Nothing comes where it is asked for again, so a person settles it. Then it comes.
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    world.payments.recover().await.unwrap();
    world.payments.settle_obligation(id, "Ada", "it came by mail").await.unwrap();
    pause.let_go();
    let fetched = worker.await.unwrap();
    assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    let asked = session.claim(id, None, ClaimReason::FailedLater, "it is of no use").await;
    assert!(asked.is_ok(), "no ledger failed: {asked:?}");
}
