//! What a seller sells, for how much, and how it speaks.

use super::refund::RefundRule;
use crate::{
    faults::FaultRule,
    library::{Document, Library, SourceDocument},
    primitives::{Address, keccak},
    signing::Key,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long after a settlement its money may be asked back, unless the seller says otherwise: a day.
const REFUND_WITHIN_S: u64 = 86_400;

/// Which version of x402 a seller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireVersion {
    /// Offers in the body, `X-PAYMENT`, `X-PAYMENT-RESPONSE`.
    V1,
    /// `PAYMENT-REQUIRED`, `PAYMENT-SIGNATURE`, `PAYMENT-RESPONSE`.
    #[default]
    V2,
    /// Version 2 in the header and version 1 in the body at once; takes either payment.
    Both,
}

/// Whether a seller offers to recognise repeated payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentIdentifier {
    /// Not mentioned.
    Off,
    /// Used if the buyer sends one.
    #[default]
    Offered,
    /// A payment without one is 400.
    Required,
}

/// A price by size: `base` plus `per_chunk` for every started `chunk_bytes`, all in atomic units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pricing {
    base: u64,
    per_chunk: u64,
    chunk_bytes: u64,
    percents: Vec<u32>,
}

impl Default for Pricing {
    /// 0.005 and 0.001 for every started 4 KiB, at six decimals.
    fn default() -> Self {
        Self::new(5_000, 1_000, 4_096)
    }
}

impl Pricing {
    /// A price by size, in atomic units.
    #[must_use]
    pub fn new(base: u64, per_chunk: u64, chunk_bytes: u64) -> Self {
        Self { base, per_chunk, chunk_bytes: chunk_bytes.max(1), percents: vec![100] }
    }

    /// The same price for everything.
    #[must_use]
    pub fn flat(amount: u64) -> Self {
        Self::new(amount, 0, 1)
    }

    /// Scales the prices: the first document by the first percentage, and so on, again from the start.
    #[must_use]
    pub fn percents(mut self, percents: &[u32]) -> Self {
        if !percents.is_empty() {
            self.percents = percents.to_vec();
        }
        self
    }

    /// The price of a document of `size_bytes` at `position` of the catalogue, rounded up.
    #[must_use]
    pub fn price(&self, size_bytes: usize, position: usize) -> u128 {
        let size = u128::try_from(size_bytes).unwrap_or(u128::MAX);
        let chunks = size.div_ceil(u128::from(self.chunk_bytes));
        let full = u128::from(self.base) + u128::from(self.per_chunk) * chunks;
        let percent =
            self.percents.iter().cycle().nth(position % self.percents.len().max(1)).copied().unwrap_or(100);
        (full * u128::from(percent)).div_ceil(100)
    }
}

/// How the amount of one alternative follows from the listed price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmountRule {
    /// The listed price.
    Listed,
    /// That many percent of it, rounded up.
    Percent(u32),
    /// This text, whatever it says.
    Verbatim(String),
}

/// One alternative of a 402. What is `None` is the market's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferTemplate {
    /// The scheme; by default `exact`.
    pub scheme: String,
    /// The network, if it is to be another one.
    pub network: Option<String>,
    /// The asset, if it is to be another one.
    pub asset: Option<String>,
    /// The payee, if it is to be another one.
    pub pay_to: Option<Address>,
    /// The amount.
    pub amount: AmountRule,
    /// When it says that money moves (`extra.paymentFlow`); by default it says nothing.
    pub flow: Option<String>,
}

impl Default for OfferTemplate {
    fn default() -> Self {
        Self {
            scheme: "exact".to_owned(),
            network: None,
            asset: None,
            pay_to: None,
            amount: AmountRule::Listed,
            flow: None,
        }
    }
}

impl OfferTemplate {
    /// The market's token at that many percent of the listed price.
    #[must_use]
    pub fn percent(percent: u32) -> Self {
        Self { amount: AmountRule::Percent(percent), ..Self::default() }
    }

    /// The same on a network nobody here can pay on.
    #[must_use]
    pub fn unknown_network() -> Self {
        Self { network: Some("eip155:424242424242".to_owned()), ..Self::default() }
    }

    /// The same in a scheme nobody knows.
    #[must_use]
    pub fn unknown_scheme() -> Self {
        Self { scheme: "barter".to_owned(), ..Self::default() }
    }
}

/// Something sold at a path of the seller's own, beside its documents.
#[derive(Debug, Clone)]
pub struct Goods {
    pub(crate) path: String,
    pub(crate) price: u128,
    pub(crate) text: String,
    pub(crate) description: Option<String>,
}

impl Goods {
    /// A text at a path such as `/v1/today`, for that many atomic units. A `*` at the end of the path stands for any rest. A
    /// price of 0 gives it away.
    #[must_use]
    pub fn new(path: impl Into<String>, price: u128, text: impl Into<String>) -> Self {
        Self { path: path.into(), price, text: text.into(), description: None }
    }

    /// Sets what its terms say about it; by default its title.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }
}

/// Everything about one seller.
#[derive(Debug, Clone)]
pub struct SellerConfig {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) documents: Option<Vec<Arc<Document>>>,
    pub(crate) goods: Vec<Goods>,
    pub(crate) origin: Option<String>,
    pub(crate) share: (usize, usize),
    pub(crate) pricing: Pricing,
    pub(crate) wire: WireVersion,
    pub(crate) payment_identifier: PaymentIdentifier,
    pub(crate) accepts: Vec<OfferTemplate>,
    pub(crate) max_timeout_s: u64,
    pub(crate) pay_to: Address,
    pub(crate) port: u16,
    pub(crate) faults: Vec<FaultRule>,
    pub(crate) listed: bool,
    /// Signs offers and receipts.
    pub(crate) signs: Option<Key>,
    pub(crate) refunds: RefundRule,
    /// Within how many seconds of the settlement, and whether in part.
    pub(crate) refund_terms: (u64, bool),
}

impl SellerConfig {
    /// An honest seller of all the market's documents. Its payee address follows from its name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            pay_to: address_of(&name),
            description: format!("{name}: documents, sold one by one over x402"),
            name,
            documents: None,
            goods: Vec::new(),
            origin: None,
            share: (1, 0),
            pricing: Pricing::default(),
            wire: WireVersion::default(),
            payment_identifier: PaymentIdentifier::default(),
            accepts: vec![OfferTemplate::default()],
            max_timeout_s: 60,
            port: 0,
            faults: Vec::new(),
            listed: true,
            signs: None,
            refunds: RefundRule::default(),
            refund_terms: (REFUND_WITHIN_S, true),
        }
    }

    /// Sells these texts instead of the market's.
    #[must_use]
    pub fn documents(mut self, sources: Vec<SourceDocument>) -> Self {
        self.documents = Some(Library::from_sources(sources).documents().to_vec());
        self
    }

    /// Sells this too.
    #[must_use]
    pub fn sells(mut self, goods: Goods) -> Self {
        self.goods.push(goods);
        self
    }

    /// The origin that buyers know it under, such as `https://api.example`, where something stands between them and its port.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sells only every `n`th document, beginning with the one at `first`.
    #[must_use]
    pub fn every(mut self, n: usize, first: usize) -> Self {
        self.share = (n.max(1), first);
        self
    }

    /// Sets the prices.
    #[must_use]
    pub fn pricing(mut self, pricing: Pricing) -> Self {
        self.pricing = pricing;
        self
    }

    /// Sets the x402 version.
    #[must_use]
    pub const fn wire(mut self, wire: WireVersion) -> Self {
        self.wire = wire;
        self
    }

    /// Sets whether repeated payments are recognised.
    #[must_use]
    pub const fn payment_identifier(mut self, rule: PaymentIdentifier) -> Self {
        self.payment_identifier = rule;
        self
    }

    /// Sets the alternatives of every 402, in this order.
    #[must_use]
    pub fn accepts(mut self, accepts: Vec<OfferTemplate>) -> Self {
        self.accepts = accepts;
        self
    }

    /// Sets how long, in seconds, an authorization may live.
    #[must_use]
    pub const fn max_timeout_s(mut self, seconds: u64) -> Self {
        self.max_timeout_s = seconds;
        self
    }

    /// Sets who is paid.
    #[must_use]
    pub fn pay_to(mut self, address: impl Into<Address>) -> Self {
        self.pay_to = address.into();
        self
    }

    /// Signs offers and receipts with the key of its payee address, which follows from the seller's name from now on.
    #[must_use]
    pub fn signed(mut self) -> Self {
        if let Ok(key) = Key::named(&format!("bursar market seller: {}", self.name)) {
            self.pay_to = key.address();
            self.signs = Some(key);
        }
        self
    }

    /// Sets the port; 0 takes a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Arms a fault from the start.
    #[must_use]
    pub fn fault(mut self, rule: impl Into<FaultRule>) -> Self {
        self.faults.push(rule.into());
        self
    }

    /// Sets what it does with claims for refunds; by default there are none.
    #[must_use]
    pub fn refunds(mut self, rule: RefundRule) -> Self {
        self.refunds = rule;
        self
    }

    /// Sets within how many seconds of a settlement its money may be asked back, and whether also a part of it; by default
    /// within a day, and also a part.
    #[must_use]
    pub const fn refund_terms(mut self, within_s: u64, partial: bool) -> Self {
        self.refund_terms = (within_s, partial);
        self
    }

    /// Whether the facilitator's discovery lists this seller; by default it does.
    #[must_use]
    pub const fn listed(mut self, listed: bool) -> Self {
        self.listed = listed;
        self
    }
}

/// An address that follows from a name; nobody holds its key.
pub(crate) fn address_of(name: &str) -> Address {
    let word = keccak(format!("bursar market seller: {name}").as_bytes());
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(word.0) {
        *to = from;
    }
    Address::new(bytes)
}
