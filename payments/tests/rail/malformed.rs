//! What becomes of a bad 402: a reason for each alternative, a sentence for the whole, and never a panic.

use crate::common::{self, offers, v1, v2};
use bursar_payments::OfferError;
use bursar_types::{Amount, HttpResponse};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "scheme": "exact", "network": "eip155:84532", "amount": "1000", "asset": common::TOKEN,
        "payTo": common::PAYEE, "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"},
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut alternative = good();
    alternative[field] = value;
    alternative
}

fn without(field: &str) -> Value {
    let mut alternative = good();
    alternative.as_object_mut().unwrap().remove(field);
    alternative
}

fn demand(accepts: &[Value]) -> String {
    json!({"x402Version": 2, "accepts": accepts}).to_string()
}

#[test]
fn an_alternative_that_cannot_be_paid_says_why_and_hides_no_other() {
    let two_to_256 = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let two_to_128 = "340282366920938463463374607431768211456";
    let cases = [
        ("TERMS_UNREADABLE", json!(1)),
        ("TERMS_UNREADABLE", json!("exact")),
        ("TERMS_UNREADABLE", json!(null)),
        ("UNKNOWN_SCHEME", with("scheme", json!("upto"))),
        ("UNKNOWN_SCHEME", with("scheme", json!("Exact"))),
        ("UNKNOWN_SCHEME", with("scheme", json!(["exact"]))),
        ("UNKNOWN_SCHEME", without("scheme")),
        ("UNKNOWN_NETWORK", with("network", json!("base sepolia"))),
        ("UNKNOWN_NETWORK", with("network", json!("eip155:084532"))),
        ("UNKNOWN_NETWORK", with("network", json!(84532))),
        ("UNKNOWN_NETWORK", without("network")),
        ("NO_CHAIN_READER", with("network", json!("eip155:8453"))),
        ("NO_CHAIN_READER", with("network", json!("base"))),
        ("NO_CHAIN_READER", with("network", json!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"))),
        ("UNSUPPORTED_TRANSFER_METHOD", with("extra", json!({"assetTransferMethod": "permit2"}))),
        ("UNSUPPORTED_TRANSFER_METHOD", with("extra", json!({"assetTransferMethod": "erc7710"}))),
        ("UNSUPPORTED_TRANSFER_METHOD", with("extra", json!({"assetTransferMethod": 3009}))),
        ("UNSUPPORTED_TRANSFER_METHOD", with("extra", json!("eip3009"))),
        ("UNKNOWN_ASSET", with("asset", json!(common::PAYEE))),
        ("UNKNOWN_ASSET", with("asset", json!("USDC"))),
        ("UNKNOWN_ASSET", with("asset", json!(""))),
        ("UNKNOWN_ASSET", without("asset")),
        ("ASSET_NAME_MISMATCH", with("extra", json!({"name": "USD Coin", "version": "2"}))),
        ("ASSET_NAME_MISMATCH", with("extra", json!({"name": "USDC", "version": "1"}))),
        ("ASSET_NAME_MISMATCH", with("extra", json!({"name": "USDC", "version": 2}))),
        ("AMOUNT_INVALID", with("amount", json!("-1"))),
        ("AMOUNT_INVALID", with("amount", json!("1e6"))),
        ("AMOUNT_INVALID", with("amount", json!("01"))),
        ("AMOUNT_INVALID", with("amount", json!("1.0"))),
        ("AMOUNT_INVALID", with("amount", json!(" 1000"))),
        ("AMOUNT_INVALID", with("amount", json!("0x3e8"))),
        ("AMOUNT_INVALID", with("amount", json!(""))),
        ("AMOUNT_INVALID", with("amount", json!("0"))),
        ("AMOUNT_INVALID", with("amount", json!(1000))),
        ("AMOUNT_INVALID", with("amount", json!(two_to_128))),
        ("AMOUNT_INVALID", with("amount", json!(two_to_256))),
        ("AMOUNT_INVALID", without("amount")),
        ("BAD_PAYEE", with("payTo", json!("0x3C44"))),
        ("BAD_PAYEE", with("payTo", json!("3c44cdddb6a900fa2b585dd299e03d12fa4293bc"))),
        // One letter of another case: the checksum of EIP-55 does not hold.
        ("BAD_PAYEE", with("payTo", json!("0x3c44CdDdB6a900fa2b585dd299e03d12FA4293BC"))),
        ("BAD_PAYEE", with("payTo", json!("0x0000000000000000000000000000000000000000"))),
        ("BAD_PAYEE", with("payTo", json!(common::TOKEN))),
        ("BAD_PAYEE", with("payTo", json!(common::PAYER))),
        ("BAD_PAYEE", with("payTo", json!("merchant"))),
        ("BAD_PAYEE", without("payTo")),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!(7))),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!(0))),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!(-60))),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!(60.5))),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!("60"))),
        ("BAD_TIMEOUT", with("maxTimeoutSeconds", json!(null))),
        ("UNKNOWN_FLOW", with("extra", json!({"paymentFlow": "later"}))),
        ("UNKNOWN_FLOW", with("extra", json!({"paymentFlow": 1}))),
    ];
    for (code, bad) in cases {
        let offers = offers("/x", &v2(&demand(&[bad.clone(), good()]))).unwrap();
        assert_eq!(offers.len(), 2, "{bad}");
        assert_eq!(offers[0].quote.blocked, None, "the good one comes first beside {bad}");
        let reason = offers[1].quote.blocked.as_ref().unwrap();
        assert_eq!(reason.code, code, "{bad}: {reason}");
        assert_ne!(offers[0].quote.id, offers[1].quote.id, "{bad}");
        assert!(
            offers[1].quote.price.atomic() > 0 || bad["amount"] == "0",
            "{bad} is shown as costing nothing"
        );
        let stored = serde_json::to_string(&offers[1]).unwrap();
        assert_eq!(serde_json::from_str::<bursar_payments::Offer>(&stored).unwrap(), offers[1], "{bad}");
    }
}

#[test]
fn terms_for_another_host_are_blocked() {
    for url in [
        json!("http://example.com/x"),
        json!("http://127.0.0.1:46818/x"),
        json!("http://127.0.0.1/x"),
        json!("http://localhost:46817/x"),
        json!("//example.com/x"),
        json!("mcp://tool/x"),
        json!("http://"),
        json!(1),
    ] {
        let words = json!({"x402Version": 2, "resource": {"url": url}, "accepts": [good()]});
        let offers = offers("/x", &v2(&words.to_string())).unwrap();
        let code = offers[0].quote.blocked.as_ref().map(|reason| reason.code.as_ref());
        assert_eq!(code, Some("RESOURCE_MISMATCH"), "{words}");
    }
}

#[test]
fn a_duplicate_key_is_not_read_as_either() {
    let twice = good().to_string().replacen('{', r#"{"amount":"1","#, 1);
    let words = format!(r#"{{"x402Version":2,"accepts":[{twice}]}}"#);
    let offers = offers("/x", &v2(&words)).unwrap();
    assert_eq!(offers[0].quote.blocked.as_ref().unwrap().code, "TERMS_UNREADABLE");
}

#[test]
fn at_most_32_alternatives_are_read_and_it_is_said() {
    let accepts: Vec<_> = (1..=40).map(|price| with("amount", json!(price.to_string()))).collect();
    let offers = offers("/x", &v2(&demand(&accepts))).unwrap();
    assert_eq!(offers.len(), 33);
    let last = &offers[32].quote;
    assert_eq!(last.blocked.as_ref().unwrap().code, "TOO_MANY_ALTERNATIVES");
    assert_eq!(offers.iter().filter(|offer| offer.quote.blocked.is_none()).count(), 32);
}

#[test]
fn alternatives_said_twice_are_one() {
    let offers = offers("/x", &v2(&demand(&[good(), good()]))).unwrap();
    assert_eq!(offers.len(), 1);
}

#[test]
fn long_texts_are_cut_and_labelled() {
    let words = json!({
        "x402Version": 2, "accepts": [good()],
        "resource": {"description": "é".repeat(600), "mimeType": "a".repeat(101)},
    });
    let quote = offers("/x", &v2(&words.to_string())).unwrap().remove(0).quote;
    let description = quote.description.unwrap();
    assert_eq!(description.as_received().chars().count(), 500);
    assert_eq!(
        description.provenance(),
        &bursar_types::Provenance::Host { host: "127.0.0.1:46817".to_owned() }
    );
    assert_eq!(quote.media_type, None);
}

#[test]
fn a_reason_shows_foreign_text_escaped() {
    let offers = offers("/x", &v2(&demand(&[with("scheme", json!("\u{1b}[31m\nexact\u{202e}"))]))).unwrap();
    let reason = offers[0].quote.blocked.as_ref().unwrap().to_string();
    assert!(reason.contains(r"\u{1b}[31m\nexact\u{202e}"), "{reason}");
}

fn header(value: &str) -> HttpResponse {
    http::Response::builder().status(402).header("PAYMENT-REQUIRED", value).body(Bytes::new()).unwrap()
}

#[test]
fn an_answer_that_claims_to_be_x402_and_cannot_be_read_is_an_error_that_says_what_is_wrong() {
    let huge = "A".repeat(100_000);
    let mut twice = v2(&demand(&[good()]));
    twice.headers_mut().append("PAYMENT-REQUIRED", "e30=".parse().unwrap());
    let cases = [
        ("base64", header("***")),
        ("base64", header("e3=0")),
        ("longer", header(&huge)),
        ("cannot be read", header("")),
        ("cannot be read", v2("not json")),
        ("cannot be read", v2("[]")),
        ("cannot be read", v2(r#"{"x402Version":2,"accepts":{}}"#)),
        ("cannot be read", v2(r#"{"x402Version":"2","accepts":[]}"#)),
        ("cannot be read", v2(r#"{"x402Version":2,"x402Version":1,"accepts":[1]}"#)),
        ("version 3", v2(r#"{"x402Version":3,"accepts":[1]}"#)),
        ("no x402 version", v2(r#"{"accepts":[1]}"#)),
        ("no payment", v2(r#"{"x402Version":2,"accepts":[]}"#)),
        ("no payment", v2(r#"{"x402Version":2,"accepts":null}"#)),
        ("no payment", v2(r#"{"x402Version":2}"#)),
        ("several", twice),
        ("cannot be read", v1(r#"{"x402Version":1,"accepts":["#)),
        ("no payment", v1(r#"{"x402Version":1}"#)),
    ];
    for (what, response) in cases {
        match offers("/x", &response) {
            Err(OfferError::Unreadable(problem)) => {
                assert!(problem.message.contains(what), "`{problem}` lacks `{what}`")
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn an_answer_that_is_not_x402_is_none_of_this_rails_business() {
    let status = |status: u16| {
        let mut response = v2(&demand(&[good()]));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    };
    for response in [
        status(200),
        status(401),
        v1(""),
        v1("Payment Required"),
        v1("<html>\"x402Version\"</html>"),
        v1(r#"{"error":"quota exceeded"}"#),
        v1(r#"[{"x402Version":1}]"#),
    ] {
        assert_eq!(offers("/x", &response), Ok(Vec::new()), "{response:?}");
    }
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "0x[0-9a-fA-F]{38,42}".prop_map(Value::from),
        "[0-9]{1,45}".prop_map(Value::from),
        "(eip155|solana):[0-9a-z]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("name|version|assetTransferMethod|paymentFlow|url", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 10] = [
    "scheme",
    "network",
    "amount",
    "maxAmountRequired",
    "asset",
    "payTo",
    "maxTimeoutSeconds",
    "extra",
    "resource",
    "description",
];

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = offers("/x", &v2(&text));
        let _ = offers("/x", &v1(&text));
        if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
            let mut response = v1("");
            response.headers_mut().insert("payment-required", value);
            let _ = offers("/x", &response);
        }
    }

    #[test]
    fn what_is_payable_is_exactly_what_is_said(
        field in 0..FIELDS.len(), value in any_json(), resource in any_json(), extensions in any_json(), v in 1..=2,
    ) {
        let mut alternative = good();
        alternative["maxAmountRequired"] = json!("1000");
        alternative[FIELDS[field]] = value;
        let words = json!({"x402Version": v, "accepts": [alternative.clone()], "resource": resource, "extensions": extensions});
        let response = if v == 1 { v1(&words.to_string()) } else { v2(&words.to_string()) };
        let offer = offers("/x", &response).unwrap().remove(0);
        if offer.quote.blocked.is_none() {
            let amount = alternative[if v == 1 { "maxAmountRequired" } else { "amount" }].as_str().unwrap().to_owned();
            prop_assert_eq!(&offer.quote.price, &Amount::parse_atomic(offer.quote.price.asset().clone(), &amount).unwrap());
            prop_assert_eq!(&offer.quote.payee, &alternative["payTo"].as_str().unwrap().to_lowercase());
            prop_assert!(bursar_payments::Rail::prepare(common::offline(), &common::order(offer)).is_ok());
        } else {
            prop_assert!(bursar_payments::Rail::prepare(common::offline(), &common::order(offer)).is_err());
        }
    }
}
