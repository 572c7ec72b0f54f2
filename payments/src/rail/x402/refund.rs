//! Asking a vendor for money back.
//!
//! x402 has no refunds. Vendors that give some say so in an extension of their 402, of our own making:
//! `extensions.refund = {"info": {"url": …, "withinSeconds": …, "partial": …}, "schema": …}`, where the URL is of the resource's
//! origin. A claim is posted there as JSON, and answered `accepted` or `refused`. The same request gives the same bytes, so
//! a vendor can tell a repeated claim from a second one.

use super::X402;
use super::offers::Verbatim;
use super::terms::{Terms, Transfer};
use super::text::{cut, shown};
use crate::rail::{ClaimReason, RefundAnswer, RefundRequest, RemedyError};
use crate::transport::causes;
use bursar_types::{Amount, AssetId, HttpResponse, Limits};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

const LIMITS: Limits = Limits {
    body_bytes_max: 64 << 10,
    challenge_bytes_max: 64 << 10,
    head_bytes_max: 32 << 10,
    timeout_ms: 30_000,
};
const DETAIL_CHARS_MAX: usize = 500;
const REASON_CHARS_MAX: usize = 200;

/// What is posted. All amounts are atomic units, as text.
#[derive(Serialize)]
struct Claim<'a> {
    id: &'a str,
    network: &'a str,
    asset: &'a str,
    payer: &'a str,
    payee: &'a str,
    nonce: &'a str,
    transaction: &'a str,
    amount: String,
    paid: &'a str,
    resource: &'a str,
    reason: &'static str,
    detail: String,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    id: Option<String>,
    amount: Option<Value>,
    reason: Option<Value>,
}

/// What a vendor says about its refunds.
#[derive(Debug, Deserialize)]
struct Info {
    url: Option<String>,
    partial: Option<Value>,
}

/// Asks, once.
pub(super) async fn request_refund(
    rail: &X402,
    request: &RefundRequest,
) -> Result<RefundAnswer, RemedyError> {
    let terms = Terms::of(&request.prepared).map_err(RemedyError::Refused)?;
    let transfer = terms.transfer().map_err(RemedyError::Refused)?;
    let asset = AssetId::erc20(transfer.chain_id, &terms.token);
    let (url, partial) = offered(request)?;
    check(request, &transfer, &asset, partial)?;
    let transaction = transaction_of(&request.reference)
        .ok_or_else(|| RemedyError::Refused("the payment's reference names no transaction".to_owned()))?;
    let claim = Claim {
        id: &request.id,
        network: &terms.network,
        asset: &terms.token,
        payer: &terms.from,
        payee: &terms.to,
        nonce: &terms.nonce,
        transaction,
        amount: request.amount.atomic().to_string(),
        paid: &terms.value,
        resource: &request.offer.quote.resource,
        reason: word(request.reason),
        detail: cut(&request.detail, DETAIL_CHARS_MAX),
    };
    let failed = |what: String| RemedyError::Failed(what);
    let body =
        serde_json::to_vec(&claim).map_err(|error| failed(format!("a claim cannot be written: {error}")))?;
    let post = http::Request::builder()
        .method(http::Method::POST)
        .uri(url.as_str())
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::ACCEPT, "application/json")
        .body(body.into())
        .map_err(|_| {
            RemedyError::Unsupported("the vendor's address for refunds cannot be asked".to_owned())
        })?;
    let response = rail.vendors().send(post, LIMITS).await;
    let response = response.map_err(|error| failed(shown(&causes(&error), REASON_CHARS_MAX)))?;
    answer(request, &asset, &response)
}

/// Where the vendor takes claims, and whether also for a part.
fn offered(request: &RefundRequest) -> Result<(Url, Option<bool>), RemedyError> {
    let none = || RemedyError::Unsupported("the vendor offers no refunds".to_owned());
    let verbatim: Verbatim = serde_json::from_str(&request.offer.verbatim)
        .map_err(|error| RemedyError::Refused(format!("the stored offer cannot be read: {error}")))?;
    let extensions = verbatim.extensions.ok_or_else(none)?;
    let extensions: Value = serde_json::from_str(extensions.get()).map_err(|_| none())?;
    let info = extensions.pointer("/refund/info").filter(|info| !info.is_null()).ok_or_else(none)?;
    let unreadable = || RemedyError::Unsupported("the vendor's offer of refunds cannot be read".to_owned());
    let info = Info::deserialize(info).map_err(|_| unreadable())?;
    let url = Url::parse(&info.url.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    let resource = Url::parse(&request.offer.quote.resource).map_err(|_| unreadable())?;
    let plain =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if !plain || url.origin() != resource.origin() {
        return Err(RemedyError::Unsupported(format!(
            "the vendor takes claims at `{}`, which is another origin than that of what was bought",
            shown(&url.origin().ascii_serialization(), REASON_CHARS_MAX)
        )));
    }
    Ok((url, info.partial.as_ref().and_then(Value::as_bool)))
}

/// Nothing is asked that no vendor could grant.
fn check(
    request: &RefundRequest,
    transfer: &Transfer,
    asset: &AssetId,
    partial: Option<bool>,
) -> Result<(), RemedyError> {
    let refused = |why: &str| Err(RemedyError::Refused(why.to_owned()));
    let name = &request.id;
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return refused("a claim's name is 1 to 64 letters and digits");
    }
    let quote = &request.offer.quote;
    if quote.payee != format!("{:#x}", transfer.to) || quote.price.asset() != asset {
        return refused("the offer and the terms are of different payments");
    }
    let amount = &request.amount;
    if amount.asset() != asset || amount.is_zero() || amount.atomic() > transfer.value {
        return refused("what is asked back is not a part of what was paid");
    }
    if amount.atomic() < transfer.value && partial == Some(false) {
        return Err(RemedyError::Unsupported("the vendor gives back the whole amount or nothing".to_owned()));
    }
    Ok(())
}

fn answer(
    request: &RefundRequest,
    asset: &AssetId,
    response: &HttpResponse,
) -> Result<RefundAnswer, RemedyError> {
    let status = response.status();
    let said: Result<Answer, _> = serde_json::from_slice(response.body());
    let code = status.as_u16();
    let unreadable =
        |what: &str| Err(RemedyError::Failed(format!("the vendor answered {code} to the claim, and {what}")));
    if !status.is_success() && !status.is_client_error() {
        return unreadable("that says nothing about it");
    }
    let reason = |said: &Answer| match &said.reason {
        Some(Value::String(text)) => format!("the vendor says `{}`", shown(text, REASON_CHARS_MAX)),
        _ => "the vendor gives no reason".to_owned(),
    };
    match said {
        Ok(said) if said.status == "refused" => Err(RemedyError::Refused(reason(&said))),
        _ if status == StatusCode::CONFLICT => {
            Err(RemedyError::Refused("the vendor answered 409: it knows the claim as another".to_owned()))
        }
        Ok(said) if status.is_success() && said.status == "accepted" => {
            if said.id.is_some_and(|id| id != request.id) {
                return unreadable("that is about another claim");
            }
            let amount = match said.amount.filter(|amount| !amount.is_null()) {
                None => None,
                Some(amount) => {
                    let digits = amount.as_str();
                    let amount = digits.and_then(|digits| Amount::parse_atomic(asset.clone(), digits).ok());
                    match amount {
                        Some(amount) if !amount.is_zero() && amount.atomic() <= request.amount.atomic() => {
                            Some(amount)
                        }
                        _ => return unreadable("the amount it gives is none that was asked for"),
                    }
                }
            };
            Ok(RefundAnswer::Accepted { amount })
        }
        Ok(_) | Err(_) => unreadable("that is neither a yes nor a no"),
    }
}

/// The transaction of a reference, which may say more behind it.
fn transaction_of(reference: &str) -> Option<&str> {
    let transaction = reference.split_whitespace().next()?;
    let digits = transaction.strip_prefix("0x")?;
    (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(transaction)
}

const fn word(reason: ClaimReason) -> &'static str {
    match reason {
        ClaimReason::NotDelivered => "not_delivered",
        ClaimReason::PartDelivered => "partial",
        ClaimReason::FailedLater => "failed_later",
    }
}
