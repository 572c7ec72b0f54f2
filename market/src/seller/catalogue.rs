//! The free endpoints: what there is, what it costs, and which of it fits a question.

use super::handle::{Item, Seller};
use crate::server::{Answer, Request};
use serde_json::{Value, json};

const PAGE: usize = 50;
const HITS: usize = 10;
const PAGE_MAX: usize = 1_000;

impl Seller {
    /// `GET /`.
    pub(super) fn description(&self) -> Answer {
        let token = self.chain().token();
        Answer::json(
            200,
            &json!({
                "name": self.name(),
                "description": self.config().description,
                "documents": self.items().len(),
                "pays": { "protocol": "x402", "version": self.config().wire, "network": token.network(),
                          "asset": token.address, "symbol": token.symbol, "decimals": token.decimals },
                "endpoints": {
                    "catalog": "/catalog?offset=&limit=",
                    "search": "/search?q=&limit=",
                    "preview": "/preview/{id}",
                    "document": "/documents/{id}",
                    "mcp": "/mcp",
                },
            }),
        )
    }

    /// `GET /catalog`.
    pub(super) fn catalog(&self, request: &Request) -> Answer {
        let offset = request.count("offset", 0, usize::MAX);
        let limit = request.count("limit", PAGE, PAGE_MAX);
        let items: Vec<_> =
            self.items().iter().skip(offset).take(limit).map(|item| self.listed(item)).collect();
        Answer::json(200, &json!({ "items": items, "total": self.items().len() }))
    }

    /// `GET /search`: over the full text, though only previews and snippets are shown.
    pub(super) fn search(&self, request: &Request) -> Answer {
        let query = request.param("q").or_else(|| request.param("query")).unwrap_or_default();
        let (hits, total) = self.index().search(&query, request.count("limit", HITS, PAGE_MAX));
        let results = hits.iter().filter_map(|hit| {
            let mut result = self.listed(self.item(hit.document.id())?);
            let fields = result.as_object_mut()?;
            fields.insert("score_milli".to_owned(), hit.score_milli.into());
            fields.insert("snippets".to_owned(), json!(hit.snippets));
            Some(result)
        });
        Answer::json(200, &json!({ "query": query, "results": results.collect::<Vec<_>>(), "total": total }))
    }

    /// `GET /preview/{id}`.
    pub(super) fn preview(&self, id: &str) -> Option<Answer> {
        self.item(id).map(|item| Answer::json(200, &self.listed(item)))
    }

    fn listed(&self, item: &Item) -> Value {
        let token = self.chain().token();
        let document = &item.document;
        json!({
            "id": document.id(),
            "title": document.title(),
            "url": self.document_url(document.id()),
            "media_type": document.media_type(),
            "size_bytes": document.size_bytes(),
            "sha256": document.sha256(),
            "price": {
                "amount": self.current_price(item).to_string(),
                "asset": token.address,
                "network": token.network(),
                "decimals": token.decimals,
                "symbol": token.symbol,
            },
            "preview": document.preview(),
        })
    }
}
