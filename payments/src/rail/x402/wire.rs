//! What travels: lenient in, strict out.
//!
//! Each alternative is kept as the vendor wrote it, byte for byte, since a version 2 seller compares what is echoed; and each
//! is read on its own, so that a bad one does not hide the others.

use super::network::caip2;
use super::text::shown;
use crate::reasons;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use bursar_types::{HttpResponse, Reason};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;

pub(super) const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
pub(super) const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
pub(super) const X_PAYMENT: HeaderName = HeaderName::from_static("x-payment");
/// Where sellers put the receipt. Some answer a payment of one version under the other's name.
const RECEIPTS: [HeaderName; 2] =
    [HeaderName::from_static("payment-response"), HeaderName::from_static("x-payment-response")];

/// Longest header with a demand, as it comes.
const DEMAND_HEADER_BYTES_MAX: usize = 16 << 10;
/// Longest header with a receipt, as it comes.
const RECEIPT_HEADER_BYTES_MAX: usize = 64 << 10;
/// Longest body of version 1, whose alternatives describe their output.
const BODY_BYTES_MAX: usize = 256 << 10;
/// How deep a demand may be nested. Real ones describe their input and output as JSON schemas.
const DEPTH_MAX: usize = 64;
/// How many alternatives one demand may give. Far more than anyone offers, and no work to count.
const ALTERNATIVES_MAX: usize = 1_000;
/// How many of them are read.
pub(super) const ALTERNATIVES_READ_MAX: usize = 32;

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
    /// The first of them, one more than is read where there are more.
    pub(super) accepts: Vec<Box<RawValue>>,
    /// How many there are.
    pub(super) alternatives: usize,
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
    accepts: Option<Alternatives>,
    resource: Option<Box<RawValue>>,
    extensions: Option<Box<RawValue>>,
}

/// The first alternatives of a demand, and how many there are: memory is set aside for those that are read, and no others.
struct Alternatives {
    first: Vec<Box<RawValue>>,
    count: usize,
}

impl<'de> Deserialize<'de> for Alternatives {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Alternatives;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of alternatives")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Alternatives, A::Error> {
                let (mut first, mut count) = (Vec::new(), 0_usize);
                // One more than is read says that there are more.
                while first.len() <= ALTERNATIVES_READ_MAX {
                    let Some(one) = list.next_element()? else { return Ok(Alternatives { first, count }) };
                    first.push(one);
                    count = count.saturating_add(1);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count = count.saturating_add(1);
                }
                Ok(Alternatives { first, count })
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}

/// Reads a demand for payment. `None` if the answer is not of this rail: not a 402, or neither header nor body is x402's.
///
/// Where both header and body make a demand, they must make the same one: another reader would go by the other.
pub(super) fn payment_required(response: &HttpResponse) -> Result<Option<PaymentRequired>, Reason> {
    if response.status() != StatusCode::PAYMENT_REQUIRED {
        return Ok(None);
    }
    let body = response.body();
    let body = match claims_x402(body) {
        true if body.len() > BODY_BYTES_MAX => {
            let what = format!("its body has {} bytes, and at most {BODY_BYTES_MAX} are read", body.len());
            return Err(reasons::challenge_too_large(&what));
        }
        true => Some(body),
        false => None,
    };
    let headers = response.headers();
    let header =
        decoded_header(headers, &PAYMENT_REQUIRED, DEMAND_HEADER_BYTES_MAX).map_err(|bad| match bad {
            BadHeader::Several => reasons::challenge_ambiguous(&bad.told(&PAYMENT_REQUIRED)),
            BadHeader::TooLong { .. } => reasons::challenge_too_large(&bad.told(&PAYMENT_REQUIRED)),
            BadHeader::NotBase64(_) => reasons::terms_unreadable(&bad.told(&PAYMENT_REQUIRED)),
        })?;
    let Some(json) = header else {
        return body.map(|body| demand(body, "the body")).transpose();
    };
    let demanded = demand(&json, "the PAYMENT-REQUIRED header")?;
    match body {
        Some(body) if !agrees(&demanded, body)? => {
            Err(reasons::challenge_ambiguous("its header and its body ask for different payments"))
        }
        _ => Ok(Some(demanded)),
    }
}

/// Whether everything that a body asks for stands in the header too, in the words of its own version. Bodies without
/// alternatives ask for nothing.
fn agrees(header: &PaymentRequired, body: &[u8]) -> Result<bool, Reason> {
    check_depth(body, "the body")?;
    let Ok(body) = serde_json::from_slice::<RawRequired>(body) else { return Ok(false) };
    let Some(accepts) = body.accepts else { return Ok(true) };
    let version = match body.x402_version {
        Some(1) => Version::V1,
        Some(2) => Version::V2,
        _ => return Ok(accepts.count == 0),
    };
    let in_header: BTreeSet<_> = header.accepts.iter().map(|one| asked_for(header.version, one)).collect();
    let same = |one: &RawValue| asked_for(version, one).is_some_and(|one| in_header.contains(&Some(one)));
    // What is beyond the alternatives that are read cannot be compared.
    Ok(accepts.count == accepts.first.len() && accepts.first.iter().all(|one| same(one)))
}

/// What an alternative asks for: scheme, network, asset, amount and payee, whichever version names them.
fn asked_for(version: Version, alternative: &RawValue) -> Option<[String; 5]> {
    let terms: Requirement = serde_json::from_str(alternative.get()).ok()?;
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let network = text(terms.network)?;
    let amount = match version {
        Version::V1 => terms.max_amount_required,
        Version::V2 => terms.amount,
    };
    Some([
        text(terms.scheme)?,
        caip2(&network).unwrap_or(network),
        text(terms.asset)?.to_lowercase(),
        text(amount)?,
        text(terms.pay_to)?.to_lowercase(),
    ])
}

/// Reads what the seller says about settlement; `None` if it says nothing.
pub(super) fn settlement(headers: &HeaderMap) -> Result<Option<Settlement>, String> {
    for name in &RECEIPTS {
        let header = decoded_header(headers, name, RECEIPT_HEADER_BYTES_MAX);
        if let Some(json) = header.map_err(|bad| bad.told(name))? {
            return serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| format!("the receipt in {name} cannot be read: {error}"));
        }
    }
    Ok(None)
}

/// The same as JSON, for what is beside it; `None` if there is none or it cannot be read.
pub(super) fn settlement_json(headers: &HeaderMap) -> Option<Value> {
    let header = |name| decoded_header(headers, name, RECEIPT_HEADER_BYTES_MAX).ok().flatten();
    RECEIPTS.iter().find_map(header).and_then(|json| serde_json::from_slice(&json).ok())
}

/// Encodes a header's value.
pub(super) fn encoded<T: Serialize>(value: &T) -> Result<String, String> {
    let json = serde_json::to_vec(value).map_err(|error| format!("payment cannot be written: {error}"))?;
    Ok(BASE64.encode(json))
}

fn demand(json: &[u8], place: &str) -> Result<PaymentRequired, Reason> {
    let unreadable = |what: String| reasons::terms_unreadable(&format!("{place} {what}"));
    check_depth(json, place)?;
    let raw: RawRequired = serde_json::from_slice(json)
        .map_err(|error| unreadable(format!("cannot be read: {}", shown(&error.to_string(), 200))))?;
    let version = match raw.x402_version {
        Some(1) => Version::V1,
        Some(2) => Version::V2,
        Some(other) => return Err(unreadable(format!("is of x402 version {other}; 1 and 2 are known"))),
        None => return Err(unreadable("names no x402 version".to_owned())),
    };
    match raw.accepts {
        Some(Alternatives { count, .. }) if count > ALTERNATIVES_MAX => Err(reasons::challenge_too_large(
            &format!("{place} gives {count} alternatives, and at most {ALTERNATIVES_MAX} are counted"),
        )),
        Some(Alternatives { first, count }) if count > 0 => Ok(PaymentRequired {
            version,
            accepts: first,
            alternatives: count,
            resource: raw.resource,
            extensions: raw.extensions,
        }),
        _ => Err(unreadable("accepts no payment at all".to_owned())),
    }
}

/// Nesting is counted before anything is parsed: what is kept verbatim is parsed again later, by others too.
fn check_depth(json: &[u8], place: &str) -> Result<(), Reason> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_text = false,
            (true, _) => {}
            (false, b'"') => in_text = true,
            (false, b'{' | b'[') => depth = depth.saturating_add(1),
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
        if depth > DEPTH_MAX {
            return Err(reasons::challenge_too_large(&format!(
                "{place} is nested more than {DEPTH_MAX} levels deep"
            )));
        }
    }
    Ok(())
}

/// Many a 402 has nothing to do with x402. One that names the version means to be read.
fn claims_x402(body: &[u8]) -> bool {
    const MARK: &[u8] = b"\"x402Version\"";
    let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    object && body.windows(MARK.len()).any(|window| window == MARK)
}

/// Why a header is not read.
enum BadHeader {
    Several,
    TooLong { max: usize },
    NotBase64(String),
}

impl BadHeader {
    fn told(&self, name: &HeaderName) -> String {
        match self {
            Self::Several => format!("there are several {name} headers, and they differ"),
            Self::TooLong { max } => format!("the {name} header is longer than {max} bytes"),
            Self::NotBase64(why) => format!("the {name} header is not base64: {why}"),
        }
    }
}

fn decoded_header(headers: &HeaderMap, name: &HeaderName, max: usize) -> Result<Option<Vec<u8>>, BadHeader> {
    // Several headers of a name are the same as one with commas (RFC 9110); no value that is read has a comma.
    let all = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut values = all.map(<[u8]>::trim_ascii);
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(BadHeader::Several);
    }
    if value.len() > max {
        return Err(BadHeader::TooLong { max });
    }
    let bytes = BASE64.decode(value).map_err(|error| BadHeader::NotBase64(shown(&error.to_string(), 100)))?;
    Ok(Some(bytes))
}
