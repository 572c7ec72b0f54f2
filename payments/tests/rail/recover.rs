//! What the chain proves, asked of a node that says what the test wants.

use crate::common::{self, PAYEE};
use crate::node::{
    CANCELED, Node, ORDER_BLOCK, TRANSACTION, TRANSFER, USED, event, prepared, rail, receipt, topic, word,
};
use bursar_payments::x402::{Finality, Safeguards};
use bursar_payments::{Outcome, Prepared, Rail as _};
use serde_json::{Value, json};

async fn recover(nodes: &[Node], finality: Finality) -> Outcome {
    rail(nodes, finality, Safeguards::default()).recover(&prepared()).await
}

/// The outcome as one line.
pub(crate) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Moved { reference, observed } => format!("moved {observed} {reference}"),
        Outcome::DidNotMove { proof } => format!("did not move: {proof}"),
        Outcome::Unknown { problem } => format!("unknown: {problem}"),
    }
}

#[tokio::test]
async fn the_chain_decides_and_anything_unclear_is_unknown() {
    let moved = format!("moved true {TRANSACTION}");
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}"#;
    let null = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
    let result = |value: Value| json!({"jsonrpc": "2.0", "id": 1, "result": value}).to_string();
    let shape = |change: &dyn Fn(&mut Value)| {
        let mut log = event(USED, ORDER_BLOCK + 5);
        change(&mut log);
        Node::used().logs(vec![log])
    };
    let other = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    let cases = [
        // What is proven.
        (Node::used(), moved.as_str()),
        (Node::used().at(ORDER_BLOCK + 5), moved.as_str()),
        (Node::canceled(), "did not move: authorization 0x"),
        (Node::unused(), "did not move: authorization 0x"),
        (Node::unused().at(ORDER_BLOCK + 31), "did not move: authorization 0x"),
        // The token wants the time to be before the end; at the end itself we wait one more block.
        (Node::unused().at(ORDER_BLOCK + 30), "unknown: authorization 0x"),
        (Node::unused().at(ORDER_BLOCK), "unknown: authorization 0x"),
        // Used, and not as authorized: still used.
        (Node::used().receipt(receipt(other, 2_000)), &format!("{moved} (the authorization was used")),
        (Node::used().receipt(receipt(PAYEE, 1_999)), &format!("{moved} (the authorization was used")),
        // What is not.
        (
            Node::used().logs(vec![]),
            "unknown: a.test: the authorization was used or canceled, and no event found",
        ),
        (
            Node::used().logs(vec![event(USED, ORDER_BLOCK + 5), event(CANCELED, ORDER_BLOCK + 6)]),
            "unknown: a.test: the authorization has 2 events",
        ),
        (
            shape(&|log| log["topics"][2] = json!(word(7))),
            "unknown: a.test: the node sent an event that was not asked for",
        ),
        (shape(&|log| log["topics"][1] = json!(topic(other))), "unknown: a.test: the node sent an event"),
        (shape(&|log| log["topics"][0] = json!(TRANSFER)), "unknown: a.test: the node sent an event"),
        (
            shape(&|log| log["topics"] = json!([USED])),
            "unknown: a.test: the node sent an event of another shape",
        ),
        (shape(&|log| log["address"] = json!(other)), "unknown: a.test: the node sent an event"),
        (shape(&|log| log["removed"] = json!(true)), "unknown: a.test: the node sent an event"),
        (
            shape(&|log| log["transactionHash"] = json!(null)),
            "unknown: a.test: the event names no transaction",
        ),
        (Node::used().receipt(Value::Null), "unknown: eth_getTransactionReceipt"),
        (
            Node::used().receipt(
                json!({"status": "0x0", "blockNumber": "0x1", "transactionHash": TRANSACTION, "logs": []}),
            ),
            "unknown: a.test: the node contradicts itself",
        ),
        (
            Node::used().receipt(
                json!({"status": "0x1", "blockNumber": "0x1", "transactionHash": word(1), "logs": []}),
            ),
            "unknown: a.test",
        ),
        (Node { chain_id: "0x1", ..Node::unused() }, "unknown: a.test is of chain 1, not of 84532"),
        (Node::unused().state(word(2)), "unknown: a.test"),
        (Node::unused().state("0x"), "unknown: eth_call: a.test"),
        (Node::unused().state("0x0"), "unknown: eth_call: a.test"),
        (Node::unused().with("eth_call", error), "unknown: eth_call: a.test"),
        (Node::unused().with("eth_call", null), "unknown: eth_call: a.test"),
        (Node::unused().with("eth_call", "<html>"), "unknown: eth_call: a.test"),
        (Node::unused().with("eth_call", result(json!(false))), "unknown: eth_call: a.test"),
        (
            Node::unused().with("eth_call", format!(r#"{{"id":2,"result":"{}"}}"#, word(0))),
            "unknown: eth_call: a.test",
        ),
        (Node::unused().with("eth_getBlockByNumber", null), "unknown: eth_getBlockByNumber: a.test"),
        (
            Node::unused().with("eth_getBlockByNumber", result(json!({"number": "1", "timestamp": "0x1"}))),
            "unknown: eth_getBlockByNumber",
        ),
        (
            Node::unused()
                .with("eth_getBlockByNumber", result(json!({"number": "0x1", "timestamp": 99999999999_u64}))),
            "unknown: eth_getBlockByNumber",
        ),
        (Node::unused().with("eth_chainId", error), "unknown: eth_chainId"),
        (Node::used().with("eth_getLogs", error), "unknown: eth_getLogs"),
        (Node::used().with("eth_getLogs", result(json!({}))), "unknown: eth_getLogs"),
    ];
    for (node, expected) in cases {
        for finality in [Finality::Finalized, Finality::Latest] {
            let outcome = told(&recover(std::slice::from_ref(&node), finality).await);
            let exact = expected == moved;
            assert!(outcome.starts_with(expected), "`{outcome}` is not `{expected}`");
            assert!(!exact || outcome == expected, "`{outcome}` is not `{expected}`");
        }
    }
}

#[tokio::test]
async fn the_proof_names_block_and_time() {
    let nonce = prepared().terms["nonce"].as_str().unwrap().to_owned();
    assert_eq!(
        told(&recover(&[Node::unused()], Finality::Finalized).await),
        format!(
            "did not move: authorization {nonce} was unused at block 1000100 of 2026-11-21T13:13:20Z, after its end at \
             2026-11-21T13:11:00Z"
        )
    );
}

#[tokio::test]
async fn a_node_is_read_over_http_as_by_a_call() {
    for node in [Node::used(), Node::unused(), Node::failing()] {
        let by_call = told(&recover(std::slice::from_ref(&node), Finality::Finalized).await);
        let server = node.start().await;
        let rail = common::rail(&[&server.url], Finality::Finalized);
        let over_http = told(&rail.recover(&prepared()).await);
        let host = server.url.trim_start_matches("http://");
        assert_eq!(over_http, by_call.replace("a.test", host));
    }
}

#[tokio::test]
async fn a_cancellation_is_found_also_when_it_was_mined_after_the_window() {
    let proof = "did not move: authorization 0x";
    for (canceled, head, expected) in [
        (ORDER_BLOCK + 40, ORDER_BLOCK + 41, proof),
        (ORDER_BLOCK + 32, ORDER_BLOCK + 32, proof),
        (ORDER_BLOCK + 31, ORDER_BLOCK + 9_000, proof),
        (ORDER_BLOCK + 45_000, ORDER_BLOCK * 40, proof),
        // More than a day later: nobody looks for ever.
        (ORDER_BLOCK + 60_000, ORDER_BLOCK * 40, "unknown: a.test: the authorization was used or canceled"),
    ] {
        let node = Node::canceled_at(canceled).at(head);
        let outcome = told(&recover(std::slice::from_ref(&node), Finality::Finalized).await);
        assert!(outcome.starts_with(expected), "canceled at {canceled}, head {head}: {outcome}");
        assert!(node.count("eth_getLogs") <= 27);
        let only_canceled = |request: &Value| request["params"][0]["topics"][0] == json!([CANCELED]);
        let asked = node.asked.lock().unwrap();
        let after = asked.iter().filter(|request| only_canceled(request)).count();
        assert!(after > 0 || canceled == ORDER_BLOCK + 31, "what is after the window cannot be a use");
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_proves_nothing_and_keeps_its_key_to_itself() {
    let rail = common::rail(&["http://127.0.0.1:1/v2/api-key-of-the-operator"], Finality::Finalized);
    let outcome = told(&rail.recover(&prepared()).await);
    assert!(outcome.starts_with("unknown: eth_chainId: could not connect to 127.0.0.1:1"), "{outcome}");
    assert!(!outcome.contains("api-key") && !format!("{rail:?}").contains("api-key"), "{outcome}");
}

#[tokio::test]
async fn a_long_chain_is_searched_only_around_the_window() {
    for head in [ORDER_BLOCK + 6, ORDER_BLOCK + 100, ORDER_BLOCK + 5_000, ORDER_BLOCK * 40] {
        let node = Node::used().at(head);
        let outcome = told(&recover(std::slice::from_ref(&node), Finality::Finalized).await);
        assert_eq!(outcome, format!("moved true {TRANSACTION}"), "head {head}");
        let asked = node.asked.lock().unwrap();
        assert!(asked.len() < 130, "{} requests for head {head}", asked.len());
        let logs: Vec<_> = asked.iter().filter(|request| request["method"] == "eth_getLogs").collect();
        assert_eq!(logs.len(), 1, "head {head}");
        // A quarter of an hour before the order, in blocks of two seconds.
        assert_eq!(logs[0]["params"][0]["fromBlock"], format!("{:#x}", ORDER_BLOCK - 450), "head {head}");
        let end = (ORDER_BLOCK + 31).min(head);
        assert_eq!(logs[0]["params"][0]["toBlock"], format!("{end:#x}"), "head {head}");
    }
}

#[tokio::test]
async fn stored_terms_that_were_changed_are_not_asked_about() {
    type Change = fn(&mut Prepared);
    let changes: [(&str, Change); 5] = [
        ("rail", |prepared| prepared.rail = "mpp".to_owned()),
        ("network", |prepared| prepared.terms["network"] = json!("eip155:8453")),
        ("nonce", |prepared| prepared.terms["nonce"] = json!("0x12")),
        ("missing", |prepared| drop(prepared.terms.as_object_mut().unwrap().remove("token"))),
        ("number", |prepared| prepared.terms["valid_before"] = json!(1)),
    ];
    for (what, change) in changes {
        let mut prepared = prepared();
        change(&mut prepared);
        let outcome = common::offline().recover(&prepared).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn funds_are_the_payers_balance_of_the_offers_asset() {
    let node = Node::unused().start().await;
    let offer = common::offer();
    let funds = common::rail(&[&node.url], Finality::Latest).funds(&offer).await;
    assert_eq!(funds, Ok(Some(bursar_types::Amount::from_atomic(offer.quote.price.asset().clone(), 123))));
    let wrong = Node { chain_id: "0x1", ..Node::unused() }.start().await;
    assert!(common::rail(&[&wrong.url], Finality::Latest).funds(&offer).await.is_err());
    assert_eq!(common::rail(&[], Finality::Latest).funds(&offer).await, Ok(None));
}
