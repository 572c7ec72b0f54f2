//! From an answer to offers: every alternative, payable and cheapest first.

use super::check::{Payable, amount_of, asset_id, extra, flow, payable};
use super::renewal;
use super::text::{cut, shown};
use super::wire::{ALTERNATIVES_READ_MAX, PaymentRequired, Requirement, Resource, Version, payment_required};
use super::{RAIL, X402};
use crate::rail::{Exchange, Offer, OfferError};
use crate::reasons;
use bursar_types::{
    Amount, AssetId, DataLabel, Digest, HttpRequest, Provenance, Quote, QuoteId, Reason, Untrusted,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use url::Url;

const DESCRIPTION_CHARS_MAX: usize = 500;
const MEDIA_TYPE_CHARS_MAX: usize = 100;
const FOREIGN_CHARS_MAX: usize = 200;

/// The vendor's terms byte for byte, as an [`Offer`] keeps them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verbatim {
    pub(super) version: Version,
    pub(super) accepted: Box<RawValue>,
    pub(super) resource: Option<Box<RawValue>>,
    pub(super) extensions: Option<Box<RawValue>>,
}

/// Reads every alternative of an answer.
pub(super) fn offers(rail: &X402, exchange: &Exchange<'_>) -> Result<Vec<Offer>, OfferError> {
    let Some(demand) = payment_required(exchange.response).map_err(OfferError::Unreadable)? else {
        return Ok(Vec::new());
    };
    let asked = Url::parse(&exchange.request.uri().to_string())
        .map_err(|_| unreadable("the address asked is not absolute".to_owned()))?;
    let reader = Reader { rail, exchange, asked, demand: &demand };
    let accepts = demand.accepts.iter().enumerate();
    let mut offers = accepts
        .map(|(index, accepted)| reader.offer(accepted, index >= ALTERNATIVES_READ_MAX))
        .collect::<Result<Vec<_>, _>>()?;
    offers.sort_by_key(|offer| {
        let cost = offer.quote.cost_micro_usd.as_ref().map_or(u128::MAX, Amount::atomic);
        (offer.quote.blocked.is_some(), cost)
    });
    let mut seen = BTreeSet::new();
    offers.retain(|offer| seen.insert(offer.quote.id));
    Ok(offers)
}

/// Reads an offer's terms again, with the same checks as when they came.
pub(super) fn reread(rail: &X402, offer: &Offer) -> Result<(Verbatim, Payable), OfferError> {
    let unreadable = |what: &str| unreadable(format!("the stored offer cannot be read: {what}"));
    let verbatim: Verbatim =
        serde_json::from_str(&offer.verbatim).map_err(|error| unreadable(&error.to_string()))?;
    let asked = Url::parse(&offer.quote.resource).map_err(|_| unreadable("its address is not absolute"))?;
    let terms = requirement(&verbatim.accepted).map_err(OfferError::NotPayable)?;
    let resource = described(verbatim.resource.as_deref());
    let stated_url = stated_url(verbatim.version, &terms, &resource);
    let payable =
        payable(rail, verbatim.version, &terms, &asked, stated_url).map_err(OfferError::NotPayable)?;
    Ok((verbatim, payable))
}

/// What is kept, or was, cannot be read.
pub(super) fn unreadable(what: String) -> OfferError {
    OfferError::Unreadable(reasons::terms_unreadable(&what))
}

struct Reader<'a> {
    rail: &'a X402,
    exchange: &'a Exchange<'a>,
    asked: Url,
    demand: &'a PaymentRequired,
}

impl Reader<'_> {
    fn offer(&self, accepted: &RawValue, beyond_limit: bool) -> Result<Offer, OfferError> {
        let (terms, bad_terms) = match requirement(accepted) {
            Ok(terms) => (terms, None),
            Err(reason) => (Requirement::default(), Some(reason)),
        };
        let version = self.demand.version;
        let resource = described(self.demand.resource.as_deref());
        let stated_url = stated_url(version, &terms, &resource);
        let checked = payable(self.rail, version, &terms, &self.asked, stated_url);
        let blocked = match beyond_limit {
            true => Some(too_many(self.demand.alternatives)),
            false => bad_terms.or_else(|| checked.as_ref().err().cloned()),
        };
        let request = self.exchange.request;
        let url = request.uri().to_string();
        let (about, beside) = (self.demand.resource.as_deref(), self.demand.extensions.as_deref());
        let recurring = renewal::declared(accepted, about, beside, &terms);
        let shown = Shown::of(version, &terms, checked.ok(), recurring);
        // What cannot be paid shares no digest with what can, whatever else they have in common.
        let own_words = if blocked.is_some() { accepted.get() } else { "" };
        let digest = shown.terms_digest(request, &url, &terms, own_words);
        let described_as = |v1: Option<&Value>, v2: Option<&Value>| {
            let value = if version == Version::V1 { v1 } else { v2 };
            value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let host = self.host();
        let description =
            described_as(terms.description.as_ref(), resource.description.as_ref()).map(|text| {
                let provenance = Provenance::Host { host: host.clone() };
                Untrusted::new(cut(&text, DESCRIPTION_CHARS_MAX), provenance)
            });
        let media_type = described_as(terms.mime_type.as_ref(), resource.mime_type.as_ref()).filter(|text| {
            text.len() <= MEDIA_TYPE_CHARS_MAX && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        });
        let quote = Quote {
            id: quote_id(request, &url, digest),
            rail: RAIL.to_owned(),
            resource: url,
            method: request.method().to_string(),
            host,
            payee: shown.payee,
            network: shown.network,
            cost_micro_usd: shown
                .exact
                .then(|| self.rail.options.assets.to_micro_usd(&shown.price))
                .flatten(),
            price: shown.price,
            description,
            media_type,
            received_at: self.exchange.received_at,
            expires_at: self.exchange.received_at.plus_ms(self.rail.options.quote_ttl_ms),
            blocked,
        };
        let verbatim = Verbatim {
            version,
            accepted: accepted.to_owned(),
            resource: self.demand.resource.clone(),
            extensions: self.demand.extensions.clone(),
        };
        let verbatim = serde_json::to_string(&verbatim)
            .map_err(|error| unreadable(format!("the terms cannot be kept: {error}")))?;
        Ok(Offer {
            quote,
            terms: digest,
            body: Digest::of(request.body()),
            flow: shown.flow,
            recurring,
            data: DataLabel::of(request),
            verbatim,
        })
    }

    fn host(&self) -> String {
        let host = self.asked.host_str().unwrap_or_default();
        self.asked.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// What is shown of an alternative: what was checked, or else what it says.
struct Shown {
    network: String,
    payee: String,
    price: Amount,
    /// Whether `price` is what the vendor asks, and no stand-in.
    exact: bool,
    flow: String,
    recurring: bool,
}

impl Shown {
    /// An amount that cannot be read is shown as the largest there is: never as nothing, never as cheap.
    fn of(version: Version, terms: &Requirement, checked: Option<Payable>, recurring: bool) -> Self {
        let flow = flow(terms).map_or_else(|_| "unknown".to_owned(), str::to_owned);
        if let Some(payable) = checked {
            let payee = format!("{:#x}", payable.pay_to);
            return Self {
                network: payable.network,
                payee,
                price: payable.price,
                exact: true,
                flow,
                recurring,
            };
        }
        let text =
            |value: Option<&Value>| shown(value.and_then(Value::as_str).unwrap_or(""), FOREIGN_CHARS_MAX);
        let stated = text(terms.network.as_ref());
        let network = super::network::caip2(&stated).unwrap_or(stated);
        let payee = match super::network::chain_id(&network) {
            Some(_) => text(terms.pay_to.as_ref()).to_lowercase(),
            None => text(terms.pay_to.as_ref()),
        };
        let known = asset_id(&network, &text(terms.asset.as_ref()));
        let asset = known.clone().unwrap_or_else(AssetId::count);
        let amount = amount_of(version, terms).and_then(Value::as_str);
        let price = amount.and_then(|digits| Amount::parse_atomic(asset.clone(), digits).ok());
        let exact = price.is_some() && known.is_some();
        let price = match known {
            Some(_) => price.unwrap_or_else(|| Amount::from_atomic(asset, u128::MAX)),
            None => Amount::from_atomic(asset, u128::MAX),
        };
        Self { network, payee, price, exact, flow, recurring }
    }

    /// The digest over what the money depends on. Beside the payee, price and so on: how the token moves and when, since
    /// a policy may allow one and not the other.
    fn terms_digest(&self, request: &HttpRequest, url: &str, terms: &Requirement, own_words: &str) -> Digest {
        let method = extra(terms, "assetTransferMethod");
        let parts = [
            RAIL,
            request.method().as_str(),
            url,
            &field(terms.scheme.as_ref()),
            &self.network,
            &method.map_or_else(|| "eip3009".to_owned(), |method| field(Some(method))),
            self.price.asset().as_str(),
            &self.price.atomic().to_string(),
            &self.payee,
            &self.flow,
            own_words,
        ];
        let digest = Digest::of_parts("bursar/x402/terms/v1", &parts.map(str::as_bytes));
        match self.recurring {
            // Terms that renew themselves are others than those that do not.
            true => Digest::of_parts("bursar/x402/recurring-terms/v1", &[digest.as_bytes()]),
            false => digest,
        }
    }
}

fn quote_id(request: &HttpRequest, url: &str, terms: Digest) -> QuoteId {
    let body = Digest::of(request.body());
    QuoteId::derived(&[
        request.method().as_str().as_bytes(),
        url.as_bytes(),
        body.as_bytes(),
        terms.as_bytes(),
    ])
}

fn requirement(accepted: &RawValue) -> Result<Requirement, Reason> {
    serde_json::from_str(accepted.get()).map_err(|error| {
        Reason::new(
            "TERMS_UNREADABLE",
            format!("one alternative cannot be read: {error}"),
            "use another alternative, or tell the vendor",
        )
    })
}

/// What cannot be read of the resource is left out: its address is checked where there is one, the rest is for people.
fn described(resource: Option<&RawValue>) -> Resource {
    resource.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn stated_url<'a>(version: Version, terms: &'a Requirement, resource: &'a Resource) -> Option<&'a Value> {
    match version {
        Version::V1 => terms.resource.as_ref(),
        Version::V2 => resource.url.as_ref(),
    }
}

fn too_many(found: usize) -> Reason {
    Reason::new(
        "TOO_MANY_ALTERNATIVES",
        format!("the vendor gives {found} alternatives, and the first {ALTERNATIVES_READ_MAX} are read"),
        "use one of the others",
    )
}

/// A field's text; another type is told apart from the same characters as text.
fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => format!("={other}"),
    }
}
