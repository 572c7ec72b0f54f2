//! `serve`: signed answers over HTTP, on this machine only.
//!
//! The server holds no key and believes nothing but signatures. `GET /approvals` tells what waits, `POST /approvals/answers`
//! takes one [`SignedAnswer`]. Errors are problem documents (RFC 9457) with a stable `code`.

use super::list;
use crate::args::ServeArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bursar::BursarError;
use bursar::payments::{AnswerError, ApprovalError, Payments, SignedAnswer};
use serde_json::json;
use std::io::Write as _;
use std::net::SocketAddr;

/// A signed answer is below 2 KiB, with the longest reason.
const BODY_BYTES_MAX: usize = 16 << 10;

/// Serves until it is interrupted.
pub(super) async fn serve(args: &ServeArgs) -> Result<Exit, CliError> {
    let refuse = |problem: String| CliError::Listen { address: args.listen.to_string(), problem };
    if !args.listen.ip().is_loopback() {
        return Err(refuse("answers are taken on this machine only".to_owned()));
    }
    let desk = data::desk(&args.data.folder)?;
    let listener = tokio::net::TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| refuse(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| refuse(error.to_string()))?;
    let _ = writeln!(anstream::stdout().lock(), "takes answers at http://{address}/approvals");
    let interrupt: Interrupt = crate::commands::research::interrupt();
    let served = axum::serve(listener, routes(desk.clone()))
        .with_graceful_shutdown(async move { interrupt.wait().await })
        .await;
    desk.ledger().close().await.map_err(BursarError::from)?;
    served.map_err(|error| refuse(error.to_string()))?;
    Ok(Exit::Done)
}

fn routes(desk: Payments) -> Router {
    Router::new()
        .route("/approvals", get(waiting))
        .route("/approvals/answers", post(answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

async fn waiting(State(desk): State<Payments>, headers: HeaderMap) -> Response {
    if let Some(problem) = foreign(&headers) {
        return problem;
    }
    let listed = async {
        let open = desk.approvals().await?;
        let lines: Result<Vec<_>, CliError> = open.iter().map(list::machine).collect();
        Ok::<_, CliError>(lines?.join(",").replace('\n', ""))
    };
    match listed.await {
        Ok(items) => ([(header::CONTENT_TYPE, "application/json")], format!("[{items}]")).into_response(),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, "LEDGER_UNAVAILABLE", &error.to_string()),
    }
}

async fn answer(State(desk): State<Payments>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(problem) = foreign(&headers) {
        return problem;
    }
    let json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json {
        // A page in a browser cannot send this kind without asking first.
        let text = "send a signed answer as application/json";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "APPROVAL_MALFORMED", text);
    }
    let signed: SignedAnswer = match serde_json::from_slice(&body) {
        Ok(signed) => signed,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "APPROVAL_MALFORMED", &error.to_string()),
    };
    match desk.answer_approval(&signed).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(status(&error), error.code(), &error.to_string()),
    }
}

const fn status(error: &ApprovalError) -> StatusCode {
    match error {
        ApprovalError::Answer(AnswerError::NoQuestion(_)) => StatusCode::NOT_FOUND,
        ApprovalError::Answer(AnswerError::Answered(_)) => StatusCode::CONFLICT,
        ApprovalError::Answer(AnswerError::Expired(_)) => StatusCode::GONE,
        ApprovalError::Answer(AnswerError::NotAnApprover(_) | AnswerError::Signature(_)) => {
            StatusCode::FORBIDDEN
        }
        ApprovalError::Answer(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A name that leads here from elsewhere is refused: pages in browsers reach this machine through such names.
fn foreign(headers: &HeaderMap) -> Option<Response> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let local = host.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        || host.rsplit_once(':').map_or(host, |(name, _)| name) == "localhost";
    (!local).then(|| problem(StatusCode::FORBIDDEN, "HOST_NOT_LOCAL", "ask by an address of this machine"))
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
