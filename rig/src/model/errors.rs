//! From what rig says went wrong to what the driver needs to know.

use bursar_agent_core::{ModelError, ModelErrorKind, Retry};
use http::header::RETRY_AFTER;
use rig_core::error::{ErrorKind, ErrorReport, ProviderError};

/// Longest wait that a server's advice is followed for, in seconds.
const RETRY_AFTER_MAX_S: u64 = 300;
/// Longest code that is repeated.
const CODE_BYTES_MAX: usize = 64;

/// `said_something` says that a part of the turn was passed on before, which may have a price.
pub(super) fn of(error: &ProviderError, said_something: bool) -> ModelError {
    let report = ErrorReport::from(error);
    let (kind, retries) = match report.http_status {
        Some(status) if status >= 400 => of_status(status, &report),
        _ => without_status(error, &report),
    };
    let retry = match retries {
        true => retry_after(&report).map_or(Retry::Backoff, |ms| Retry::After { ms }),
        false => Retry::Never,
    };
    let mut failed =
        ModelError::new(kind, words(kind, &report)).retry(retry).request_id(report.request_id.clone());
    if let Some(status) = report.http_status {
        failed = failed.status(status);
    }
    if said_something { failed.after_work() } else { failed }
}

fn of_status(status: u16, report: &ErrorReport) -> (ModelErrorKind, bool) {
    use ModelErrorKind as Kind;
    let code = report.code.as_deref().unwrap_or_default();
    if matches!(code, "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active") {
        return (Kind::RateLimited, false);
    }
    if matches!(code, "context_length_exceeded" | "exceed_context_size_error" | "request_too_large")
        || status == 413
    {
        return (Kind::TooLong, false);
    }
    match status {
        401 | 403 => (Kind::Authentication, false),
        402 => (Kind::RateLimited, false),
        429 => (Kind::RateLimited, true),
        408 | 409 | 425 => (Kind::Provider, true),
        400 if report.provider_response_body().is_some_and(says_too_long) => (Kind::TooLong, false),
        400..=499 => (Kind::Refused, false),
        _ => (Kind::Provider, report.retryable),
    }
}

/// Without an answer that was an error, what rig says of the failure counts.
fn without_status(error: &ProviderError, report: &ErrorReport) -> (ModelErrorKind, bool) {
    use ModelErrorKind as Kind;
    if matches!(error, ProviderError::Truncated) {
        return (Kind::Network, true);
    }
    match report.kind {
        // Nothing of it left, or the same would be refused again.
        ErrorKind::Request | ErrorKind::Url | ErrorKind::Denied | ErrorKind::Cancelled => {
            (Kind::Refused, false)
        }
        ErrorKind::Http => (Kind::Network, report.retryable),
        ErrorKind::Timeout => (Kind::TimedOut, true),
        ErrorKind::Json | ErrorKind::Response => (Kind::Protocol, report.retryable),
        _ if report.refusal => (Kind::Refused, false),
        _ => (Kind::Provider, report.retryable),
    }
}

/// What servers without a code for it write.
fn says_too_long(body: &str) -> bool {
    let body = body.to_ascii_lowercase();
    ["maximum context length", "context window", "prompt is too long", "max_model_len"]
        .iter()
        .any(|words| body.contains(words))
}

/// Seconds only: a date has no clock here to be compared with.
fn retry_after(report: &ErrorReport) -> Option<u64> {
    let seconds: u64 =
        report.provider_response_headers()?.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.min(RETRY_AFTER_MAX_S).saturating_mul(1_000))
}

/// The status and the code; never the provider's words, which may quote the request.
fn words(kind: ModelErrorKind, report: &ErrorReport) -> String {
    let plain = |code: &&str| {
        !code.is_empty()
            && code.len() <= CODE_BYTES_MAX
            && code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let code = report.code.as_deref().filter(plain).map(|code| format!(" ({code})")).unwrap_or_default();
    match (report.http_status, kind) {
        (Some(status), _) => format!("provider answered {status}{code}"),
        (None, ModelErrorKind::Refused) => format!("the request could not be made{code}"),
        (None, ModelErrorKind::Network) => format!("no whole answer came{code}"),
        (None, ModelErrorKind::TimedOut) => format!("no answer came in time{code}"),
        (None, ModelErrorKind::Protocol) => format!("the answer could not be read{code}"),
        (None, _) => format!("provider failed{code}"),
    }
}
