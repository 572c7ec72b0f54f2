//! From what a server says went wrong to what the driver needs to know.

use crate::model::{ModelError, ModelErrorKind, Retry};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;

/// Longest wait that a server's advice is followed for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest code or parameter name that is repeated.
const WORD_BYTES_MAX: usize = 64;

/// What an error answer says, without the words that may quote the request.
#[derive(Debug, Default)]
pub(super) struct Said {
    code: Option<String>,
    kind: Option<String>,
    parameter: Option<String>,
    /// Whether it says in words that the conversation is too long: several servers have no code for it.
    too_long: bool,
    /// A status in the place of a code, as in an error in the middle of a stream.
    status: Option<u16>,
}

impl Said {
    /// Reads `{"error": {…}}`, `{"error": "…"}`, or the error alone. What has another form says nothing.
    pub(super) fn of(body: &Value) -> Self {
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
        let text = error
            .as_str()
            .or_else(|| ["message", "detail"].into_iter().find_map(|key| error.get(key)?.as_str()));
        let code = error.get("code");
        Self {
            code: code.and_then(Value::as_str).and_then(word),
            kind: error.get("type").and_then(Value::as_str).and_then(word),
            parameter: error.get("param").and_then(Value::as_str).and_then(word),
            too_long: text.is_some_and(says_too_long),
            status: code.and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
        }
    }

    fn is(&self, words: &[&str]) -> bool {
        [&self.code, &self.kind].into_iter().flatten().any(|said| words.contains(&said.as_str()))
    }

    fn words(&self) -> String {
        let said = [("", &self.code), ("", &self.kind), ("parameter ", &self.parameter)];
        let mut words: Vec<String> = Vec::new();
        for (what, said) in said {
            if let Some(said) = said
                && !words.contains(said)
            {
                words.push(format!("{what}{said}"));
            }
        }
        words.join(", ")
    }
}

/// An answer with a status that is no success.
pub(super) fn answered(
    status: u16,
    headers: &HeaderMap,
    said: &Said,
    request_id: Option<String>,
) -> ModelError {
    let (kind, may_retry) = classify(status, said);
    let retry = match may_retry {
        true => retry_after(headers).map_or(Retry::Backoff, |wait| Retry::After { ms: millis(wait) }),
        false => Retry::Never,
    };
    let words = said.words();
    let what = match (status, words.is_empty()) {
        (300..=399, _) => {
            format!("provider answered {status}: redirects are not followed, give the final address")
        }
        (_, true) => format!("provider answered {status}"),
        (_, false) => format!("provider answered {status} ({words})"),
    };
    ModelError::new(kind, what).retry(retry).status(status).request_id(request_id)
}

/// An error in the place of an event, or of an answer.
pub(super) fn in_turn(body: &Value) -> ModelError {
    let said = Said::of(body);
    let (kind, may_retry) = match said.status.filter(|status| *status >= 400) {
        Some(status) => classify(status, &said),
        None if said.is(&["rate_limit_exceeded", "rate_limit_error", "too_many_requests"]) => {
            classify(429, &said)
        }
        None if said.is(&["invalid_prompt", "invalid_request_error", "invalid_image"]) => {
            classify(400, &said)
        }
        None => classify(500, &said),
    };
    let words = said.words();
    let what = if words.is_empty() {
        "provider reported an error in the middle of the turn".to_owned()
    } else {
        format!("provider reported an error in the middle of the turn ({words})")
    };
    ModelError::new(kind, what).retry(if may_retry { Retry::Backoff } else { Retry::Never }).after_work()
}

fn classify(status: u16, said: &Said) -> (ModelErrorKind, bool) {
    use ModelErrorKind as Kind;
    if said.is(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]) {
        return (Kind::RateLimited, false);
    }
    if said.is(&["context_length_exceeded", "exceed_context_size_error", "request_too_large"])
        || status == 413
    {
        return (Kind::TooLong, false);
    }
    match status {
        401 | 403 => (Kind::Authentication, false),
        402 => (Kind::RateLimited, false),
        429 => (Kind::RateLimited, true),
        408 | 409 | 425 => (Kind::Provider, true),
        501 | 505 => (Kind::Provider, false),
        500.. => (Kind::Provider, true),
        400..=499 if said.too_long => (Kind::TooLong, false),
        400..=499 => (Kind::Refused, false),
        _ => (Kind::Provider, false),
    }
}

/// What servers without a code for it write.
fn says_too_long(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["maximum context length", "context size", "context window", "prompt is too long", "max_model_len"]
        .iter()
        .any(|words| text.contains(words))
}

/// A code or name as servers write them; anything else could be a piece of a prompt.
fn word(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | ':');
    (!text.is_empty() && text.len() <= WORD_BYTES_MAX && text.chars().all(plain)).then(|| text.to_owned())
}

/// How long the server asks to wait: milliseconds, seconds, or a date, which is read against the server's own clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.split('.').next()?.parse().ok()) {
        return Some(Duration::from_millis(ms).min(RETRY_AFTER_MAX));
    }
    let after = text(RETRY_AFTER.as_str())?;
    let wait = match after.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let until = httpdate::parse_http_date(after).ok()?;
            let now = httpdate::parse_http_date(text(DATE.as_str())?).ok()?;
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// The connection failed before an answer came.
pub(super) fn unanswered(error: reqwest::Error) -> ModelError {
    let what = if error.is_connect() {
        "provider could not be reached"
    } else if error.is_timeout() {
        "provider did not answer in time"
    } else {
        "connection to the provider broke"
    };
    // The address may hold what should not be written down.
    ModelError::new(ModelErrorKind::Network, what).retry(Retry::Backoff).with_source(error.without_url())
}

/// The answer broke off before its end was announced.
pub(super) fn broke_off() -> ModelError {
    ModelError::new(ModelErrorKind::Network, "provider's answer broke off in the middle of the turn")
        .retry(Retry::Backoff)
}

/// The answer is none.
pub(super) fn protocol(what: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Protocol, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_wait_is_read_in_every_form_and_bounded() {
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        type Case = (&'static [(&'static str, &'static str)], Option<u64>);
        let cases: &[Case] = &[
            (&[("retry-after", "2")], Some(2_000)),
            (&[("retry-after", " 0.25 ")], Some(250)),
            (&[("retry-after", "86400")], Some(300_000)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after-ms", "1500"), ("retry-after", "9")], Some(1_500)),
            (&[("retry-after-ms", "99999999999"), ("retry-after", "9")], Some(300_000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT"), ("date", NOW)], Some(3_000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT"), ("date", NOW)], Some(0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(retry_after(&headers(pairs)).map(millis), *expected, "{pairs:?}");
        }
    }

    #[test]
    fn each_answer_says_what_it_is_and_whether_to_try_again() {
        use ModelErrorKind::{Authentication, Provider, RateLimited, Refused, TooLong};
        let code = |code: &str| json!({"error": {"message": "m", "code": code}});
        let cases = [
            (429, code("rate_limit_exceeded"), RateLimited, Retry::Backoff),
            (429, code("insufficient_quota"), RateLimited, Retry::Never),
            (429, json!({"error": {"type": "insufficient_quota"}}), RateLimited, Retry::Never),
            (402, json!(null), RateLimited, Retry::Never),
            (401, code("invalid_api_key"), Authentication, Retry::Never),
            (403, json!("<html>"), Authentication, Retry::Never),
            (400, code("context_length_exceeded"), TooLong, Retry::Never),
            (400, json!({"error": "the request exceeds the available context size"}), TooLong, Retry::Never),
            (400, json!({"message": "This model's maximum context length is 4096"}), TooLong, Retry::Never),
            (400, code("invalid_value"), Refused, Retry::Never),
            (404, code("model_not_found"), Refused, Retry::Never),
            (408, json!(null), Provider, Retry::Backoff),
            (409, json!(null), Provider, Retry::Backoff),
            (413, json!(null), TooLong, Retry::Never),
            (500, json!(null), Provider, Retry::Backoff),
            (503, json!(null), Provider, Retry::Backoff),
            (529, json!(null), Provider, Retry::Backoff),
            (501, json!(null), Provider, Retry::Never),
            (302, json!(null), Provider, Retry::Never),
        ];
        for (status, body, kind, retry) in cases {
            let error = answered(status, &HeaderMap::new(), &Said::of(&body), None);
            assert_eq!((error.kind, error.retry), (kind, retry), "{status} {body}");
        }
    }

    #[test]
    fn a_message_never_quotes_what_was_sent() {
        let body = json!({"error": {"message": "bad key sk-1234567890 in `my secret prompt`", "type": "a secret prompt", "param": "tools[0].name", "code": "invalid_value"}});
        let error = answered(400, &HeaderMap::new(), &Said::of(&body), None);
        assert_eq!(error.message, "provider answered 400 (invalid_value, parameter tools[0].name)");
    }
}
