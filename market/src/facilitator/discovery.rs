//! What is for sale at all sellers: listed, and searched over the full text.

use crate::{
    library::{Document, SearchIndex},
    server::Request,
};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};

const PAGE: usize = 20;
const PAGE_MAX: usize = 1_000;

/// One document at one seller.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) url: String,
    pub(crate) seller: String,
    pub(crate) document: Arc<Document>,
    pub(crate) version: u64,
    pub(crate) accepts: Vec<Value>,
    pub(crate) bazaar: Value,
    pub(crate) updated_s: u64,
}

impl Listing {
    fn to_json(&self) -> Value {
        json!({
            "resource": self.url,
            "type": "http",
            "x402Version": self.version,
            "accepts": self.accepts,
            "lastUpdated": self.updated_s,
            "extensions": { "bazaar": { "info": self.bazaar } },
            "metadata": self.metadata(),
        })
    }

    fn metadata(&self) -> Value {
        json!({
            "id": self.document.id(),
            "title": self.document.title(),
            "preview": self.document.preview(),
            "media_type": self.document.media_type(),
            "size_bytes": self.document.size_bytes(),
            "sha256": self.document.sha256(),
            "seller": self.seller,
        })
    }

    /// Whether the listing passes the filters of the query.
    fn fits(&self, request: &Request) -> bool {
        let any = |field: &str, wanted: &str| {
            self.accepts.iter().any(|terms| {
                terms
                    .get(field)
                    .and_then(Value::as_str)
                    .is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            })
        };
        let offered = ["payTo", "scheme", "network"]
            .iter()
            .all(|field| request.param(field).is_none_or(|wanted| any(field, &wanted)));
        offered && request.param("type").is_none_or(|kind| kind == "http")
    }
}

/// All listings, and one index over their documents, each counted once however many sell it.
#[derive(Debug)]
pub(super) struct Directory {
    listings: Vec<Listing>,
    sold_at: HashMap<String, Vec<usize>>,
    index: SearchIndex,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

fn key(document: &Document) -> String {
    format!("{}:{}", document.id(), document.sha256())
}

impl Directory {
    pub(super) fn new(listings: Vec<Listing>) -> Self {
        let mut sold_at: HashMap<String, Vec<usize>> = HashMap::new();
        let mut documents = Vec::new();
        for (place, listing) in listings.iter().enumerate() {
            let at = sold_at.entry(key(&listing.document)).or_default();
            if at.is_empty() {
                documents.push(listing.document.clone());
            }
            at.push(place);
        }
        Self { index: SearchIndex::new(&documents), listings, sold_at }
    }

    /// `GET /discovery/resources`.
    pub(super) fn resources(&self, request: &Request) -> Value {
        let limit = request.count("limit", PAGE, PAGE_MAX);
        let offset = request.count("offset", 0, usize::MAX);
        let fitting: Vec<_> = self.listings.iter().filter(|listing| listing.fits(request)).collect();
        let items: Vec<_> =
            fitting.iter().skip(offset).take(limit).map(|listing| listing.to_json()).collect();
        json!({
            "x402Version": 2,
            "items": items,
            "pagination": { "limit": limit, "offset": offset, "total": fitting.len() },
        })
    }

    /// `GET /discovery/search`. `limit` counts resources: a document at two sellers is two of them.
    pub(super) fn search(&self, request: &Request) -> Value {
        let query = request.param("query").or_else(|| request.param("q")).unwrap_or_default();
        let limit = request.count("limit", PAGE, PAGE_MAX);
        let ranked = self.index.rank(&query);
        let found = ranked
            .iter()
            .flat_map(|(score, document)| self.offers(document).map(move |listing| (*score, listing)));
        let fitting: Vec<(u64, &Listing)> = found.filter(|(_, listing)| listing.fits(request)).collect();
        let resources = fitting.iter().take(limit).map(|(score_milli, listing)| {
            let snippets = self.index.snippets(&query, &listing.document);
            let mut resource = listing.to_json();
            if let Some(metadata) = resource.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("score_milli".to_owned(), json!(score_milli));
                metadata.insert("snippets".to_owned(), json!(snippets));
            }
            resource
        });
        json!({
            "x402Version": 2,
            "query": query,
            "resources": resources.collect::<Vec<_>>(),
            "partialResults": false,
            "total": fitting.len(),
            "pagination": { "limit": limit, "cursor": null },
        })
    }

    fn offers(&self, document: &Document) -> impl Iterator<Item = &Listing> {
        let places = self.sold_at.get(&key(document)).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.listings.get(*place))
    }
}
