//! Paid and not delivered: the money is asked back, counts when it is seen, and ends with a person where it is not.

use crate::world::{Setup, World, get, key, plan};
use bursar_ledger::StreamId;
use bursar_market::{Address, Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{
    ClaimReason, ClaimStanding, DeskError, ObligationState, OpenObligation, RecoveryRules, Step,
};
use bursar_types::{Amount, Fetched, PaymentId};

const DAY_S: u64 = 86_400;

fn refunding(rule: RefundRule) -> Setup {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(rule);
    Setup { seller: seller.refund_terms(30 * DAY_S, true), ..Setup::default() }
}

/// A world in which one purchase was paid and never delivered, and whose authorization has run out.
async fn owed(rule: RefundRule) -> (World, PaymentId) {
    let world = World::with(refunding(rule)).await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Undelivered(undelivered) = fetched else { panic!("{fetched:?}") };
    assert_eq!((world.outflow(), world.books(&purse).await), (1_000, (1_000, 0)));
    world.advance_s(120);
    world.market.chain().mine();
    (world, undelivered.payment.id)
}

async fn standing(world: &World, id: PaymentId) -> OpenObligation {
    world.payments.obligation(id).await.unwrap().unwrap()
}

/// Lets time pass and looks after what is open until nothing changes any more.
async fn let_pass(world: &World, seconds: u64) {
    for _ in 0..2 {
        world.market.send_due_refunds();
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
    }
    world.advance_s(seconds);
    world.market.send_due_refunds();
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    world.payments.recover().await.unwrap();
}

/// How a seller gives money back, how the obligation stands after a day and after a fortnight, what came back by then, how
/// often the seller was asked, and how many transfers wait for a person.
struct Case {
    name: &'static str,
    rule: RefundRule,
    next_day: &'static str,
    in_the_end: &'static str,
    back: u128,
    asked: usize,
    strays: usize,
}

fn state(obligation: &OpenObligation) -> &'static str {
    match obligation.obligation.state {
        ObligationState::Owed { .. } => "owed",
        ObligationState::Delivered => "delivered",
        ObligationState::Claimed => "claimed",
        ObligationState::Parked { .. } => "parked",
        ObligationState::Refunded => "refunded",
        ObligationState::Settled { .. } => "settled",
        ObligationState::WrittenOff { .. } => "written off",
    }
}

#[tokio::test]
async fn what_was_paid_and_not_delivered_is_asked_back_and_ends_as_was_seen() {
    let stranger: Address = "0x00000000000000000000000000000000000000f5".parse().unwrap();
    let cases = [
        Case {
            name: "the seller gives it back",
            rule: RefundRule::Exact,
            next_day: "refunded",
            in_the_end: "refunded",
            back: 1_000,
            asked: 1,
            strays: 0,
        },
        Case {
            name: "the seller gives a part back",
            rule: RefundRule::Partial { percent: 40 },
            next_day: "claimed",
            in_the_end: "parked",
            back: 400,
            asked: 1,
            strays: 0,
        },
        Case {
            name: "the seller takes three days",
            rule: RefundRule::Late { after_s: 3 * DAY_S },
            next_day: "claimed",
            in_the_end: "refunded",
            back: 1_000,
            asked: 1,
            strays: 0,
        },
        Case {
            name: "the seller sends it twice, and the second is a person's to place",
            rule: RefundRule::Twice,
            next_day: "refunded",
            in_the_end: "refunded",
            back: 1_000,
            asked: 1,
            strays: 1,
        },
        Case {
            name: "a stranger sends it, and a person has to say whether that is it",
            rule: RefundRule::Foreign { from: Some(stranger) },
            next_day: "claimed",
            in_the_end: "parked",
            back: 0,
            asked: 1,
            strays: 1,
        },
        Case {
            name: "the seller promises and sends nothing",
            rule: RefundRule::NeverSends,
            next_day: "claimed",
            in_the_end: "parked",
            back: 0,
            asked: 1,
            strays: 0,
        },
        Case {
            name: "the seller refuses",
            rule: RefundRule::Refuses { reason: "all sales are final".to_owned() },
            next_day: "parked",
            in_the_end: "parked",
            back: 0,
            asked: 1,
            strays: 0,
        },
        Case {
            name: "the seller has no refunds",
            rule: RefundRule::None,
            next_day: "parked",
            in_the_end: "parked",
            back: 0,
            asked: 0,
            strays: 0,
        },
    ];
    for case in cases {
        let Case { name, rule, next_day, in_the_end, back, asked, strays } = case;
        let (world, id) = owed(rule).await;
        let_pass(&world, DAY_S).await;
        assert_eq!(state(&standing(&world, id).await), next_day, "{name}: the next day");
        let_pass(&world, 3 * DAY_S).await;
        let_pass(&world, 10 * DAY_S).await;
        let end = standing(&world, id).await;
        assert_eq!(state(&end), in_the_end, "{name}: in the end");
        assert_eq!(end.obligation.refunded(), Some(back), "{name}: came back");
        let claims = world.market.seller(0).unwrap().refund_claims();
        assert_eq!(claims.len(), asked, "{name}: {claims:?}");
        let waiting = world.payments.strays().await.unwrap();
        assert_eq!(waiting.len(), strays, "{name}: {waiting:?}");
        if in_the_end == "parked" {
            assert_eq!(
                (end.obligation.owner.as_str(), end.obligation.due.is_some()),
                ("ada", true),
                "{name}"
            );
            assert!(world.payments.dispute_file(id).await.unwrap().is_some(), "{name}: a dispute file");
        }
        let purse = world.session().await;
        assert_eq!(world.spent_by(id).await, 1_000 - back, "{name}: the budget");
        assert_eq!(world.market.seller(0).unwrap().violations(), vec![], "{name}");
        drop(purse);
        world.verify().await;
    }
}

#[tokio::test]
async fn a_refund_request_that_fails_is_made_again_and_is_one_claim() {
    let (world, id) = owed(RefundRule::Fails { times: 2 }).await;
    for wait_s in [31, 61, 121] {
        world.payments.recover().await.unwrap();
        world.advance_s(wait_s);
    }
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    assert_eq!(state(&standing(&world, id).await), "refunded");
    let started = world.life(id).await.iter().filter(|kind| *kind == "obligation.refund_started").count();
    assert_eq!(started, 3, "each try is journaled before it is made");
    assert_eq!(world.market.seller(0).unwrap().violations(), vec![]);
}

#[tokio::test]
async fn a_refund_request_is_tried_a_bounded_number_of_times_and_then_parked() {
    let (world, id) = owed(RefundRule::Fails { times: 99 }).await;
    for _ in 0..12 {
        world.payments.recover().await.unwrap();
        world.advance_s(3_600);
    }
    let end = standing(&world, id).await;
    assert_eq!(state(&end), "parked");
    let claim = end.obligation.claim.unwrap();
    assert!(matches!(claim.refund, Step::GivenUp { .. }), "{:?}", claim.refund);
    let started = world.life(id).await.iter().filter(|kind| *kind == "obligation.refund_started").count();
    assert_eq!(started, usize::try_from(RecoveryRules::default().tries).unwrap());
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_asked_for_under_the_same_name_and_credited_once() {
    let (world, id) = owed(RefundRule::Exact).await;
    let faults = world.market.seller(0).unwrap().faults();
    faults.clear();
    faults.arm(bursar_market::FaultRule::from(Fault::RefundAnswerLost).times(1)).unwrap();
    world.payments.recover().await.unwrap();
    world.advance_s(31);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    world.payments.recover().await.unwrap();
    let end = standing(&world, id).await;
    assert_eq!((state(&end), end.obligation.refunds.len()), ("refunded", 1));
    assert_eq!(world.market.seller(0).unwrap().refund_claims().len(), 1);
}

#[tokio::test]
async fn money_from_a_stranger_is_credited_when_a_person_says_where_it_belongs() {
    let (world, id) = owed(RefundRule::Foreign { from: None }).await;
    let_pass(&world, 60).await;
    let stray = world.payments.strays().await.unwrap().remove(0);
    let event = stray.transfer.event.clone();
    let nameless = world.payments.credit_stray(&event, id, " ").await;
    assert!(matches!(nameless, Err(DeskError::Empty(_))), "{nameless:?}");
    world.payments.credit_stray(&event, id, "Ada").await.unwrap();
    let end = standing(&world, id).await;
    assert_eq!((state(&end), end.obligation.refunds[0].by.as_deref()), ("refunded", Some("Ada")));
    assert_eq!(world.spent_by(id).await, 0);
    let again = world.payments.credit_stray(&event, id, "Ada").await;
    assert!(matches!(again, Err(DeskError::NoStray(_))), "{again:?}");
}

#[tokio::test]
async fn money_that_comes_without_being_asked_for_is_credited_too() {
    let (world, id) = owed(RefundRule::None).await;
    let seller = world.market.seller(0).unwrap();
    let nonce = *seller.log().nonces.iter().next().unwrap();
    seller.refund_now(nonce, 1_000).unwrap();
    world.payments.recover().await.unwrap();
    assert_eq!(state(&standing(&world, id).await), "refunded");
}

#[tokio::test]
async fn a_late_refund_of_what_was_written_off_is_credited_and_stays_written_off() {
    let (world, id) = owed(RefundRule::Late { after_s: 20 * DAY_S }).await;
    let_pass(&world, DAY_S).await;
    world.payments.write_off(id, "Ada", "the vendor is gone").await.unwrap();
    let twice = world.payments.write_off(id, "Ada", "again").await;
    assert!(matches!(twice, Err(DeskError::Over(_))), "{twice:?}");
    let_pass(&world, 25 * DAY_S).await;
    let end = standing(&world, id).await;
    assert_eq!((state(&end), end.obligation.refunded()), ("written off", Some(1_000)));
    assert_eq!(world.spent_by(id).await, 0);
}

#[tokio::test]
async fn one_transfer_credits_one_of_two_equal_claims() {
    let world = World::with(refunding(RefundRule::NeverSends)).await;
    let purse = world.session().await.handle();
    let seller = world.market.seller(0).unwrap();
    seller.faults().arm(Fault::SettleThenDrop).unwrap();
    let mut ids = Vec::new();
    for document in ["alpha", "beta"] {
        plan(&world, &purse, document).await;
        let fetched = purse.fetch(get(&world.url(document)), key(document)).await.unwrap();
        let Fetched::Undelivered(undelivered) = fetched else { panic!("{fetched:?}") };
        ids.push(undelivered.payment.id);
        world.advance_s(1);
    }
    world.advance_s(120);
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let nonce = *seller.log().nonces.iter().next().unwrap();
    seller.refund_now(nonce, 1_000).unwrap();
    for _ in 0..3 {
        world.payments.recover().await.unwrap();
    }
    let mut states = [state(&standing(&world, ids[0]).await), state(&standing(&world, ids[1]).await)];
    states.sort_unstable();
    assert_eq!(states, ["claimed", "refunded"]);
    assert_eq!(world.books(&purse).await, (1_000, 0));
}

#[tokio::test]
async fn a_part_of_what_was_delivered_is_asked_back_in_part() {
    let world = World::with(refunding(RefundRule::Exact)).await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Delivered(delivery) = fetched else { panic!("{fetched:?}") };
    let id = delivery.payment.id;
    let part = Amount::from_atomic(world.usdc.clone(), 300);
    let ask = || session.claim(id, Some(part.clone()), ClaimReason::PartDelivered, "7 of 10 records came");
    let asked = ask().await.unwrap();
    assert!(matches!(asked, ClaimStanding::Open(_)), "{asked:?}");
    for _ in 0..5 {
        let _again = ask().await.unwrap();
    }
    world.market.chain().mine();
    world.payments.recover().await.unwrap();
    let end = standing(&world, id).await;
    assert_eq!((state(&end), end.obligation.refunded()), ("refunded", Some(300)));
    assert!(end.obligation.has_goods(), "what came is kept");
    assert_eq!(
        (world.books(&purse).await.0, world.market.seller(0).unwrap().refund_claims().len()),
        (700, 1)
    );
    let owned = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(owned, Fetched::Owned(_)), "{owned:?}");
    let too_much = Amount::from_atomic(world.usdc.clone(), 1_001);
    let other =
        session.claim(PaymentId::derived(&[b"x"]), Some(too_much), ClaimReason::FailedLater, "").await;
    assert!(matches!(other, Ok(ClaimStanding::NothingToClaim)), "{other:?}");
}

#[tokio::test]
async fn goods_that_are_here_are_kept_where_nobody_gives_money_back_for_them() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Delivered(delivery) = fetched else { panic!("{fetched:?}") };
    world.payments.recover().await.unwrap();
    let asked =
        session.claim(delivery.payment.id, None, ClaimReason::FailedLater, "the analysis failed").await;
    assert!(matches!(asked, Ok(ClaimStanding::Kept { .. })), "{asked:?}");
    assert!(world.payments.obligations().await.unwrap().is_empty());
}

#[tokio::test]
async fn persons_settle_extend_and_write_off_with_a_name_and_a_reason() {
    let (world, id) = owed(RefundRule::None).await;
    let_pass(&world, 60).await;
    let payments = &world.payments;
    assert!(matches!(payments.settle_obligation(id, "", "x").await, Err(DeskError::Empty(_))));
    assert!(matches!(payments.write_off(id, "Ada", "  ").await, Err(DeskError::Empty(_))));
    let past = world.now();
    assert!(matches!(payments.extend_obligation(id, "Ada", "x", past).await, Err(DeskError::Past(_))));
    let due = world.now().plus_ms(90 * DAY_S * 1_000);
    payments.extend_obligation(id, "Ada", "the vendor asked for time", due).await.unwrap();
    assert_eq!(standing(&world, id).await.obligation.due, Some(due));
    payments.settle_obligation(id, "Ada", "it came by mail").await.unwrap();
    assert!(payments.obligations().await.unwrap().is_empty());
    let nothing = payments.settle_obligation(PaymentId::derived(&[b"x"]), "Ada", "x").await;
    assert!(matches!(nothing, Err(DeskError::NothingOwed(_))), "{nothing:?}");
    let kinds = world.life(id).await;
    assert_eq!(kinds[kinds.len() - 2..], ["obligation.extended", "obligation.settled"]);
    let leaves = world.ledger.stream(&StreamId::of("payment", id), 0).await.unwrap();
    assert!(leaves.iter().all(|entry| !entry.body.to_string().contains("Ada")), "names are no leaves");
}

#[tokio::test]
async fn the_dispute_file_tells_everything_and_holds_nothing_that_can_be_spent() {
    let (world, id) = owed(RefundRule::None).await;
    let_pass(&world, 60).await;
    let file = world.payments.dispute_file(id).await.unwrap().unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(file["payment"], id.to_string());
    assert_eq!(file["paid"]["amount"]["atomic"], "1000");
    let kinds: Vec<_> =
        file["exhibits"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&["payment.held", "payment.signing", "payment.answered"]), "{kinds:?}");
    assert!(!file.to_string().contains("\"signature\":"), "a signature can be presented");
}

#[tokio::test]
async fn a_purchase_that_was_refunded_is_not_made_again_under_its_key_and_may_be_under_another() {
    let (world, _) = owed(RefundRule::Exact).await;
    let_pass(&world, 60).await;
    world.market.seller(0).unwrap().faults().clear();
    let purse = world.session().await.handle();
    let same = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Undelivered(undelivered) = same else { panic!("{same:?}") };
    assert!(undelivered.problem.contains("the money came back"), "{}", undelivered.problem);
    plan(&world, &purse, "alpha").await;
    let other = purse.fetch(get(&world.url("alpha")), key("alpha, again")).await.unwrap();
    assert!(matches!(other, Fetched::Delivered(_)), "{other:?}");
    assert_eq!(world.outflow(), 2_000);
}
