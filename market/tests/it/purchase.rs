//! Buying from an honest seller, and what a careless buyer is told.

use crate::support::{Shop, documents, encode};
use bursar_market::{
    Market, OfferTemplate, PaymentIdentifier, SellerConfig, SellerLog, ViolationKind, WireVersion,
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_document_is_quoted_paid_and_delivered_with_a_receipt() {
    let shop = Shop::open().await;
    let quote = shop.buyer.quote(&shop.url()).await;
    let got = shop.buyer.present(&shop.url(), &shop.buyer.payment(&quote, "one")).await.unwrap();
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["content-type"], "text/markdown; charset=utf-8");
    assert_eq!(got.text(), documents()[0].text);
    let receipt = got.header("payment-response").unwrap();
    assert_eq!(receipt["success"], true);
    let transfers = shop.market.chain().transfers();
    assert_eq!(transfers.len(), 1);
    assert_eq!(receipt["transaction"], transfers[0].transaction.to_string());
    assert_eq!(shop.paid(), 6_000, "0.005 and 0.001 for the first started 4 KiB");
    assert_eq!(shop.market.balance_of(shop.seller().pay_to()), 6_000);
    let SellerLog { entries, quotes, paid_requests, nonces, settlements } = shop.seller().log();
    assert_eq!((entries.len(), quotes, paid_requests, nonces.len(), settlements), (2, 1, 1, 1, 1));
    assert!(shop.seller().violations().is_empty());
}

#[tokio::test]
async fn a_payment_shown_again_without_an_identifier_is_refused_and_moves_nothing() {
    let shop = Shop::open().await;
    let quote = shop.buyer.quote(&shop.url()).await;
    let payment = shop.buyer.payment(&quote, "one");
    assert_eq!(shop.buyer.present(&shop.url(), &payment).await.unwrap().status, 200);
    let again = shop.buyer.present(&shop.url(), &payment).await.unwrap();
    assert_eq!(again.status, 402);
    assert_eq!(again.header("payment-required").unwrap()["error"], "invalid_exact_evm_nonce_already_used");
    assert_eq!(shop.paid(), 6_000);
    assert!(shop.seller().violations().is_empty(), "the same authorization is not a second payment");
}

#[tokio::test]
async fn version_one_is_spoken_in_body_and_x_payment() {
    let seller = SellerConfig::new("old").wire(WireVersion::V1);
    let shop = Shop::open_with(|market| market.main_seller(false).resellers(false).add_seller(seller)).await;
    let offer = shop.buyer.get(&shop.url()).await;
    assert!(offer.header("payment-required").is_none());
    let terms = offer.json()["accepts"][0].clone();
    assert_eq!(terms["resource"], shop.url());
    let payment = json!({
        "x402Version": 1,
        "scheme": terms["scheme"],
        "network": terms["network"],
        "payload": shop.buyer.payload(&shop.buyer.authorization(&terms, "one")),
    });
    let header = [("x-payment", encode(&payment))];
    let got = shop.buyer.send(Method::GET, &shop.url(), &header, "").await.unwrap();
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-payment-response").unwrap()["success"], true);
    assert!(got.header("payment-response").is_none());
}

#[tokio::test]
async fn a_seller_of_both_versions_takes_either_payment() {
    let seller = SellerConfig::new("both").wire(WireVersion::Both);
    let shop = Shop::open_with(|market| market.main_seller(false).resellers(false).add_seller(seller)).await;
    assert_eq!(shop.buyer.buy(&shop.url(), "v2").await.unwrap().status, 200);
    let url = shop.seller().document_url("erc-4626");
    let terms = shop.buyer.get(&url).await.json()["accepts"][0].clone();
    let payload = shop.buyer.payload(&shop.buyer.authorization(&terms, "v1"));
    let payment =
        json!({ "x402Version": 1, "scheme": "exact", "network": terms["network"], "payload": payload });
    let header = [("x-payment", encode(&payment))];
    assert_eq!(shop.buyer.send(Method::GET, &url, &header, "").await.unwrap().status, 200);
}

#[tokio::test]
async fn any_offered_alternative_can_be_paid_and_no_other() {
    let seller = SellerConfig::new("choice").accepts(vec![
        OfferTemplate::unknown_network(),
        OfferTemplate::unknown_scheme(),
        OfferTemplate::percent(200),
        OfferTemplate::percent(20),
    ]);
    let shop = Shop::open_with(|market| market.main_seller(false).add_seller(seller).resellers(false)).await;
    let quote = shop.buyer.quote(&shop.url()).await;
    let pay = |terms: Value, nonce: &str| {
        let payload = shop.buyer.payload(&shop.buyer.authorization(&terms, nonce));
        json!({ "x402Version": 2, "accepted": terms, "payload": payload })
    };
    let mut cheaper = quote["accepts"][3].clone();
    cheaper["amount"] = json!("1");
    let cases = [
        (quote["accepts"][0].clone(), 402, "invalid_network"),
        (quote["accepts"][1].clone(), 402, "unsupported_scheme"),
        (cheaper, 402, "No matching payment requirements"),
        (quote["accepts"][3].clone(), 200, ""),
    ];
    for (index, (terms, status, reason)) in cases.into_iter().enumerate() {
        let got = shop.buyer.present(&shop.url(), &pay(terms, &format!("{index}"))).await.unwrap();
        assert_eq!(got.status, status);
        if status == 402 {
            assert_eq!(got.header("payment-required").unwrap()["error"], reason);
        }
    }
    assert_eq!(shop.paid(), 1_200);
}

#[tokio::test]
async fn a_payment_for_anything_but_what_was_quoted_is_refused_and_recorded() {
    let shop = Shop::open().await;
    let (url, other) = (shop.url(), shop.seller().document_url("guides-gas"));
    let quote = shop.buyer.quote(&url).await;
    shop.buyer.quote(&other).await;
    let header = |nonce: &str| [("payment-signature", encode(&shop.buyer.payment(&quote, nonce)))];
    let with_query = format!("{url}?page=2");
    let cases = [
        (Method::POST, url.as_str(), "", ViolationKind::NotWhatWasQuoted),
        (Method::GET, with_query.as_str(), "", ViolationKind::NotWhatWasQuoted),
        (Method::GET, url.as_str(), "a body", ViolationKind::NotWhatWasQuoted),
        (Method::GET, other.as_str(), "", ViolationKind::OtherResource),
    ];
    for (index, (method, url, body, kind)) in cases.into_iter().enumerate() {
        let got = shop.buyer.send(method, url, &header(&format!("{index}")), body).await.unwrap();
        assert_eq!(got.status, 400, "{kind:?}");
        assert_eq!(shop.seller().violations().last().unwrap().kind, kind);
    }
    assert_eq!(shop.paid(), 0);
}

#[tokio::test]
async fn one_authorization_for_two_documents_is_refused_and_recorded() {
    let shop = Shop::open().await;
    let other = shop.seller().document_url("guides-gas");
    let mut payment = shop.buyer.payment(&shop.buyer.quote(&shop.url()).await, "one");
    shop.buyer.quote(&other).await;
    payment.as_object_mut().unwrap().remove("resource");
    assert_eq!(shop.buyer.present(&shop.url(), &payment).await.unwrap().status, 200);
    assert_eq!(shop.buyer.present(&other, &payment).await.unwrap().status, 400);
    assert_eq!(shop.seller().violations()[0].kind, ViolationKind::NonceForTwoRequests);
}

#[tokio::test]
async fn a_second_authorization_is_a_violation_only_while_the_first_is_open() {
    for (wait_s, paid_first, violations) in [(0, false, 1), (0, true, 1), (61, true, 1), (61, false, 0)] {
        let shop = Shop::open().await;
        let url = shop.url();
        if !paid_first {
            shop.seller()
                .faults()
                .arm(bursar_market::FaultRule::new(bursar_market::Fault::NeverSettle402).times(1))
                .unwrap();
        }
        shop.buyer.buy(&url, "first").await.unwrap();
        shop.clock.advance_s(wait_s);
        let quote = shop.buyer.quote(&url).await;
        let mut second = shop.buyer.authorization(&quote["accepts"][0], "second");
        second.valid_before = bursar_market::Uint::from(shop.clock.now_s() + 60);
        let payment = json!({ "x402Version": 2, "accepted": quote["accepts"][0], "payload": shop.buyer.payload(&second) });
        assert_eq!(shop.buyer.present(&url, &payment).await.unwrap().status, 200);
        let found = shop.seller().violations();
        assert_eq!(found.len(), violations, "{wait_s} s, paid {paid_first}: {found:?}");
        assert!(found.iter().all(|violation| violation.kind == ViolationKind::PaidTwice));
        assert!(
            found.iter().all(|violation| violation.detail.starts_with("paid twice for the same resource"))
        );
    }
}

#[tokio::test]
async fn an_unreadable_payment_is_refused_and_recorded() {
    let shop = Shop::open().await;
    let url = shop.url();
    let good = shop.buyer.payment(&shop.buyer.quote(&url).await, "one");
    let with = |path: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        encode(&bad)
    };
    let mut unknown_field = good.clone();
    unknown_field["payload"]["authorization"]["memo"] = json!("hello");
    let cases = [
        "!!!".to_owned(),
        encode(&json!([])),
        encode(&unknown_field),
        with("/x402Version", json!(1)),
        with("/payload/authorization/value", json!(6000)),
        with("/payload/authorization/value", json!("06000")),
        with("/payload/authorization/nonce", json!("0x01")),
    ];
    for (index, header) in cases.into_iter().enumerate() {
        let got = shop.buyer.send(Method::GET, &url, &[("payment-signature", header)], "").await.unwrap();
        assert_eq!(got.status, 400, "case {index}");
        assert_eq!(shop.seller().violations().len(), index + 1);
    }
}

fn with_id(payment: &Value, id: &str) -> Value {
    let mut payment = payment.clone();
    payment["extensions"]["payment-identifier"]["info"]["id"] = json!(id);
    payment
}

#[tokio::test]
async fn a_payment_identifier_brings_the_answer_back_without_paying_again() {
    let shop = Shop::open().await;
    let url = shop.url();
    let quote = shop.buyer.quote(&url).await;
    let payment = with_id(&shop.buyer.payment(&quote, "one"), "order-0123456789");
    let first = shop.buyer.present(&url, &payment).await.unwrap();
    let second = shop.buyer.present(&url, &payment).await.unwrap();
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("payment-response"), second.header("payment-response"));
    assert_eq!(shop.paid(), 6_000);
    let other = with_id(&shop.buyer.payment(&quote, "two"), "order-0123456789");
    assert_eq!(shop.buyer.present(&url, &other).await.unwrap().status, 409);
    assert_eq!(shop.seller().violations()[0].kind, ViolationKind::IdentifierReused);
    assert_eq!(shop.paid(), 6_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_once_under_one_identifier_all_get_the_one_answer() {
    let shop = Shop::open().await;
    let quote = shop.buyer.quote(&shop.url()).await;
    let header = encode(&with_id(&shop.buyer.payment(&quote, "one"), "order-0123456789"));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let request = shop.buyer.http.get(shop.url()).header("payment-signature", &header);
        calls.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(calls.join_all().await, [200; 8]);
    assert_eq!(shop.paid(), 6_000);
    assert_eq!(shop.seller().log().settlements, 1);
}

#[tokio::test]
async fn a_required_payment_identifier_must_be_there_and_well_formed() {
    let seller = SellerConfig::new("strict").payment_identifier(PaymentIdentifier::Required);
    let shop = Shop::open_with(|market| market.main_seller(false).resellers(false).add_seller(seller)).await;
    let quote = shop.buyer.quote(&shop.url()).await;
    let payment = shop.buyer.payment(&quote, "one");
    let cases = [
        (payment.clone(), 400),
        (with_id(&payment, "short"), 400),
        (with_id(&payment, "not allowed: blanks"), 400),
        (with_id(&payment, "order-0123456789"), 200),
    ];
    for (payment, status) in cases {
        assert_eq!(shop.buyer.present(&shop.url(), &payment).await.unwrap().status, status);
    }
}

#[tokio::test]
async fn an_extension_sent_back_changed_is_refused() {
    let shop = Shop::open().await;
    let mut payment = shop.buyer.payment(&shop.buyer.quote(&shop.url()).await, "one");
    payment["extensions"]["bazaar"]["info"]["input"]["method"] = json!("POST");
    let got = shop.buyer.present(&shop.url(), &payment).await.unwrap();
    assert_eq!(got.status, 402);
    assert_eq!(got.header("payment-required").unwrap()["error"], "extension_echo_mismatch");
    assert_eq!(shop.paid(), 0);
}

#[tokio::test]
async fn the_same_document_costs_differently_at_the_reseller() {
    let shop = Shop::open().await;
    let reseller = shop.market.seller(1).unwrap();
    let ids: Vec<_> = reseller.documents().map(|document| document.id().to_owned()).collect();
    assert_eq!(ids, ["erc-3009", "story"], "every third of four");
    assert_eq!(shop.seller().price("erc-3009"), Some(6_000));
    assert_eq!(reseller.price("erc-3009"), Some(4_800));
    assert_eq!(reseller.price("story"), Some(7_800));
}

#[tokio::test]
async fn a_stopped_market_frees_its_ports_and_a_dropped_one_too() {
    let shop = Shop::open().await;
    let (url, port) = (shop.url(), shop.market.rpc_url().rsplit(':').next().unwrap().parse().unwrap());
    shop.market.stop().await;
    assert!(shop.buyer.http.get(&url).send().await.is_err());
    let ports = bursar_market::Ports { rpc: port, ..Default::default() };
    let again = Market::builder().documents(documents()).ports(ports).start().await.unwrap();
    assert!(again.rpc_url().ends_with(&format!(":{port}")));
    let taken = Market::builder().documents(documents()).ports(ports).start().await.unwrap_err();
    assert!(taken.to_string().contains(&format!("127.0.0.1:{port}")), "{taken}");
    drop(again);
    let mut freed = false;
    for _ in 0..100 {
        tokio::task::yield_now().await;
        freed = freed || Market::builder().documents(documents()).ports(ports).start().await.is_ok();
    }
    assert!(freed);
}
