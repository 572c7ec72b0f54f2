//! Headers of base64 of JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// JSON as base64 with padding.
pub(crate) fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

/// JSON out of base64, standard alphabet with padding; `None` for anything else.
pub(crate) fn decode(text: &str) -> Option<Value> {
    serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
}
