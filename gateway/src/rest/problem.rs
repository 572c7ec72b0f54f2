//! What was not done, as problem documents (RFC 9457).

use crate::answer::Answer;
use crate::entrance::Refused;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bursar::tools::ReasonView;
use serde_json::{Value, json};

/// A problem with one reason.
pub(super) fn one(status: StatusCode, code: &str, message: &str, next_step: &str) -> Response {
    of(status, &[ReasonView::new(code, message, next_step)], None)
}

/// A problem with reasons, of which the first gives it its name.
fn of(status: StatusCode, reasons: &[ReasonView], call: Option<&str>) -> Response {
    let first = reasons.first();
    let text = |of: fn(&ReasonView) -> &String| first.map_or("", |reason| of(reason).as_str());
    let code = text(|reason| &reason.code);
    let mut body = json!({
        "type": format!("urn:bursar:reason:{}", if code.is_empty() { "DENIED" } else { code }),
        "title": status.canonical_reason().unwrap_or("Refused"),
        "status": status.as_u16(),
        "detail": text(|reason| &reason.message),
        "code": if code.is_empty() { "DENIED" } else { code },
        "next_step": text(|reason| &reason.next_step),
        "reasons": reasons,
    });
    if let (Some(call), Some(body)) = (call, body.as_object_mut()) {
        body.insert("call".to_owned(), call.into());
    }
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// What a call was refused for.
pub(super) fn refused(answer: &Answer) -> Response {
    let reasons = answer.content.get("reasons").cloned().unwrap_or(Value::Null);
    let reasons: Vec<ReasonView> = serde_json::from_value(reasons).unwrap_or_default();
    let status = status(reasons.first().map_or("DENIED", |reason| reason.code.as_str()));
    of(status, &reasons, Some(&answer.call.to_string()))
}

/// Nothing was paid in any of these, so a client that tries again does no harm.
fn status(code: &str) -> StatusCode {
    match code {
        "ARGUMENTS" | "URL_REFUSED" | "REQUEST_REFUSED" | "CALL_FAILED" => StatusCode::UNPROCESSABLE_ENTITY,
        "PRICE_ABOVE_CEILING" => StatusCode::CONFLICT,
        "TOO_MANY_CALLS" => StatusCode::TOO_MANY_REQUESTS,
        "LEDGER_UNAVAILABLE" | "GATE_UNAVAILABLE" | "CLOSING" => StatusCode::SERVICE_UNAVAILABLE,
        "NETWORK" | "NOT_PAID" => StatusCode::BAD_GATEWAY,
        "CALL_BROKE_OFF" => StatusCode::INTERNAL_SERVER_ERROR,
        code if code.split_once('_').is_some_and(|(kind, _)| kind == "HTTP") => StatusCode::BAD_GATEWAY,
        _ => StatusCode::FORBIDDEN,
    }
}

/// Nobody was let in.
pub(super) fn unknown(refused: Refused) -> Response {
    let status = match refused {
        Refused::Host => StatusCode::MISDIRECTED_REQUEST,
        Refused::NoToken | Refused::UnknownToken => StatusCode::UNAUTHORIZED,
    };
    let mut response = one(status, refused.code(), refused.message(), refused.next_step());
    if let Some(challenge) = refused.challenge() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// There is no such path.
pub(super) async fn nowhere() -> Response {
    let next_step = "GET /openapi.json tells what there is";
    one(StatusCode::NOT_FOUND, "NO_SUCH_PATH", "there is nothing at this path", next_step)
}

/// There is no such method.
pub(super) async fn method() -> Response {
    let next_step = "GET /openapi.json tells which methods there are";
    one(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "the path has no such method", next_step)
}
