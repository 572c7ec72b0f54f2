//! Attempts to make the purse pay twice, pay the wrong party, pay without leave, forget money, or say that none moved
//! when it did.

use crate::traps::{Spring, Step, Traps};
use crate::world::{World, buy, get, key, plan, propose, quotes, usd};
use bursar_ledger::{SealedEvent, StreamId, Transaction};
use bursar_market::{Fault, FaultRule};
use bursar_payments::{
    Mandate, MandateError, MeteredItem, OpenError, Payments, PlanApproval, Policy, PolicyFile, Recovered,
    Scope, SessionEvent, SessionPurse,
};
use bursar_types::{
    ArtifactId, Digest, FetchError, Fetched, PaymentId, PlanOutcome, Purse, SeededEntropy, SessionId,
};
use std::sync::Arc;

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

/// Every authorization has run out, and the chain shows it.
fn run_out(world: &World) {
    world.advance_s(1_800);
    world.market.chain().mine();
}

/// Plans two of a document, so that no count stands in the way of paying twice.
async fn plan_two(world: &World, purse: &Purse, document: &str) {
    let found = quotes(purse, &world.url(document)).await;
    let outcome = propose(purse, &[&found[0]], 2).await;
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_old_attempts_outcome_is_never_booked_on_a_new_attempt() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan_two(&world, &purse, "alpha").await;
    once(&world, Fault::DropBeforeSettle);
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    run_out(&world);
    // Another process reads that the first attempt can never move, and is slow to book it.
    let (other, traps) = process(&world, 2);
    let pause = traps.pause(Step::Recovered);
    let slow = tokio::spawn(async move { other.recover().await });
    pause.reached().await;
    once(&world, Fault::DropBeforeSettle);
    let second = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(second, Ok(Fetched::Unknown(_))), "{second:?}");
    assert_eq!(world.authorizations(), 2);
    pause.let_go();
    slow.await.unwrap().unwrap();
    assert_eq!(world.books(&purse).await, (0, 1_000), "the second attempt's money is still at stake");
    let third = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(third, Ok(Fetched::Delivered(_))), "{third:?}");
    assert_eq!((world.authorizations(), world.outflow()), (2, 1_000));
    assert_eq!(world.market.seller(0).unwrap().violations(), []);
    assert_eq!(world.books(&purse).await, (1_000, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_answer_to_an_old_attempt_is_never_booked_on_a_new_attempt() {
    let world = World::new().await;
    let session = world.session().await;
    let (slow, traps) = process(&world, 2);
    let slow = resume(&slow, &session).await;
    plan_two(&world, &slow, "alpha").await;
    // The seller says that it was paid and delivers, and settles nothing; its answer is on the way for long.
    once(&world, Fault::LyingReceipt);
    let pause = traps.pause(Step::Answer);
    let request = get(&world.url("alpha"));
    let first = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    run_out(&world);
    let purse = session.handle();
    once(&world, Fault::DropBeforeSettle);
    let second = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(second, Ok(Fetched::Unknown(_))), "{second:?}");
    pause.let_go();
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    assert_eq!(world.books(&purse).await, (0, 1_000));
    let third = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(third, Ok(Fetched::Delivered(_))), "{third:?}");
    assert_eq!((world.authorizations(), world.outflow(), world.books(&purse).await), (2, 1_000, (1_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn a_wallet_that_fails_proves_nothing_once_another_worker_has_presented() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan_two(&world, &purse, "alpha").await;
    let (slow, traps) = process(&world, 2);
    let slow = resume(&slow, &session).await;
    let pause = traps.pause(Step::Sign);
    let request = get(&world.url("alpha"));
    let first = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    // Its terms are durable: this process presents the same bytes, and the seller keeps them.
    once(&world, Fault::DropBeforeSettle);
    let second = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(second, Ok(Fetched::Unknown(_))), "{second:?}");
    pause.fail();
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    assert_eq!(world.books(&purse).await, (0, 1_000), "a live authorization is out there");
    let third = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(third, Ok(Fetched::Delivered(_))), "{third:?}");
    assert_eq!((world.authorizations(), world.outflow(), world.books(&purse).await), (1, 1_000, (1_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn a_hold_that_ran_out_is_let_go_and_blocks_nothing() {
    for recovers in [true, false] {
        let world = World::new().await;
        let session = world.session().await;
        let (dying, traps) = process(&world, 2);
        let dying = resume(&dying, &session).await;
        plan(&world, &dying, "alpha").await;
        traps.set(Step::Prepare, Spring::Panic);
        let died = dying.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(died, Err(FetchError::NotPaid(_))), "{died:?}");
        world.advance_s(121);
        if recovers {
            let found = world.payments.recover().await.unwrap();
            assert_eq!(found, Recovered { let_go: 1, ..Recovered::default() });
        }
        let purse = session.handle();
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
        assert_eq!((world.outflow(), world.books(&purse).await), (1_000, (1_000, 0)));
        world.verify().await;
    }
}

#[tokio::test]
async fn what_the_chain_says_is_never_an_error_where_it_cannot_be_booked() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    once(&world, Fault::SettleThenDrop);
    let blind = FaultRule::from(Fault::RpcDown).path("eth_getLogs");
    world.market.chain().faults().arm(blind).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    world.market.chain().faults().clear();
    let (full, traps) = process(&world, 2);
    let full = resume(&full, &session).await;
    traps.set(Step::Commit("payment.observed"), Spring::Fail);
    let told = full.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(told, Ok(Fetched::Unknown(_))), "money moved: {told:?}");
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn what_was_bought_is_never_an_error_where_it_cannot_be_read() {
    let world = World::new().await;
    let session = world.session().await;
    let _ = buy(&world, &session.handle(), "alpha").await;
    let (worn, traps) = process(&world, 2);
    let worn = resume(&worn, &session).await;
    traps.set(Step::Payload("# alpha"), Spring::Fail);
    let told = worn.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(told, Ok(Fetched::Undelivered(_))), "money moved: {told:?}");
    let told = worn.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(told, Ok(Fetched::Owned(_))), "{told:?}");
}

#[tokio::test]
async fn a_worker_that_dies_while_taking_a_payment_up_says_unknown() {
    let world = World::new().await;
    let session = world.session().await;
    let (payments, traps) = process(&world, 2);
    let purse = resume(&payments, &session).await;
    plan(&world, &purse, "alpha").await;
    once(&world, Fault::DropBeforeSettle);
    let first = purse.fetch(get(&world.url("alpha")), key("first")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    traps.set(Step::Answer, Spring::Panic);
    let joined = purse.fetch(get(&world.url("alpha")), key("second")).await;
    assert_eq!(world.outflow(), 1_000);
    assert!(matches!(joined, Ok(Fetched::Unknown(_))), "money moved: {joined:?}");
}

/// Stops a session's spending, as a person would.
async fn freeze(world: &World, session: SessionId) {
    let stream = StreamId::of("session", session);
    let event = SessionEvent::Frozen { by: "ada".to_owned(), reason: "stop".to_owned() };
    let mut transaction = Transaction::default();
    SealedEvent::new(stream, "session.frozen", [], &event, &SeededEntropy::new(99))
        .unwrap()
        .add_to(&mut transaction);
    world.ledger.commit(transaction).await.unwrap();
}

#[tokio::test]
async fn a_frozen_session_presents_nothing_again_whoever_asks() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    once(&world, Fault::DropBeforeSettle);
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    freeze(&world, session.session()).await;
    let (payments, traps) = process(&world, 2);
    let same = resume(&payments, &session).await;
    let other = payments.open_session(world.mandate(), Default::default()).await.unwrap().handle();
    for purse in [same, other] {
        let told = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(told, Ok(Fetched::Unknown(_))), "its outcome is not known: {told:?}");
    }
    assert_eq!((traps.paid(), world.outflow()), (vec![], 0));
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

#[tokio::test]
async fn a_freeze_between_decision_and_hold_holds_nothing() {
    let world = World::new().await;
    let session = world.session().await;
    let (payments, traps) = process(&world, 2);
    let purse = resume(&payments, &session).await;
    plan(&world, &purse, "alpha").await;
    let pause = traps.pause(Step::Commit("payment.held"));
    let (request, buyer) = (get(&world.url("alpha")), purse.clone());
    let task = tokio::spawn(async move { buyer.fetch(request, key("alpha")).await });
    pause.reached().await;
    freeze(&world, session.session()).await;
    pause.let_go();
    let told = task.await.unwrap();
    let Err(FetchError::Denied(decision)) = told else { panic!("{told:?}") };
    assert_eq!(decision.reasons[0].code, "FROZEN");
    assert_eq!(world.ledger.streams("payment/").await.unwrap(), [], "money was held in a frozen session");
    assert_eq!((world.authorizations(), world.books(&purse).await), (0, (0, 0)));
}

#[tokio::test]
async fn a_worker_overtaken_while_letting_go_joins_the_payment() {
    let world = World::new().await;
    let session = world.session().await;
    let (one, one_traps) = process(&world, 2);
    let (two, two_traps) = process(&world, 3);
    let (one, two) = (resume(&one, &session).await, resume(&two, &session).await);
    plan(&world, &one, "alpha").await;
    let signing = one_traps.pause(Step::Commit("payment.signing"));
    let letting_go = two_traps.pause(Step::Commit("payment.let_go"));
    let fetch = |purse: Purse| {
        let request = get(&world.url("alpha"));
        tokio::spawn(async move { purse.fetch(request, key("alpha")).await })
    };
    let first = fetch(one.clone());
    signing.reached().await;
    let second = fetch(two);
    letting_go.reached().await;
    signing.let_go();
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Fetched::Delivered(_))), "{first:?}");
    letting_go.let_go();
    let second = second.await.unwrap();
    assert!(matches!(second, Ok(Fetched::Owned(_))), "money moved: {second:?}");
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
}

#[tokio::test]
async fn a_worker_fenced_before_its_signature_joins_the_payment() {
    let world = World::new().await;
    let session = world.session().await;
    let (one, traps) = process(&world, 2);
    let one = resume(&one, &session).await;
    plan(&world, &one, "alpha").await;
    let signing = traps.pause(Step::Commit("payment.signing"));
    let request = get(&world.url("alpha"));
    let first = tokio::spawn(async move { one.fetch(request, key("alpha")).await });
    signing.reached().await;
    let purse = session.handle();
    let second = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(second, Ok(Fetched::Delivered(_))), "{second:?}");
    signing.let_go();
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Fetched::Owned(_))), "money moved: {first:?}");
    assert_eq!((world.outflow(), world.authorizations(), world.books(&purse).await), (1_000, 1, (1_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn two_processes_with_one_key_buy_once_whichever_session_was_faster() {
    for same_session in [true, false] {
        let world = World::new().await;
        let session = world.session().await;
        let (slow, traps) = process(&world, 2);
        let slow = match same_session {
            true => resume(&slow, &session).await,
            false => slow.open_session(world.mandate(), Default::default()).await.unwrap().handle(),
        };
        plan(&world, &slow, "alpha").await;
        let pause = traps.pause(Step::Commit("payment.held"));
        let request = get(&world.url("alpha"));
        let late = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
        pause.reached().await;
        let first = buy(&world, &session.handle(), "alpha").await;
        assert!(matches!(first, Fetched::Delivered(_)), "{first:?}");
        pause.let_go();
        let late = late.await.unwrap();
        assert!(matches!(late, Ok(Fetched::Owned(_))), "{same_session}: {late:?}");
        assert_eq!((world.outflow(), world.authorizations()), (1_000, 1), "{same_session}");
    }
}

#[tokio::test]
async fn a_payment_is_presented_again_only_where_it_was_quoted() {
    let world = World::new().await;
    let session = world.session().await;
    let (payments, traps) = process(&world, 2);
    let purse = resume(&payments, &session).await;
    plan(&world, &purse, "alpha").await;
    let to = world.url("alpha");
    let redirect = FaultRule::from(Fault::Redirect { to: to.clone(), only_paid: false });
    world.market.seller(0).unwrap().faults().arm(redirect.path("/documents/beta")).unwrap();
    once(&world, Fault::DropBeforeSettle);
    let first = purse.fetch(get(&world.url("beta")), key("alpha")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    let second = purse.fetch(get(&world.url("beta")), key("alpha")).await;
    assert_eq!(traps.paid(), vec![to.clone(), to]);
    assert!(matches!(second, Ok(Fetched::Delivered(_))), "{second:?}");
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
    assert_eq!(world.market.seller(0).unwrap().violations(), []);
}

#[tokio::test]
async fn a_signed_payment_left_by_a_crash_stops_new_signatures_to_that_vendor() {
    for recovers in [true, false] {
        let world = World::new().await;
        let session = world.session().await;
        let (dying, traps) = process(&world, 2);
        let dying = resume(&dying, &session).await;
        plan(&world, &dying, "alpha").await;
        plan(&world, &dying, "beta").await;
        traps.set(Step::Present, Spring::Panic);
        // The worker dies, and so does whoever looks after it.
        traps.set(
            Step::Commit("payment.observed"),
            if recovers { Spring::Fail } else { Spring::Run(Box::new(|| {})) },
        );
        let first = dying.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
        if recovers {
            let found = world.payments.recover().await.unwrap();
            assert_eq!(found, Recovered { unknown: 1, ..Recovered::default() });
        }
        let purse = session.handle();
        let second = purse.fetch(get(&world.url("beta")), key("beta")).await;
        let Err(FetchError::Denied(decision)) = second else { panic!("{recovers}: {second:?}") };
        assert_eq!(decision.reasons[0].code, "VENDOR_OUTCOME_UNKNOWN");
        run_out(&world);
        let _ = world.payments.recover().await.unwrap();
        let third = purse.fetch(get(&world.url("beta")), key("beta")).await;
        assert!(matches!(third, Ok(Fetched::Delivered(_))), "{third:?}");
        world.verify().await;
    }
}

fn metered(world: &World, resource: String, count: u32) -> MeteredItem {
    MeteredItem {
        name: "docs".to_owned(),
        resource,
        method: "GET".to_owned(),
        payee: world.market.seller(0).unwrap().pay_to().to_string(),
        asset: world.usdc.clone(),
        ceiling: bursar_types::Amount::from_atomic(world.usdc.clone(), 1_500),
        count,
    }
}

#[tokio::test]
async fn a_dry_run_buys_nothing_under_metered_items_either() {
    let world = World::new().await;
    let mandate = world.mandate().metered(metered(&world, world.url("*"), 5)).approval(PlanApproval::Never);
    let purse = world.session_under(mandate, None).await.handle();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(fetched, Ok(Fetched::Quotes { .. })), "{fetched:?}");
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn a_session_resumes_only_under_the_rules_its_mandate_pinned() {
    let world = World::new().await;
    let policy = |text: &str| {
        let file = PolicyFile::new("mine.cedar", text);
        Arc::new(Policy::load(&[file]).unwrap())
    };
    let strict = policy(
        "@id(\"mine.small\")\nforbid (principal, action == Action::\"pay\", resource) when { context.micro_usd > 10 };",
    );
    let loose = policy(
        "@id(\"mine.small\")\nforbid (principal, action == Action::\"pay\", resource) when { context.micro_usd > 9000 };",
    );
    let mandate = Mandate { policies: strict.digests(), ..world.mandate() };
    let under = |seed, policy: &Arc<Policy>| {
        Payments::new(bursar_payments::PaymentsParts { policy: policy.clone(), ..world.parts(seed) })
    };
    let session = under(2, &strict).open_session(mandate, Default::default()).await.unwrap().session();
    let again = under(3, &strict).resume_session(session, Default::default()).await;
    assert!(again.is_ok(), "{again:?}");
    let refused = under(4, &loose).resume_session(session, Default::default()).await;
    assert!(
        matches!(&refused, Err(OpenError::Mandate(MandateError::PolicyChanged(name))) if name == "mine.cedar"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_plan_that_ends_before_the_signature_is_not_bought_under_another_plans_time() {
    let world = World::new().await;
    let session = world.session().await;
    let (payments, traps) = process(&world, 2);
    let purse = resume(&payments, &session).await;
    plan(&world, &purse, "alpha").await;
    world.advance_s(3_599);
    plan(&world, &purse, "beta").await;
    let clock = world.clock();
    traps.set(Step::Prepare, Spring::Run(Box::new(move || clock.advance_ms(2_000))));
    let told = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(told, Err(FetchError::Denied(_))), "{told:?}");
    assert_eq!((world.authorizations(), world.books(&purse).await), (0, (0, 0)));
}

#[tokio::test]
async fn a_request_cannot_name_another_host_than_its_url() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    for (name, value) in [
        ("host", "evil.example"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
    ] {
        let mut request = get(&world.url("alpha"));
        request.headers_mut().insert(name, value.parse().unwrap());
        let told = purse.fetch(request, key("alpha")).await;
        assert!(matches!(told, Err(FetchError::Request(_))), "{name}: {told:?}");
    }
}

#[tokio::test]
async fn a_budget_for_each_vendor_is_opened_when_it_is_needed_and_holds() {
    let world = World::new().await;
    let mandate = world.mandate().budget(Scope::Vendor, usd("0.0015"), bursar_ledger::Window::Life);
    let purse = world.session_under(mandate.clone(), None).await.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    let other = world.session_under(mandate, None).await.handle();
    plan(&world, &other, "beta").await;
    let refused = other.fetch(get(&world.url("beta")), key("beta")).await;
    let Err(FetchError::Denied(decision)) = refused else { panic!("{refused:?}") };
    assert_eq!(decision.reasons[0].code, "BUDGET_EXCEEDED");
    // Another session of the user cannot give the vendor another limit.
    let more = world.mandate().budget(Scope::Vendor, usd("0.9"), bursar_ledger::Window::Life);
    let third = world.session_under(more, None).await.handle();
    plan(&world, &third, "beta").await;
    let refused = third.fetch(get(&world.url("beta")), key("beta")).await;
    let Err(FetchError::Denied(decision)) = refused else { panic!("{refused:?}") };
    assert_eq!(decision.reasons[0].code, "BUDGET_CHANGED");
    assert_eq!(world.outflow(), 1_000);
    world.verify().await;
}

#[tokio::test]
async fn the_journals_leaves_confirm_no_guess_at_what_was_asked_or_bought() {
    let world = World::new().await;
    let mandate = world.mandate().budget(Scope::Vendor, usd("0.1"), bursar_ledger::Window::Life);
    let session = world.session_under(mandate, None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let Fetched::Delivered(bought) = buy(&world, &purse, "alpha").await else { panic!("not delivered") };
    let url = world.url("alpha");
    let request = Digest::of_parts("bursar/request/v1", &[b"ada", b"GET", url.as_bytes(), b""]);
    let session = session.session();
    let guesses = [
        url.clone(),
        found[0].host.clone(),
        found[0].id.to_string(),
        request.to_string(),
        PaymentId::derived(&[session.as_bytes(), b"alpha", request.as_bytes()]).to_string(),
        Digest::of(&bought.body).to_string(),
        ArtifactId::derived(&[bought.payment.id.as_bytes(), Digest::of(&bought.body).as_bytes()]).to_string(),
    ];
    for entry in world.ledger.entries(0, 1_000).await.unwrap() {
        let leaf = format!("{} {} {}", entry.stream, entry.kind, entry.body);
        for guess in &guesses {
            assert!(!leaf.contains(guess.as_str()), "{guess}: {leaf}");
        }
    }
}

#[tokio::test]
async fn processes_that_race_for_one_purchase_pay_once_and_say_so() {
    let world = World::new().await;
    let session = world.session().await;
    plan_two(&world, &session.handle(), "alpha").await;
    let mut calls = Vec::new();
    for seed in 2..5 {
        let purse = resume(&world.reopened(seed), &session).await;
        for _ in 0..4 {
            let (purse, request) = (purse.clone(), get(&world.url("alpha")));
            calls.push(tokio::spawn(async move { purse.fetch(request, key("alpha")).await }));
        }
    }
    for call in calls {
        let told = call.await.unwrap();
        let honest = match &told {
            Ok(Fetched::Delivered(_) | Fetched::Owned(_) | Fetched::Undelivered(_) | Fetched::Unknown(_)) => {
                true
            }
            // Whoever was overtaken three times says that it is in flight, and no more.
            Err(FetchError::Denied(decision)) => decision.reasons[0].code == "IN_FLIGHT",
            _ => false,
        };
        assert!(honest, "{told:?}");
    }
    assert_eq!((world.authorizations(), world.outflow()), (1, 1_000));
    let purse = session.handle();
    let last = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(last, Ok(Fetched::Owned(_))), "{last:?}");
    assert_eq!(world.books(&purse).await, (1_000, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_plan_covers_the_request_that_was_quoted_and_no_other_body() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    let with = |body: &'static str| {
        let mut request = get(&world.url("alpha"));
        *request.body_mut() = body.into();
        request
    };
    let bursar_types::QuoteOutcome::Quotes(found) = purse.quote(with("one")).await.unwrap() else {
        panic!("no quotes")
    };
    let outcome = propose(&purse, &[&found[0]], 2).await;
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    let other = purse.fetch(with("two"), key("alpha")).await;
    let Ok(Fetched::Quotes { reasons, .. }) = &other else { panic!("{other:?}") };
    assert_eq!(reasons[0].code, "BODY_CHANGED");
    let same = purse.fetch(with("one"), key("alpha")).await;
    assert!(matches!(same, Ok(Fetched::Delivered(_))), "{same:?}");
    assert_eq!((world.authorizations(), world.outflow()), (1, 1_000));
}

#[tokio::test]
async fn an_approver_is_told_how_often_something_is_bought() {
    let world = World::new().await;
    let purse = world.session_under(world.mandate().approval(PlanApproval::Ask), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let outcome = propose(&purse, &[&found[0]], 300).await;
    let PlanOutcome::AwaitingApproval { ticket, .. } = outcome else { panic!("{outcome:?}") };
    assert!(ticket.summary.contains("\n  300 times 0.001 USDC to 0x"), "{}", ticket.summary);
}
