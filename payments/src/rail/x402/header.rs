//! From stored terms and a signature to the header that presents them.

use super::terms::{Terms, nonce};
use super::wire::{PAYMENT_SIGNATURE, Requirement, Version, X_PAYMENT, encoded};
use crate::rail::{Order, Prepared};
use alloy::primitives::{B256, Signature};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentV2<'a> {
    x402_version: u8,
    payload: Payload<'a>,
    accepted: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentV1<'a> {
    x402_version: u8,
    scheme: &'a str,
    network: &'a str,
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    signature: String,
    authorization: Authorization<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Authorization<'a> {
    from: &'a str,
    to: &'a str,
    value: &'a str,
    valid_after: &'a str,
    valid_before: &'a str,
    nonce: &'a str,
}

/// Reads stored terms and checks that they are this order's, and that they give the digest that was cleared.
pub(super) fn cleared_terms(prepared: &Prepared, order: &Order) -> Result<Terms, String> {
    let terms = Terms::of(prepared)?;
    if terms.signing_digest()? != prepared.signing {
        return Err("the stored terms are not the ones that were cleared".to_owned());
    }
    let quote = &order.offer.quote;
    let same = terms.from.eq_ignore_ascii_case(&order.payer)
        && terms.to == quote.payee
        && terms.network == quote.network
        && terms.token == quote.price.asset().reference()
        && terms.value == quote.price.atomic().to_string()
        && terms.nonce == format!("{:#x}", nonce(order.ledger, order.payment, order.attempt));
    match same {
        true => Ok(terms),
        false => Err("the stored terms are not the order's".to_owned()),
    }
}

/// Builds the header. The same terms and signature give the same bytes.
pub(super) fn build(terms: &Terms, signature: &[u8; 65]) -> Result<(HeaderName, HeaderValue), String> {
    check_signature(terms, signature)?;
    let payload = Payload {
        signature: format!("0x{}", hex::encode(signature)),
        authorization: Authorization {
            from: &terms.from,
            to: &terms.to,
            value: &terms.value,
            valid_after: &terms.valid_after,
            valid_before: &terms.valid_before,
            nonce: &terms.nonce,
        },
    };
    let (name, value) = match terms.version {
        Version::V2 => (PAYMENT_SIGNATURE, payment_v2(terms, payload)?),
        Version::V1 => (X_PAYMENT, payment_v1(terms, payload)?),
    };
    let value = HeaderValue::from_str(&value).map_err(|_| "payment does not fit a header".to_owned())?;
    Ok((name, value))
}

/// A wallet may be a machine far away. What it signed must be this, by the payer, in the one form that a token accepts.
fn check_signature(terms: &Terms, bytes: &[u8; 65]) -> Result<(), String> {
    let digest = B256::from(*terms.signing_digest()?.as_bytes());
    let [.., v] = bytes;
    let payer = Signature::from_raw_array(bytes)
        .ok()
        .filter(|signature| matches!(v, 27 | 28) && signature.normalize_s().is_none())
        .and_then(|signature| signature.recover_address_from_prehash(&digest).ok());
    match payer {
        Some(payer) if payer == terms.transfer()?.from => Ok(()),
        _ => Err("the wallet's signature is not the payer's over these terms".to_owned()),
    }
}

fn payment_v2(terms: &Terms, payload: Payload<'_>) -> Result<String, String> {
    encoded(&PaymentV2 {
        x402_version: 2,
        payload,
        accepted: verbatim(&terms.accepted)?,
        resource: terms.resource.as_deref().map(verbatim).transpose()?,
        extensions: terms.extensions.as_deref().map(verbatim).transpose()?,
    })
}

/// Version 1 names scheme and network in the vendor's own words.
fn payment_v1(terms: &Terms, payload: Payload<'_>) -> Result<String, String> {
    let accepted: Requirement = serde_json::from_str(&terms.accepted)
        .map_err(|error| format!("the stored alternative cannot be read: {error}"))?;
    let (Some(Value::String(scheme)), Some(Value::String(network))) = (&accepted.scheme, &accepted.network)
    else {
        return Err("the stored alternative names no scheme or network".to_owned());
    };
    encoded(&PaymentV1 { x402_version: 1, scheme, network, payload })
}

fn verbatim(text: &str) -> Result<&RawValue, String> {
    serde_json::from_str(text).map_err(|error| format!("the stored terms are damaged: {error}"))
}

#[cfg(test)]
mod tests;
