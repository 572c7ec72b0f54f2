//! What the chain proves, asked over real HTTP of a node that says what the test wants.

use crate::common::{self, PAYEE, PAYER, TOKEN};
use crate::server::{Connection, Server};
use bursar_payments::x402::Finality;
use bursar_payments::{Outcome, Prepared, Rail as _};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const USED: &str = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";
const CANCELED: &str = "0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81";
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const TRANSACTION: &str = "0x5ad1331906f0e63262a554bb5c58df2a98ed321a4446eb895711b7dc1dfb0747";
/// Two seconds a block; the order is made at block 1,000,000.
const BLOCK_S: u64 = 2;
const ORDER_BLOCK: u64 = 1_000_000;

/// A node with one authorization in its history, and faults.
#[derive(Clone)]
struct Node {
    head: u64,
    chain_id: &'static str,
    state: String,
    logs: Vec<Value>,
    receipt: Value,
    /// Answers of a method, instead of the right ones.
    instead: Vec<(&'static str, String)>,
    asked: Arc<Mutex<Vec<Value>>>,
}

fn prepared() -> Prepared {
    common::offline().prepare(&common::order(common::offer())).unwrap()
}

fn topic(address: &str) -> String {
    format!("0x{:0>64}", address.trim_start_matches("0x"))
}

fn word(value: u64) -> String {
    format!("0x{value:064x}")
}

fn time(block: u64) -> u64 {
    common::NOW.unix_s() + block * BLOCK_S - ORDER_BLOCK * BLOCK_S
}

fn event(kind: &str, block: u64) -> Value {
    json!({
        "address": TOKEN, "topics": [kind, topic(PAYER), prepared().terms["nonce"]], "data": "0x",
        "blockNumber": format!("{block:#x}"), "transactionHash": TRANSACTION, "removed": false, "logIndex": "0x1",
    })
}

fn receipt(to: &str, value: u64) -> Value {
    json!({
        "status": "0x1", "blockNumber": format!("{:#x}", ORDER_BLOCK + 5), "transactionHash": TRANSACTION,
        "logs": [
            event(USED, ORDER_BLOCK + 5),
            {"address": TOKEN, "topics": [TRANSFER, topic(PAYER), topic(to)], "data": word(value), "blockNumber": null},
        ],
    })
}

impl Node {
    /// The window is 30 blocks; this node has seen 100 since the order, and the authorization in none.
    fn unused() -> Self {
        Self {
            head: ORDER_BLOCK + 100,
            chain_id: "0x14a34",
            state: word(0),
            logs: Vec::new(),
            receipt: Value::Null,
            instead: Vec::new(),
            asked: Arc::default(),
        }
    }

    fn used() -> Self {
        let logs = vec![event(USED, ORDER_BLOCK + 5)];
        Self { state: word(1), logs, receipt: receipt(PAYEE, 2_000), ..Self::unused() }
    }

    fn canceled() -> Self {
        Self { state: word(1), logs: vec![event(CANCELED, ORDER_BLOCK + 5)], ..Self::unused() }
    }

    fn at(self, head: u64) -> Self {
        Self { head, ..self }
    }

    fn with(mut self, method: &'static str, answer: impl Into<String>) -> Self {
        self.instead.push((method, answer.into()));
        self
    }

    fn answer(&self, body: &str) -> String {
        let request: Value = serde_json::from_str(body).unwrap();
        self.asked.lock().unwrap().push(request.clone());
        let params = &request["params"];
        let method = request["method"].as_str().unwrap();
        if let Some((_, answer)) = self.instead.iter().find(|(instead, _)| *instead == method) {
            return answer.clone();
        }
        let number = |text: &Value| match text.as_str().unwrap() {
            "finalized" | "latest" => self.head,
            hex => u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap(),
        };
        let result = match method {
            "eth_chainId" => json!(self.chain_id),
            "eth_getBlockByNumber" => {
                let number = number(&params[0]);
                json!({"number": format!("{number:#x}"), "timestamp": format!("{:#x}", time(number)), "hash": word(number)})
            }
            "eth_call" if params[0]["data"].as_str().unwrap().starts_with("0xe94a0102") => {
                assert_eq!(number(&params[1]), self.head, "state is read at the one block");
                json!(self.state)
            }
            "eth_call" => json!(word(123)),
            "eth_getLogs" => {
                let range = number(&params[0]["fromBlock"])..=number(&params[0]["toBlock"]);
                let within = |log: &&Value| range.contains(&number(&log["blockNumber"]));
                json!(self.logs.iter().filter(within).collect::<Vec<_>>())
            }
            "eth_getTransactionReceipt" => self.receipt.clone(),
            other => panic!("{other} is not needed"),
        };
        json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string()
    }

    async fn start(self) -> Server {
        Server::start(move |mut connection: Connection| {
            let node = self.clone();
            async move {
                while let Some((_, body)) = connection.request().await {
                    connection.answer("200 OK", &node.answer(&body)).await;
                }
            }
        })
        .await
    }
}

async fn recover(nodes: &[Node], finality: Finality) -> Outcome {
    let mut servers = Vec::new();
    for node in nodes {
        servers.push(node.clone().start().await);
    }
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    common::rail(&urls, finality).recover(&prepared()).await
}

/// The outcome as one line.
fn told(outcome: &Outcome) -> String {
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
        Node { logs: vec![log], ..Node::used() }
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
        (
            Node { receipt: receipt(other, 2_000), ..Node::used() },
            &format!("{moved} (the authorization was used"),
        ),
        (
            Node { receipt: receipt(PAYEE, 1_999), ..Node::used() },
            &format!("{moved} (the authorization was used"),
        ),
        // What is not.
        (
            Node { logs: vec![], ..Node::used() },
            "unknown: the authorization was used or canceled, and no event",
        ),
        (
            Node {
                logs: vec![event(USED, ORDER_BLOCK + 5), event(CANCELED, ORDER_BLOCK + 6)],
                ..Node::used()
            },
            "unknown: the authorization has 2 events",
        ),
        (
            shape(&|log| log["topics"][2] = json!(word(7))),
            "unknown: the node sent an event that was not asked for",
        ),
        (shape(&|log| log["topics"][1] = json!(topic(other))), "unknown: the node sent an event"),
        (shape(&|log| log["topics"][0] = json!(TRANSFER)), "unknown: the node sent an event"),
        (shape(&|log| log["topics"] = json!([USED])), "unknown: the node sent an event of another shape"),
        (shape(&|log| log["address"] = json!(other)), "unknown: the node sent an event"),
        (shape(&|log| log["removed"] = json!(true)), "unknown: the node sent an event"),
        (shape(&|log| log["transactionHash"] = json!(null)), "unknown: the event names no transaction"),
        (Node { receipt: Value::Null, ..Node::used() }, "unknown: eth_getTransactionReceipt"),
        (
            Node {
                receipt: json!({"status": "0x0", "blockNumber": "0x1", "transactionHash": TRANSACTION, "logs": []}),
                ..Node::used()
            },
            "unknown: the node contradicts itself",
        ),
        (
            Node {
                receipt: json!({"status": "0x1", "blockNumber": "0x1", "transactionHash": word(1), "logs": []}),
                ..Node::used()
            },
            "unknown: 127.0.0.1",
        ),
        (Node { chain_id: "0x1", ..Node::unused() }, "unknown: the endpoint is of chain 1, not of 84532"),
        (Node { state: word(2), ..Node::unused() }, "unknown: 127.0.0.1"),
        (Node { state: "0x".to_owned(), ..Node::unused() }, "unknown: 127.0.0.1"),
        (Node { state: "0x0".to_owned(), ..Node::unused() }, "unknown: 127.0.0.1"),
        (Node::unused().with("eth_call", error), "unknown: eth_call: 127.0.0.1"),
        (Node::unused().with("eth_call", null), "unknown: eth_call: 127.0.0.1"),
        (Node::unused().with("eth_call", "<html>"), "unknown: eth_call: 127.0.0.1"),
        (Node::unused().with("eth_call", result(json!(false))), "unknown: eth_call: 127.0.0.1"),
        (
            Node::unused().with("eth_call", format!(r#"{{"id":2,"result":"{}"}}"#, word(0))),
            "unknown: eth_call: 127.0.0.1",
        ),
        (Node::unused().with("eth_getBlockByNumber", null), "unknown: eth_getBlockByNumber: 127.0.0.1"),
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
async fn endpoints_must_agree() {
    let elsewhere = |mut node: Node| {
        node.logs[0]["transactionHash"] = json!(word(9));
        node.receipt["transactionHash"] = json!(word(9));
        node
    };
    let cases = [
        (vec![Node::used(), Node::used().at(ORDER_BLOCK + 50)], "moved true"),
        (vec![Node::unused(), Node::unused().at(ORDER_BLOCK + 50)], "did not move"),
        (vec![Node::used(), Node::unused()], "unknown: endpoints disagree"),
        (vec![Node::unused(), Node::used()], "unknown: endpoints disagree"),
        (vec![Node::unused(), Node::canceled()], "unknown: endpoints disagree"),
        (vec![Node::used(), Node::canceled()], "unknown: endpoints disagree"),
        (vec![Node::unused(), Node::unused().at(ORDER_BLOCK)], "unknown: endpoints disagree"),
        (vec![Node::used(), elsewhere(Node::used())], "unknown: endpoints disagree"),
        (vec![Node::unused(), Node::unused(), Node::used()], "unknown: endpoints disagree"),
        (vec![Node::used(), Node::used().with("eth_call", "")], "unknown: eth_call"),
        (vec![], "unknown: no endpoint"),
    ];
    for (nodes, expected) in cases {
        let outcome = told(&recover(&nodes, Finality::Finalized).await);
        assert!(outcome.starts_with(expected), "`{outcome}` is not `{expected}`");
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
