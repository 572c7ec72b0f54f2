//! Each fault, and what a buyer sees of it.

use crate::support::{Shop, documents};
use bursar_market::{Fault, FaultRule, HostileKind, Malformation};
use reqwest::Method;
use serde_json::json;

/// What a purchase came to, as the buyer sees it and as the chain knows it.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: Option<u16>,
    content: bool,
    receipt: Option<bool>,
    paid: u128,
}

fn outcome(status: u16, content: bool, receipt: Option<bool>, paid: u128) -> Outcome {
    Outcome { status: Some(status), content, receipt, paid }
}

const fn no_answer(paid: u128) -> Outcome {
    Outcome { status: None, content: false, receipt: None, paid }
}

async fn buy(shop: &Shop) -> Outcome {
    let got = shop.buyer.buy(&shop.url(), "one").await.ok();
    Outcome {
        status: got.as_ref().map(|got| got.status),
        content: got.as_ref().is_some_and(|got| got.body == documents()[0].text.as_bytes()),
        receipt: got.as_ref().and_then(|got| got.header("payment-response")?["success"].as_bool()),
        paid: shop.paid(),
    }
}

#[tokio::test]
async fn each_fault_of_a_seller_shows_its_effect_on_a_purchase() {
    let elsewhere = "http://127.0.0.1:9/".to_owned();
    let cases = [
        (Fault::NeverSettle402, outcome(402, false, None, 0)),
        (Fault::DropBeforeSettle, no_answer(0)),
        (Fault::Error500BeforeSettle, outcome(500, false, None, 0)),
        (Fault::LyingReceipt, outcome(200, true, Some(true), 0)),
        (Fault::SettleThen402, outcome(402, false, None, 6_000)),
        (Fault::SettleThen500, outcome(500, false, None, 6_000)),
        (Fault::SettleThenDrop, no_answer(6_000)),
        (Fault::HalfBody, no_answer(6_000)),
        (Fault::WrongContent { body: None }, outcome(200, false, Some(true), 6_000)),
        (Fault::EmptyBody, outcome(200, false, Some(true), 6_000)),
        (Fault::NoReceipt, outcome(200, true, None, 6_000)),
        (Fault::GarbledReceipt, outcome(200, true, None, 6_000)),
        (Fault::ForeignReceipt, outcome(200, true, Some(true), 6_000)),
        (Fault::SlowBody { ms: 1 }, outcome(200, true, Some(true), 6_000)),
        (Fault::SlowQuote { ms: 1 }, outcome(200, true, Some(true), 6_000)),
        (Fault::Surge { percent: 200 }, outcome(402, false, None, 0)),
        (Fault::SwapPayee { to: None }, outcome(402, false, None, 0)),
        (Fault::Redirect { to: elsewhere, only_paid: true }, outcome(307, false, None, 0)),
    ];
    for (fault, wanted) in cases {
        let shop = Shop::open().await;
        shop.seller().faults().arm(fault.clone()).unwrap();
        assert_eq!(buy(&shop).await, wanted, "{fault:?}");
        let struck: Vec<_> = shop.seller().log().entries.into_iter().flat_map(|entry| entry.faults).collect();
        assert_eq!(struck, [fault.name()]);
    }
}

#[tokio::test]
async fn a_foreign_receipt_names_another_payer_network_and_transaction() {
    let shop = Shop::open().await;
    shop.seller().faults().arm(Fault::ForeignReceipt).unwrap();
    let got = shop.buyer.buy(&shop.url(), "one").await.unwrap();
    let receipt = got.header("payment-response").unwrap();
    let truth = shop.market.chain().transfers();
    assert_ne!(receipt["payer"], truth[0].from.to_string());
    assert_ne!(receipt["network"], shop.market.network());
    assert_ne!(receipt["transaction"], truth[0].transaction.to_string());
}

#[tokio::test]
async fn each_fault_of_the_facilitator_shows_its_effect_on_a_purchase() {
    let cases = [
        (Fault::Verify500, outcome(502, false, None, 0)),
        (Fault::VerifyRefuses { reason: "no".into() }, outcome(402, false, None, 0)),
        (Fault::SettleAnswerLost, outcome(402, false, Some(false), 6_000)),
        (Fault::SettleLostBefore, outcome(402, false, Some(false), 0)),
        (Fault::Settle500After, outcome(402, false, Some(false), 6_000)),
        (Fault::Settle500Before, outcome(402, false, Some(false), 0)),
        (Fault::SettlementPending, outcome(402, false, Some(false), 6_000)),
        (Fault::SettlementPendingForever, outcome(402, false, Some(false), 0)),
        (Fault::SettleLies, outcome(200, true, Some(true), 0)),
    ];
    for (fault, wanted) in cases {
        let shop = Shop::open().await;
        shop.market.facilitator().faults().arm(fault.clone()).unwrap();
        assert_eq!(buy(&shop).await, wanted, "{fault:?}");
        let calls = shop.market.facilitator().log();
        assert!(calls.iter().any(|call| call.fault == Some(fault.name())), "{fault:?}: {calls:?}");
    }
}

#[tokio::test]
async fn a_surge_and_a_swap_are_kept_for_later_quotes() {
    let shop = Shop::open().await;
    shop.seller().faults().arm(FaultRule::new(Fault::Surge { percent: 150 }).times(1)).unwrap();
    shop.seller().faults().arm(FaultRule::new(Fault::SwapPayee { to: None }).times(1)).unwrap();
    let before = shop.buyer.quote(&shop.url()).await["accepts"][0].clone();
    for nonce in ["one", "two"] {
        assert_eq!(shop.buyer.buy(&shop.url(), nonce).await.unwrap().status, 402);
    }
    let after = shop.buyer.quote(&shop.url()).await["accepts"][0].clone();
    assert_eq!((before["amount"].as_str(), after["amount"].as_str()), (Some("6000"), Some("9000")));
    assert_ne!(before["payTo"], after["payTo"]);
    assert_eq!(shop.buyer.buy(&shop.url(), "three").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_malformed_quote_is_malformed_as_announced() {
    for kind in [
        Malformation::BadBase64,
        Malformation::NotJson,
        Malformation::WrongTypes,
        Malformation::HugeBody,
        Malformation::UnknownScheme,
        Malformation::UnknownAsset,
        Malformation::UnknownNetwork,
        Malformation::AmountAsNumber,
        Malformation::EmptyAccepts,
        Malformation::Missing,
        Malformation::DeepJson,
        Malformation::BodyDisagrees,
        Malformation::TwoHeaders,
    ] {
        let shop = Shop::open().await;
        shop.seller().faults().arm(Fault::MalformedQuote { kind }).unwrap();
        let got = shop.buyer.get(&shop.url()).await;
        assert_eq!(got.status, 402);
        let offer = got.header("payment-required");
        let terms = offer.as_ref().map(|offer| offer["accepts"][0].clone()).unwrap_or_default();
        let as_announced = match kind {
            Malformation::BadBase64 | Malformation::NotJson | Malformation::DeepJson => offer.is_none(),
            Malformation::Missing => !got.headers.contains_key("payment-required"),
            Malformation::WrongTypes => offer.unwrap()["x402Version"] == "two",
            Malformation::HugeBody => got.body.len() == 10 * 1024 * 1024,
            Malformation::HugeHeader => false,
            Malformation::UnknownScheme => terms["scheme"] == "barter",
            Malformation::UnknownAsset => terms["asset"] != shop.market.token().address.to_string(),
            Malformation::UnknownNetwork => terms["network"] != shop.market.network(),
            Malformation::AmountAsNumber => terms["amount"].is_number(),
            Malformation::EmptyAccepts => offer.unwrap()["accepts"] == json!([]),
            // In the header it is too long for this client, as for most.
            Malformation::ManyAlternatives => false,
            Malformation::BodyDisagrees => got.json()["accepts"][0]["amount"] != terms["amount"],
            Malformation::TwoHeaders => got.headers.get_all("payment-required").iter().count() == 2,
        };
        assert!(as_announced, "{kind:?}");
    }
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_more_than_a_usual_client_takes() {
    let shop = Shop::open().await;
    shop.seller().faults().arm(Fault::MalformedQuote { kind: Malformation::HugeHeader }).unwrap();
    assert!(shop.buyer.send(Method::GET, &shop.url(), &[], "").await.is_err());
}

#[tokio::test]
async fn an_amount_is_quoted_verbatim_whatever_it_says() {
    let beyond = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for amount in ["-1", "1e6", beyond, "", "01", " 1", "0x10"] {
        let shop = Shop::open().await;
        shop.seller().faults().arm(Fault::QuotedAmount { amount: amount.into() }).unwrap();
        assert_eq!(shop.buyer.quote(&shop.url()).await["accepts"][0]["amount"], amount);
    }
}

#[tokio::test]
async fn a_redirect_of_all_requests_strikes_before_the_quote() {
    let shop = Shop::open().await;
    let to = "http://127.0.0.1:9/elsewhere".to_owned();
    shop.seller().faults().arm(Fault::Redirect { to: to.clone(), only_paid: false }).unwrap();
    let got = shop.buyer.get(&shop.url()).await;
    assert_eq!((got.status, got.headers["location"].to_str().unwrap()), (307, to.as_str()));
}

#[tokio::test]
async fn content_taken_and_lost_comes_back_under_a_payment_identifier() {
    for fault in [Fault::SettleThenDrop, Fault::SettleThen500, Fault::SettleThen402, Fault::HalfBody] {
        let shop = Shop::open().await;
        shop.seller().faults().arm(FaultRule::new(fault.clone()).times(1)).unwrap();
        let mut payment = shop.buyer.payment(&shop.buyer.quote(&shop.url()).await, "one");
        payment["extensions"]["payment-identifier"]["info"]["id"] = json!("order-0123456789");
        let first = shop.buyer.present(&shop.url(), &payment).await;
        assert!(first.is_err() || first.unwrap().status != 200, "{fault:?}");
        let second = shop.buyer.present(&shop.url(), &payment).await.unwrap();
        assert_eq!((second.status, second.text()), (200, documents()[0].text.clone()), "{fault:?}");
        assert_eq!(shop.paid(), 6_000);
        assert!(shop.seller().log().entries.last().unwrap().cached);
    }
}

#[tokio::test]
async fn faults_are_armed_listed_and_cleared_over_http_when_admin_is_on() {
    let shop = Shop::open().await;
    let url = format!("{}/admin/faults", shop.seller().url());
    let armed = shop.buyer.post(&url, &json!({ "fault": "no_receipt", "times": 2 })).await;
    assert_eq!(armed.json(), json!([{ "fault": "no_receipt", "times": 2 }]));
    let replaced = shop.buyer.post(&url, &json!([{ "fault": "surge", "percent": 300 }])).await;
    assert_eq!(replaced.json(), json!([{ "fault": "surge", "percent": 300 }]));
    for bad in [json!({ "fault": "nonsense" }), json!({ "fault": "rpc_down" }), json!("surge")] {
        assert_eq!(shop.buyer.post(&url, &bad).await.status, 400, "{bad}");
    }
    shop.buyer.send(Method::DELETE, &url, &[], "").await.unwrap();
    assert!(shop.seller().faults().armed().is_empty());
    let quiet = Shop::open_with(|market| market.admin(false)).await;
    let url = format!("{}/admin/faults", quiet.seller().url());
    assert_eq!(quiet.buyer.get(&url).await.status, 404);
    assert_eq!(quiet.buyer.post(&url, &json!({ "fault": "no_receipt" })).await.status, 404);
}

#[tokio::test]
async fn every_hostile_kind_can_be_added_and_never_delivers_what_was_quoted() {
    for kind in HostileKind::ALL {
        let hostile = kind.seller();
        let shop =
            Shop::open_with(|market| market.main_seller(false).resellers(false).add_seller(hostile)).await;
        let outcome = buy(&shop).await;
        let honest = outcome.status == Some(200) && outcome.content && outcome.paid > 0;
        assert!(!honest, "{kind:?}: {outcome:?}");
    }
}
