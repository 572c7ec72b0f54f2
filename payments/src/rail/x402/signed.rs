//! Signed offers and receipts: read, and held against what was signed for.
//!
//! Only the key of the payee's own address counts, in EIP-712 or as a JWS with ES256K: other keys would have to be looked up, and nobody
//! here asks the network for them. Nothing in this module decides whether money moved.
//!
//! # Source
//! x402, "Offer and Receipt Extension" 0.6; EIP-712; RFC 7515.

use super::terms::Terms;
use super::text::shown;
use super::wire::settlement_json;
use crate::rail::{Order, PayeeStatement, PayeeStatements, Prepared};
use alloy::primitives::{Address, B256, Signature, U256};
use alloy::sol_types::{Eip712Domain, SolStruct};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bursar_types::{Digest, HttpResponse, TransportError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How many signed offers of one demand are looked at.
const OFFERS_MAX: usize = 32;
/// Longest statement that is kept.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// How far a payee's clock may be off, in seconds.
const CLOCKS_S: u64 = 600;
const TEXT_CHARS: usize = 120;

mod schema {
    //! The normative types of the extension.
    use alloy::sol;

    sol! {
        #[derive(Debug)]
        struct Offer {
            uint256 version;
            string resourceUrl;
            string scheme;
            string network;
            string asset;
            string payTo;
            string amount;
            uint256 validUntil;
        }
        #[derive(Debug)]
        struct Receipt {
            uint256 version;
            string network;
            string resourceUrl;
            string payer;
            uint256 issuedAt;
            string transaction;
        }
    }
}

#[derive(Debug, Deserialize)]
struct Signed {
    format: String,
    payload: Option<Value>,
    signature: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferPayload {
    version: u64,
    resource_url: String,
    scheme: String,
    network: String,
    asset: String,
    pay_to: String,
    amount: String,
    #[serde(default)]
    valid_until: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptPayload {
    version: u64,
    network: String,
    resource_url: String,
    payer: String,
    issued_at: u64,
    #[serde(default)]
    transaction: String,
}

#[derive(Debug, Deserialize)]
struct JwsHeader {
    alg: String,
    #[serde(default)]
    kid: String,
    crit: Option<Value>,
}

/// What the payee signed about a payment, with its demand and with its answer.
pub(super) fn statements(
    order: &Order,
    prepared: &Prepared,
    answer: Result<&HttpResponse, &TransportError>,
) -> PayeeStatements {
    let Ok(terms) = Terms::of(prepared) else { return PayeeStatements::default() };
    let about = About::new(&terms, &order.offer.quote.resource);
    let extensions: Option<Value> =
        terms.extensions.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let offers = extensions.as_ref().and_then(|all| all.pointer("/offer-receipt/info/offers"));
    let headers = match answer {
        Ok(response) => Some(response.headers()),
        Err(TransportError::Body { head, .. }) => Some(&head.headers),
        Err(_) => None,
    };
    let settlement = headers.and_then(settlement_json);
    let receipt = settlement.as_ref().and_then(|said| said.pointer("/extensions/offer-receipt/info/receipt"));
    let transaction = settlement.as_ref().and_then(|said| said.get("transaction")).and_then(Value::as_str);
    PayeeStatements {
        offer: about.offer(offers),
        receipt: receipt.map_or(PayeeStatement::Absent, |signed| {
            kept(signed, about.receipt(signed, transaction.unwrap_or("")))
        }),
    }
}

/// What the statements must be about.
struct About<'a> {
    terms: &'a Terms,
    payee: Option<Address>,
    /// The address as it was asked, and as the demand states it: the latter was held against the former.
    urls: Vec<String>,
    from_s: u64,
    until_s: u64,
}

impl<'a> About<'a> {
    fn new(terms: &'a Terms, asked: &str) -> Self {
        let resource: Option<Value> =
            terms.resource.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let stated = resource.as_ref().and_then(|resource| resource.get("url")).and_then(Value::as_str);
        let seconds = |text: &str, missing| text.parse::<u64>().unwrap_or(missing);
        Self {
            terms,
            payee: terms.to.parse().ok(),
            urls: std::iter::once(asked).chain(stated).map(str::to_owned).collect(),
            from_s: seconds(&terms.from_s, u64::MAX),
            until_s: seconds(&terms.valid_before, 0),
        }
    }

    /// The first offer that verifies; else what is wrong with the first.
    fn offer(&self, offers: Option<&Value>) -> PayeeStatement {
        let Some(offers) = offers else { return PayeeStatement::Absent };
        let all = offers.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut first = None;
        for signed in all.iter().take(OFFERS_MAX) {
            match self.one_offer(signed) {
                Ok(signer) => return kept(signed, Ok(signer)),
                Err(problem) => first = first.or(Some((signed, problem))),
            }
        }
        match first {
            Some((signed, problem)) => kept(signed, Err(problem)),
            None => kept(offers, Err("it lists no signed offers".to_owned())),
        }
    }

    fn one_offer(&self, signed: &Value) -> Result<Address, String> {
        let (signed, offer) = read::<OfferPayload>(signed)?;
        let same = [
            ("version", offer.version == 1),
            ("resource", self.urls.contains(&offer.resource_url)),
            ("scheme", offer.scheme == "exact"),
            ("network", offer.network == self.terms.network),
            ("asset", offer.asset.eq_ignore_ascii_case(&self.terms.token)),
            ("payee", offer.pay_to.eq_ignore_ascii_case(&self.terms.to)),
            ("amount", offer.amount == self.terms.value),
            ("time", offer.valid_until == 0 || offer.valid_until >= self.from_s),
        ];
        differs(&same)?;
        let message = schema::Offer {
            version: U256::from(offer.version),
            resourceUrl: offer.resource_url,
            scheme: offer.scheme,
            network: offer.network,
            asset: offer.asset,
            payTo: offer.pay_to,
            amount: offer.amount,
            validUntil: U256::from(offer.valid_until),
        };
        self.signed_by_payee(&signed, &message, "x402 offer")
    }

    fn receipt(&self, signed: &Value, settled: &str) -> Result<Address, String> {
        let (signed, receipt) = read::<ReceiptPayload>(signed)?;
        let (issued, named) = (receipt.issued_at, receipt.transaction.as_str());
        let in_time =
            issued.saturating_add(CLOCKS_S) >= self.from_s && issued <= self.until_s.saturating_add(CLOCKS_S);
        let same = [
            ("version", receipt.version == 1),
            ("network", receipt.network == self.terms.network),
            ("resource", self.urls.contains(&receipt.resource_url)),
            ("payer", receipt.payer.eq_ignore_ascii_case(&self.terms.from)),
            ("time", in_time),
            ("transaction", named.is_empty() || named.eq_ignore_ascii_case(settled)),
        ];
        differs(&same)?;
        let message = schema::Receipt {
            version: U256::from(receipt.version),
            network: receipt.network,
            resourceUrl: receipt.resource_url,
            payer: receipt.payer,
            issuedAt: U256::from(issued),
            transaction: receipt.transaction,
        };
        self.signed_by_payee(&signed, &message, "x402 receipt")
    }

    fn signed_by_payee<S: SolStruct>(
        &self,
        signed: &Signed,
        message: &S,
        name: &'static str,
    ) -> Result<Address, String> {
        let signers = match signed.format.as_str() {
            "eip712" => {
                let domain =
                    Eip712Domain::new(Some(name.into()), Some("1".into()), Some(U256::from(1)), None, None);
                vec![recovered(&signed.signature, message.eip712_signing_hash(&domain))?]
            }
            _ => jws_signers(&signed.signature)?,
        };
        let payee = self.payee.filter(|payee| signers.contains(payee));
        payee.ok_or_else(|| match signers.as_slice() {
            [signer] => format!("{signer:#x} signed it, and not the payee"),
            _ => "a key signed it that is not the payee's own; keys of others are not looked up".to_owned(),
        })
    }
}

/// The statement and what it says.
fn read<P: DeserializeOwned>(signed: &Value) -> Result<(Signed, P), String> {
    let unreadable =
        |error: serde_json::Error| format!("it cannot be read: {}", shown(&error.to_string(), TEXT_CHARS));
    let signed: Signed = serde_json::from_value(signed.clone()).map_err(unreadable)?;
    let payload = match (signed.format.as_str(), &signed.payload) {
        ("eip712", Some(payload)) => serde_json::from_value(payload.clone()),
        ("jws", None) => serde_json::from_slice(&decoded(jws_parts(&signed.signature)?[1])?),
        ("eip712" | "jws", _) => return Err("its payload is not where its format has it".to_owned()),
        (other, _) => return Err(format!("its format is `{}`", shown(other, 20))),
    };
    Ok((signed, payload.map_err(unreadable)?))
}

fn differs(same: &[(&str, bool)]) -> Result<(), String> {
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(format!("its {what} is not that of this payment")),
        None => Ok(()),
    }
}

fn recovered(signature: &str, digest: B256) -> Result<Address, String> {
    let bytes = signature.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    let bytes = bytes.and_then(|bytes| <[u8; 65]>::try_from(bytes).ok());
    let signature = bytes.and_then(|bytes| Signature::from_raw_array(&bytes).ok());
    let signer = signature.and_then(|signature| signature.recover_address_from_prehash(&digest).ok());
    signer.ok_or_else(|| "its signature is none".to_owned())
}

fn jws_parts(jws: &str) -> Result<[&str; 3], String> {
    let parts: Vec<&str> = jws.split('.').collect();
    parts.try_into().map_err(|_| "its JWS has not three parts".to_owned())
}

fn decoded(part: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "its JWS is not base64url".to_owned())
}

/// The addresses of the two keys of which one made the signature.
fn jws_signers(jws: &str) -> Result<Vec<Address>, String> {
    let [header, payload, signature] = jws_parts(jws)?;
    let header: JwsHeader =
        serde_json::from_slice(&decoded(header)?).map_err(|_| "its JWS header cannot be read".to_owned())?;
    if header.alg != "ES256K" || header.crit.is_some() {
        let (alg, kid) = (shown(&header.alg, 20), shown(&header.kid, TEXT_CHARS));
        return Err(format!("it is signed by `{kid}` with {alg}, and keys are not looked up"));
    }
    let digest = B256::from(
        *Digest::of(jws.rsplit_once('.').map_or(payload, |(signed, _)| signed).as_bytes()).as_bytes(),
    );
    let rs = decoded(signature)?;
    let candidates = [27_u8, 28].into_iter().filter_map(|v| {
        let bytes: [u8; 65] = rs.iter().copied().chain([v]).collect::<Vec<_>>().try_into().ok()?;
        Signature::from_raw_array(&bytes).ok()?.recover_address_from_prehash(&digest).ok()
    });
    let candidates: Vec<Address> = candidates.collect();
    if candidates.is_empty() { Err("its signature is none".to_owned()) } else { Ok(candidates) }
}

/// What is kept of a statement that was checked.
fn kept(signed: &Value, checked: Result<Address, String>) -> PayeeStatement {
    let text = signed.to_string();
    match checked {
        _ if text.len() > TEXT_BYTES_MAX => PayeeStatement::Unverified {
            problem: "it is too long to be kept".to_owned(),
            text: String::new(),
        },
        Ok(signer) => PayeeStatement::Verified { signer: format!("{signer:#x}"), text },
        Err(problem) => PayeeStatement::Unverified { problem, text },
    }
}

#[cfg(test)]
mod tests;
