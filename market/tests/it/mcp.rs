//! Selling over MCP: the protocol's messages, and x402 in them.

use crate::support::Shop;
use bursar_market::{Fault, FaultRule};
use reqwest::Method;
use serde_json::{Value, json};

/// One message of JSON-RPC, and what it gave.
async fn say(shop: &Shop, method: &str, params: Value) -> Value {
    let url = format!("{}/mcp", shop.seller().url());
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let got = shop.buyer.http.request(Method::POST, url).body(message.to_string()).send().await.unwrap();
    assert_eq!(got.status(), 200);
    let answer: Value = serde_json::from_slice(&got.bytes().await.unwrap()).unwrap();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    answer
}

async fn read(shop: &Shop, payment: Option<&Value>) -> Value {
    let mut params = json!({"name": "read_document", "arguments": {"id": "erc-3009"}});
    if let Some(payment) = payment {
        params["_meta"] = json!({"x402/payment": payment});
    }
    say(shop, "tools/call", params).await["result"].clone()
}

#[tokio::test]
async fn the_protocol_is_spoken_as_far_as_tools_need_it() {
    let shop = Shop::open().await;
    let begun = say(&shop, "initialize", json!({"protocolVersion": "2025-06-18"})).await;
    assert_eq!(begun["result"]["protocolVersion"], "2025-06-18");
    let begun = say(&shop, "initialize", json!({"protocolVersion": "1999-01-01"})).await;
    assert_eq!(begun["result"]["protocolVersion"], "2025-11-25");
    let tools = say(&shop, "tools/list", json!({})).await;
    let names: Vec<_> =
        tools["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["search", "read_document"]);
    let found = say(&shop, "tools/call", json!({"name": "search", "arguments": {"query": "vault"}})).await;
    assert_eq!(found["result"]["structuredContent"]["documents"][0]["id"], "erc-4626");
    for (method, params, code) in [
        ("resources/list", json!({}), -32601),
        ("tools/call", json!({"name": "nothing"}), -32602),
        ("tools/call", json!({"name": "read_document", "arguments": {"id": "nothing"}}), -32602),
    ] {
        assert_eq!(say(&shop, method, params).await["error"]["code"], code);
    }
}

#[tokio::test]
async fn a_tool_is_paid_for_in_the_protocol_and_a_settlement_that_failed_looks_like_a_first_demand() {
    let shop = Shop::open().await;
    let demand = read(&shop, None).await;
    assert_eq!(demand["isError"], true);
    let terms = &demand["structuredContent"];
    assert_eq!(terms["resource"]["url"], "mcp://tool/read_document");
    let text: Value = serde_json::from_str(demand["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, *terms, "the same twice");

    shop.market.facilitator().faults().arm(FaultRule::from(Fault::Settle500Before).times(1)).unwrap();
    let failed = read(&shop, Some(&shop.buyer.payment(terms, "one"))).await;
    assert_eq!((&failed["isError"], failed.get("_meta")), (&json!(true), None));
    assert_eq!(failed["structuredContent"]["accepts"], terms["accepts"]);
    assert_eq!(shop.paid(), 0);

    let sold = read(&shop, Some(&shop.buyer.payment(terms, "one"))).await;
    assert_eq!(sold["isError"], false, "{sold}");
    assert!(sold["content"][0]["text"].as_str().unwrap().contains("Random nonces"));
    assert_eq!(sold["_meta"]["x402/payment-response"]["success"], true);
    assert_eq!(shop.paid(), 6_000);
    assert!(shop.seller().violations().is_empty(), "{:?}", shop.seller().violations());
}
