//! Signed offers and receipts, by a seller that has the key of its payee address.
//!
//! # Source
//! x402, "Offer and Receipt Extension" 0.6, EIP-712 format.

use super::handle::Seller;
use crate::{
    signing::{Field, statement_digest},
    wire::Terms,
};
use serde_json::{Value, json};

pub(super) const EXTENSION: &str = "offer-receipt";
const OFFER: &str = "Offer(uint256 version,string resourceUrl,string scheme,string network,string asset,string payTo,\
                     string amount,uint256 validUntil)";
const RECEIPT: &str = "Receipt(uint256 version,string network,string resourceUrl,string payer,uint256 issuedAt,\
                       string transaction)";
/// How long an offer holds, in seconds.
const OFFER_HOLDS_S: u64 = 300;

impl Seller {
    /// The extension with an offer for each alternative; `None` if this seller signs nothing.
    pub(super) fn signed_offers(&self, url: &str, alternatives: &[Terms]) -> Option<Value> {
        let key = self.config().signs.as_ref()?;
        let until = self.chain().clock().now_s() + OFFER_HOLDS_S;
        let offers = alternatives.iter().enumerate().filter_map(|(index, terms)| {
            let Terms { scheme, network, asset, pay_to, amount, .. } = terms;
            let fields = [
                Field::Number(1),
                Field::Text(url),
                Field::Text(scheme),
                Field::Text(network),
                Field::Text(asset),
                Field::Text(pay_to),
                Field::Text(amount),
                Field::Number(until),
            ];
            let signature = key.sign_digest(statement_digest("x402 offer", OFFER, &fields)).ok()?;
            let payload = json!({
                "version": 1, "resourceUrl": url, "scheme": scheme, "network": network, "asset": asset, "payTo": pay_to,
                "amount": amount, "validUntil": until,
            });
            Some(json!({
                "format": "eip712", "acceptIndex": index, "payload": payload, "signature": signature.to_string(),
            }))
        });
        Some(json!({ "info": { "offers": offers.collect::<Vec<_>>() }, "schema": {} }))
    }

    /// Puts a receipt beside a settlement, with its transaction.
    pub(super) fn sign_receipt(&self, url: &str, settlement: &mut Value) {
        let Some(key) = &self.config().signs else { return };
        let network = self.chain().token().network();
        let text = |field: &str| settlement.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (payer, transaction, issued) = (text("payer"), text("transaction"), self.chain().clock().now_s());
        let fields = [
            Field::Number(1),
            Field::Text(&network),
            Field::Text(url),
            Field::Text(&payer),
            Field::Number(issued),
            Field::Text(&transaction),
        ];
        let Ok(signature) = key.sign_digest(statement_digest("x402 receipt", RECEIPT, &fields)) else {
            return;
        };
        let payload = json!({
            "version": 1, "network": network, "resourceUrl": url, "payer": payer, "issuedAt": issued, "transaction": transaction,
        });
        let receipt = json!({ "format": "eip712", "payload": payload, "signature": signature.to_string() });
        if let Some(settlement) = settlement.as_object_mut() {
            let extension = json!({ EXTENSION: { "info": { "receipt": receipt }, "schema": {} } });
            settlement.insert("extensions".to_owned(), extension);
        }
    }
}
