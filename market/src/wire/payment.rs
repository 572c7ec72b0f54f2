//! What a buyer sends: the payment payload of both versions, read strictly.

use crate::signing::Authorization;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// The scheme's own part: an EIP-3009 authorization and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    pub(crate) signature: String,
    pub(crate) authorization: Authorization,
}

/// A payment of either version.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) version: u64,
    /// Version 2: the chosen requirement, verbatim.
    pub(crate) accepted: Option<Value>,
    /// Version 1: scheme and network.
    pub(crate) named: Option<(String, String)>,
    pub(crate) payload: Payload,
    pub(crate) resource_url: Option<String>,
    pub(crate) extensions: Map<String, Value>,
    /// As it came.
    pub(crate) raw: Value,
}

/// Why a payment cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PaymentError {
    #[error("invalid_x402_version")]
    Version,
    #[error("invalid_payload")]
    Payload(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct V2 {
    #[serde(rename = "x402Version")]
    _version: u64,
    accepted: Value,
    payload: Payload,
    #[serde(default)]
    resource: Option<Resource>,
    #[serde(default)]
    extensions: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Resource {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct V1 {
    #[serde(rename = "x402Version")]
    _version: u64,
    scheme: String,
    network: String,
    payload: Payload,
}

impl Payment {
    /// Reads a payment that must be of `version`.
    pub(crate) fn read(version: u64, raw: &Value) -> Result<Self, PaymentError> {
        if raw.get("x402Version").and_then(Value::as_u64) != Some(version) {
            return Err(PaymentError::Version);
        }
        let refuse = |error: serde_json::Error| PaymentError::Payload(error.to_string());
        if version == 2 {
            let read: V2 = serde_json::from_value(raw.clone()).map_err(refuse)?;
            Ok(Self {
                version,
                accepted: Some(read.accepted),
                named: None,
                payload: read.payload,
                resource_url: read.resource.map(|resource| resource.url),
                extensions: read.extensions.unwrap_or_default(),
                raw: raw.clone(),
            })
        } else {
            let read: V1 = serde_json::from_value(raw.clone()).map_err(refuse)?;
            Ok(Self {
                version,
                accepted: None,
                named: Some((read.scheme, read.network)),
                payload: read.payload,
                resource_url: None,
                extensions: Map::new(),
                raw: raw.clone(),
            })
        }
    }
}
