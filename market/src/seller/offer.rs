//! What a seller asks for a document: the alternatives, and the 402 that carries them.

use super::{
    config::{AmountRule, PaymentIdentifier, WireVersion, address_of},
    handle::{Item, Seller},
    refund::{self, RefundRule},
    signed,
};
use crate::{
    faults::{self, Fault},
    library::Document,
    server::Answer,
    wire::{self, Terms},
};
use serde_json::{Map, Value, json};

pub(super) const PAYMENT_IDENTIFIER: &str = "payment-identifier";
const SCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";

/// Discovery information: how the resource is asked for and what it answers.
pub(super) fn bazaar_info(method: &str, document: &Document) -> Value {
    json!({
        "input": { "type": "http", "method": method },
        "output": { "type": "text", "format": document.media_type() },
    })
}

impl Seller {
    /// The alternatives that hold now, in order.
    pub(super) fn alternatives(&self, item: &Item) -> Vec<Terms> {
        let config = self.config();
        let token = self.chain().token();
        let changed = self.changed().get(item.document.id()).cloned().unwrap_or_default();
        let price = changed.price.unwrap_or(item.price);
        let terms = |template: &super::config::OfferTemplate| Terms {
            scheme: template.scheme.clone(),
            network: template.network.clone().unwrap_or_else(|| token.network()),
            amount: match &template.amount {
                AmountRule::Listed => price.to_string(),
                AmountRule::Percent(percent) => scaled(price, *percent).to_string(),
                AmountRule::Verbatim(text) => text.clone(),
            },
            asset: template.asset.clone().unwrap_or_else(|| token.address.to_string()),
            pay_to: changed
                .pay_to
                .clone()
                .unwrap_or_else(|| template.pay_to.unwrap_or(config.pay_to).to_string()),
            max_timeout_seconds: config.max_timeout_s,
            extra: Some(wire::Domain {
                name: token.name.clone(),
                version: token.version.clone(),
                payment_flow: template.flow.clone(),
            }),
        };
        config.accepts.iter().map(terms).collect()
    }

    /// Terms as one version writes them.
    pub(super) fn written(&self, item: &Item, terms: &Terms, v1: bool) -> Value {
        if v1 {
            let url = self.document_url(item.document.id());
            terms.to_v1(&url, item.described(), item.document.media_type())
        } else {
            terms.to_v2()
        }
    }

    /// The extensions offered, by name.
    pub(super) fn extensions(&self, method: &str, item: &Item) -> Map<String, Value> {
        let mut extensions = Map::new();
        let bazaar = json!({ "info": bazaar_info(method, &item.document), "schema": bazaar_schema() });
        extensions.insert("bazaar".to_owned(), bazaar);
        let rule = self.config().payment_identifier;
        if rule != PaymentIdentifier::Off {
            let info = json!({ "required": rule == PaymentIdentifier::Required });
            let offered = json!({ "info": info, "schema": identifier_schema() });
            extensions.insert(PAYMENT_IDENTIFIER.to_owned(), offered);
        }
        if self.config().refunds != RefundRule::None {
            let (within_s, partial) = self.config().refund_terms;
            extensions.insert(refund::EXTENSION.to_owned(), refund::offer(self.url(), within_s, partial));
        }
        extensions
    }

    /// A 402. `error` says why; `fault` distorts it.
    pub(super) fn quote(
        &self,
        item: &Item,
        (method, target): (&str, &str),
        error: &str,
        fault: Option<&Fault>,
    ) -> Answer {
        let alternatives = self.alternatives(item);
        let accepts =
            |v1| -> Vec<Value> { alternatives.iter().map(|terms| self.written(item, terms, v1)).collect() };
        let mut v2 = json!({
            "x402Version": 2,
            "error": error,
            "resource": {
                "url": format!("{}{target}", self.url()),
                "description": item.described(),
                "mimeType": item.document.media_type(),
                "serviceName": self.service_name(),
            },
            "accepts": accepts(false),
            "extensions": self.extensions(method, item),
        });
        let url = format!("{}{target}", self.url());
        if let (Some(offers), Some(extensions)) =
            (self.signed_offers(&url, &alternatives), v2.get_mut("extensions").and_then(Value::as_object_mut))
        {
            extensions.insert(signed::EXTENSION.to_owned(), offers);
        }
        let mut v1 = json!({ "x402Version": 1, "error": error, "accepts": accepts(true) });
        if let Some(fault) = fault {
            faults::distort_offer(fault, &mut v2);
            faults::distort_offer(fault, &mut v1);
        }
        let mut answer = match self.config().wire {
            WireVersion::V1 => Answer::json(402, &v1),
            WireVersion::V2 => Answer::json(402, &json!({})).with("payment-required", wire::encode(&v2)),
            WireVersion::Both => Answer::json(402, &v1).with("payment-required", wire::encode(&v2)),
        };
        answer = answer.with("cache-control", "no-store".to_owned());
        if let Some(fault) = fault {
            faults::distort_quote(fault, &mut answer);
        }
        answer
    }

    /// Lets a fault of the terms change them for good.
    pub(super) fn change_terms(&self, item: &Item, fault: &Fault) {
        let price = self.current_price(item);
        let mut all = self.changed();
        let changed = all.entry(item.document.id().to_owned()).or_default();
        match fault {
            Fault::Surge { percent } => changed.price = Some(scaled(price, *percent)),
            Fault::SwapPayee { to } => {
                changed.swaps = changed.swaps.saturating_add(1);
                let made_up = || address_of(&format!("{} swap {}", self.name(), changed.swaps)).to_string();
                changed.pay_to = Some(to.clone().unwrap_or_else(made_up));
            }
            _ => {}
        }
    }

    /// The name within x402's bounds: at most 32 printable ASCII characters.
    fn service_name(&self) -> String {
        self.name().chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(32).collect()
    }
}

fn scaled(price: u128, percent: u32) -> u128 {
    price.saturating_mul(u128::from(percent)).div_ceil(100)
}

fn bazaar_schema() -> Value {
    json!({
        "$schema": SCHEMA,
        "type": "object",
        "properties": {
            "input": {
                "type": "object",
                "properties": {
                    "type": { "type": "string", "const": "http" },
                    "method": { "type": "string", "enum": ["GET", "POST"] },
                },
                "required": ["type", "method"],
                "additionalProperties": false,
            },
            "output": {
                "type": "object",
                "properties": { "type": { "type": "string" }, "format": { "type": "string" } },
                "required": ["type"],
            },
        },
        "required": ["input"],
    })
}

fn identifier_schema() -> Value {
    json!({
        "$schema": SCHEMA,
        "type": "object",
        "properties": {
            "required": { "type": "boolean" },
            "id": { "type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$" },
        },
        "required": ["required"],
    })
}
