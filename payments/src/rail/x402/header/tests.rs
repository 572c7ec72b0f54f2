use super::super::{Finality, NetworkReader, X402, X402Options};
use super::*;
use crate::rail::{Exchange, Rail as _};
use alloy::primitives::{B256, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_types::{
    AssetRegistry, HttpRequest, HttpResponse, LedgerId, Limits, PaymentId, Timestamp, Transport,
    TransportError,
};
use std::sync::Arc;

const KEY: &str = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

#[derive(Debug)]
struct NoNetwork;

#[async_trait]
impl Transport for NoNetwork {
    async fn send(&self, _: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        Err(TransportError::NotSent {
            host: "none".to_owned(),
            source: "building a header needs no network".into(),
        })
    }
}

fn rail() -> X402 {
    X402::new(X402Options {
        assets: Arc::new(AssetRegistry::pinned()),
        networks: vec![NetworkReader {
            network: "eip155:84532".to_owned(),
            rpc_urls: vec!["http://127.0.0.1:1".to_owned()],
            finality: Finality::Finalized,
        }],
        transport: Arc::new(NoNetwork),
        payer: "0x90f79bf6eb2c4f870365e785982e1f101e93b906".to_owned(),
        quote_ttl_ms: 60_000,
    })
}

fn order(path: &str, response: &HttpResponse) -> Order {
    let request =
        http::Request::builder().uri(format!("http://127.0.0.1:46817{path}")).body("".into()).unwrap();
    let now = Timestamp::from_unix_ms(1_795_266_600_000);
    let exchange = Exchange { request: &request, response, received_at: now };
    Order {
        ledger: LedgerId::derived(&[b"test"]),
        payment: PaymentId::derived(&[b"test"]),
        attempt: 0,
        offer: rail().offers(&exchange).unwrap().remove(0),
        payer: "0x90f79bf6eb2c4f870365e785982e1f101e93b906".to_owned(),
        now,
        window_s_max: 300,
    }
}

fn order_v2(path: &str, demand: &str) -> Order {
    let response = http::Response::builder().status(402).header("payment-required", STANDARD.encode(demand));
    order(path, &response.body("{}".into()).unwrap())
}

fn order_v1() -> Order {
    let demand = r#"{"x402Version":1,"accepts":[{"scheme":"exact","network":"base-sepolia","maxAmountRequired":"10000",
        "resource":"http://127.0.0.1:46817/weather","description":"Weather","mimeType":"application/json",
        "payTo":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC","maxTimeoutSeconds":60,
        "asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","outputSchema":null,"extra":{"name":"USDC","version":"2"}}]}"#;
    order("/weather", &http::Response::builder().status(402).body(demand.into()).unwrap())
}

fn sign(terms: &Terms) -> [u8; 65] {
    let signer: PrivateKeySigner = KEY.parse().unwrap();
    signer.sign_hash_sync(&B256::from(*terms.signing_digest().unwrap().as_bytes())).unwrap().as_bytes()
}

fn presented(order: &Order) -> (String, Value) {
    let prepared = rail().prepare(order).unwrap();
    let terms = cleared_terms(&prepared, order).unwrap();
    let (name, value) = build(&terms, &sign(&terms)).unwrap();
    (name.to_string(), serde_json::from_slice(&STANDARD.decode(value.as_bytes()).unwrap()).unwrap())
}

#[test]
fn the_published_vector_gives_exactly_its_signature() {
    let terms = Terms {
        version: Version::V2,
        network: "eip155:31337".to_owned(),
        token: "0x5FbDB2315678afecb367f032d93F642f64180aa3".to_owned(),
        token_name: "USD Coin".to_owned(),
        token_version: "2".to_owned(),
        from: "0x90F79bf6EB2c4f870365E785982E1f101E93b906".to_owned(),
        to: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC".to_owned(),
        value: "1000".to_owned(),
        valid_after: "0".to_owned(),
        valid_before: "1795258967".to_owned(),
        nonce: "0xa07f97acc465e684db1f2e4a05e69701d0590156ab98efe991c18de3546d4996".to_owned(),
        from_s: "1795258907".to_owned(),
        accepted: "{}".to_owned(),
        resource: None,
        extensions: None,
    };
    assert_eq!(
        hex::encode(sign(&terms)),
        "ef49846ea68f8bf5f409038b507ca577ca41b85a156d7138dbf3b7f521275330\
         432584ab42e1125d61794e48ff8ac392188fe9378038414a4a2b141d15af2cbd1b"
    );
    assert!(build(&terms, &sign(&terms)).is_ok());
}

#[test]
fn a_payment_of_version_2_echoes_the_alternative_the_resource_and_the_extensions() {
    let demand = include_str!("../../../../tests/rail/fixtures/idempotent.json");
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(presented(&order_v2("/paid/idempotent", demand))); });
}

#[test]
fn a_payment_of_version_1_names_scheme_and_network_as_the_vendor_did() {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(presented(&order_v1())); });
}

#[test]
fn stored_terms_give_the_same_header_after_a_crash() {
    let order = order_v2("/paid/standard", include_str!("../../../../tests/rail/fixtures/standard.json"));
    let stored = serde_json::to_string(&(&order, rail().prepare(&order).unwrap())).unwrap();
    let (order_again, prepared): (Order, Prepared) = serde_json::from_str(&stored).unwrap();
    let terms = cleared_terms(&prepared, &order_again).unwrap();
    let (_, value) = build(&terms, &sign(&terms)).unwrap();
    let again: Value = serde_json::from_slice(&STANDARD.decode(value.as_bytes()).unwrap()).unwrap();
    assert_eq!(again, presented(&order).1);
}

#[test]
fn terms_that_were_changed_after_the_clearance_are_refused() {
    let order = order_v2("/paid/choice", include_str!("../../../../tests/rail/fixtures/choice.json"));
    let other = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    for (field, value) in [
        ("to", other),
        ("from", other),
        ("token", other),
        ("value", "2001"),
        ("valid_before", "1795266661"),
        ("valid_after", "1"),
        ("network", "eip155:8453"),
        ("token_name", "USD Coin"),
        ("nonce", "0xa07f97acc465e684db1f2e4a05e69701d0590156ab98efe991c18de3546d4996"),
    ] {
        let mut prepared = rail().prepare(&order).unwrap();
        prepared.terms[field] = value.into();
        assert!(cleared_terms(&prepared, &order).is_err(), "{field} alone");
        // Nor where the digest was changed along with it, if the order says otherwise.
        if !matches!(field, "valid_before" | "valid_after" | "token_name") {
            prepared.signing = Terms::of(&prepared).unwrap().signing_digest().unwrap();
            assert!(cleared_terms(&prepared, &order).is_err(), "{field} with its digest");
        }
    }
}

#[test]
fn terms_of_another_attempt_or_payment_are_refused() {
    let order = order_v2("/paid/choice", include_str!("../../../../tests/rail/fixtures/choice.json"));
    let prepared = rail().prepare(&order).unwrap();
    assert!(cleared_terms(&prepared, &Order { attempt: 1, ..order.clone() }).is_err());
    let other = Order { payment: PaymentId::derived(&[b"other"]), ..order };
    assert!(cleared_terms(&prepared, &other).is_err());
}

#[test]
fn a_signature_in_any_other_form_is_not_presented() {
    let order = order_v2("/paid/choice", include_str!("../../../../tests/rail/fixtures/choice.json"));
    let terms = cleared_terms(&rail().prepare(&order).unwrap(), &order).unwrap();
    let good = sign(&terms);
    let high_s = {
        let order: U256 =
            "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
        let s = order - U256::from_be_slice(&good[32..64]);
        let mut bytes = good;
        bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
        bytes[64] = 55 - good[64];
        bytes
    };
    let change = |index: usize, byte: u8| {
        let mut bytes = good;
        bytes[index] = byte;
        bytes
    };
    let elsewhere = sign(&Terms { value: "2001".to_owned(), ..terms.clone() });
    for (what, bad) in [
        ("high s", high_s),
        ("v of 0 or 1", change(64, good[64] - 27)),
        ("the other v", change(64, 55 - good[64])),
        ("another r", change(0, good[0] ^ 1)),
        ("other terms", elsewhere),
        ("zeros", [0; 65]),
    ] {
        assert!(build(&terms, &bad).is_err(), "{what}");
    }
    assert!(build(&terms, &good).is_ok());
}
