//! The seller over HTTP.

use super::{
    handle::Seller,
    mcp,
    record::LogEntry,
    refund::{self, RefundRule},
};
use crate::{
    admin,
    server::{Answer, Delivery, Request, Service},
};
use serde_json::json;

/// A seller's server.
#[derive(Debug, Clone)]
pub(crate) struct SellerService {
    pub(crate) seller: Seller,
    pub(crate) admin: bool,
}

impl Service for SellerService {
    fn answer(&self, request: Request) -> Answer {
        let seller = &self.seller;
        let log = || json!({ "log": seller.log(), "violations": seller.violations() });
        if let Some(answer) = admin::answer(self.admin, &request, seller.faults(), log) {
            return answer;
        }
        let mut entry = LogEntry {
            method: request.method.clone(),
            target: request.target(),
            status: None,
            nonce: None,
            payer: None,
            transaction: None,
            faults: Vec::new(),
            cached: false,
        };
        let answer = route(seller, &request, &mut entry);
        entry.status = (answer.delivery != Delivery::Dropped).then_some(answer.status);
        tracing::debug!(seller = seller.name(), ?entry, "request");
        seller.record().log.entries.push(entry);
        answer
    }
}

fn route(seller: &Seller, request: &Request, entry: &mut LogEntry) -> Answer {
    let missing = || Answer::json(404, &json!({ "error": "not found" }));
    let document = request.path.strip_prefix("/documents/");
    let goods = seller.item_at(&request.path);
    if goods.is_some() || document.is_some() {
        let Some(item) = goods.or_else(|| seller.item(document?)) else { return missing() };
        return match request.method.as_str() {
            "GET" | "POST" => seller.document(item, request, entry),
            _ => Answer::json(405, &json!({ "error": "documents are read with GET" })),
        };
    }
    if request.path == mcp::PATH {
        return match request.method.as_str() {
            "POST" => seller.mcp(request, entry),
            _ => Answer::json(405, &json!({ "error": "MCP is spoken with POST" })),
        };
    }
    if request.path == refund::PATH && seller.config().refunds != RefundRule::None {
        return match request.method.as_str() {
            "POST" => seller.refund(request, entry),
            _ => Answer::json(405, &json!({ "error": "refunds are claimed with POST" })),
        };
    }
    if request.method != "GET" {
        return Answer::json(405, &json!({ "error": "only GET here" }));
    }
    match request.path.as_str() {
        "/" => seller.description(),
        "/catalog" => seller.catalog(request),
        "/search" => seller.search(request),
        path => path.strip_prefix("/preview/").and_then(|id| seller.preview(id)).unwrap_or_else(missing),
    }
}
