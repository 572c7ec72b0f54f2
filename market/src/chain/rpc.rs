//! JSON-RPC over HTTP, with its faults.

use super::{
    abi::{self, Returned},
    handle::Chain,
    json,
    state::{ChainLog, State},
};
use crate::{
    admin,
    faults::{Fault, Place},
    primitives::{Address, Word},
    server::{Answer, Request, Service},
};
use serde_json::{Value, json};

const BATCH_MAX: usize = 1_000;

/// The chain's JSON-RPC server.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) chain: Chain,
    pub(crate) admin: bool,
}

struct Failure {
    code: i64,
    message: String,
}

impl Failure {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }
}

/// What came of one call.
enum Reply {
    Value(Value),
    Silence,
    Dropped,
    Http500,
    Garbage,
}

impl Service for Rpc {
    fn answer(&self, request: Request) -> Answer {
        if let Some(answer) = admin::answer(self.admin, &request, self.chain.faults(), || json!({})) {
            return answer;
        }
        if request.method != "POST" {
            return Answer::json(405, &json!({ "error": "JSON-RPC wants POST" }));
        }
        let parsed: Value = match serde_json::from_slice(&request.body) {
            Ok(parsed) => parsed,
            Err(_) => return Answer::json(200, &failed(&Value::Null, &Failure::new(-32700, "parse error"))),
        };
        let replies: Vec<Reply> = match &parsed {
            Value::Array(calls) if calls.is_empty() || calls.len() > BATCH_MAX => {
                let failure = Failure::new(-32600, "a batch must hold between 1 and 1000 calls");
                return Answer::json(200, &failed(&Value::Null, &failure));
            }
            Value::Array(calls) => calls.iter().map(|call| self.reply(call)).collect(),
            call => vec![self.reply(call)],
        };
        let mut values = Vec::new();
        for reply in replies {
            match reply {
                Reply::Value(value) => values.push(value),
                Reply::Silence => {}
                Reply::Dropped => return Answer::dropped(),
                Reply::Http500 => return Answer::bytes(500, "text/plain", b"internal error".to_vec()),
                Reply::Garbage => {
                    return Answer::bytes(200, "application/json", b"{\"jsonrpc\":\"2.0\",".to_vec());
                }
            }
        }
        match (parsed.is_array(), values.as_slice()) {
            (_, []) => Answer::bytes(204, "application/json", Vec::new()),
            (false, [value]) => Answer::json(200, value),
            _ => Answer::json(200, &Value::Array(values)),
        }
    }
}

impl Rpc {
    fn reply(&self, call: &Value) -> Reply {
        let id = call.get("id").cloned();
        let known_id = id.clone().unwrap_or(Value::Null);
        let method = call.get("method").and_then(Value::as_str);
        let version = call.get("jsonrpc").and_then(Value::as_str);
        let (Some(method), Some("2.0")) = (method, version) else {
            return Reply::Value(failed(&known_id, &Failure::new(-32600, "invalid request")));
        };
        let no_params = Value::Array(Vec::new());
        let Some(params) = call.get("params").unwrap_or(&no_params).as_array() else {
            return Reply::Value(failed(&known_id, &Failure::params("params must be an array")));
        };
        let fault = self.chain.faults().strike(Place::Rpc, method, |fault| concerns(fault, method, params));
        let answer = match &fault {
            Some(Fault::RpcDown) => return Reply::Dropped,
            Some(Fault::Rpc500) => return Reply::Http500,
            Some(Fault::RpcGarbage) => return Reply::Garbage,
            Some(Fault::RpcError { code, message }) => Err(Failure::new(*code, message.clone())),
            _ => self.perform(method, params, fault.as_ref()),
        };
        match (id, answer) {
            (None, _) => Reply::Silence,
            (Some(id), Ok(result)) => Reply::Value(json!({ "jsonrpc": "2.0", "id": id, "result": result })),
            (Some(id), Err(failure)) => Reply::Value(failed(&id, &failure)),
        }
    }

    fn perform(&self, method: &str, params: &[Value], fault: Option<&Fault>) -> Result<Value, Failure> {
        let token = self.chain.token();
        let lag = if let Some(Fault::RpcLag { blocks }) = fault { *blocks } else { 0 };
        self.chain.read(|state| {
            let view = View {
                state,
                head: state.head().saturating_sub(lag),
                finality_depth: self.chain.finality_depth(),
            };
            match method {
                "eth_chainId" | "net_version" => {
                    let other = if let Some(Fault::RpcWrongChain { chain_id }) = fault {
                        Some(*chain_id)
                    } else {
                        None
                    };
                    let id = other.unwrap_or(token.chain_id);
                    Ok(if method == "net_version" {
                        id.to_string().into()
                    } else {
                        json::quantity(id).into()
                    })
                }
                "web3_clientVersion" => Ok("bursar-market".into()),
                "eth_blockNumber" => Ok(json::quantity(view.head).into()),
                "eth_gasPrice" => Ok("0x7".into()),
                "eth_getCode" => {
                    let code = if address(params.first())? == token.address { "0xfe" } else { "0x" };
                    Ok(code.into())
                }
                "eth_getBlockByNumber" => {
                    let number = view.number(params.first())?;
                    let block = number.and_then(|number| state.block(number));
                    Ok(block.map_or(Value::Null, |block| json::block(block, state)))
                }
                "eth_call" => {
                    let lie = if let Some(Fault::RpcLiesAuthorizationState { used }) = fault {
                        Some(*used)
                    } else {
                        None
                    };
                    let at = view.known(params.get(1))?;
                    let call = params.first().ok_or_else(|| Failure::params("missing the call"))?;
                    let input = call.get("input").or_else(|| call.get("data")).and_then(Value::as_str);
                    let input = bytes(input.unwrap_or("0x"))?;
                    if address(call.get("to"))? != token.address {
                        return Ok("0x".into());
                    }
                    match abi::call(token, state, &input, at, lie) {
                        Returned::Bytes(bytes) => Ok(format!("0x{}", hex::encode(bytes)).into()),
                        Returned::Reverted => Err(Failure::new(3, "execution reverted")),
                    }
                }
                "eth_getLogs" => {
                    let filter = params.first().ok_or_else(|| Failure::params("missing the filter"))?;
                    let found = view.logs(filter)?;
                    let hidden = matches!(fault, Some(Fault::RpcHidesLogs));
                    let shown = found.into_iter().filter(|_| !hidden);
                    Ok(shown.map(|log| json::log(log, state)).collect())
                }
                "eth_getTransactionReceipt" => {
                    let transaction = word(params.first())?;
                    let block = state.block_of(transaction).filter(|block| block.number <= view.head);
                    Ok(block
                        .map_or(Value::Null, |block| json::receipt(transaction, block, token.address, state)))
                }
                _ => {
                    Err(Failure::new(-32601, format!("the method {method} does not exist/is not available")))
                }
            }
        })
    }
}

/// The chain as this call is allowed to see it.
struct View<'a> {
    state: &'a State,
    head: u64,
    finality_depth: u64,
}

impl View<'_> {
    /// The block a tag, number or hash names; `None` if this chain has no such block.
    fn number(&self, tag: Option<&Value>) -> Result<Option<u64>, Failure> {
        let refuse = || Failure::params("invalid block: give a tag or a hex number without leading zeros");
        let tag = match tag {
            None | Some(Value::Null) => return Ok(Some(self.head)),
            Some(Value::Object(fields)) => {
                if let Some(hash) = fields.get("blockHash") {
                    let block = self.state.block_by_hash(word(Some(hash))?);
                    return Ok(block.map(|block| block.number).filter(|number| *number <= self.head));
                }
                fields.get("blockNumber").and_then(Value::as_str).ok_or_else(refuse)?
            }
            Some(tag) => tag.as_str().ok_or_else(refuse)?,
        };
        let number = match tag {
            "latest" | "pending" => self.head,
            "safe" | "finalized" => self.head.saturating_sub(self.finality_depth),
            "earliest" => 0,
            text => {
                let digits = text.strip_prefix("0x").ok_or_else(refuse)?;
                if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
                    return Err(refuse());
                }
                u64::from_str_radix(digits, 16).map_err(|_| refuse())?
            }
        };
        Ok((number <= self.head).then_some(number))
    }

    /// As [`View::number`], and the block exists.
    fn known(&self, tag: Option<&Value>) -> Result<u64, Failure> {
        self.number(tag)?.ok_or_else(|| Failure::new(-32000, "header not found"))
    }

    fn logs(&self, filter: &Value) -> Result<Vec<&ChainLog>, Failure> {
        let (from, to) = if let Some(hash) = filter.get("blockHash") {
            let block = self.known(Some(&json!({ "blockHash": hash })))?;
            (block, block)
        } else {
            let to = self.number(filter.get("toBlock"))?.unwrap_or(self.head);
            // A range that begins beyond the head is empty, not an error, as long as it is a range.
            (self.number(filter.get("fromBlock"))?.unwrap_or(self.head.saturating_add(1)), to)
        };
        if from > to && from <= self.head {
            return Err(Failure::params("invalid block range params"));
        }
        let addresses = match filter.get("address") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(many)) => {
                many.iter().map(|one| address(Some(one))).collect::<Result<_, _>>()?
            }
            one => vec![address(one)?],
        };
        let topics = topics(filter.get("topics"))?;
        let fits = |log: &&ChainLog| {
            (from..=to).contains(&log.block)
                && (addresses.is_empty() || addresses.contains(&log.address))
                && topics.len() <= log.topics.len()
                && topics.iter().zip(&log.topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
        };
        Ok(self.state.logs().iter().filter(fits).collect())
    }
}

/// One list for each position; an empty list takes any topic.
fn topics(filter: Option<&Value>) -> Result<Vec<Vec<Word>>, Failure> {
    let positions = match filter {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(positions)) if positions.len() <= 4 => positions,
        Some(_) => return Err(Failure::params("topics must be an array of at most four")),
    };
    let position = |position: &Value| match position {
        Value::Null => Ok(Vec::new()),
        Value::Array(any) => any.iter().map(|topic| word(Some(topic))).collect(),
        topic => Ok(vec![word(Some(topic))?]),
    };
    positions.iter().map(position).collect()
}

/// Whether a fault has anything to say about this call: a lie about nonces waits for a question about one.
fn concerns(fault: &Fault, method: &str, params: &[Value]) -> bool {
    match fault {
        Fault::RpcHidesLogs => method == "eth_getLogs",
        Fault::RpcWrongChain { .. } => method == "eth_chainId" || method == "net_version",
        Fault::RpcLiesAuthorizationState { .. } => {
            let call = params.first();
            let input = call.and_then(|call| call.get("input").or_else(|| call.get("data")));
            method == "eth_call"
                && input.and_then(Value::as_str).is_some_and(|input| input.starts_with("0xe94a0102"))
        }
        _ => true,
    }
}

fn failed(id: &Value, failure: &Failure) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": failure.code, "message": failure.message } })
}

fn address(value: Option<&Value>) -> Result<Address, Failure> {
    let text = value.and_then(Value::as_str).ok_or_else(|| Failure::params("missing an address"))?;
    text.parse().map_err(|error| Failure::params(format!("invalid argument: {error}")))
}

fn word(value: Option<&Value>) -> Result<Word, Failure> {
    let text = value.and_then(Value::as_str).ok_or_else(|| Failure::params("missing a 32-byte word"))?;
    text.parse().map_err(|error| Failure::params(format!("invalid argument: {error}")))
}

fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let digits = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    digits.ok_or_else(|| Failure::params("invalid argument: data must be 0x and hex digits"))
}
