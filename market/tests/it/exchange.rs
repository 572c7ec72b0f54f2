//! The market without sockets, tasks or a runtime.

use crate::{
    calls::{get, now, open, present, quote, rpc},
    support::{FUNDS, NOW_S, Shop, documents},
};
use axum::http::{Request, Response};
use bursar_market::{Broken, Fault, FaultRule, HostileKind, Market};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

fn buy(shop: &Shop, nonce: &str) -> Result<Response<Bytes>, Broken> {
    let mut payment = shop.buyer.payment(&quote(&shop.market, &shop.url()), nonce);
    payment["extensions"]["payment-identifier"]["info"]["id"] = json!("order-0123456789");
    present(&shop.market, &shop.url(), &payment)
}

#[test]
fn a_document_is_bought_without_a_socket_or_a_runtime() {
    let shop = open(|market| market);
    assert_eq!(shop.market.rpc_url(), "http://rpc.market.test");
    assert_eq!(shop.market.facilitator_url(), "http://facilitator.market.test");
    assert_eq!(shop.market.seller_urls(), ["http://seller-0.market.test", "http://seller-1.market.test"]);
    let found =
        get(&shop.market, &format!("{}?query=erc-3009&limit=1", shop.market.discovery_url())).unwrap();
    let found: Value = serde_json::from_slice(found.body()).unwrap();
    assert!(found.to_string().contains(&shop.url()), "{found}");
    let answer = buy(&shop, "one").unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, documents()[0].text.as_bytes()));
    assert_eq!(answer.headers()["content-length"], answer.body().len().to_string());
    assert!(answer.headers().contains_key("payment-response"));
    assert_eq!(rpc(&shop.market, "eth_blockNumber", json!([])), "0x2");
    assert_eq!((shop.paid(), shop.seller().violations()), (6_000, vec![]));
    now(shop.market.stop());
}

#[test]
fn a_dropped_answer_was_processed_and_comes_back_under_its_identifier() {
    let shop = open(|market| market);
    shop.seller().faults().arm(FaultRule::new(Fault::SettleThenDrop).times(1)).unwrap();
    assert!(matches!(buy(&shop, "one"), Err(Broken::Dropped)));
    assert_eq!(shop.paid(), 6_000);
    assert_eq!(buy(&shop, "one").unwrap().body().as_ref(), documents()[0].text.as_bytes());
    assert_eq!(shop.paid(), 6_000);
}

#[test]
fn half_a_body_comes_with_its_head_and_no_more_than_half() {
    let shop = open(|market| market);
    shop.seller().faults().arm(FaultRule::new(Fault::HalfBody).times(1)).unwrap();
    let Err(Broken::BrokeOff { head, body }) = buy(&shop, "one") else { panic!("it arrived whole") };
    let whole = documents()[0].text.clone();
    assert_eq!((head.status.as_u16(), body.as_ref()), (200, &whole.as_bytes()[..whole.len() / 2]));
    assert_eq!(head.headers["content-length"], whole.len().to_string());
    assert!(head.headers.contains_key("payment-response"), "the receipt travels in the head");
    assert_eq!(shop.paid(), 6_000);
}

#[test]
fn nobody_waits_where_there_is_nothing_to_wait_for() {
    let shop = open(|market| market);
    shop.seller().faults().arm(Fault::SlowQuote { ms: u64::MAX }).unwrap();
    shop.seller().faults().arm(Fault::SlowBody { ms: u64::MAX }).unwrap();
    let answer = buy(&shop, "one").unwrap();
    assert_eq!(answer.body().as_ref(), documents()[0].text.as_bytes());
    let struck: Vec<_> = shop.seller().log().entries.into_iter().flat_map(|entry| entry.faults).collect();
    assert_eq!(struck, ["slow_quote", "slow_body"]);
}

#[test]
fn a_host_that_is_not_of_this_market_is_not_found() {
    let shop = open(|market| market);
    for url in [
        "http://seller-7.market.test/",
        "http://127.0.0.1:9/elsewhere",
        "https://seller-0.market.test/",
        "http://seller-0.market.test:81/",
        "/documents/erc-3009",
    ] {
        assert!(matches!(get(&shop.market, url), Err(Broken::NoSuchHost { .. })), "{url}");
    }
    assert_eq!(shop.seller().log().entries, []);
    let by_header = Request::get("/catalog").header("host", "SELLER-0.market.test:80");
    let answer = now(shop.market.exchange(by_header.body(Bytes::new()).unwrap())).unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(get(&shop.market, "http://Seller-0.market.test:80").unwrap().status(), 200);
}

/// Everything an observer could tell two markets apart by.
fn story() -> String {
    let (builder, clock) = crate::support::builder();
    let builder = HostileKind::ALL.iter().fold(builder, |market, kind| market.add_seller(kind.seller()));
    let market = now(builder.in_process().finality_depth(2).start()).unwrap();
    let buyer = crate::support::Buyer {
        key: bursar_market::Key::named("buyer").unwrap(),
        token: market.token().clone(),
        http: reqwest::Client::new(),
    };
    let mut seen = String::new();
    for query in ["vault inflation", "gas", "transfer authorization nonce"] {
        let url = format!("{}?query={}", market.discovery_url(), query.replace(' ', "+"));
        seen += &format!("{:?}\n", get(&market, &url).unwrap());
    }
    for (index, seller) in market.sellers().iter().enumerate() {
        for (place, document) in seller.documents().enumerate() {
            let url = seller.document_url(document.id());
            let payment = buyer.payment(&quote(&market, &url), &format!("{index} {place}"));
            seen += &format!("{:?}\n", present(&market, &url, &payment));
            clock.advance_s(7);
        }
        seen += &format!("{:?} {:?}\n", seller.log(), seller.violations());
    }
    seen += &rpc(&market, "eth_getLogs", json!([{ "fromBlock": "earliest" }])).to_string();
    seen + &format!("{:?} {:?}", market.chain().transfers(), market.facilitator().log())
}

#[test]
fn the_same_requests_at_the_same_times_get_the_same_bytes() {
    let first = story();
    assert!(first.contains(&format!("timestamp_s: {NOW_S}")));
    assert_eq!(first, story());
}

#[tokio::test]
async fn a_market_is_shared_and_one_with_sockets_answers_calls_too() {
    let market = Arc::new(Shop::open().await.market);
    let url = format!("{}/catalog", market.seller_urls()[0]);
    let ask = |market: Arc<Market>, url: String| async move {
        market.exchange(Request::get(url).body(Bytes::new()).unwrap()).await.unwrap().into_body()
    };
    let called = tokio::spawn(ask(market.clone(), url.clone())).await.unwrap();
    let sent = reqwest::Client::builder().no_proxy().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(sent.bytes().await.unwrap(), called);
    assert_eq!(market.balance_of(bursar_market::Key::named("buyer").unwrap().address()), FUNDS);
}
