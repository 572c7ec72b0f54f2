//! The facilitator refuses what it must, with the reasons real ones give.

use crate::support::{NOW_S, Shop, nonce_of};
use bursar_market::{Authorization, Key, Uint};
use serde_json::{Value, json};

fn body(shop: &Shop, terms: &Value, authorization: &Authorization) -> Value {
    json!({
        "x402Version": 2,
        "paymentPayload": {
            "x402Version": 2,
            "accepted": terms,
            "payload": shop.buyer.payload(authorization),
        },
        "paymentRequirements": terms,
    })
}

async fn post(shop: &Shop, operation: &str, body: &Value) -> Value {
    let got = shop.buyer.post(&format!("{}/{operation}", shop.market.facilitator_url()), body).await;
    assert_eq!(got.status, 200);
    got.json()
}

#[tokio::test]
async fn each_fault_of_a_payment_is_refused_with_its_reason() {
    let shop = Shop::open().await;
    let terms = shop.buyer.quote(&shop.url()).await["accepts"][0].clone();
    let good = shop.buyer.authorization(&terms, "one");
    let signed = |change: &dyn Fn(&mut Authorization)| {
        let mut authorization = good.clone();
        change(&mut authorization);
        body(&shop, &terms, &authorization)
    };
    let changed = |pointer: &str, value: Value| {
        let mut body = body(&shop, &terms, &good);
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value;
        body
    };
    // Both the accepted and the offered requirement say the same, wrong, thing.
    let with_terms = |field: &str, value: Value| {
        let mut terms = terms.clone();
        terms[field] = value;
        body(&shop, &terms, &good)
    };
    let domain = |name: &str, version: &str| with_terms("extra", json!({ "name": name, "version": version }));
    let poor = Uint::from(u128::MAX);
    let mut dear = terms.clone();
    dear["amount"] = json!(poor.to_string());
    let too_dear = body(&shop, &dear, &Authorization { value: poor, ..good.clone() });
    let stranger = Key::named("stranger").unwrap();
    let forged = stranger.sign(&good, shop.market.token()).unwrap().to_string();
    let cases = [
        ("invalid_x402_version", changed("/x402Version", json!(3))),
        ("invalid_x402_version", changed("/paymentPayload/x402Version", json!(1))),
        ("invalid_payload", changed("/paymentPayload/payload/authorization/memo", json!("hello"))),
        ("invalid_payload", changed("/paymentPayload/payload/extra", json!(1))),
        ("invalid_payload", changed("/paymentPayload/payload/authorization/value", json!(6000))),
        ("invalid_payload", changed("/paymentPayload/payload/authorization/value", json!("06000"))),
        ("invalid_payload", changed("/paymentPayload/payload/authorization/value", json!("6e3"))),
        ("invalid_payload", changed("/paymentPayload/surprise", json!(true))),
        ("invalid_payment_requirements", changed("/paymentRequirements/amount", json!(6000))),
        ("invalid_payment_requirements", changed("/paymentRequirements/amount", json!("6001"))),
        ("invalid_payment_requirements", with_terms("amount", json!("-1"))),
        ("unsupported_scheme", with_terms("scheme", json!("upto"))),
        ("invalid_network", with_terms("network", json!("eip155:8453"))),
        (
            "asset_not_deployed_contract",
            with_terms("asset", json!("0x0000000000000000000000000000000000000001")),
        ),
        ("invalid_exact_evm_missing_eip712_domain", with_terms("extra", Value::Null)),
        ("invalid_exact_evm_token_name_mismatch", domain("USDC", "2")),
        ("invalid_exact_evm_token_version_mismatch", domain("USD Coin", "1")),
        ("invalid_exact_evm_recipient_mismatch", signed(&|a| a.to = a.from)),
        ("invalid_exact_evm_authorization_value", signed(&|a| a.value = Uint::from(6_001_u64))),
        (
            "invalid_exact_evm_payload_authorization_valid_before",
            signed(&|a| a.valid_before = Uint::from(NOW_S + 5)),
        ),
        (
            "invalid_exact_evm_payload_authorization_valid_after",
            signed(&|a| a.valid_after = Uint::from(NOW_S + 1)),
        ),
        ("invalid_exact_evm_signature", changed("/paymentPayload/payload/signature", json!(forged))),
        ("invalid_exact_evm_signature", changed("/paymentPayload/payload/signature", json!("0x00"))),
        ("invalid_exact_evm_signature", changed("/paymentPayload/payload/signature", json!("none"))),
        ("invalid_exact_evm_insufficient_balance", too_dear),
    ];
    for (reason, body) in cases {
        let verified = post(&shop, "verify", &body).await;
        assert_eq!(
            (&verified["isValid"], &verified["invalidReason"]),
            (&json!(false), &json!(reason)),
            "{verified}"
        );
        let settled = post(&shop, "settle", &body).await;
        assert_eq!(
            (&settled["success"], &settled["errorReason"]),
            (&json!(false), &json!(reason)),
            "{settled}"
        );
        assert_eq!(settled["transaction"], "");
    }
    let edge = signed(&|a| a.valid_before = Uint::from(NOW_S + 6));
    assert_eq!(post(&shop, "verify", &edge).await["isValid"], true);
    assert_eq!(shop.paid(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_settlements_of_one_authorization_one_moves_money() {
    let shop = Shop::open().await;
    let terms = shop.buyer.quote(&shop.url()).await["accepts"][0].clone();
    let body = body(&shop, &terms, &shop.buyer.authorization(&terms, "one"));
    let url = format!("{}/settle", shop.market.facilitator_url());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (http, url, body) = (shop.buyer.http.clone(), url.clone(), body.to_string());
        calls.spawn(
            async move { http.post(url).body(body).send().await.unwrap().json::<Value>().await.unwrap() },
        );
    }
    let answers = calls.join_all().await;
    let won: Vec<_> = answers.iter().filter(|answer| answer["success"] == true).collect();
    assert_eq!(won.len(), 1);
    let lost =
        answers.iter().filter(|answer| answer["errorReason"] == "invalid_exact_evm_nonce_already_used");
    assert_eq!(lost.count(), 15);
    assert_eq!((shop.paid(), shop.market.chain().transfers().len()), (6_000, 1));
    assert!(shop.market.chain().authorization_state(shop.buyer.key.address(), nonce_of("one")));
}

#[tokio::test]
async fn version_one_is_verified_and_settled_under_its_own_names() {
    let shop = Shop::open_with(|market| market.chain_id(84_532)).await;
    let v2 = shop.buyer.quote(&shop.url()).await["accepts"][0].clone();
    let terms = |network: &str| {
        json!({
            "scheme": "exact",
            "network": network,
            "maxAmountRequired": v2["amount"],
            "resource": shop.url(),
            "description": "",
            "mimeType": "",
            "payTo": v2["payTo"],
            "maxTimeoutSeconds": 60,
            "asset": v2["asset"],
            "extra": v2["extra"],
        })
    };
    let body = |network: &str, offered: &str| {
        let payload = shop.buyer.payload(&shop.buyer.authorization(&v2, "one"));
        json!({
            "x402Version": 1,
            "paymentPayload": { "x402Version": 1, "scheme": "exact", "network": network, "payload": payload },
            "paymentRequirements": terms(offered),
        })
    };
    let cases = [
        (body("eip155:84532", "base-sepolia"), "invalid_exact_evm_network_mismatch"),
        (body("base", "base"), "invalid_network"),
    ];
    for (body, reason) in cases {
        assert_eq!(post(&shop, "verify", &body).await["invalidReason"], reason);
    }
    let settled = post(&shop, "settle", &body("base-sepolia", "base-sepolia")).await;
    assert_eq!((&settled["success"], &settled["network"]), (&json!(true), &json!("base-sepolia")));
}

#[tokio::test]
async fn what_is_not_json_is_400_and_supported_names_both_versions() {
    let shop = Shop::open().await;
    let url = format!("{}/verify", shop.market.facilitator_url());
    let got = shop.buyer.send(reqwest::Method::POST, &url, &[], "{").await.unwrap();
    assert_eq!(got.status, 400);
    let supported = shop.buyer.get(&format!("{}/supported", shop.market.facilitator_url())).await.json();
    let versions: Vec<_> =
        supported["kinds"].as_array().unwrap().iter().map(|kind| &kind["x402Version"]).collect();
    assert_eq!(versions, [2, 1]);
}
