//! The seller as the rest of the market uses it.

use super::{
    config::{Goods, SellerConfig, WireVersion},
    purchase::Cached,
    record::{Record, SellerLog, Violation},
    refund::Desk,
};
use crate::{
    chain::Chain,
    facilitator::{Facilitator, Listing},
    faults::{FaultError, Faults},
    library::{Document, SearchIndex, SourceDocument},
    primitives::Address,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A document on this seller's shelf.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) document: Arc<Document>,
    pub(super) price: u128,
    /// Its own path, if it is not sold as a document; a `*` at the end stands for any rest.
    pub(super) path: Option<String>,
    pub(super) description: Option<String>,
}

impl Item {
    fn of_goods(position: usize, goods: &Goods) -> Self {
        let source = SourceDocument::new(&goods.path, &goods.text);
        // Two paths may have one slug, so the place on the shelf is part of the id.
        let id = format!("goods-{position}");
        Self {
            document: Arc::new(Document::read(id, &source)),
            price: goods.price,
            path: Some(goods.path.clone()),
            description: goods.description.clone(),
        }
    }

    /// What the terms say about it.
    pub(super) fn described(&self) -> &str {
        self.description.as_deref().unwrap_or_else(|| self.document.title())
    }

    fn lies_at(&self, path: &str) -> bool {
        self.path.as_deref().is_some_and(|own| match own.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => own == path,
        })
    }
}

/// What a fault has changed about the terms of one document, for good.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    pub(super) price: Option<u128>,
    pub(super) pay_to: Option<String>,
    pub(super) swaps: u32,
}

/// A running seller. Clones share it.
#[derive(Debug, Clone)]
pub struct Seller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SellerConfig,
    url: String,
    bound: String,
    items: Vec<Item>,
    index: SearchIndex,
    chain: Chain,
    facilitator: Facilitator,
    faults: Faults,
    record: Mutex<Record>,
    changed: Mutex<HashMap<String, Changed>>,
    cache: Mutex<HashMap<String, Cached>>,
    till: Mutex<()>,
    desk: Mutex<Desk>,
}

impl Seller {
    /// Puts its share of `documents` on the shelf.
    pub(crate) fn new(
        config: SellerConfig,
        bound: String,
        documents: &[Arc<Document>],
        chain: Chain,
        facilitator: Facilitator,
    ) -> Result<Self, FaultError> {
        let faults = Faults::for_seller();
        faults.replace(config.faults.clone())?;
        let (every, first) = config.share;
        let own = config.documents.clone();
        let shelf: Vec<Arc<Document>> = match own {
            Some(own) => own,
            None => documents.iter().skip(first).step_by(every).cloned().collect(),
        };
        let index = SearchIndex::new(&shelf);
        let documents = shelf.into_iter().enumerate().map(|(position, document)| Item {
            price: config.pricing.price(document.size_bytes(), position),
            document,
            path: None,
            description: None,
        });
        let goods = config.goods.iter().enumerate().map(|(position, goods)| Item::of_goods(position, goods));
        let shared = Shared {
            items: documents.chain(goods).collect(),
            url: config.origin.clone().unwrap_or_else(|| bound.clone()),
            config,
            bound,
            index,
            chain,
            facilitator,
            faults,
            record: Mutex::default(),
            changed: Mutex::default(),
            cache: Mutex::default(),
            till: Mutex::default(),
            desk: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config().name
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens: the same as its origin, unless it was given another.
    #[must_use]
    pub fn bound(&self) -> &str {
        &self.shared.bound
    }

    /// The URL of a document, whether it sells it or not.
    #[must_use]
    pub fn document_url(&self, id: &str) -> String {
        match self.item(id).and_then(|item| item.path.as_ref()) {
            Some(path) => format!("{}{path}", self.url()),
            None => format!("{}/documents/{id}", self.url()),
        }
    }

    /// Who is paid.
    #[must_use]
    pub fn pay_to(&self) -> Address {
        self.config().pay_to
    }

    /// The listed price of a document in atomic units; `None` if it does not sell it.
    #[must_use]
    pub fn price(&self, id: &str) -> Option<u128> {
        self.item(id).map(|item| self.current_price(item))
    }

    /// What it sells, in the order of its catalogue.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.shared.items.iter().map(|item| &*item.document)
    }

    /// Its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Asks this price from now on for what lies at a path. False if it sells nothing there.
    pub fn reprice(&self, path: &str, price: u128) -> bool {
        let Some(id) = self.item_at(path).map(|item| item.document.id().to_owned()) else { return false };
        self.changed().entry(id).or_default().price = Some(price);
        true
    }

    /// What happened so far.
    #[must_use]
    pub fn log(&self) -> SellerLog {
        self.record().log.clone()
    }

    /// What buyers did that they must not do, oldest first.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.record().violations.clone()
    }

    /// What the facilitator's discovery shows of it.
    pub(crate) fn listings(&self) -> Vec<Listing> {
        if !self.config().listed {
            return Vec::new();
        }
        let v1 = self.config().wire == WireVersion::V1;
        let updated_s = self.chain().clock().now_s();
        let listing = |item: &Item| Listing {
            url: self.document_url(item.document.id()),
            seller: self.name().to_owned(),
            document: item.document.clone(),
            version: if v1 { 1 } else { 2 },
            accepts: self.alternatives(item).iter().map(|terms| self.written(item, terms, v1)).collect(),
            bazaar: super::offer::bazaar_info("GET", &item.document),
            updated_s,
        };
        self.items().iter().map(listing).collect()
    }

    pub(super) fn config(&self) -> &SellerConfig {
        &self.shared.config
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.shared.items
    }

    pub(super) fn item(&self, id: &str) -> Option<&Item> {
        self.shared.items.iter().find(|item| item.document.id() == id)
    }

    /// What is sold at this path beside documents; the longest path that fits.
    pub(super) fn item_at(&self, path: &str) -> Option<&Item> {
        let fitting = self.shared.items.iter().filter(|item| item.lies_at(path));
        fitting.max_by_key(|item| item.path.as_ref().map_or(0, String::len))
    }

    pub(super) fn index(&self) -> &SearchIndex {
        &self.shared.index
    }

    pub(super) fn chain(&self) -> &Chain {
        &self.shared.chain
    }

    pub(super) fn facilitator(&self) -> &Facilitator {
        &self.shared.facilitator
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) -> MutexGuard<'_, HashMap<String, Changed>> {
        self.shared.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, HashMap<String, Cached>> {
        self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn till(&self) -> MutexGuard<'_, ()> {
        self.shared.till.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.shared.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current_price(&self, item: &Item) -> u128 {
        self.changed().get(item.document.id()).and_then(|changed| changed.price).unwrap_or(item.price)
    }
}
