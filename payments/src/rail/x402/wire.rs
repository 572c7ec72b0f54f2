//! What travels: lenient in, strict out.
//!
//! Each alternative is kept as the vendor wrote it, byte for byte, since a version 2 seller compares what is echoed; and each
//! is read on its own, so that a bad one does not hide the others.

use super::text::shown;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use bursar_types::HttpResponse;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
pub(super) const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
pub(super) const X_PAYMENT: HeaderName = HeaderName::from_static("x-payment");
/// Where sellers put the receipt. Some answer a payment of one version under the other's name.
const RECEIPTS: [HeaderName; 2] =
    [HeaderName::from_static("payment-response"), HeaderName::from_static("x-payment-response")];

/// Longest header, decoded.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Longest body of version 1, whose alternatives describe their output.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Standard alphabet; padded when written, either way when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The two versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Version {
    V1,
    V2,
}

/// A demand for payment, its parts verbatim.
#[derive(Debug)]
pub(super) struct PaymentRequired {
    pub(super) version: Version,
    pub(super) accepts: Vec<Box<RawValue>>,
    pub(super) resource: Option<Box<RawValue>>,
    pub(super) extensions: Option<Box<RawValue>>,
}

/// The fields of one alternative, each as it came: a wrong type is a reason of its own and no unreadable whole.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requirement {
    pub(super) scheme: Option<Value>,
    pub(super) network: Option<Value>,
    pub(super) amount: Option<Value>,
    pub(super) max_amount_required: Option<Value>,
    pub(super) asset: Option<Value>,
    pub(super) pay_to: Option<Value>,
    pub(super) max_timeout_seconds: Option<Value>,
    pub(super) extra: Option<Value>,
    pub(super) resource: Option<Value>,
    pub(super) description: Option<Value>,
    pub(super) mime_type: Option<Value>,
}

/// The resource that version 2 describes once for all alternatives.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    pub(super) url: Option<Value>,
    pub(super) description: Option<Value>,
    pub(super) mime_type: Option<Value>,
}

/// What a seller says about settlement.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settlement {
    pub(super) success: bool,
    pub(super) transaction: Option<String>,
    pub(super) network: Option<String>,
    pub(super) payer: Option<String>,
    pub(super) amount: Option<Value>,
    #[serde(alias = "error_reason")]
    pub(super) error_reason: Option<String>,
    #[serde(alias = "error_message")]
    pub(super) error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequired {
    x402_version: Option<u64>,
    accepts: Option<Vec<Box<RawValue>>>,
    resource: Option<Box<RawValue>>,
    extensions: Option<Box<RawValue>>,
}

/// Reads a demand for payment. `None` if the answer is not of this rail: not a 402, or neither header nor body is x402's.
pub(super) fn payment_required(response: &HttpResponse) -> Result<Option<PaymentRequired>, String> {
    if response.status() != StatusCode::PAYMENT_REQUIRED {
        return Ok(None);
    }
    if let Some(json) = decoded_header(response.headers(), &PAYMENT_REQUIRED)? {
        return demand(&json, "the PAYMENT-REQUIRED header").map(Some);
    }
    let body = response.body();
    if !claims_x402(body) {
        return Ok(None);
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(format!("its body is longer than {BODY_BYTES_MAX} bytes"));
    }
    demand(body, "the body").map(Some)
}

/// Reads what the seller says about settlement; `None` if it says nothing.
pub(super) fn settlement(headers: &HeaderMap) -> Result<Option<Settlement>, String> {
    for name in &RECEIPTS {
        if let Some(json) = decoded_header(headers, name)? {
            return serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| format!("the receipt in {name} cannot be read: {error}"));
        }
    }
    Ok(None)
}

/// Encodes a header's value.
pub(super) fn encoded<T: Serialize>(value: &T) -> Result<String, String> {
    let json = serde_json::to_vec(value).map_err(|error| format!("payment cannot be written: {error}"))?;
    Ok(BASE64.encode(json))
}

fn demand(json: &[u8], place: &str) -> Result<PaymentRequired, String> {
    let raw: RawRequired =
        serde_json::from_slice(json).map_err(|error| format!("{place} cannot be read: {error}"))?;
    let version = match raw.x402_version {
        Some(1) => Version::V1,
        Some(2) => Version::V2,
        Some(other) => return Err(format!("{place} is of x402 version {other}; 1 and 2 are known")),
        None => return Err(format!("{place} names no x402 version")),
    };
    match raw.accepts {
        Some(accepts) if !accepts.is_empty() => {
            Ok(PaymentRequired { version, accepts, resource: raw.resource, extensions: raw.extensions })
        }
        _ => Err(format!("{place} accepts no payment at all")),
    }
}

/// Many a 402 has nothing to do with x402. One that names the version means to be read.
fn claims_x402(body: &[u8]) -> bool {
    const MARK: &[u8] = b"\"x402Version\"";
    let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    object && body.windows(MARK.len()).any(|window| window == MARK)
}

fn decoded_header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Vec<u8>>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(format!("there are several {name} headers, and they differ"));
    }
    // Four characters hold three bytes.
    if value.len() > HEADER_BYTES_MAX.saturating_mul(4).div_ceil(3).saturating_add(4) {
        return Err(format!("the {name} header is longer than {HEADER_BYTES_MAX} bytes"));
    }
    let bytes = BASE64
        .decode(value.as_bytes().trim_ascii())
        .map_err(|error| format!("the {name} header is not base64: {}", shown(&error.to_string(), 100)))?;
    Ok(Some(bytes))
}
