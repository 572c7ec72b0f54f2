//! The chain's JSON-RPC, and its faults.

use crate::support::{FUNDS, NOW_S, Shop, nonce_of};
use bursar_market::{Fault, FaultRule, Word, keccak};
use serde_json::{Value, json};

async fn rpc(shop: &Shop, body: &Value) -> Value {
    shop.buyer.post(shop.market.rpc_url(), body).await.json()
}

async fn call(shop: &Shop, method: &str, params: Value) -> Value {
    let answer = rpc(shop, &json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).await;
    assert_eq!(answer["id"], 7);
    answer.get("result").cloned().unwrap_or_else(|| answer["error"].clone())
}

fn data(signature: &str, words: &[Word]) -> String {
    let selector = hex(&keccak(signature.as_bytes()).0[..4]);
    words.iter().fold(format!("0x{selector}"), |data, word| data + &hex(&word.0))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn used(shop: &Shop, nonce: &str, tag: Value) -> Value {
    let words = [shop.buyer.key.address().to_word(), nonce_of(nonce)];
    let input = data("authorizationState(address,bytes32)", &words);
    call(shop, "eth_call", json!([{ "to": shop.market.token().address, "data": input }, tag])).await
}

async fn balance(shop: &Shop, tag: Value) -> u128 {
    let input = data("balanceOf(address)", &[shop.buyer.key.address().to_word()]);
    let word =
        call(shop, "eth_call", json!([{ "to": shop.market.token().address, "input": input }, tag])).await;
    u128::from_str_radix(word.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn truth(used: bool) -> Value {
    json!(format!("0x{:064x}", u8::from(used)))
}

#[tokio::test]
async fn a_read_at_an_older_block_answers_as_of_that_block() {
    let shop = Shop::open().await;
    let (before, _) = shop.market.chain().head();
    shop.buyer.buy(&shop.url(), "one").await.unwrap();
    let tag = json!(format!("{before:#x}"));
    assert_eq!(used(&shop, "one", tag.clone()).await, truth(false));
    assert_eq!(used(&shop, "one", json!("latest")).await, truth(true));
    assert_eq!(balance(&shop, tag).await, FUNDS);
    assert_eq!(balance(&shop, json!("latest")).await, FUNDS - 6_000);
    assert_eq!(used(&shop, "other", json!("latest")).await, truth(false));
    let beyond = json!(format!("{:#x}", before + 50));
    assert_eq!(used(&shop, "one", beyond.clone()).await["message"], "header not found");
    assert_eq!(call(&shop, "eth_getBlockByNumber", json!([beyond, false])).await, Value::Null);
}

#[tokio::test]
async fn finalized_lags_as_many_blocks_as_configured_and_time_passes_there_too() {
    let shop = Shop::open_with(|market| market.finality_depth(2)).await;
    shop.buyer.buy(&shop.url(), "one").await.unwrap();
    assert_eq!(used(&shop, "one", json!("latest")).await, truth(true));
    assert_eq!(used(&shop, "one", json!("finalized")).await, truth(false));
    shop.market.chain().mine();
    shop.market.chain().mine();
    assert_eq!(used(&shop, "one", json!("finalized")).await, truth(true));
    shop.clock.advance_s(100);
    let block = call(&shop, "eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(
        block["timestamp"],
        format!("{:#x}", NOW_S + 96),
        "two blocks of two seconds behind the clock"
    );
}

#[tokio::test]
async fn the_newest_block_is_as_old_as_the_clock_and_never_younger() {
    let shop = Shop::open().await;
    let time = async || {
        let block = call(&shop, "eth_getBlockByNumber", json!(["latest", false])).await;
        u64::from_str_radix(block["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    assert_eq!(time().await, NOW_S);
    shop.clock.advance_s(61);
    assert_eq!(time().await, NOW_S + 61);
    shop.clock.set_s(NOW_S);
    shop.market.chain().mine();
    assert_eq!(time().await, NOW_S + 61, "block times never run backwards");
}

#[tokio::test]
async fn logs_are_found_by_address_topics_and_range() {
    let shop = Shop::open().await;
    shop.buyer.buy(&shop.url(), "one").await.unwrap();
    shop.buyer.buy(&shop.seller().document_url("guides-gas"), "two").await.unwrap();
    let cancel = shop.buyer.key.sign_cancel(nonce_of("three"), shop.market.token()).unwrap();
    shop.market.chain().cancel_authorization(shop.buyer.key.address(), nonce_of("three"), &cancel).unwrap();
    let (head, _) = shop.market.chain().head();
    let event = |signature: &str| json!(keccak(signature.as_bytes()));
    let is_used = event("AuthorizationUsed(address,bytes32)");
    let cancelled = event("AuthorizationCanceled(address,bytes32)");
    let transfer = event("Transfer(address,address,uint256)");
    let buyer = json!(shop.buyer.key.address().to_word());
    let to = json!(shop.seller().pay_to().to_word());
    let range = |topics: Value| json!({ "fromBlock": "earliest", "toBlock": "latest", "topics": topics });
    let with = |mut filter: Value, field: &str, value: Value| {
        filter[field] = value;
        filter
    };
    let cases = [
        (range(json!([is_used, buyer])), 2),
        (range(json!([is_used, null, nonce_of("two")])), 1),
        (range(json!([[is_used, cancelled], buyer])), 3),
        (range(json!([cancelled])), 1),
        (range(json!([transfer, null, to])), 2),
        (range(json!([transfer, [], [to, buyer]])), 3),
        (range(json!([null, null, buyer])), 1),
        (range(json!([null, [buyer, to], null])), 5),
        (range(json!([transfer, buyer, to, null])), 0),
        (range(json!([])), 6),
        (with(range(json!([])), "address", json!(shop.market.token().address)), 6),
        (with(range(json!([])), "address", json!(["0x0000000000000000000000000000000000000001"])), 0),
        (with(range(json!([is_used])), "toBlock", json!(format!("{:#x}", head - 2))), 1),
        (with(range(json!([is_used])), "fromBlock", json!(format!("{:#x}", head + 9))), 0),
        (json!({ "topics": [cancelled] }), 1),
        (json!({ "topics": [is_used] }), 0),
    ];
    for (filter, count) in cases {
        let found = call(&shop, "eth_getLogs", json!([filter])).await;
        assert_eq!(found.as_array().map(Vec::len), Some(count), "{filter}: {found}");
    }
    let logs = call(&shop, "eth_getLogs", json!([range(json!([is_used]))])).await;
    let receipt = call(&shop, "eth_getTransactionReceipt", json!([logs[0]["transactionHash"]])).await;
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(2), "used, and the transfer it was for");
    assert_eq!(receipt["logs"][0], logs[0]);
    assert_eq!(call(&shop, "eth_getTransactionReceipt", json!([nonce_of("none")])).await, Value::Null);
}

#[tokio::test]
async fn the_token_says_its_name_version_and_decimals() {
    let shop = Shop::open().await;
    let to = shop.market.token().address;
    for (signature, wanted) in [("name()", "USD Coin"), ("version()", "2"), ("symbol()", "USDC")] {
        let answer =
            call(&shop, "eth_call", json!([{ "to": to, "data": data(signature, &[]) }, "latest"])).await;
        assert!(answer.as_str().unwrap().contains(&hex(wanted.as_bytes())), "{signature}: {answer}");
    }
    let decimals = call(&shop, "eth_call", json!([{ "to": to, "data": data("decimals()", &[]) }])).await;
    assert_eq!(decimals, format!("0x{:064x}", 6));
    let unknown = call(&shop, "eth_call", json!([{ "to": to, "data": data("pause()", &[]) }])).await;
    assert_eq!(unknown["message"], "execution reverted");
    assert_eq!(call(&shop, "eth_chainId", json!([])).await, "0x7a69");
}

#[tokio::test]
async fn what_is_no_call_is_a_json_rpc_error() {
    let shop = Shop::open().await;
    let one = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let cases = [
        (json!({ "id": 1, "method": "eth_chainId" }), -32600),
        (json!({ "jsonrpc": "2.0", "id": 1 }), -32600),
        (json!([]), -32600),
        (one("eth_sign", json!([])), -32601),
        (one("eth_chainId", json!({})), -32602),
        (one("eth_getBlockByNumber", json!(["0x01", false])), -32602),
        (one("eth_getBlockByNumber", json!(["newest", false])), -32602),
        (one("eth_call", json!([])), -32602),
        (one("eth_call", json!([{ "to": "0x1" }, "latest"])), -32602),
        (one("eth_getLogs", json!([{ "topics": [[[]]] }])), -32602),
        (one("eth_getTransactionReceipt", json!(["0x12"])), -32602),
    ];
    for (body, code) in cases {
        assert_eq!(rpc(&shop, &body).await["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_another_order_and_has_its_limits() {
    let shop = Shop::open().await;
    let one = |id: &Value, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    let silent = json!({ "jsonrpc": "2.0", "method": "eth_chainId" });
    let batch = json!([one(&json!("a"), "eth_chainId"), silent, one(&json!(2), "eth_sign"), 5]);
    let answers = rpc(&shop, &batch).await;
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [Value::Null, json!(2), json!("a")], "last first, and nothing for what has no id");
    assert_eq!(
        (&answers[0]["error"]["code"], &answers[1]["error"]["code"]),
        (&json!(-32600), &json!(-32601))
    );
    assert_eq!(answers[2]["result"], "0x7a69");
    assert_eq!(rpc(&shop, &json!([one(&json!(1), "eth_chainId")])).await[0]["result"], "0x7a69");
    assert_eq!(rpc(&shop, &json!([])).await["error"]["message"], "empty batch");
    let many = |count: u64| (0..count).map(|id| one(&json!(id), "eth_chainId")).collect::<Value>();
    assert_eq!(rpc(&shop, &many(100)).await.as_array().map(Vec::len), Some(100));
    let refused = rpc(&shop, &many(101)).await;
    assert_eq!(
        refused,
        json!([{ "jsonrpc": "2.0", "id": 0,
                                 "error": { "code": -32600, "message": "batch too large" } }])
    );
    let fault = FaultRule::new(Fault::RpcDown).path("eth_sign");
    shop.market.chain().faults().arm(fault).unwrap();
    let down = shop.buyer.http.post(shop.market.rpc_url()).body(batch.to_string()).send().await;
    assert!(down.is_err(), "what breaks the connection breaks it for the whole batch");
}

#[tokio::test]
async fn logs_are_searched_in_ranges_as_large_as_configured() {
    let shop = Shop::open_with(|market| market.log_range_max(3)).await;
    for _ in 0..6 {
        shop.market.chain().mine();
    }
    let (head, _) = shop.market.chain().head();
    let range = async |from: u64, to: u64| {
        let filter = json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") }]);
        call(&shop, "eth_getLogs", filter).await
    };
    assert_eq!(range(1, 3).await.as_array().map(Vec::len), Some(1));
    let refused = json!({ "code": -32005, "message": "exceed maximum block range: 3" });
    assert_eq!(range(1, 4).await, refused);
    assert_eq!(range(head - 3, head + 40).await, refused);
    assert_eq!(range(head - 2, head + 40).await, json!([]));
    let whole = json!([{ "fromBlock": "earliest", "toBlock": "latest" }]);
    assert_eq!(call(&shop, "eth_getLogs", whole).await, refused);
    assert_eq!(call(&shop, "eth_getLogs", json!([{}])).await, json!([]), "the newest block alone");
}

#[tokio::test]
async fn each_fault_of_the_rpc_shows_its_effect() {
    let shop = Shop::open().await;
    shop.buyer.buy(&shop.url(), "one").await.unwrap();
    let faults = shop.market.chain().faults();
    let once = |fault: Fault| faults.arm(FaultRule::new(fault).times(1)).unwrap();
    once(Fault::RpcLiesAuthorizationState { used: false });
    assert_eq!(call(&shop, "eth_chainId", json!([])).await, "0x7a69", "a lie waits for its question");
    assert_eq!(used(&shop, "one", json!("latest")).await, truth(false));
    assert_eq!(used(&shop, "one", json!("latest")).await, truth(true));
    once(Fault::RpcLag { blocks: 1 });
    assert_eq!(used(&shop, "one", json!("latest")).await, truth(false));
    once(Fault::RpcWrongChain { chain_id: 1 });
    assert_eq!(call(&shop, "eth_chainId", json!([])).await, "0x1");
    once(Fault::RpcHidesLogs);
    let filter = json!([{ "fromBlock": "earliest", "toBlock": "latest" }]);
    assert_eq!(call(&shop, "eth_getLogs", filter.clone()).await, json!([]));
    assert_ne!(call(&shop, "eth_getLogs", filter).await, json!([]));
    once(Fault::RpcError { code: -32005, message: "limit exceeded".into() });
    assert_eq!(
        used(&shop, "one", json!("latest")).await,
        json!({ "code": -32005, "message": "limit exceeded" })
    );
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    once(Fault::Rpc500);
    assert_eq!(shop.buyer.post(shop.market.rpc_url(), &body).await.status, 500);
    once(Fault::RpcGarbage);
    let garbage = shop.buyer.post(shop.market.rpc_url(), &body).await;
    assert!(serde_json::from_slice::<Value>(&garbage.body).is_err());
    once(Fault::RpcDown);
    let down = shop.buyer.http.post(shop.market.rpc_url()).body(body.to_string()).send().await;
    assert!(down.is_err());
    let admin = format!("{}/admin/faults", shop.market.rpc_url());
    let rule = json!({ "fault": "rpc_500", "path": "eth_call" });
    assert_eq!(shop.buyer.post(&admin, &rule).await.json(), json!([rule]));
    assert_eq!(shop.buyer.post(&admin, &json!({ "fault": "no_receipt" })).await.status, 400);
    let words = json!([{ "to": shop.market.token().address, "data": data("name()", &[]) }]);
    let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": words });
    assert_eq!(shop.buyer.post(shop.market.rpc_url(), &asked).await.status, 500);
    assert_eq!(call(&shop, "eth_chainId", json!([])).await, "0x7a69", "the path filter is the method's name");
}
