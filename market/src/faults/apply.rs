//! What a fault does to an answer that would otherwise have been right.

use super::list::{Fault, Malformation};
use crate::{
    server::{Answer, Delivery},
    wire,
};
use serde_json::{Value, json};
use std::time::Duration;

const HUGE_BODY_BYTES: usize = 10 * 1024 * 1024;
const HUGE_HEADER_BYTES: usize = 1024 * 1024;
const DEPTH: usize = 10_000;
const ALTERNATIVES: usize = 100_000;
const SOMETHING_ELSE: &str = "We are sorry: the document you have bought is not available.\n";

/// Changes an offer (a whole `PaymentRequired` of either version) before it is encoded.
pub(crate) fn distort_offer(fault: &Fault, offer: &mut Value) {
    let (field, value) = match fault {
        Fault::QuotedExtra { field, value } => return add_extra(offer, field, value),
        Fault::QuotedAmount { amount } => (["amount", "maxAmountRequired"], json!(amount)),
        Fault::MalformedQuote { kind } => match kind {
            Malformation::UnknownScheme => (["scheme"; 2], json!("barter")),
            Malformation::UnknownNetwork => (["network"; 2], json!("eip155:424242424242")),
            Malformation::UnknownAsset => (["asset"; 2], json!("0x000000000000000000000000000000000000dEaD")),
            Malformation::AmountAsNumber => (["amount", "maxAmountRequired"], json!(5000)),
            Malformation::EmptyAccepts => return set(offer, "accepts", json!([])),
            Malformation::ManyAlternatives => return repeat(offer),
            Malformation::WrongTypes => {
                set(offer, "x402Version", json!("two"));
                return set(offer, "accepts", json!({ "scheme": ["exact"], "amount": true }));
            }
            _ => return,
        },
        _ => return,
    };
    let accepts = offer.get_mut("accepts").and_then(Value::as_array_mut);
    for terms in accepts.into_iter().flatten() {
        for name in field {
            if terms.get(name).is_some() {
                set(terms, name, value.clone());
            }
        }
    }
}

/// Changes an encoded 402.
pub(crate) fn distort_quote(fault: &Fault, answer: &mut Answer) {
    let Fault::MalformedQuote { kind } = fault else { return };
    let header = |answer: &mut Answer, value: String| {
        for (name, present) in &mut answer.headers {
            if *name == "payment-required" {
                present.clone_from(&value);
            }
        }
    };
    match kind {
        Malformation::BadBase64 => {
            header(answer, "***not base64***".to_owned());
            answer.body = b"***not JSON***".to_vec();
        }
        Malformation::NotJson => {
            header(answer, "cGF5IG1lCg==".to_owned());
            answer.body = b"<html>pay me</html>".to_vec();
        }
        Malformation::HugeBody => answer.body.resize(HUGE_BODY_BYTES, b' '),
        Malformation::HugeHeader => answer.headers.push(("x-padding", "A".repeat(HUGE_HEADER_BYTES))),
        Malformation::DeepJson => {
            let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
            header(answer, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &deep));
            answer.body = deep.into_bytes();
        }
        Malformation::BodyDisagrees => {
            let said = answer.headers.iter().find(|(name, _)| *name == "payment-required");
            let said = said.and_then(|(_, value)| wire::decode(value));
            answer.body = dearer(said.unwrap_or_default()).to_string().into_bytes();
        }
        Malformation::TwoHeaders => {
            let said = answer.headers.iter().find(|(name, _)| *name == "payment-required");
            let said = said.and_then(|(_, value)| wire::decode(value));
            answer.headers.push(("payment-required", wire::encode(&dearer(said.unwrap_or_default()))));
        }
        Malformation::Missing => {
            answer.without("payment-required");
            answer.body = b"{}".to_vec();
        }
        // These change what is offered, before it is encoded.
        Malformation::WrongTypes
        | Malformation::UnknownScheme
        | Malformation::UnknownAsset
        | Malformation::UnknownNetwork
        | Malformation::AmountAsNumber
        | Malformation::ManyAlternatives
        | Malformation::EmptyAccepts => {}
    }
}

/// The first alternative, a hundred thousand times.
fn repeat(offer: &mut Value) {
    let first = offer.pointer("/accepts/0").cloned().unwrap_or_default();
    set(offer, "accepts", Value::Array(vec![first; ALTERNATIVES]));
}

/// The same offer for ninety times the amount.
fn dearer(mut offer: Value) -> Value {
    let accepts = offer.get_mut("accepts").and_then(Value::as_array_mut);
    for terms in accepts.into_iter().flatten() {
        for name in ["amount", "maxAmountRequired"] {
            let amount = terms.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u128>().ok());
            if let Some(amount) = amount {
                set(terms, name, json!(amount.saturating_mul(90).to_string()));
            }
        }
    }
    offer
}

fn add_extra(offer: &mut Value, field: &str, value: &Value) {
    let accepts = offer.get_mut("accepts").and_then(Value::as_array_mut);
    for terms in accepts.into_iter().flatten() {
        if let Some(extra) = terms.get_mut("extra") {
            set(extra, field, value.clone());
        }
    }
}

/// Changes the answer to a payment that has been settled. `offer` is the 402 the seller would send again.
pub(crate) fn distort_answer(fault: &Fault, answer: &mut Answer, offer: impl FnOnce() -> Answer) {
    match fault {
        Fault::SettleThen402 => *answer = offer(),
        Fault::SettleThen500 => *answer = Answer::json(500, &json!({ "error": "internal error" })),
        Fault::SettleThenDrop => answer.delivery = Delivery::Dropped,
        Fault::HalfBody => answer.delivery = Delivery::Half,
        Fault::SlowBody { ms } => answer.delivery = Delivery::Paused(Duration::from_millis(*ms)),
        Fault::WrongContent { body } => {
            answer.body = body.clone().unwrap_or_else(|| SOMETHING_ELSE.to_owned()).into_bytes();
        }
        Fault::EmptyBody => answer.body.clear(),
        Fault::NoReceipt => {
            answer.without("payment-response");
            answer.without("x-payment-response");
        }
        Fault::GarbledReceipt => receipts(answer, |_| "***not base64***".to_owned()),
        Fault::ForeignReceipt => receipts(answer, |receipt| {
            let mut receipt = receipt;
            set(&mut receipt, "payer", json!("0x000000000000000000000000000000000000dEaD"));
            set(&mut receipt, "network", json!("eip155:1"));
            set(&mut receipt, "transaction", json!(format!("0x{}", "de".repeat(32))));
            wire::encode(&receipt)
        }),
        _ => {}
    }
}

fn receipts(answer: &mut Answer, change: impl Fn(Value) -> String) {
    for (name, value) in &mut answer.headers {
        if name.ends_with("payment-response") {
            *value = change(wire::decode(value).unwrap_or(Value::Null));
        }
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
