//! Claims for refunds, and what sellers do with them.

use crate::{
    calls::{now, open, post, present, quote},
    support::{FUNDS, NOW_S, Shop, builder, nonce_of},
};
use bursar_market::{
    Address, Broken, Fault, FaultRule, Key, Market, RefundError, RefundRule, SellerConfig, ViolationKind,
    WireVersion,
};
use serde_json::{Value, json};

const PAID: u128 = 6_000;
const URL: &str = "http://seller-0.market.test/refunds";

/// A shop whose only seller gives refunds, and a document bought there.
fn bought(rule: RefundRule) -> Shop {
    bought_from(SellerConfig::new("Shop").refunds(rule))
}

fn bought_from(seller: SellerConfig) -> Shop {
    let shop = open(|market| market.main_seller(false).resellers(false).add_seller(seller));
    let payment = shop.buyer.payment(&quote(&shop.market, &shop.url()), "one");
    let _ = present(&shop.market, &shop.url(), &payment);
    shop
}

/// A claim for all of it.
fn claim(shop: &Shop) -> Value {
    let transfers = shop.market.chain().transfers();
    json!({
        "id": "claim-0123456789",
        "network": shop.market.network(),
        "asset": shop.market.token().address,
        "payer": shop.buyer.key.address(),
        "payee": shop.seller().pay_to(),
        "nonce": nonce_of("one"),
        "transaction": transfers.first().map_or_else(String::new, |paid| paid.transaction.to_string()),
        "amount": PAID.to_string(),
        "paid": PAID.to_string(),
        "resource": shop.url(),
        "reason": "not_delivered",
        "detail": "half of it is missing",
    })
}

fn with(mut claim: Value, field: &str, value: Value) -> Value {
    claim[field] = value;
    claim
}

fn ask(shop: &Shop, claim: &Value) -> (u16, Value) {
    post(&shop.market, URL, claim).unwrap()
}

fn accepted(amount: u128) -> (u16, Value) {
    (200, json!({ "status": "accepted", "id": "claim-0123456789", "amount": amount.to_string() }))
}

fn refused(status: u16, reason: &str) -> (u16, Value) {
    (status, json!({ "status": "refused", "reason": reason }))
}

/// What came back, and from whom.
fn sent(shop: &Shop) -> Vec<(Address, u128)> {
    let buyer = shop.buyer.key.address();
    let plain = shop.market.chain().plain_transfers();
    plain.into_iter().filter(|sent| sent.to == buyer).map(|sent| (sent.from, sent.value)).collect()
}

fn kinds(shop: &Shop) -> Vec<ViolationKind> {
    shop.seller().violations().into_iter().map(|violation| violation.kind).collect()
}

#[test]
fn each_rule_says_and_sends_what_it_is_for() {
    let shop = bought(RefundRule::Exact);
    let seller = shop.seller().pay_to();
    let other = Address::new([7; 20]);
    let mut made_up = None;
    let cases = [
        (RefundRule::Exact, accepted(PAID), vec![PAID]),
        (RefundRule::Partial { percent: 33 }, accepted(1_980), vec![1_980]),
        (RefundRule::Late { after_s: 60 }, accepted(PAID), vec![]),
        (RefundRule::Twice, accepted(PAID), vec![PAID, PAID]),
        (RefundRule::Foreign { from: Some(other) }, accepted(PAID), vec![PAID]),
        (RefundRule::Foreign { from: None }, accepted(PAID), vec![PAID]),
        (RefundRule::NeverSends, accepted(PAID), vec![]),
        (RefundRule::Refuses { reason: "as described".into() }, refused(200, "as described"), vec![]),
    ];
    for (rule, answer, amounts) in cases {
        let shop = bought(rule.clone());
        for _ in 0..2 {
            assert_eq!(ask(&shop, &claim(&shop)), answer, "{rule:?}");
        }
        let (from, values): (Vec<_>, Vec<_>) = sent(&shop).into_iter().unzip();
        assert_eq!(values, amounts, "{rule:?}");
        let balance = shop.market.balance_of(shop.buyer.key.address());
        assert_eq!(balance, FUNDS - PAID + values.iter().sum::<u128>(), "{rule:?}");
        for from in from {
            match &rule {
                RefundRule::Foreign { from: Some(wanted) } => assert_eq!(from, *wanted),
                RefundRule::Foreign { from: None } => assert!(made_up.replace(from) != Some(seller)),
                _ => assert_eq!(from, seller),
            }
        }
        assert_eq!((kinds(&shop), shop.seller().refund_claims().len()), (vec![], 1), "{rule:?}");
        assert_eq!(shop.market.chain().transfers().len(), 1, "a refund is no transfer by authorization");
    }
    assert!(made_up.is_some_and(|from| from != seller));
}

#[test]
fn a_late_refund_is_sent_in_a_block_of_its_time_when_the_clock_has_passed() {
    for by_reading in [true, false] {
        let shop = bought(RefundRule::Late { after_s: 60 });
        assert_eq!(ask(&shop, &claim(&shop)), accepted(PAID));
        shop.clock.advance_s(59);
        assert_eq!((shop.market.send_due_refunds(), sent(&shop)), (0, vec![]));
        shop.clock.advance_s(41);
        if by_reading {
            let _ = shop.market.chain().head();
        } else {
            assert_eq!(shop.market.send_due_refunds(), 1);
        }
        assert_eq!(sent(&shop), [(shop.seller().pay_to(), PAID)]);
        assert_eq!(shop.market.chain().plain_transfers()[0].timestamp_s, NOW_S + 60);
        assert_eq!(shop.market.chain().head().1, NOW_S + 100);
        assert_eq!((shop.market.send_due_refunds(), shop.paid()), (0, 0));
    }
}

#[test]
fn a_seller_that_fails_so_often_then_pays_once() {
    let shop = bought(RefundRule::Fails { times: 2 });
    for _ in 0..2 {
        assert_eq!(ask(&shop, &claim(&shop)).0, 500);
        assert_eq!(sent(&shop), []);
    }
    for _ in 0..2 {
        assert_eq!(ask(&shop, &claim(&shop)), accepted(PAID));
    }
    assert_eq!(sent(&shop), [(shop.seller().pay_to(), PAID)]);
    assert_eq!(kinds(&shop), []);
}

#[test]
fn a_claim_that_is_not_right_is_refused_with_its_reason() {
    let stranger = json!(Key::named("stranger").unwrap().address());
    let cases = [
        ("id", json!("short"), 400, "malformed"),
        ("id", json!("claim 0123456789"), 400, "malformed"),
        ("amount", json!(6_000), 400, "malformed"),
        ("amount", json!("06000"), 400, "malformed"),
        ("amount", json!("0"), 400, "malformed"),
        ("reason", json!("because"), 400, "malformed"),
        ("transaction", json!("0x12"), 400, "malformed"),
        ("detail", json!("x".repeat(4_097)), 400, "malformed"),
        ("more", json!("fields"), 400, "malformed"),
        ("network", json!("eip155:1"), 422, "wrong_asset"),
        ("asset", stranger.clone(), 422, "wrong_asset"),
        ("payer", stranger.clone(), 404, "not_settled_here"),
        ("payee", stranger, 404, "not_settled_here"),
        ("nonce", json!(nonce_of("two")), 404, "not_settled_here"),
        ("paid", json!("6001"), 404, "not_settled_here"),
        ("transaction", json!(nonce_of("two")), 422, "other_transaction"),
        ("resource", json!("http://seller-0.market.test/documents/guides-gas"), 422, "other_resource"),
        ("resource", json!("/documents/erc-3009"), 422, "other_resource"),
        ("amount", json!("6001"), 422, "more_than_paid"),
        ("amount", json!("5999"), 422, "only_in_full"),
    ];
    for (field, value, status, reason) in cases {
        let shop = bought_from(SellerConfig::new("Shop").refunds(RefundRule::Exact).refund_terms(60, false));
        let changed = with(claim(&shop), field, value);
        for _ in 0..2 {
            assert_eq!(ask(&shop, &changed), refused(status, reason), "{changed}");
        }
        assert_eq!(sent(&shop), [], "{changed}");
        let unreadable = vec![ViolationKind::UnreadableClaim; if status == 400 { 2 } else { 0 }];
        assert_eq!(kinds(&shop), unreadable, "{changed}");
        let right = with(claim(&shop), "id", json!("claim-right-123456"));
        assert_eq!(ask(&shop, &right).0, 200, "a refused claim does not use the settlement up");
    }
    let shop = bought(RefundRule::Exact);
    let mut claim = claim(&shop);
    claim.as_object_mut().unwrap().remove("detail");
    assert_eq!(ask(&shop, &claim), refused(400, "malformed"));
}

#[test]
fn money_is_asked_back_within_the_time_and_then_no_more() {
    let seller = || SellerConfig::new("Shop").refunds(RefundRule::Exact).refund_terms(60, true);
    let shop = bought_from(seller());
    shop.clock.advance_s(60);
    assert_eq!(ask(&shop, &claim(&shop)), accepted(PAID));
    shop.clock.advance_s(60);
    assert_eq!(ask(&shop, &claim(&shop)), accepted(PAID), "the same claim has the same answer for ever");
    let shop = bought_from(seller());
    shop.clock.advance_s(61);
    assert_eq!(ask(&shop, &claim(&shop)), refused(410, "too_late"));
}

#[test]
fn one_id_is_one_claim_and_one_settlement_is_claimed_once() {
    let shop = bought(RefundRule::Exact);
    let first = claim(&shop);
    assert_eq!(ask(&shop, &with(first.clone(), "amount", json!("1000"))), accepted(1_000));
    assert_eq!(ask(&shop, &first), refused(409, "id_reused"));
    let second = with(first, "id", json!("claim-9876543210"));
    assert_eq!(ask(&shop, &second), refused(409, "already_claimed"));
    assert_eq!(kinds(&shop), [ViolationKind::RefundIdReused, ViolationKind::RefundClaimedTwice]);
    assert_eq!(sent(&shop), [(shop.seller().pay_to(), 1_000)]);
}

#[test]
fn a_claim_that_got_no_good_answer_is_asked_again_under_its_id_alone() {
    let shop = bought(RefundRule::Exact);
    shop.seller().faults().arm(FaultRule::new(Fault::Refund500Before).times(1)).unwrap();
    shop.seller().faults().arm(FaultRule::new(Fault::RefundAnswerLost).times(1)).unwrap();
    assert_eq!(ask(&shop, &claim(&shop)).0, 500);
    assert_eq!(sent(&shop), [], "nothing is sent before the 500");
    assert!(matches!(post(&shop.market, URL, &claim(&shop)), Err(Broken::Dropped)));
    assert_eq!(sent(&shop).len(), 1, "the money is sent though the answer is lost");
    assert_eq!(ask(&shop, &claim(&shop)), accepted(PAID));
    assert_eq!((sent(&shop).len(), kinds(&shop)), (1, vec![]));
    let log = shop.seller().log();
    let faults: Vec<_> = log.entries.iter().flat_map(|entry| entry.faults.clone()).collect();
    assert_eq!(faults, ["refund_500_before", "refund_answer_lost"]);
    assert_eq!((log.entries.last().unwrap().cached, log.entries.last().unwrap().status), (true, Some(200)));

    let shop = bought(RefundRule::Fails { times: 1 });
    assert_eq!(ask(&shop, &claim(&shop)).0, 500);
    let other = with(claim(&shop), "id", json!("claim-9876543210"));
    assert_eq!(ask(&shop, &other), refused(409, "already_claimed"));
    assert_eq!(kinds(&shop), [ViolationKind::RefundClaimedTwice]);
}

#[test]
fn a_settlement_whose_answer_was_lost_is_refunded_too_and_one_that_never_was_is_not() {
    let shop = bought(RefundRule::Exact);
    let again = |fault: Fault, nonce: &str| {
        shop.market.facilitator().faults().arm(FaultRule::new(fault).times(1)).unwrap();
        let payment = shop.buyer.payment(&quote(&shop.market, &shop.url()), nonce);
        assert_ne!(present(&shop.market, &shop.url(), &payment).unwrap().status().as_u16(), 500);
        let claim = with(claim(&shop), "id", json!(format!("claim-{nonce}-0123456789")));
        ask(&shop, &with(with(claim, "transaction", json!("")), "nonce", json!(nonce_of(nonce))))
    };
    assert_eq!(again(Fault::SettleAnswerLost, "two").0, 200);
    assert_eq!(again(Fault::SettleLies, "three"), refused(404, "not_settled_here"));
    assert_eq!(again(Fault::Verify500, "four"), refused(404, "not_settled_here"));
}

#[test]
fn the_402_of_version_two_says_where_to_ask_and_only_if_there_is_something_to_get() {
    let shop = bought_from(SellerConfig::new("Shop").refunds(RefundRule::NeverSends).refund_terms(7, false));
    let mut offer = quote(&shop.market, &shop.url());
    let info = json!({ "url": URL, "withinSeconds": 7, "partial": false });
    assert_eq!(offer["extensions"]["refund"]["info"], info);
    offer["extensions"]["refund"]["info"]["withinSeconds"] = json!(8);
    let answer = present(&shop.market, &shop.url(), &shop.buyer.payment(&offer, "two")).unwrap();
    assert_eq!(answer.status(), 402, "an extension sent back changed is refused");
    let shop = bought(RefundRule::None);
    assert!(quote(&shop.market, &shop.url())["extensions"].get("refund").is_none());
    assert_eq!(ask(&shop, &claim(&shop)).0, 405, "there is no such place");
    let shop = bought_from(SellerConfig::new("Old").refunds(RefundRule::Exact).wire(WireVersion::Both));
    let get = crate::calls::get(&shop.market, URL).unwrap();
    assert_eq!(get.status(), 405);
}

#[test]
fn a_seller_sends_money_without_being_asked() {
    let shop = bought(RefundRule::None);
    shop.seller().refund_now(nonce_of("one"), 17).unwrap();
    assert_eq!(sent(&shop), [(shop.seller().pay_to(), 17)]);
    let nonce = nonce_of("two");
    assert_eq!(shop.seller().refund_now(nonce, 17), Err(RefundError::NeverPaid { nonce }));
    let refused = shop.seller().refund_now(nonce_of("one"), PAID).unwrap_err();
    assert_eq!(refused.to_string(), "refund a payment: ERC20: transfer amount exceeds balance");
    let buyer = shop.buyer.key.address();
    shop.market.chain().set_blacklisted(buyer, true);
    assert!(shop.seller().refund_now(nonce_of("one"), 1).is_err());
}

#[test]
fn a_refund_is_one_transfer_event_in_its_own_block() {
    let shop = bought(RefundRule::Exact);
    ask(&shop, &claim(&shop));
    let to = shop.buyer.key.address().to_word();
    let transfer = bursar_market::keccak(b"Transfer(address,address,uint256)");
    let filter = json!([{ "fromBlock": "0x2", "topics": [transfer, null, to] }]);
    let logs = crate::calls::rpc(&shop.market, "eth_getLogs", filter);
    let refund = &shop.market.chain().plain_transfers()[0];
    assert_eq!(logs.as_array().map(Vec::len), Some(1));
    assert_eq!(logs[0]["transactionHash"], json!(refund.transaction));
    assert_eq!(logs[0]["topics"][1], json!(shop.seller().pay_to().to_word()));
    assert_eq!(logs[0]["blockNumber"], format!("{:#x}", refund.block));
    assert_eq!(refund.block, shop.market.chain().transfers()[0].block + 1);
    assert_eq!(refund.value, PAID);
}

#[test]
fn a_plain_transfer_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let start = || -> Market { now(builder().0.in_process().state_file(&path).start()).unwrap() };
    let market = start();
    let (buyer, other) = (Key::named("buyer").unwrap().address(), Address::new([7; 20]));
    market.chain().transfer(buyer, other, 5).unwrap();
    assert!(market.chain().transfer(other, buyer, 6).is_err());
    let (plain, head) = (market.chain().plain_transfers(), market.chain().head());
    now(market.stop());
    let market = start();
    assert_eq!((market.chain().plain_transfers(), market.chain().head()), (plain, head));
    assert_eq!(market.balance_of(other), 5);
    now(market.stop());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"value\":\"5\"", "\"value\":\"6000000000\"")).unwrap();
    let refused = now(builder().0.in_process().state_file(&path).start()).unwrap_err();
    assert!(refused.to_string().contains("transfer amount exceeds balance"), "{refused}");
}
