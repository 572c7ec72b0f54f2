//! A node that says what the test wants, reached over HTTP or by a call.

use crate::common::{self, PAYEE, PAYER, TOKEN};
use crate::server::{Connection, Server};
use async_trait::async_trait;
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{Order, Prepared, Rail as _};
use bursar_types::{
    AssetRegistry, BodyProblem, HttpRequest, HttpResponse, Limits, PaymentId, Transport, TransportError,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub(crate) const USED: &str = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";
pub(crate) const CANCELED: &str = "0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81";
pub(crate) const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
pub(crate) const TRANSACTION: &str = "0x5ad1331906f0e63262a554bb5c58df2a98ed321a4446eb895711b7dc1dfb0747";
/// Two seconds a block; the order is made at block 1,000,000, and its window is 30 blocks.
pub(crate) const BLOCK_S: u64 = 2;
pub(crate) const ORDER_BLOCK: u64 = 1_000_000;

/// What a node says of one authorization.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) state: String,
    pub(crate) logs: Vec<Value>,
    pub(crate) receipt: Value,
}

/// What a node does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batches {
    /// Answers it, last question first.
    Backwards,
    /// Answers one object that is an error.
    OneError,
    /// Answers as if the first id were to blame.
    TooLarge,
    /// Answers with another status.
    Status,
    /// Leaves every third question out.
    Gaps,
    /// Answers the second question twice, and differently.
    Twice,
    /// Breaks the connection.
    Dropped,
}

/// A node, with faults.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) head: u64,
    pub(crate) chain_id: &'static str,
    /// Of the authorization of [`prepared`], and of every other that is not in `others`.
    pub(crate) told: Told,
    /// By nonce.
    pub(crate) others: BTreeMap<String, Told>,
    /// Transfers of the token, whoever they are asked for.
    pub(crate) transfers: Vec<Value>,
    /// How many blocks a question for logs may cover.
    pub(crate) log_blocks_max: u64,
    /// Answers of a method, instead of the right ones.
    pub(crate) instead: Vec<(&'static str, String)>,
    pub(crate) batches: Batches,
    /// Each question, and how many requests there were.
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
    pub(crate) requests: Arc<Mutex<usize>>,
}

pub(crate) fn prepared() -> Prepared {
    common::offline().prepare(&common::order(common::offer())).unwrap()
}

/// Terms of another payment of the same offer.
pub(crate) fn prepared_for(payment: usize) -> Prepared {
    let payment = PaymentId::derived(&[b"many", &payment.to_be_bytes()]);
    common::offline().prepare(&Order { payment, ..common::order(common::offer()) }).unwrap()
}

pub(crate) fn nonce_of(prepared: &Prepared) -> String {
    prepared.terms["nonce"].as_str().unwrap().to_owned()
}

pub(crate) fn topic(address: &str) -> String {
    format!("0x{:0>64}", address.trim_start_matches("0x"))
}

pub(crate) fn word(value: u64) -> String {
    format!("0x{value:064x}")
}

pub(crate) fn time(block: u64) -> u64 {
    common::NOW.unix_s() + block * BLOCK_S - ORDER_BLOCK * BLOCK_S
}

pub(crate) fn number(text: &Value) -> u64 {
    u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// The event of the authorization of [`prepared`].
pub(crate) fn event(kind: &str, block: u64) -> Value {
    event_of(&nonce_of(&prepared()), kind, block, TRANSACTION)
}

pub(crate) fn event_of(nonce: &str, kind: &str, block: u64, transaction: &str) -> Value {
    json!({
        "address": TOKEN, "topics": [kind, topic(PAYER), nonce], "data": "0x",
        "blockNumber": format!("{block:#x}"), "transactionHash": transaction, "removed": false, "logIndex": "0x1",
    })
}

pub(crate) fn receipt(to: &str, value: u64) -> Value {
    receipt_of(&nonce_of(&prepared()), to, value, ORDER_BLOCK + 5, TRANSACTION)
}

fn receipt_of(nonce: &str, to: &str, value: u64, block: u64, transaction: &str) -> Value {
    json!({
        "status": "0x1", "blockNumber": format!("{block:#x}"), "transactionHash": transaction,
        "logs": [
            event_of(nonce, USED, block, transaction),
            {"address": TOKEN, "topics": [TRANSFER, topic(PAYER), topic(to)], "data": word(value), "blockNumber": null},
        ],
    })
}

impl Told {
    pub(crate) fn unused() -> Self {
        Self { state: word(0), logs: Vec::new(), receipt: Value::Null }
    }

    pub(crate) fn used(nonce: &str, block: u64, transaction: &str) -> Self {
        let logs = vec![event_of(nonce, USED, block, transaction)];
        Self { state: word(1), logs, receipt: receipt_of(nonce, PAYEE, 2_000, block, transaction) }
    }

    pub(crate) fn canceled(nonce: &str, block: u64, transaction: &str) -> Self {
        Self {
            state: word(1),
            logs: vec![event_of(nonce, CANCELED, block, transaction)],
            receipt: Value::Null,
        }
    }
}

impl Node {
    /// This node has seen 100 blocks since the order, and the authorization in none.
    pub(crate) fn unused() -> Self {
        Self {
            head: ORDER_BLOCK + 100,
            chain_id: "0x14a34",
            told: Told::unused(),
            others: BTreeMap::new(),
            transfers: Vec::new(),
            log_blocks_max: u64::MAX,
            instead: Vec::new(),
            batches: Batches::Backwards,
            asked: Arc::default(),
            requests: Arc::default(),
        }
    }

    pub(crate) fn used() -> Self {
        Self { told: Told::used(&nonce_of(&prepared()), ORDER_BLOCK + 5, TRANSACTION), ..Self::unused() }
    }

    pub(crate) fn canceled() -> Self {
        Self::canceled_at(ORDER_BLOCK + 5)
    }

    pub(crate) fn canceled_at(block: u64) -> Self {
        Self { told: Told::canceled(&nonce_of(&prepared()), block, TRANSACTION), ..Self::unused() }
    }

    pub(crate) fn at(self, head: u64) -> Self {
        Self { head, ..self }
    }

    pub(crate) fn logs(mut self, logs: Vec<Value>) -> Self {
        self.told.logs = logs;
        self
    }

    pub(crate) fn receipt(mut self, receipt: Value) -> Self {
        self.told.receipt = receipt;
        self
    }

    pub(crate) fn state(mut self, state: impl Into<String>) -> Self {
        self.told.state = state.into();
        self
    }

    pub(crate) fn with(mut self, method: &'static str, answer: impl Into<String>) -> Self {
        self.instead.push((method, answer.into()));
        self
    }

    /// One that answers every question with an error.
    pub(crate) fn failing() -> Self {
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"overloaded"}}"#;
        Self::unused().with("eth_chainId", error)
    }

    pub(crate) fn methods(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request["method"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|asked| *asked == method).count()
    }

    /// Status and body. `None`: the connection breaks.
    pub(crate) fn answer(&self, body: &str) -> Option<(u16, String)> {
        *self.requests.lock().unwrap() += 1;
        let parsed: Value = serde_json::from_str(body).unwrap();
        let Some(calls) = parsed.as_array() else { return Some((200, self.one(&parsed))) };
        let error =
            |id: &Value| json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32600, "message": "no"}});
        let answers = || calls.iter().map(|call| self.one(call)).collect::<Vec<_>>();
        let list = |answers: Vec<String>| format!("[{}]", answers.join(","));
        Some(match self.batches {
            Batches::Backwards => (200, list(answers().into_iter().rev().collect())),
            Batches::OneError => (200, error(&Value::Null).to_string()),
            Batches::TooLarge => (200, list(vec![error(&calls[0]["id"]).to_string()])),
            Batches::Status => (413, String::new()),
            Batches::Gaps => {
                let kept = answers().into_iter().enumerate().filter(|(place, _)| place % 3 != 1);
                (200, list(kept.map(|(_, answer)| answer).collect()))
            }
            Batches::Twice => {
                let mut twice = answers();
                twice.push(json!({"jsonrpc": "2.0", "id": 2, "result": word(1)}).to_string());
                (200, list(twice))
            }
            Batches::Dropped => return None,
        })
    }

    fn one(&self, request: &Value) -> String {
        self.asked.lock().unwrap().push(request.clone());
        let params = &request["params"];
        let method = request["method"].as_str().unwrap();
        if let Some((_, answer)) = self.instead.iter().find(|(instead, _)| *instead == method) {
            return answer.clone();
        }
        let block = |text: &Value| match text.as_str().unwrap() {
            "finalized" | "latest" => self.head,
            _ => number(text),
        };
        let result = match method {
            "eth_chainId" => json!(self.chain_id),
            "eth_getBlockByNumber" => {
                let number = block(&params[0]);
                json!({"number": format!("{number:#x}"), "timestamp": format!("{:#x}", time(number)), "hash": word(number)})
            }
            "eth_call" => match params[0]["data"].as_str().unwrap() {
                data if data.starts_with("0xe94a0102") => {
                    assert_eq!(block(&params[1]), self.head, "state is read at the one block");
                    let nonce = format!("0x{}", data.split_at(74).1);
                    json!(self.others.get(&nonce).unwrap_or(&self.told).state)
                }
                _ => json!(word(123)),
            },
            "eth_getLogs" => {
                let (from, to) = (block(&params[0]["fromBlock"]), block(&params[0]["toBlock"]));
                if to - from >= self.log_blocks_max {
                    let error = json!({"code": -32005, "message": "block range too large"});
                    return json!({"jsonrpc": "2.0", "id": request["id"], "error": error}).to_string();
                }
                let topics = &params[0]["topics"];
                let logs = match topics[2].as_str().and_then(|nonce| self.others.get(nonce)) {
                    _ if topics[0] == json!(TRANSFER) => &self.transfers,
                    Some(other) => &other.logs,
                    None => &self.told.logs,
                };
                let kinds = topics[0].as_array().cloned().unwrap_or_default();
                let within = |log: &&Value| {
                    let canceled = log["topics"][0] == CANCELED;
                    (from..=to).contains(&number(&log["blockNumber"])) && (kinds.len() != 1 || canceled)
                };
                json!(logs.iter().filter(within).collect::<Vec<_>>())
            }
            "eth_getTransactionReceipt" => {
                let other = self.others.values().find(|other| other.receipt["transactionHash"] == params[0]);
                other.unwrap_or(&self.told).receipt.clone()
            }
            other => panic!("{other} is not needed"),
        };
        json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string()
    }

    pub(crate) async fn start(self) -> Server {
        Server::start(move |mut connection: Connection| {
            let node = self.clone();
            async move {
                while let Some((_, body)) = connection.request().await {
                    let Some((status, answer)) = node.answer(&body) else { return };
                    connection.answer(&format!("{status} status"), &answer).await;
                }
            }
        })
        .await
    }
}

/// Nodes that are reached by a call: `http://a.test`, `http://b.test` and so on.
#[derive(Debug)]
pub(crate) struct Nodes(pub(crate) Vec<Node>);

#[async_trait]
impl Transport for Nodes {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let host = request.uri().host().unwrap().to_owned();
        let node = &self.0[usize::from(host.as_bytes()[0] - b'a')];
        match node.answer(std::str::from_utf8(request.body()).unwrap()) {
            Some((status, body)) => {
                let response = http::Response::builder().status(status).body(Bytes::from(body)).unwrap();
                if response.body().len() <= limits.body_bytes_max {
                    return Ok(response);
                }
                let head = Box::new(response.into_parts().0);
                Err(TransportError::Body { host, head, problem: BodyProblem::TooLong { max: 1 } })
            }
            None => Err(TransportError::NoAnswer { host, source: "the connection broke".into() }),
        }
    }
}

/// A rail that reads these nodes.
pub(crate) fn rail(nodes: &[Node], finality: Finality, safeguards: Safeguards) -> X402 {
    let hosts = ["a", "b", "c"].iter().take(nodes.len());
    X402::new(X402Options {
        assets: Arc::new(AssetRegistry::pinned()),
        networks: vec![NetworkReader {
            network: "eip155:84532".to_owned(),
            rpc_urls: hosts.map(|host| format!("http://{host}.test/v2/api-key")).collect(),
            finality,
        }],
        transport: Arc::new(Nodes(nodes.to_vec())),
        payer: PAYER.to_owned(),
        quote_ttl_ms: 60_000,
    })
    .guarded_by(safeguards)
}
