//! JSON-RPC over HTTP, with its faults.

mod args;
mod gas;
mod methods;
mod view;

use self::args::Failure;
use super::handle::Chain;
use crate::{
    admin,
    faults::{Fault, Place},
    server::{Answer, Request, Service},
};
use serde_json::{Value, json};

/// How many calls one batch may hold.
const BATCH_MAX: usize = 100;

/// The chain's JSON-RPC server.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) chain: Chain,
    pub(crate) admin: bool,
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
            Value::Array(calls) if calls.is_empty() => {
                return Answer::json(200, &failed(&Value::Null, &Failure::new(-32600, "empty batch")));
            }
            // As real nodes do: one error, under the first id there is.
            Value::Array(calls) if calls.len() > BATCH_MAX => {
                let id = calls.iter().find_map(|call| call.get("id")).unwrap_or(&Value::Null);
                let failure = failed(id, &Failure::new(-32600, "batch too large"));
                return Answer::json(200, &Value::Array(vec![failure]));
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
            _ => {
                // In any order, says the standard: a client that goes by place instead of by id is found out.
                values.reverse();
                Answer::json(200, &Value::Array(values))
            }
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
            Some(Fault::RpcAnswerLost) => {
                let _ = self.perform(method, params, None);
                return Reply::Dropped;
            }
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
