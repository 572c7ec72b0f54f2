//! The REST gateway: the same for everybody else, with an OpenAPI document that Amazon Bedrock Agents take as an action group.
//!
//! What was not done is a problem document (RFC 9457) with a stable code and the next step. What may have cost money is never an error:
//! `undelivered` and `unknown` are answers with status 200, since a client that sees an error tries again.

mod document;
mod idempotency;
mod problem;
mod routes;

use crate::entrance::{Door, Names, known};
use crate::teller::Teller;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::future::Future;
use std::io;
use tokio::net::TcpListener;

/// Longest request, in bytes.
const BODY_BYTES_MAX: usize = 512 << 10;

/// Serves all callers that have a token, until `stop` is ready. `hosts` are names besides the listener's own address that it answers
/// to.
///
/// # Errors
/// The listener's.
pub async fn serve(
    teller: Teller,
    listener: TcpListener,
    hosts: Vec<String>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let names = Names::of(listener.local_addr()?, hosts);
    let served = axum::serve(listener, router(&teller, names)).with_graceful_shutdown(stop).await;
    teller.close().await;
    served
}

/// The OpenAPI document, as `GET /openapi.json` gives it.
#[must_use]
pub fn openapi() -> serde_json::Value {
    document::value()
}

fn router(teller: &Teller, names: Names) -> Router {
    let door = Door { teller: teller.clone(), names, refuse: problem::unknown };
    let callers = Router::new()
        .route("/v1/payments", post(routes::pay))
        .route("/v1/payments/{id}", get(routes::payment))
        .route("/v1/quotes", post(routes::quote))
        .route("/v1/plans", post(routes::plan))
        .route("/v1/fetches", post(routes::fetch))
        .route("/v1/search", get(routes::search))
        .route("/v1/budget", get(routes::budget))
        .route("/v1/approvals", get(routes::approvals))
        .method_not_allowed_fallback(problem::method)
        .layer(from_fn_with_state(door, known));
    Router::new()
        .route("/openapi.json", get(document::serve))
        .merge(callers)
        .method_not_allowed_fallback(problem::method)
        .fallback(problem::nowhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(teller.clone())
}
