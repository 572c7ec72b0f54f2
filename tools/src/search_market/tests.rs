use super::*;
use crate::testkit::{CHAIN_ID, DOC, GAS, Reply, TOKEN, World, assets, call};
use bursar_types::Digest;
use serde_json::{Value, json};

const MARKET: &str = "http://127.0.0.1:4022";
const ASKED: &str = "http://127.0.0.1:4022/discovery/search?query=who+pays+gas&limit=10";

fn terms(network: &str, field: &str, amount: &str) -> Value {
    json!({"scheme": "exact", "network": network, "asset": TOKEN, field: amount, "payTo": "0x1", "maxTimeoutSeconds": 60})
}

fn listed(url: &str, score: i64, accepts: Value) -> Value {
    json!({
        "resource": url, "type": "http", "x402Version": 2, "accepts": accepts, "lastUpdated": 1,
        "extensions": {"bazaar": {"info": {}}},
        "metadata": {
            "id": "gas", "title": "EIP-3009", "preview": "How gas is paid.", "media_type": "text/markdown; charset=utf-8",
            "size_bytes": 6_000, "sha256": "00", "seller": "main", "score_milli": score, "snippets": ["pays the gas", "no ETH"]
        }
    })
}

fn answer(resources: &[Value]) -> Value {
    json!({"x402Version": 2, "query": "q", "resources": resources, "partialResults": false, "total": 40, "pagination": {"limit": 10, "cursor": null}})
}

async fn search(world: &World, markets: &[&str]) -> Result<Value, ToolError> {
    let tool = SearchMarket::new(markets, world.library.clone(), assets()).unwrap();
    call(tool, world, json!({"query": "who pays\n gas"})).await
}

#[tokio::test]
async fn what_a_market_lists_is_shown_with_prices_and_what_is_owned() {
    let world = World::with_gas_document().await;
    let network = format!("eip155:{CHAIN_ID}");
    let body = answer(&[
        listed(
            "https://other.example/cheap",
            900,
            json!([terms(&network, "amount", "14000"), terms(&network, "amount", "9000")]),
        ),
        listed(DOC, 1_500, json!([terms(&network, "maxAmountRequired", "36000")])),
        json!({"resource": {"url": "https://bare.example/"}}),
    ]);
    world.buyer.reply(ASKED, Reply::json(&body));
    let result = search(&world, &[MARKET]).await.unwrap();
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(result) });
}

#[tokio::test]
async fn an_answer_of_the_market_in_a_box_is_read() {
    let world = World::new().await;
    world.buyer.reply(ASKED, Reply::page("application/json", include_str!("fixtures/answer.json")));
    let result = search(&world, &[MARKET]).await.unwrap();
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(result) });
}

#[tokio::test]
async fn the_same_text_at_another_seller_is_owned() {
    let world = World::with_gas_document().await;
    let mut same = listed("https://other.example/copy", 2, json!([]));
    same["metadata"]["sha256"] = json!(Digest::of(GAS.as_bytes()));
    let mut other = listed("https://other.example/else", 1, json!([]));
    other["metadata"]["sha256"] = json!(Digest::of(b"else"));
    world.buyer.reply(ASKED, Reply::json(&answer(&[same, other])));
    let result = search(&world, &[MARKET]).await.unwrap();
    let owned: Vec<_> =
        result["results"].as_array().unwrap().iter().map(|hit| hit["owned"].clone()).collect();
    assert_eq!(owned, [json!(true), json!(false)]);
}

#[tokio::test]
async fn a_price_that_cannot_be_told_is_null_and_never_zero() {
    let network = format!("eip155:{CHAIN_ID}");
    for accepts in [
        json!(null),
        json!([]),
        json!("free!"),
        json!([terms(&network, "amount", "-1")]),
        json!([terms(&network, "amount", "1e3")]),
        json!([terms(&network, "amount", "")]),
        json!([terms(&network, "price", "5")]),
        json!([terms("eip155:999", "amount", "5")]),
        json!([terms("dollars", "amount", "5")]),
        json!([{"scheme": "upto", "network": network, "asset": TOKEN, "amount": "5"}]),
        json!([{"scheme": "exact", "network": network, "asset": "0x00", "amount": "5"}]),
        json!([{"scheme": "exact", "network": network, "asset": TOKEN, "amount": 5}]),
    ] {
        let world = World::new().await;
        world.buyer.reply(ASKED, Reply::json(&answer(&[listed(DOC, 1, accepts.clone())])));
        let result = search(&world, &[MARKET]).await.unwrap();
        assert_eq!(result["results"][0]["price"], json!(null), "{accepts}");
        assert_eq!(result["results"][0]["price_micro_usd"], json!(null), "{accepts}");
    }
}

#[tokio::test]
async fn hostile_listings_are_bounded_and_shown_without_hidden_characters() {
    let world = World::new().await;
    let hostile = format!("T\u{1b}[2J\u{202e}\u{200b}\n{}", "x".repeat(1 << 20));
    let mut resource = listed(DOC, i64::MAX, json!(vec![json!({}); 1_000]));
    for field in ["title", "preview", "media_type"] {
        resource["metadata"][field] = json!(hostile);
    }
    resource["metadata"]["snippets"] = json!(vec!["a\u{202e}b"; 1_000]);
    resource["metadata"]["size_bytes"] = json!(-1);
    let bad = [
        "file:///etc/passwd",
        "https://u:p@a.example/",
        "javascript:1",
        "https://a.example/\u{202e}",
        "",
        "x",
    ];
    let mut resources = vec![resource];
    resources.extend(bad.iter().map(|url| listed(url, 1, json!([]))));
    world.buyer.reply(ASKED, Reply::json(&answer(&resources)));
    let result = search(&world, &[MARKET]).await.unwrap();
    assert_eq!(result["results"].as_array().unwrap().len(), 1);
    assert!(result.to_string().len() < 2_000, "{result}");
    assert!(!result.to_string().contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{result}");
    assert_eq!(result["results"][0]["size_bytes"], json!(null));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_told() {
    for (reply, said) in [
        (Reply::page("application/json", "{"), "not JSON"),
        (Reply::page("application/json", "[]"), "lists no resources"),
        (Reply::page("application/json", &"[".repeat(1 << 20)), "not JSON"),
        (Reply::page("application/json", &" ".repeat(ANSWER_BYTES_MAX + 1)), "bytes"),
        (Reply::status(500), "500"),
        (Reply::denied(), "HOST_NOT_LISTED"),
        (Reply::unreachable(), "NETWORK"),
        (Reply::priced(1), "asks for payment for a search"),
    ] {
        let world = World::new().await;
        world.buyer.reply(ASKED, reply);
        let error = search(&world, &[MARKET]).await.unwrap_err();
        assert!(error.message().contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn one_market_that_fails_does_not_hide_another() {
    let world = World::new().await;
    world.buyer.reply(ASKED, Reply::status(503));
    let second = "https://second.example/discovery/search?query=who+pays+gas&limit=10";
    world.buyer.reply(second, Reply::json(&answer(&[listed(DOC, 1, json!([])), listed(DOC, 2, json!([]))])));
    let result = search(&world, &[MARKET, "https://second.example/discovery/search"]).await.unwrap();
    assert_eq!(result["results"].as_array().unwrap().len(), 1, "the same address is shown once");
    assert_eq!(result["results"][0]["score_milli"], json!(2));
    assert!(result["problems"][0].as_str().unwrap().contains("503"));
}

#[tokio::test]
async fn an_empty_question_or_a_bad_market_is_refused() {
    let world = World::new().await;
    let tool = SearchMarket::new([MARKET], world.library.clone(), assets()).unwrap();
    assert!(call(tool, &world, json!({"query": " \u{200b}"})).await.is_err());
    assert!(SearchMarket::new(["market.example"], world.library.clone(), assets()).is_err());
}
