//! The seller as an MCP server: `POST /mcp`, streamable HTTP without sessions, answers as JSON.
//!
//! Two tools: `search`, which is free, and `read_document`, which is paid for as the x402 specification has it for MCP (`transports-v2/mcp.md`): the
//! demand in an error result, the payment in the call's `_meta`, the receipt in the result's. As with the reference servers, a settlement that
//! failed is answered with nothing but a new demand.

use super::{
    handle::{Item, Seller},
    record::LogEntry,
};
use crate::{
    server::{Answer, Delivery, Request},
    wire,
};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

/// Where it is.
pub(super) const PATH: &str = "/mcp";
/// Versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const PAYMENT: &str = "x402/payment";
const RECEIPT: &str = "x402/payment-response";
const HITS: usize = 5;

impl Seller {
    /// Answers one message of JSON-RPC.
    pub(super) fn mcp(&self, request: &Request, entry: &mut LogEntry) -> Answer {
        let Ok(message) = serde_json::from_slice::<Value>(&request.body) else {
            return error(&Value::Null, -32700, "the body is no JSON");
        };
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
            return Answer::bytes(202, "text/plain", Vec::new());
        };
        let nothing = json!({});
        let params = message.get("params").unwrap_or(&nothing);
        match method {
            "initialize" => result(id, &initialized(self.name(), params)),
            "ping" => result(id, &json!({})),
            "tools/list" => result(id, &json!({ "tools": tools() })),
            "tools/call" => self.call(id, params, entry),
            _ => error(id, -32601, "no such method"),
        }
    }

    fn call(&self, id: &Value, params: &Value, entry: &mut LogEntry) -> Answer {
        let argument =
            |name: &str| params.get("arguments").and_then(|given| given.get(name)).and_then(Value::as_str);
        match params.get("name").and_then(Value::as_str) {
            Some("search") => {
                let Some(query) = argument("query") else { return error(id, -32602, "`query` is missing") };
                let (hits, _) = self.index().search(query, HITS);
                let hits: Vec<_> = hits
                    .iter()
                    .map(|hit| json!({ "id": hit.document.id(), "title": hit.document.title() }))
                    .collect();
                result(id, &told(&json!({ "documents": hits })))
            }
            Some("read_document") => match argument("id").and_then(|document| self.item(document)) {
                Some(item) => self.read_document(id, item, params, entry),
                None => error(id, -32602, "there is no document of this `id`"),
            },
            _ => error(id, -32602, "there is no such tool"),
        }
    }

    /// Sells one document. Inside it is the same sale as over HTTP, so that the same faults strike it.
    fn read_document(&self, id: &Value, item: &Item, params: &Value, entry: &mut LogEntry) -> Answer {
        let path = format!("/documents/{}", item.document.id());
        let own = format!("{}{path}", self.url());
        let mut headers = HeaderMap::new();
        if let Some(mut payment) = params.get("_meta").and_then(|meta| meta.get(PAYMENT)).cloned() {
            if let Some(url) = payment.pointer_mut("/resource/url") {
                *url = own.clone().into();
            }
            let version_1 = payment.get("x402Version") == Some(&json!(1));
            let name = if version_1 { "x-payment" } else { "payment-signature" };
            if let Ok(value) = HeaderValue::from_str(&wire::encode(&payment)) {
                headers.insert(name, value);
            }
        }
        let arguments = params.get("arguments").cloned().unwrap_or_default().to_string();
        let inside =
            Request { method: "POST".to_owned(), path, query: None, headers, body: arguments.into() };
        let mut sale = self.document(item, &inside, entry);
        if sale.status == 402 && !sale.headers.iter().any(|(name, _)| *name == "payment-required") {
            // As the reference has it: nothing says that this is about a payment that came.
            self.record().quoted(super::purchase::key(&inside));
            let (delivery, wait) = (sale.delivery, sale.wait);
            sale = self.quote(item, ("POST", &inside.target()), "Payment required", None);
            (sale.delivery, sale.wait) = (delivery, wait);
        }
        let (delivery, wait) = (sale.delivery, sale.wait);
        let mut answer = result(id, &converted(&sale));
        (answer.delivery, answer.wait) = (delivery, wait);
        if delivery == Delivery::Dropped { Answer::dropped() } else { answer }
    }
}

/// The result that says what an answer over HTTP says.
fn converted(sale: &Answer) -> Value {
    let header = |wanted: &[&str]| {
        let found = sale.headers.iter().find(|(name, _)| wanted.contains(name));
        found.and_then(|(_, value)| wire::decode(value))
    };
    if sale.status == 402 {
        let body = || serde_json::from_slice(&sale.body).unwrap_or_default();
        let mut demand: Value = header(&["payment-required"]).unwrap_or_else(body);
        if let Some(url) = demand.pointer_mut("/resource/url") {
            *url = "mcp://tool/read_document".into();
        }
        for terms in demand.get_mut("accepts").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(resource) = terms.get_mut("resource") {
                *resource = "mcp://tool/read_document".into();
            }
        }
        let text = demand.to_string();
        return json!({
            "content": [{ "type": "text", "text": text }],
            "structuredContent": demand,
            "isError": true,
        });
    }
    let text = String::from_utf8_lossy(&sale.body).into_owned();
    let content = json!([{ "type": "text", "text": text }]);
    let failed = sale.status != 200;
    match header(&["payment-response", "x-payment-response"]) {
        Some(receipt) => json!({ "content": content, "isError": failed, "_meta": { RECEIPT: receipt } }),
        None => json!({ "content": content, "isError": failed }),
    }
}

/// A value as structured content, and as text for those who read only that.
fn told(value: &Value) -> Value {
    json!({ "content": [{ "type": "text", "text": value.to_string() }], "structuredContent": value })
}

fn initialized(name: &str, params: &Value) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str);
    let version = asked.filter(|asked| VERSIONS.contains(asked)).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": name, "version": env!("CARGO_PKG_VERSION") },
    })
}

fn tools() -> Value {
    let takes = |name: &str, what: &str| {
        let mut fields = Map::new();
        fields.insert(name.to_owned(), json!({ "type": "string", "description": what }));
        json!({ "type": "object", "properties": fields, "required": [name], "additionalProperties": false })
    };
    json!([
        {
            "name": "search",
            "description": "Finds documents that this seller has. Free.",
            "inputSchema": takes("query", "what to look for"),
            "annotations": { "readOnlyHint": true },
        },
        {
            "name": "read_document",
            "description": "Gives the text of a document. Paid with x402.",
            "inputSchema": takes("id", "the document's id, as search gave it"),
            "annotations": { "readOnlyHint": true },
        },
    ])
}

fn result(id: &Value, result: &Value) -> Answer {
    Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn error(id: &Value, code: i32, message: &str) -> Answer {
    Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))
}
