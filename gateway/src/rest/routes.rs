//! The routes. Each makes a call of the caller's, and a status of its outcome.

use super::{BODY_BYTES_MAX, idempotency, problem};
use crate::answer::{Answer, Entrance};
use crate::entrance::Known;
use crate::teller::Teller;
use crate::tools::PAY;
use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bursar::memory::clean_line;
use bursar::report::{self, PaymentReport};
use bursar::types::{AssetRegistry, PaymentId};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

type Refusal = Box<Response>;

/// `POST /v1/payments`.
pub(super) async fn pay(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    spend(&teller, &caller, "/v1/payments", PAY, &headers, body).await
}

/// `POST /v1/fetches`.
pub(super) async fn fetch(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    spend(&teller, &caller, "/v1/fetches", "fetch", &headers, body).await
}

/// `POST /v1/quotes`.
pub(super) async fn quote(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(&headers, body).await {
        Ok(arguments) => call(&teller, &caller, "quote", arguments).await,
        Err(problem) => *problem,
    }
}

/// `POST /v1/plans`.
pub(super) async fn plan(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(&headers, body).await {
        Ok(arguments) => call(&teller, &caller, "propose_plan", arguments).await,
        Err(problem) => *problem,
    }
}

/// `GET /v1/search`.
pub(super) async fn search(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    RawQuery(query): RawQuery,
) -> Response {
    match searched(query.as_deref().unwrap_or_default()) {
        Ok(arguments) => call(&teller, &caller, "search_market", arguments).await,
        Err(problem) => *problem,
    }
}

/// `GET /v1/budget`.
pub(super) async fn budget(State(teller): State<Teller>, Extension(caller): Extension<Known>) -> Response {
    call(&teller, &caller, "budget", json!({})).await
}

/// `GET /v1/approvals`.
pub(super) async fn approvals(State(teller): State<Teller>, Extension(caller): Extension<Known>) -> Response {
    call(&teller, &caller, "approvals", json!({})).await
}

/// `GET /v1/payments/{id}`: of this caller's session and no other.
pub(super) async fn payment(
    State(teller): State<Teller>,
    Extension(caller): Extension<Known>,
    Path(id): Path<String>,
) -> Response {
    let unknown = || {
        let next_step = "copy the id of a payment that this caller made";
        problem::one(StatusCode::NOT_FOUND, "PAYMENT_UNKNOWN", "this caller made no such payment", next_step)
    };
    let (Ok(id), Some(session)) = (PaymentId::parse(&id), teller.session(&caller.0)) else {
        return unknown();
    };
    match report::payment(teller.bursar().ledger(), id).await {
        Ok(Some(payment)) if payment.session == Some(session.id()) => {
            json_of(StatusCode::OK, &shown(&payment, session.registry()))
        }
        Ok(_) => unknown(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a payment could not be read");
            let message = "the ledger cannot be read now";
            problem::one(StatusCode::SERVICE_UNAVAILABLE, "LEDGER_UNAVAILABLE", message, "ask again later")
        }
    }
}

/// A payment as the ledger has it.
fn shown(payment: &PaymentReport, registry: &AssetRegistry) -> Value {
    let state = serde_json::to_value(&payment.state).unwrap_or_default();
    let text = |name: &str| state.get(name).and_then(Value::as_str).map(|text| clean_line(text, 400));
    let amount = payment.amount.as_ref();
    let mut told = Map::new();
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            told.insert(name.to_owned(), value.into());
        }
    };
    tell("id", Some(payment.id.to_string()));
    tell("state", text("state"));
    tell("problem", text("problem").or_else(|| text("proof")).or_else(|| text("reason")));
    tell("at", Some(payment.at.to_string()));
    tell("amount", amount.map(|amount| registry.display(amount)));
    tell("amount_atomic", amount.map(|amount| amount.atomic().to_string()));
    tell("asset", amount.map(|amount| amount.asset().to_string()));
    tell("host", Some(clean_line(&payment.host, 260)));
    tell("payee", Some(clean_line(&payment.payee, 120)));
    tell("method", Some(clean_line(&payment.method, 20)));
    tell("url", Some(clean_line(&payment.resource, 2_048)));
    let receipt = payment.receipt.as_ref();
    tell("reference", receipt.map(|receipt| clean_line(&receipt.reference, 200)));
    tell("artifact", payment.artifact.as_ref().map(|artifact| artifact.id.to_string()));
    told.insert("observed".to_owned(), receipt.is_some_and(|receipt| receipt.observed).into());
    told.insert("open".to_owned(), payment.state.is_open().into());
    Value::Object(told)
}

/// A call that may spend: under a key that names it.
async fn spend(
    teller: &Teller,
    caller: &Known,
    route: &str,
    tool: &str,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let bound = async {
        let key = idempotency::key(headers)?;
        let Value::Object(mut arguments) = read(headers, body).await? else {
            return Err(not_json("it is no object"));
        };
        if arguments.contains_key("key") {
            return Err(wrong("the key is the Idempotency-Key header, and not in the body"));
        }
        // Where a text is read on is no part of what is asked for.
        let from = arguments.remove("text_from");
        let asked = Value::Object(arguments.clone());
        let session = teller.session(&caller.0).ok_or_else(|| wrong("nobody knows who calls"))?.id();
        idempotency::bind(teller.bursar().ledger(), session, route, &key, &asked).await?;
        arguments.extend(from.map(|from| ("text_from".to_owned(), from)));
        arguments.insert("key".to_owned(), key.into());
        Ok::<_, Refusal>(Value::Object(arguments))
    };
    match bound.await {
        Ok(arguments) => call(teller, caller, tool, arguments).await,
        Err(problem) => *problem,
    }
}

async fn call(teller: &Teller, caller: &Known, tool: &str, arguments: Value) -> Response {
    let Some(answer) = teller.call(&caller.0, Entrance::Rest, tool, arguments).await else {
        let next_step = "ask the operator, or do without";
        return problem::one(
            StatusCode::FORBIDDEN,
            "NOT_OFFERED",
            "this is not offered to this caller",
            next_step,
        );
    };
    respond(answer)
}

/// Nothing that may have cost money is an error: clients try errors again.
fn respond(answer: Answer) -> Response {
    let status = match answer.outcome() {
        Some("refused") => return problem::refused(&answer),
        Some("awaiting_approval") => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    json_of(status, &Value::Object(answer.into_object()))
}

fn json_of(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The body as JSON.
async fn read(headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        // A page in a browser cannot send this kind without asking first.
        let (message, next_step) =
            ("the body is not application/json", "send JSON, and say so in Content-Type");
        return Err(Box::new(problem::one(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "BODY_NOT_JSON",
            message,
            next_step,
        )));
    }
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        let message = format!("the body is longer than {BODY_BYTES_MAX} bytes, or broke off");
        Box::new(problem::one(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LONG", &message, "send less"))
    })?;
    serde_json::from_slice(&bytes).map_err(|error| not_json(&error.to_string()))
}

fn not_json(problem: &str) -> Refusal {
    let message = format!("the body cannot be read: {problem}");
    Box::new(problem::one(StatusCode::BAD_REQUEST, "BODY_NOT_JSON", &message, "send one JSON object"))
}

fn wrong(message: &str) -> Refusal {
    Box::new(problem::one(
        StatusCode::UNPROCESSABLE_ENTITY,
        "ARGUMENTS",
        message,
        "correct it and send it again",
    ))
}

/// `query` and `limit`, each at most once.
fn searched(query: &str) -> Result<Value, Refusal> {
    let mut arguments = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "query" => Value::String(value.into_owned()),
            "limit" => match value.parse::<u32>() {
                Ok(limit @ 1..=50) => limit.into(),
                _ => return Err(wrong("`limit` is not a number from 1 to 50")),
            },
            _ => return Err(wrong("the only parameters are `query` and `limit`")),
        };
        if arguments.insert(name.into_owned(), value).is_some() {
            return Err(wrong("a parameter is given twice"));
        }
    }
    Ok(Value::Object(arguments))
}
