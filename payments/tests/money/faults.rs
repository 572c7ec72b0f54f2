//! Sellers, facilitators and chains that misbehave: money moves at most once, and the ledger says so.

use crate::traps::{Step, Traps};
use crate::world::{Setup, World, buy, get, key, plan};
use bursar_market::{Fault, FaultRule};
use bursar_payments::Payments;
use bursar_types::{FetchError, Fetched, Purse, UnsettledPayment, UnsettledState};

/// What a buyer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Delivered,
    Undelivered,
    Unknown,
    Quotes,
    Refused,
}

fn told(result: &Result<Fetched, FetchError>) -> Told {
    match result {
        Ok(Fetched::Delivered(_) | Fetched::Owned(_)) => Told::Delivered,
        Ok(Fetched::Undelivered(_)) => Told::Undelivered,
        Ok(Fetched::Unknown(_)) => Told::Unknown,
        Ok(Fetched::Quotes { .. }) => Told::Quotes,
        Err(_) => Told::Refused,
        Ok(other) => panic!("{other:?}"),
    }
}

/// One fault at one place; what the buyer is told first; what moves and what is held; what the buyer is told after the
/// authorization has run out; what has moved and is held then.
struct Case {
    fault: FaultRule,
    first: Told,
    moved: u128,
    held: u128,
    later: Told,
}

async fn check(case: Case) {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let name = case.fault.fault.name();
    let seller = world.market.seller(0).unwrap();
    if seller.faults().arm(case.fault.clone()).is_err()
        && world.market.facilitator().faults().arm(case.fault.clone()).is_err()
    {
        world.market.chain().faults().arm(case.fault).unwrap();
    }
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), case.first, "{name}: {first:?}");
    assert_eq!(world.outflow(), case.moved, "{name}: moved on the chain");
    assert_eq!(world.books(&purse).await, (case.moved, case.held), "{name}: spent and held");
    for retry in 0..20 {
        let _ = purse.fetch(get(&world.url("alpha")), key(&format!("retry {retry}"))).await;
    }
    assert_eq!(world.authorizations(), 1, "{name}: authorizations after 20 retries");
    assert!(world.outflow() <= 1_000, "{name}: money moved twice");

    seller.faults().clear();
    world.market.facilitator().faults().clear();
    world.market.chain().faults().clear();
    world.advance_s(3_600 / 2);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let last = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&last), case.later, "{name}, later: {last:?}");
    let (spent, held) = world.books(&purse).await;
    assert_eq!((world.outflow(), 0), (spent, held), "{name}, later: chain and books");
    world.verify().await;
}

macro_rules! faults {
    ($($test:ident: $fault:expr => $first:ident, moved $moved:literal, held $held:literal, later $later:ident;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let (first, later) = (Told::$first, Told::$later);
                check(Case { fault: $fault.into(), first, moved: $moved, held: $held, later }).await;
            }
        )*
    };
}

faults! {
    a_dropped_line_after_settlement_is_paid_once_and_owed:
        Fault::SettleThenDrop => Undelivered, moved 1_000, held 0, later Undelivered;
    a_500_after_settlement_is_paid_once_and_owed:
        Fault::SettleThen500 => Undelivered, moved 1_000, held 0, later Undelivered;
    a_402_after_settlement_is_paid_once_and_owed:
        Fault::SettleThen402 => Undelivered, moved 1_000, held 0, later Undelivered;
    half_a_body_is_paid_once_and_owed:
        Fault::HalfBody => Undelivered, moved 1_000, held 0, later Undelivered;
    an_empty_body_is_paid_once_and_owed:
        Fault::EmptyBody => Undelivered, moved 1_000, held 0, later Undelivered;
    a_missing_receipt_is_found_on_the_chain:
        Fault::NoReceipt => Delivered, moved 1_000, held 0, later Delivered;
    a_garbled_receipt_is_found_on_the_chain:
        Fault::GarbledReceipt => Delivered, moved 1_000, held 0, later Delivered;
    a_foreign_receipt_is_found_on_the_chain:
        Fault::ForeignReceipt => Delivered, moved 1_000, held 0, later Delivered;
    a_lost_facilitator_answer_is_found_on_the_chain:
        Fault::SettleAnswerLost => Undelivered, moved 1_000, held 0, later Undelivered;
    a_facilitator_500_after_settling_is_found_on_the_chain:
        Fault::Settle500After => Undelivered, moved 1_000, held 0, later Undelivered;
    a_402_for_ever_holds_until_the_authorization_has_run_out:
        Fault::NeverSettle402 => Unknown, moved 0, held 1_000, later Delivered;
    a_line_dropped_before_settlement_holds_until_it_has_run_out:
        Fault::DropBeforeSettle => Unknown, moved 0, held 1_000, later Delivered;
    a_500_before_settlement_holds_until_it_has_run_out:
        Fault::Error500BeforeSettle => Unknown, moved 0, held 1_000, later Delivered;
    a_facilitator_that_refuses_holds_until_it_has_run_out:
        Fault::VerifyRefuses { reason: "invalid_payload".to_owned() } => Unknown, moved 0, held 1_000, later Delivered;
}

#[tokio::test]
async fn a_price_raised_between_quote_and_payment_is_not_paid() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    // Strikes when the payment arrives: what was signed is the old price, and no other is ever signed.
    world.market.seller(0).unwrap().faults().arm(Fault::Surge { percent: 200 }).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), Told::Unknown, "{first:?}");
    world.advance_s(1_800);
    world.market.chain().mine();
    let later = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Quotes { reasons, .. } = later else { panic!("{later:?}") };
    assert_eq!(reasons[0].code, "PRICE_ROSE");
    assert_eq!((world.outflow(), world.books(&purse).await), (0, (0, 0)));
}

#[tokio::test]
async fn a_payee_swapped_between_quote_and_payment_is_not_paid() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    world.market.seller(0).unwrap().faults().arm(Fault::SwapPayee { to: None }).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), Told::Unknown, "{first:?}");
    world.advance_s(1_800);
    world.market.chain().mine();
    let later = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Quotes { reasons, .. } = later else { panic!("{later:?}") };
    assert_eq!(reasons[0].code, "PAYEE_CHANGED");
    assert_eq!(world.outflow(), 0);
}

#[tokio::test]
async fn a_receipt_for_a_settlement_that_never_was_is_disproved_and_credited() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    world.market.seller(0).unwrap().faults().arm(Fault::LyingReceipt).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), Told::Delivered, "{first:?}");
    assert_eq!((world.outflow(), world.books(&purse).await.0), (0, 1_000), "a claim counts as spent");
    world.advance_s(1_800);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    assert_eq!(world.books(&purse).await, (0, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_chain_that_cannot_be_read_is_unknown_and_never_no() {
    for fault in [Fault::RpcDown, Fault::Rpc500, Fault::RpcGarbage, Fault::RpcHidesLogs] {
        let world = World::new().await;
        let purse = world.session().await.handle();
        plan(&world, &purse, "alpha").await;
        let name = fault.name();
        world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
        // The balance may still be read; what became of the authorization may not.
        let only = ["eth_getBlockByNumber", "eth_getLogs"];
        for method in only {
            world.market.chain().faults().arm(FaultRule::from(fault.clone()).path(method)).unwrap();
        }
        let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert_eq!(told(&first), Told::Unknown, "{name}: {first:?}");
        assert_eq!(world.books(&purse).await, (0, 1_000), "{name}: the hold stays");
        world.advance_s(1_800);
        world.payments.recover().await.unwrap();
        assert_eq!(world.books(&purse).await, (0, 1_000), "{name}: time proves nothing without a reading");
        world.market.chain().faults().clear();
        world.payments.recover().await.unwrap();
        assert_eq!(world.books(&purse).await, (1_000, 0), "{name}");
    }
}

#[tokio::test]
async fn one_unknown_stops_new_signatures_to_that_vendor() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    plan(&world, &purse, "beta").await;
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(Fault::NeverSettle402).times(1)).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), Told::Unknown);
    let second = purse.fetch(get(&world.url("beta")), key("beta")).await;
    let Err(FetchError::Denied(decision)) = second else { panic!("{second:?}") };
    assert!(decision.rules.iter().any(|rule| rule.contains("unknown")), "{decision:?}");
}

#[tokio::test]
async fn an_empty_wallet_is_a_clear_answer_and_holds_nothing() {
    let world = World::with(Setup { funds: 999, ..Setup::default() }).await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let error = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has 0.000999 USDC, and this costs 0.001 USDC; fund it"), "{text}");
    assert_eq!((world.books(&purse).await, world.authorizations()), ((0, 0), 0));
}

#[tokio::test]
async fn a_network_that_nobody_reads_is_not_payable() {
    let world = World::with(Setup { readable: false, ..Setup::default() }).await;
    let purse = world.session().await.handle();
    let quotes = crate::world::quotes(&purse, &world.url("alpha")).await;
    assert_eq!(quotes[0].blocked.as_ref().unwrap().code, "NO_CHAIN_READER");
}

#[tokio::test]
async fn malformed_terms_are_refused_with_their_cause() {
    use bursar_market::Malformation as M;
    let world = World::new().await;
    let purse = world.session().await.handle();
    let faults = world.market.seller(0).unwrap().faults();
    let shapes = [
        M::BadBase64,
        M::NotJson,
        M::WrongTypes,
        M::HugeBody,
        M::HugeHeader,
        M::UnknownScheme,
        M::UnknownAsset,
        M::UnknownNetwork,
        M::AmountAsNumber,
        M::EmptyAccepts,
        M::Missing,
        M::DeepJson,
    ];
    let amounts = [
        "-1",
        "1e6",
        "",
        "01",
        "0",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    ];
    let all = shapes
        .into_iter()
        .map(|kind| Fault::MalformedQuote { kind })
        .chain(amounts.into_iter().map(|amount| Fault::QuotedAmount { amount: amount.to_owned() }));
    for fault in all {
        faults.replace(vec![fault.clone().into()]).unwrap();
        match purse.quote(get(&world.url("alpha"))).await {
            Err(FetchError::Terms { reason, .. }) => assert!(!reason.message.is_empty()),
            Err(FetchError::Transport(_)) => {}
            Ok(bursar_types::QuoteOutcome::Quotes(quotes)) => {
                assert!(quotes.iter().all(|quote| quote.blocked.is_some()), "{fault:?}: {quotes:?}");
            }
            other => panic!("{fault:?}: {other:?}"),
        }
    }
    assert_eq!((world.outflow(), world.authorizations()), (0, 0));
}

#[tokio::test]
async fn another_process_takes_up_what_was_left_unknown() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    world.market.seller(0).unwrap().faults().arm(FaultRule::from(Fault::DropBeforeSettle).times(1)).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&first), Told::Unknown);
    let other = world.reopened(2);
    let again = other.resume_session(session.session(), Default::default()).await.unwrap().handle();
    let fetched = again.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(told(&fetched), Told::Delivered, "{fetched:?}");
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1), "the same bytes were presented again");
    let _ = buy(&world, &again, "beta").await;
    assert_eq!(world.outflow(), 2_000);
}

#[tokio::test]
async fn goods_lost_on_the_way_are_asked_for_again_with_the_same_bytes() {
    for fault in [Fault::SettleThenDrop, Fault::SettleThen500, Fault::HalfBody, Fault::EmptyBody] {
        let world = World::new().await;
        let purse = world.session().await.handle();
        plan(&world, &purse, "alpha").await;
        let name = fault.name();
        world.market.seller(0).unwrap().faults().arm(FaultRule::from(fault).times(1)).unwrap();
        let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert_eq!(told(&first), Told::Delivered, "{name}: {first:?}");
        assert_eq!((world.outflow(), world.authorizations()), (1_000, 1), "{name}");
        assert_eq!(world.books(&purse).await, (1_000, 0), "{name}");
        world.verify().await;
    }
}

async fn unsettled(purse: &Purse) -> Vec<UnsettledPayment> {
    purse.standing().await.unwrap().unsettled
}

#[tokio::test]
async fn what_is_not_settled_is_told_with_where_its_session_stands_until_it_is() {
    let world = World::new().await;
    let (purse, other) = (world.session().await.handle(), world.session().await.handle());
    plan(&world, &purse, "alpha").await;
    assert_eq!(unsettled(&purse).await, []);
    let seller = world.market.seller(0).unwrap();
    seller.faults().arm(FaultRule::from(Fault::DropBeforeSettle).times(1)).unwrap();
    let Ok(Fetched::Unknown(unknown)) = purse.fetch(get(&world.url("alpha")), key("alpha")).await else {
        panic!("it is known");
    };
    let told = unsettled(&purse).await;
    assert_eq!(told.len(), 1);
    assert_eq!(Some(&told[0].payment), unknown.payment.as_ref());
    assert_eq!(
        (told[0].payment.amount.atomic(), told[0].payment.resource.as_str()),
        (1_000, world.url("alpha").as_str())
    );
    assert_eq!(told[0].state, UnsettledState::Unknown { problem: unknown.problem });
    assert_eq!(unsettled(&other).await, [], "another session's is not told");
    world.advance_s(1_800);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    assert_eq!(unsettled(&purse).await, [], "the chain said that it did not move");
}

#[tokio::test]
async fn what_is_being_made_is_told_as_in_flight() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let (parts, traps) = Traps::around(world.parts(2));
    let slow =
        Payments::new(parts).resume_session(session.session(), Default::default()).await.unwrap().handle();
    let pause = traps.pause(Step::Sign);
    let request = get(&world.url("alpha"));
    let making = tokio::spawn(async move { slow.fetch(request, key("alpha")).await });
    pause.reached().await;
    let told = unsettled(&session.handle()).await;
    assert_eq!(told.iter().map(|told| &told.state).collect::<Vec<_>>(), [&UnsettledState::InFlight]);
    pause.let_go();
    assert!(matches!(making.await.unwrap(), Ok(Fetched::Delivered(_))));
    assert_eq!(unsettled(&session.handle()).await, []);
}
