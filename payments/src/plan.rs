//! Plans and their structural match with quotes.

use crate::mandate::MeteredItem;
use crate::rail::Offer;
use crate::reasons;
use bursar_ledger::Commitment;
use bursar_types::{
    Amount, AssetId, CanonicalError, Digest, PlanId, PlanItemId, PlanItemView, PlanView, Provenance, QuoteId,
    Reason, Timestamp, Untrusted, canonical_digest,
};
use serde::{Deserialize, Serialize};

/// What one item of a plan allows. Copied from a stored quote or from the mandate, never from a proposer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemTerms {
    /// Its id.
    pub id: PlanItemId,
    /// The quote it was made from; none for a metered item.
    pub quote: Option<QuoteId>,
    /// The URL; a `*` at the end stands for any rest in a metered item.
    pub resource: String,
    /// The method.
    pub method: String,
    /// Digest of the request's body; none for a metered item, which stands for any.
    pub body: Option<Digest>,
    /// Host and port.
    pub host: String,
    /// The payee.
    pub payee: String,
    /// The asset, which names its network.
    pub asset: AssetId,
    /// Most that one purchase may cost, in the asset.
    pub ceiling: Amount,
    /// The same in micro-USD, rounded up.
    pub ceiling_micro_usd: Amount,
    /// How many times.
    pub count: u32,
    /// Whether it was approved as a purchase that renews itself; never so for a metered item.
    pub recurring: bool,
    /// Whether it was approved with a request that carries, or may carry, data of clients; never so for a metered item.
    pub client_data: bool,
}

/// A plan as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// What may be bought.
    pub items: Vec<ItemTerms>,
    /// Most that all of it may cost, in micro-USD.
    pub total: Amount,
    /// After this moment nothing of it may be bought.
    pub expires_at: Timestamp,
    /// Commitment to why it was proposed, in the proposer's words.
    pub purpose: Option<Commitment>,
}

impl ItemTerms {
    /// The terms of a stored offer.
    #[must_use]
    pub fn from_offer(plan: PlanId, index: u64, offer: &Offer, cost: Amount, count: u32) -> Self {
        let quote = &offer.quote;
        Self {
            id: PlanItemId::derived(&[plan.as_bytes(), &index.to_be_bytes()]),
            quote: Some(quote.id),
            resource: quote.resource.clone(),
            method: quote.method.clone(),
            body: Some(offer.body),
            host: quote.host.clone(),
            payee: quote.payee.clone(),
            asset: quote.price.asset().clone(),
            ceiling: quote.price.clone(),
            ceiling_micro_usd: cost,
            count,
            recurring: offer.recurring,
            client_data: offer.data.may_be_client(),
        }
    }

    /// The terms of a metered item of a mandate.
    #[must_use]
    pub fn from_metered(
        plan: PlanId,
        index: u64,
        item: &MeteredItem,
        host: String,
        ceiling_micro_usd: Amount,
    ) -> Self {
        Self {
            // By its place: ids are in leaves for ever, and a name may say something.
            id: PlanItemId::derived(&[plan.as_bytes(), &index.to_be_bytes()]),
            quote: None,
            resource: item.resource.clone(),
            method: item.method.clone(),
            body: None,
            host,
            payee: if item.asset.network().starts_with("eip155:") {
                item.payee.to_ascii_lowercase()
            } else {
                item.payee.clone()
            },
            asset: item.asset.clone(),
            ceiling: item.ceiling.clone(),
            ceiling_micro_usd,
            count: item.count,
            recurring: false,
            client_data: false,
        }
    }

    /// Whether the item is about this resource at all.
    #[must_use]
    pub fn names(&self, method: &str, resource: &str) -> bool {
        // What was quoted is one address, also if it ends with a star: only the mandate writes patterns.
        let pattern = self.resource.strip_suffix('*').filter(|_| self.quote.is_none());
        let same = match pattern {
            // Dot segments were resolved when the request's URL was parsed, so a prefix is a prefix.
            Some(prefix) => resource.starts_with(prefix),
            None => self.resource == resource,
        };
        same && self.method == method
    }

    /// Compares the terms with an offer received now. Every field that money depends on must be as approved.
    ///
    /// # Errors
    /// The first difference, as a reason that tells the agent what to do.
    pub fn covers(&self, offer: &Offer, now: Timestamp) -> Result<(), Reason> {
        let quote = &offer.quote;
        if quote.host != self.host {
            return Err(reasons::changed("HOST_CHANGED", "host", &self.host, &quote.host));
        }
        if !self.names(&quote.method, &quote.resource) {
            return Err(reasons::changed("RESOURCE_CHANGED", "resource", &self.resource, &quote.resource));
        }
        if let Some(body) = self.body.filter(|body| *body != offer.body) {
            let (approved, found) = (body.to_string(), offer.body.to_string());
            return Err(reasons::changed("BODY_CHANGED", "request's body", &approved, &found));
        }
        if quote.payee != self.payee {
            return Err(reasons::changed("PAYEE_CHANGED", "payee", &self.payee, &quote.payee));
        }
        if quote.network != self.asset.network() {
            return Err(reasons::changed("NETWORK_CHANGED", "network", self.asset.network(), &quote.network));
        }
        if quote.price.asset() != &self.asset {
            let found = quote.price.asset().as_str();
            return Err(reasons::changed("ASSET_CHANGED", "asset", self.asset.as_str(), found));
        }
        if !matches!(quote.price.at_most(&self.ceiling), Ok(true)) {
            return Err(reasons::price_rose(&self.ceiling, &quote.price));
        }
        let within = quote
            .cost_micro_usd
            .as_ref()
            .is_some_and(|cost| matches!(cost.at_most(&self.ceiling_micro_usd), Ok(true)));
        if !within {
            return Err(reasons::price_rose(&self.ceiling_micro_usd, &quote.price));
        }
        if quote.expires_at <= now {
            return Err(reasons::quote_expired(quote.expires_at));
        }
        Ok(())
    }
}

impl Plan {
    /// The digest that an approval names.
    ///
    /// # Errors
    /// [`CanonicalError`] if a field has no canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        canonical_digest(self)
    }

    /// The plan as its proposer sees it.
    ///
    /// # Errors
    /// As [`Plan::digest`].
    pub fn view(&self, purposes: &[Untrusted<String>]) -> Result<PlanView, CanonicalError> {
        let none = Untrusted::new(String::new(), Provenance::Model);
        let items = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                Some(PlanItemView {
                    id: item.id,
                    quote: item.quote?,
                    resource: item.resource.clone(),
                    method: item.method.clone(),
                    host: item.host.clone(),
                    payee: item.payee.clone(),
                    ceiling: item.ceiling.clone(),
                    count: item.count,
                    purpose: purposes.get(index).unwrap_or(&none).clone(),
                })
            })
            .collect();
        Ok(PlanView { id: self.id, digest: self.digest()?, items, total: self.total.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar_types::{DataLabel, Quote};

    fn quote() -> Quote {
        let usdc = AssetId::erc20(84_532, &format!("0x{:040}", 1));
        Quote {
            id: QuoteId::derived(&[b"q"]),
            rail: "x402".to_owned(),
            resource: "https://api.example/a".to_owned(),
            method: "GET".to_owned(),
            host: "api.example".to_owned(),
            payee: "0xaa".to_owned(),
            network: "eip155:84532".to_owned(),
            price: Amount::from_atomic(usdc, 1_000),
            cost_micro_usd: Some(Amount::from_atomic(AssetId::micro_usd(), 1_000)),
            description: None,
            media_type: None,
            received_at: Timestamp::from_unix_ms(0),
            expires_at: Timestamp::from_unix_ms(1_000),
            blocked: None,
        }
    }

    fn offer(quote: Quote) -> Offer {
        let (terms, body) = (Digest::of(b"terms"), Digest::of(b""));
        let (flow, verbatim) = ("authorization".to_owned(), String::new());
        Offer { quote, terms, body, flow, verbatim, recurring: false, data: DataLabel::Public }
    }

    #[test]
    fn a_quote_that_differs_in_anything_money_depends_on_is_not_covered() {
        let cost = quote().cost_micro_usd.unwrap();
        let item = ItemTerms::from_offer(PlanId::derived(&[]), 0, &offer(quote()), cost, 1);
        let now = Timestamp::from_unix_ms(10);
        assert_eq!(item.covers(&offer(quote()), now), Ok(()));
        let other = AssetId::erc20(84_532, &format!("0x{:040}", 2));
        let dearer = Amount::from_atomic(quote().price.asset().clone(), 1_001);
        for (code, changed) in [
            ("HOST_CHANGED", Quote { host: "evil.example".to_owned(), ..quote() }),
            ("RESOURCE_CHANGED", Quote { resource: "https://api.example/b".to_owned(), ..quote() }),
            ("RESOURCE_CHANGED", Quote { method: "POST".to_owned(), ..quote() }),
            ("PAYEE_CHANGED", Quote { payee: "0xbb".to_owned(), ..quote() }),
            ("NETWORK_CHANGED", Quote { network: "eip155:8453".to_owned(), ..quote() }),
            ("ASSET_CHANGED", Quote { price: Amount::from_atomic(other, 1_000), ..quote() }),
            ("PRICE_ROSE", Quote { price: dearer, ..quote() }),
            ("PRICE_ROSE", Quote { cost_micro_usd: None, ..quote() }),
            ("QUOTE_EXPIRED", Quote { expires_at: now, ..quote() }),
        ] {
            assert_eq!(item.covers(&offer(changed), now).unwrap_err().code, code);
        }
        let other_body = Offer { body: Digest::of(b"other"), ..offer(quote()) };
        assert_eq!(item.covers(&other_body, now).unwrap_err().code, "BODY_CHANGED");
    }

    #[test]
    fn a_cheaper_price_is_covered() {
        let cost = quote().cost_micro_usd.unwrap();
        let item = ItemTerms::from_offer(PlanId::derived(&[]), 0, &offer(quote()), cost, 1);
        let cheaper = Quote { price: Amount::from_atomic(quote().price.asset().clone(), 1), ..quote() };
        assert_eq!(item.covers(&offer(cheaper), Timestamp::from_unix_ms(10)), Ok(()));
    }
}
