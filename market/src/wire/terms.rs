//! What is asked for: one payment requirement, in both versions.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The fields of the token's EIP-712 domain that only the terms carry, and when money is said to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment_flow: Option<String>,
}

/// A requirement as version 2 writes it. The amount is text, so that a fault can say anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Terms {
    pub(crate) scheme: String,
    pub(crate) network: String,
    pub(crate) amount: String,
    pub(crate) asset: String,
    pub(crate) pay_to: String,
    pub(crate) max_timeout_seconds: u64,
    #[serde(default)]
    pub(crate) extra: Option<Domain>,
}

/// A requirement as version 1 writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are read to be checked, and then only the terms count")]
struct TermsV1 {
    scheme: String,
    network: String,
    max_amount_required: String,
    resource: String,
    description: String,
    mime_type: String,
    #[serde(default)]
    output_schema: Option<Value>,
    asset: String,
    pay_to: String,
    max_timeout_seconds: u64,
    #[serde(default)]
    extra: Option<Domain>,
}

impl Terms {
    /// The requirement as version 2 JSON.
    pub(crate) fn to_v2(&self) -> Value {
        json!(self)
    }

    /// The requirement as version 1 JSON, which carries the resource.
    pub(crate) fn to_v1(&self, url: &str, description: &str, media_type: &str) -> Value {
        json!({
            "scheme": self.scheme,
            "network": network_v1(&self.network),
            "maxAmountRequired": self.amount,
            "resource": url,
            "description": description,
            "mimeType": media_type,
            "outputSchema": { "input": { "type": "http", "method": "GET", "discoverable": true } },
            "asset": self.asset,
            "payTo": self.pay_to,
            "maxTimeoutSeconds": self.max_timeout_seconds,
            "extra": self.extra,
        })
    }

    /// Reads a requirement of either version, strictly. The network keeps the version's own name.
    pub(crate) fn read(version: u64, value: &Value) -> Option<Self> {
        if version == 2 {
            return serde_json::from_value(value.clone()).ok();
        }
        let v1: TermsV1 = serde_json::from_value(value.clone()).ok()?;
        Some(Self {
            scheme: v1.scheme,
            network: v1.network,
            amount: v1.max_amount_required,
            asset: v1.asset,
            pay_to: v1.pay_to,
            max_timeout_seconds: v1.max_timeout_seconds,
            extra: v1.extra,
        })
    }
}

/// The name version 1 has for a CAIP-2 network; where it has none, the CAIP-2 name.
pub(crate) fn network_v1(network: &str) -> &str {
    match network {
        "eip155:1" => "ethereum",
        "eip155:11155111" => "sepolia",
        "eip155:8453" => "base",
        "eip155:84532" => "base-sepolia",
        "eip155:137" => "polygon",
        "eip155:80002" => "polygon-amoy",
        "eip155:43114" => "avalanche",
        "eip155:43113" => "avalanche-fuji",
        other => other,
    }
}
