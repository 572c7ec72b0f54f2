//! The OpenAPI document. Written by hand; the tests hold every route, status and body against it.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

const TEXT: &str = include_str!("openapi.json");

/// It, with this version.
pub(super) fn value() -> Value {
    let mut document: Value = serde_json::from_str(TEXT).unwrap_or_default();
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    }
    document
}

/// Anybody may read it: it says nothing that the documentation does not.
pub(super) async fn serve() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value().to_string()).into_response()
}
