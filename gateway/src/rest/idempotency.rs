//! One key is one request: the second use of a key for another one is refused before anything is asked.

use super::problem;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bursar::ledger::{CommitError, Ledger, LinkWrite, Refusal, Transaction};
use bursar::types::{Digest, SessionId, canonical_digest};
use serde_json::Value;

/// The header (draft-ietf-httpapi-idempotency-key-header).
const HEADER: &str = "idempotency-key";
/// Longest key, in characters.
const CHARS_MAX: usize = 120;
/// Where it is kept what a key stands for.
const LINK: &str = "caller-key/";

/// The key of a request.
pub(super) fn key(headers: &HeaderMap) -> Result<String, Box<Response>> {
    let mut all = headers.get_all(HEADER).iter();
    let refuse = |code, message| {
        let next_step = "send one Idempotency-Key of 1 to 120 printable ASCII characters: a new one for each purchase, the same for each try";
        Err(Box::new(problem::one(StatusCode::BAD_REQUEST, code, message, next_step)))
    };
    let (one, more) = (all.next(), all.next());
    let Some(one) = one else {
        return refuse("IDEMPOTENCY_KEY_MISSING", "what spends needs an Idempotency-Key header");
    };
    let fits = |text: &&str| {
        (1..=CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| (b'!'..=b'~').contains(&b))
    };
    match one.to_str().ok().filter(fits).filter(|_| more.is_none()) {
        Some(key) => Ok(key.to_owned()),
        None => {
            refuse("IDEMPOTENCY_KEY_MALFORMED", "there are several keys, or it is too long or not printable")
        }
    }
}

/// Binds a key to a request, for ever. The same request again is fine.
pub(super) async fn bind(
    ledger: &Ledger,
    session: SessionId,
    route: &str,
    key: &str,
    body: &Value,
) -> Result<(), Box<Response>> {
    let unavailable = || {
        let message = "the ledger cannot be read or written, so nothing was done";
        problem::one(
            StatusCode::SERVICE_UNAVAILABLE,
            "LEDGER_UNAVAILABLE",
            message,
            "send the same request again later",
        )
    };
    let name = Digest::of_parts("bursar/caller-key/v1", &[session.as_bytes(), key.as_bytes()]);
    let link = format!("{LINK}{name}");
    let request = canonical_digest(&(route, body)).map_err(|error| {
        let message = format!("the body has no canonical form: {error}");
        let next_step = "send whole numbers up to 9007199254740991, and no others";
        Box::new(problem::one(StatusCode::UNPROCESSABLE_ENTITY, "ARGUMENTS", &message, next_step))
    })?;
    let request = request.to_string();
    let known = match ledger.link(&link).await {
        Ok(None) => {
            let mut transaction = Transaction::default();
            transaction.links.push(LinkWrite {
                key: link.clone(),
                expected: None,
                value: Some(request.clone()),
            });
            match ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::LinkMoved { .. })) => ledger.link(&link).await,
                Err(_) => return Err(Box::new(unavailable())),
            }
        }
        known => known,
    };
    match known {
        Ok(Some(known)) if known == request => Ok(()),
        Ok(_) => {
            let message = "this Idempotency-Key was used for another request";
            let next_step = "send another key for another purchase, or the same body as before to hear what became of that one";
            Err(Box::new(problem::one(
                StatusCode::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                message,
                next_step,
            )))
        }
        Err(_) => Err(Box::new(unavailable())),
    }
}
