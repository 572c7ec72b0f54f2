//! What becomes of a good 402.

use crate::common::{self, NOW, offers, v1, v2};
use bursar_payments::{Exchange, OfferError, Rail as _};
use bytes::Bytes;
use serde_json::{Value, json};

/// A demand with one alternative, changed by the test.
fn demand(change: impl FnOnce(&mut Value)) -> String {
    let mut demand = json!({
        "x402Version": 2,
        "resource": {"url": format!("{}/x", common::SELLER), "description": "x", "mimeType": "text/plain"},
        "accepts": [{
            "scheme": "exact", "network": "eip155:84532", "amount": "1000", "asset": common::TOKEN,
            "payTo": common::PAYEE, "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"},
        }],
    });
    change(&mut demand);
    demand.to_string()
}

#[test]
fn every_alternative_of_the_official_seller_is_quoted_and_the_cheapest_is_first() {
    let offers = offers("/paid/choice", &v2(include_str!("fixtures/choice.json"))).unwrap();
    let quotes: Vec<_> = offers.iter().map(|offer| &offer.quote).collect();
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(quotes); });
}

#[test]
fn the_vendors_words_are_kept_byte_for_byte() {
    let words = r#"{"x402Version":2,"accepts":[ {"scheme":"exact", "network":"eip155:84532","amount":"1000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC","maxTimeoutSeconds":60,"extra":{"version":"2","name":"USDC","odd":1.0e2,"é":"\u00e9"}} ],"extensions": {"z":1.50, "a":null}}"#;
    let offer = offers("/x", &v2(words)).unwrap().remove(0);
    assert_eq!(offer.quote.blocked, None);
    for kept in
        [r#""extra":{"version":"2","name":"USDC","odd":1.0e2,"é":"\u00e9"}"#, r#"{"z":1.50, "a":null}"#]
    {
        assert!(offer.verbatim.contains(kept), "{}", offer.verbatim);
    }
    let prepared = common::offline().prepare(&common::order(offer)).unwrap();
    let accepted = prepared.terms["accepted"].as_str().unwrap();
    assert!(words.contains(accepted), "{accepted}");
}

#[test]
fn a_demand_of_version_1_is_read_from_the_body() {
    let body = json!({"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [{
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
        "resource": format!("{}/weather", common::SELLER), "description": "Weather", "mimeType": "application/json",
        "payTo": common::PAYEE, "maxTimeoutSeconds": 60, "asset": common::TOKEN,
        "outputSchema": {"input": {"type": "http"}}, "extra": {"name": "USDC", "version": "2"},
    }]});
    let offers = offers("/weather", &v1(&body.to_string())).unwrap();
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(offers[0].quote); });
}

#[test]
fn lenient_reading_takes_what_real_sellers_write() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let nulls = demand(|d| {
        d["error"] = Value::Null;
        d["extensions"] = Value::Null;
        d["resource"] = Value::Null;
        d["accepts"][0]["extra"] = json!({"name": null, "assetTransferMethod": null, "paymentFlow": null});
    });
    let https = demand(|d| d["resource"]["url"] = json!("/x"));
    let eip3009 = demand(|d| d["accepts"][0]["extra"]["assetTransferMethod"] = json!("eip3009"));
    let name = demand(|d| d["accepts"][0]["network"] = json!("base-sepolia"));
    let day = demand(|d| d["accepts"][0]["maxTimeoutSeconds"] = json!(86_400));
    let empty = demand(|d| d["resource"]["mimeType"] = json!(""));
    for words in [nulls, https, eip3009, name, day, empty] {
        let offers = offers("/x", &v2(&words)).unwrap();
        assert_eq!(offers[0].quote.blocked, None, "{words}");
        let unpadded = http::Response::builder()
            .status(402)
            .header("payment-required", STANDARD_NO_PAD.encode(&words))
            .body(Bytes::new())
            .unwrap();
        assert_eq!(common::offers("/x", &unpadded).unwrap(), offers);
        assert_eq!(common::offers("/x", &v1(&words)).unwrap(), offers, "version 2 in the body");
    }
}

#[test]
fn a_seller_behind_a_tls_proxy_may_write_http() {
    let words = demand(|d| d["resource"]["url"] = json!("http://example.com/x"));
    let request = http::Request::builder().uri("https://example.com/x").body(Bytes::new()).unwrap();
    let exchange = Exchange { request: &request, response: &v2(&words), received_at: NOW };
    let offers = common::offline().offers(&exchange).unwrap();
    assert_eq!((offers[0].quote.blocked.as_ref(), offers[0].quote.host.as_str()), (None, "example.com"));
}

#[test]
fn the_same_terms_asked_later_have_the_same_digest_and_id() {
    let first = common::offer();
    let later = include_str!("fixtures/choice.json").replace("Payment required", "Payment required, again");
    let response = v2(&later);
    let request = common::ask("/paid/choice");
    let received_at = NOW.plus_ms(5_000);
    let again =
        common::offline().offers(&Exchange { request: &request, response: &response, received_at }).unwrap();
    assert_eq!((again[0].terms, again[0].quote.id), (first.terms, first.quote.id));
    assert_ne!(again[0].quote.expires_at, first.quote.expires_at);
}

#[test]
fn whatever_the_money_depends_on_changes_the_digest() {
    let base = offers("/x", &v2(&demand(|_| {}))).unwrap().remove(0);
    let changes: [(&str, Value); 5] = [
        ("/accepts/0/amount", json!("1001")),
        ("/accepts/0/payTo", json!("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")),
        ("/accepts/0/network", json!("eip155:8453")),
        ("/accepts/0/asset", json!("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")),
        ("/accepts/0/extra", json!({"paymentFlow": "upfront"})),
    ];
    for (pointer, value) in changes {
        let words = demand(|d| *d.pointer_mut(pointer).unwrap() = value);
        assert_ne!(offers("/x", &v2(&words)).unwrap()[0].terms, base.terms, "{pointer}");
    }
    assert_ne!(offers("/y", &v2(&demand(|_| {}))).unwrap()[0].terms, base.terms, "path");
    let post =
        http::Request::builder().method("POST").uri(format!("{}/x", common::SELLER)).body(Bytes::new());
    let response = v2(&demand(|_| {}));
    let exchange = Exchange { request: &post.unwrap(), response: &response, received_at: NOW };
    assert_ne!(common::offline().offers(&exchange).unwrap()[0].terms, base.terms, "method");
}

#[test]
fn the_body_asked_with_is_part_of_the_quotes_id_and_not_of_the_terms() {
    let response = v2(&demand(|_| {}));
    let quote = |body: &'static str| {
        let request = http::Request::builder().method("POST").uri(format!("{}/x", common::SELLER));
        let request = request.body(Bytes::from(body)).unwrap();
        let exchange = Exchange { request: &request, response: &response, received_at: NOW };
        common::offline().offers(&exchange).unwrap().remove(0)
    };
    assert_ne!(quote("a").quote.id, quote("b").quote.id);
    assert_eq!(quote("a").terms, quote("b").terms);
}

#[test]
fn the_same_order_gives_identical_bytes() {
    let order = common::order(common::offer());
    let (once, twice) =
        (common::offline().prepare(&order).unwrap(), common::offline().prepare(&order).unwrap());
    assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&twice).unwrap());
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(once); });
}

#[test]
fn ledger_payment_and_attempt_each_change_the_nonce() {
    let order = common::order(common::offer());
    let mut nonces = std::collections::BTreeSet::new();
    let mut note = |order: &bursar_payments::Order| {
        let prepared = common::offline().prepare(order).unwrap();
        assert!(nonces.insert(prepared.terms["nonce"].to_string()));
    };
    note(&order);
    note(&bursar_payments::Order { attempt: 1, ..order.clone() });
    note(&bursar_payments::Order { payment: bursar_types::PaymentId::derived(&[b"b"]), ..order.clone() });
    note(&bursar_payments::Order { ledger: bursar_types::LedgerId::derived(&[b"b"]), ..order });
}

#[test]
fn the_window_is_the_shorter_of_the_vendors_and_ours() {
    for (ours, window_s) in [(300, 60), (15, 15), (8, 8)] {
        let order = bursar_payments::Order { window_s_max: ours, ..common::order(common::offer()) };
        let prepared = common::offline().prepare(&order).unwrap();
        assert_eq!(prepared.expires_at, NOW.plus_ms(window_s * 1_000));
        assert_eq!(prepared.terms["valid_before"], (NOW.unix_s() + window_s).to_string());
    }
}

#[test]
fn an_order_that_is_not_its_offer_is_not_prepared() {
    type Change = fn(&mut bursar_payments::Order);
    let changes: [(&str, Change); 7] = [
        ("window", |order| order.window_s_max = 7),
        ("payer", |order| order.payer = common::PAYEE.to_owned()),
        ("payee", |order| order.offer.quote.payee = common::TOKEN.to_owned()),
        ("network", |order| order.offer.quote.network = "eip155:8453".to_owned()),
        ("verbatim", |order| order.offer.verbatim = order.offer.verbatim.replace("2000", "2001")),
        ("damaged", |order| order.offer.verbatim.truncate(40)),
        ("blocked", |order| {
            order.offer.quote.blocked = Some(bursar_types::Reason::new("BAD_PAYEE", "no", "no"));
        }),
    ];
    for (what, change) in changes {
        let mut order = common::order(common::offer());
        change(&mut order);
        let refused = common::offline().prepare(&order);
        assert!(
            matches!(refused, Err(OfferError::NotPayable(_) | OfferError::Unreadable(_))),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn our_id_is_appended_where_the_vendor_offers_to_remember_it() {
    let offer = offers("/paid/idempotent", &v2(include_str!("fixtures/idempotent.json"))).unwrap().remove(0);
    let order = common::order(offer);
    let prepared = common::offline().prepare(&order).unwrap();
    let echoed: Value = serde_json::from_str(prepared.terms["extensions"].as_str().unwrap()).unwrap();
    let mut expected: Value = serde_json::from_str(include_str!("fixtures/idempotent.json")).unwrap();
    let id = format!("{}-0", order.payment);
    expected["extensions"]["payment-identifier"]["info"]["id"] = json!(id);
    assert_eq!(echoed, expected["extensions"]);
    assert!(
        (16..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    );
}

#[test]
fn extensions_that_offer_nothing_are_echoed_as_they_came() {
    for extensions in [
        json!({"bazaar": {"info": {"n": 1.5}}}),
        json!({"payment-identifier": true}),
        json!({"payment-identifier": {"info": [1]}}),
        json!({"payment-identifier": {"info": {"id": "theirs-1234567890"}}}),
        json!([1, 2]),
    ] {
        let words = demand(|d| d["extensions"] = extensions.clone());
        let offer = offers("/x", &v2(&words)).unwrap().remove(0);
        let prepared = common::offline().prepare(&common::order(offer)).unwrap();
        assert_eq!(prepared.terms["extensions"], extensions.to_string());
    }
}
