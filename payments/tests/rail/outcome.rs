//! What an answer to a payment is taken for.

use crate::common;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_payments::{Outcome, Rail as _};
use bursar_types::{BodyProblem, HttpResponse, TransportError};
use serde_json::{Value, json};

const TRANSACTION: &str = "0x5ad1331906f0e63262a554bb5c58df2a98ed321a4446eb895711b7dc1dfb0747";

fn success() -> Value {
    json!({"success": true, "transaction": TRANSACTION, "network": "eip155:84532", "payer": common::PAYER})
}

fn with(field: &str, value: Value) -> Value {
    let mut receipt = success();
    receipt[field] = value;
    receipt
}

fn answer(status: u16, name: &str, value: &str) -> HttpResponse {
    http::Response::builder().status(status).header(name, value).body("goods".into()).unwrap()
}

fn told(answer: Result<&HttpResponse, &TransportError>) -> String {
    let prepared = common::offline().prepare(&common::order(common::offer())).unwrap();
    match common::offline().outcome(&prepared, answer) {
        Outcome::Moved { reference, observed: false } => format!("claimed {reference}"),
        Outcome::Unknown { problem } => format!("unknown: {problem}"),
        other => panic!("an answer proves nothing, and gave {other:?}"),
    }
}

#[test]
fn only_a_success_with_a_receipt_for_this_payment_is_a_claim_that_it_moved() {
    let claimed = format!("claimed {TRANSACTION}");
    let claimed = claimed.as_str();
    let upper = TRANSACTION.replace('x', "X").to_uppercase().replace('X', "x");
    let cases = [
        (200, success(), claimed),
        (201, success(), claimed),
        (200, json!({"success": true, "transaction": TRANSACTION}), claimed),
        (200, with("network", Value::Null), claimed),
        (200, with("payer", Value::Null), claimed),
        (200, with("network", json!("base-sepolia")), claimed),
        (200, with("payer", json!(common::PAYER.to_uppercase().replace('X', "x"))), claimed),
        (200, with("transaction", json!(upper)), claimed),
        (200, with("amount", json!("2000")), claimed),
        (200, with("extensions", json!({"offer-receipt": {"info": {}}})), claimed),
        // Another's receipt.
        (200, with("network", json!("eip155:8453")), "unknown: the vendor's receipt is for another network"),
        (200, with("network", json!("moon")), "unknown: the vendor's receipt is for another network"),
        (200, with("payer", json!(common::PAYEE)), "unknown: the vendor's receipt is for another payer"),
        (200, with("amount", json!("1999")), "unknown: the vendor's receipt is for another amount"),
        (200, with("amount", json!(2000)), "unknown: the vendor's receipt is for another amount"),
        (200, with("transaction", json!("")), "unknown: the vendor's receipt names no transaction but ``"),
        (200, with("transaction", Value::Null), "unknown: the vendor's receipt names no transaction"),
        (200, with("transaction", json!("0x12")), "unknown: the vendor's receipt names no transaction"),
        // Not a success.
        (402, success(), "unknown: the vendor answered 402 and says that the payment settled"),
        (500, success(), "unknown: the vendor answered 500 and says that the payment settled"),
        (302, success(), "unknown: the vendor answered 302 and says that the payment settled"),
        (
            200,
            with("success", json!(false)),
            "unknown: the vendor answered 200 and says that it failed and names",
        ),
        (
            402,
            json!({"success": false, "transaction": "", "errorReason": "settlement_pending"}),
            "unknown: the vendor answered 402 and says `settlement_pending`",
        ),
        (
            402,
            json!({"success": false, "error_reason": "insufficient_funds"}),
            "unknown: the vendor answered 402 and says `insufficient_funds`",
        ),
        (
            402,
            json!({"success": false, "errorReason": "did_not_move", "errorMessage": "\u{1b}[2Jtrust me"}),
            r"unknown: the vendor answered 402 and says `did_not_move`, `\u{1b}[2Jtrust me`",
        ),
        // Not a receipt.
        (200, with("success", json!("true")), "unknown: the receipt in payment-response cannot be read"),
        (200, with("success", Value::Null), "unknown: the receipt in payment-response cannot be read"),
        (200, with("transaction", json!(1)), "unknown: the receipt in payment-response cannot be read"),
        (200, json!([]), "unknown: the receipt in payment-response cannot be read"),
    ];
    for (status, receipt, expected) in cases {
        let header = STANDARD.encode(receipt.to_string());
        let told = told(Ok(&answer(status, "PAYMENT-RESPONSE", &header)));
        assert!(told.starts_with(expected), "{status} {receipt}: `{told}`");
    }
}

#[test]
fn a_receipt_is_found_under_either_name() {
    let header = STANDARD.encode(success().to_string());
    for name in ["PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE", "Payment-Response"] {
        assert_eq!(told(Ok(&answer(200, name, &header))), format!("claimed {TRANSACTION}"), "{name}");
    }
}

#[test]
fn receipts_that_contradict_each_other_are_none() {
    let mut response = answer(200, "PAYMENT-RESPONSE", &STANDARD.encode(success().to_string()));
    let other = STANDARD.encode(with("success", json!(false)).to_string());
    response.headers_mut().append("PAYMENT-RESPONSE", other.parse().unwrap());
    assert!(told(Ok(&response)).starts_with("unknown: there are several"));
}

#[test]
fn an_answer_without_a_receipt_is_unknown_whatever_its_status() {
    for status in [200, 204, 302, 400, 402, 403, 409, 412, 500, 502] {
        let response = http::Response::builder().status(status).body("".into()).unwrap();
        assert_eq!(told(Ok(&response)), format!("unknown: the vendor answered {status} without a receipt"));
    }
    let bad = answer(200, "PAYMENT-RESPONSE", "***");
    assert!(told(Ok(&bad)).starts_with("unknown: the payment-response header is not base64"));
}

#[test]
fn a_receipt_before_a_broken_body_is_not_lost() {
    let broken = |status, header: &str| {
        let (head, _) = answer(status, "PAYMENT-RESPONSE", header).into_parts();
        TransportError::Body {
            host: "h".to_owned(),
            head: Box::new(head),
            problem: BodyProblem::TooLong { max: 1 },
        }
    };
    let receipt = STANDARD.encode(success().to_string());
    assert_eq!(told(Err(&broken(200, &receipt))), format!("claimed {TRANSACTION}"));
    assert!(told(Err(&broken(500, &receipt))).starts_with("unknown"));
    assert!(told(Err(&broken(200, "e30="))).starts_with("unknown"));
}

#[test]
fn an_exchange_that_failed_is_unknown_also_where_this_try_was_not_sent() {
    let not_sent = TransportError::NotSent { host: "h".to_owned(), source: "refused".into() };
    let no_answer = TransportError::NoAnswer { host: "h".to_owned(), source: "reset".into() };
    assert_eq!(told(Err(&not_sent)), "unknown: could not connect to h: refused");
    assert_eq!(told(Err(&no_answer)), "unknown: no answer from h: reset");
}
