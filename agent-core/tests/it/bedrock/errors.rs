//! Requests that get no turn.

use super::fake::{Fake, Says, error};
use super::{MODEL, SECRET, builder, question, turn_of};
use bursar_agent_core::models::Bedrock;
use bursar_agent_core::{ModelError, ModelErrorKind, Retry};
use serde_json::json;
use std::error::Error as _;

async fn check(says: Says) -> ModelError {
    let fake = Fake::saying(vec![says]).await;
    let mut errors = Vec::new();
    for streaming in [true, false] {
        let model = builder(&fake).streaming(streaming).build().unwrap();
        errors.push(turn_of(&model, question()).await.unwrap_err());
    }
    assert_eq!(fake.seen().len(), 2, "one request for each turn: the SDK does not repeat it");
    let (whole, streamed) = (errors.pop().unwrap(), errors.pop().unwrap());
    assert_eq!((whole.kind, whole.retry, &whole.message), (streamed.kind, streamed.retry, &streamed.message));
    assert!(!format!("{whole:?}").contains(SECRET));
    whole
}

#[tokio::test]
async fn errors_of_the_service_say_what_they_are_and_whether_another_try_makes_sense() {
    use ModelErrorKind as Kind;
    let cases = [
        (
            403,
            "AccessDeniedException",
            "not authorized to perform bedrock:InvokeModel",
            Kind::Authentication,
            Retry::Never,
        ),
        (
            403,
            "UnrecognizedClientException",
            "The security token is invalid.",
            Kind::Authentication,
            Retry::Never,
        ),
        (403, "ExpiredTokenException", "The security token has expired.", Kind::Authentication, Retry::Never),
        (404, "ResourceNotFoundException", "no such model", Kind::Refused, Retry::Never),
        (400, "ValidationException", "Malformed input request", Kind::Refused, Retry::Never),
        (400, "ValidationException", "Input is too long for requested model.", Kind::TooLong, Retry::Never),
        (400, "ServiceQuotaExceededException", "quota", Kind::RateLimited, Retry::Never),
        (429, "ThrottlingException", "Too many requests", Kind::RateLimited, Retry::Backoff),
        (429, "ModelNotReadyException", "not ready", Kind::Provider, Retry::Backoff),
        (408, "ModelTimeoutException", "too slow", Kind::TimedOut, Retry::Backoff),
        (424, "ModelErrorException", "the model failed", Kind::Provider, Retry::Backoff),
        (500, "InternalServerException", "oops", Kind::Provider, Retry::Backoff),
        (503, "ServiceUnavailableException", "busy", Kind::Provider, Retry::Backoff),
        (502, "SomethingNewException", "?", Kind::Provider, Retry::Backoff),
        (418, "SomethingNewException", "?", Kind::Refused, Retry::Never),
    ];
    for (status, name, message, kind, retry) in cases {
        let error = check(error(status, name, message)).await;
        assert_eq!((error.kind, error.retry, error.status), (kind, retry, Some(status)), "{name}: {error}");
        assert!(error.message.contains(message) && error.message.contains(name), "{error}");
        assert_eq!(error.request_id.as_deref(), Some("req-1"), "{name}");
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn what_the_service_writes_is_cut_and_cannot_write_over_a_screen() {
    let words = format!("bad\u{1b}[2K\u{202e}\n{}", "x".repeat(1_000));
    let code = format!("Evil\u{1b}]0;{}", "y".repeat(200));
    let error = check(Says::Json(400, None, Vec::new(), json!({"code": code, "message": words}))).await;
    assert!(error.message.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{:?}", error.message);
    assert!(error.message.contains("bad\\u{1b}[2K\\u{202e}\\u{a}x"), "{error}");
    assert!(error.message.len() < 600 && error.message.contains("Evil\\u{1b}]0;y"), "{error}");
}

#[tokio::test]
async fn a_model_that_refused_the_request_is_not_asked_again() {
    let body = |original: u16| json!({"message": "m", "originalStatusCode": original, "resourceName": "r"});
    for (original, retry) in [(400, Retry::Never), (429, Retry::Backoff), (500, Retry::Backoff)] {
        let error = check(Says::Json(424, Some("ModelErrorException"), Vec::new(), body(original))).await;
        assert_eq!(error.retry, retry, "{original}");
    }
}

#[tokio::test]
async fn the_time_that_the_service_names_is_kept() {
    let body = json!({"message": "m"});
    let cases = [
        ("7", Retry::After { ms: 7_000 }),
        ("99999", Retry::After { ms: 300_000 }),
        ("soon", Retry::Backoff),
    ];
    for (after, retry) in cases {
        let says = Says::Json(429, Some("ThrottlingException"), vec![("retry-after", after)], body.clone());
        assert_eq!(check(says).await.retry, retry, "{after}");
    }
    let says = Says::Json(400, Some("ValidationException"), vec![("retry-after", "7")], body);
    assert_eq!(check(says).await.retry, Retry::Never, "what is refused is refused");
}

#[tokio::test]
async fn a_connection_that_breaks_is_the_networks_fault() {
    assert_eq!(check_network(check(Says::HangUp).await), "could not be reached");
    let fake = Fake::saying(vec![Says::HangUp]).await;
    let gone = builder(&fake).endpoint_url("http://127.0.0.1:9").build().unwrap();
    let error = turn_of(&gone, question()).await.unwrap_err();
    assert_eq!(check_network(error), "could not be reached");
}

fn check_network(error: ModelError) -> &'static str {
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Network, Retry::Backoff), "{error}");
    assert!(error.message.contains("could not be reached"), "{error}");
    "could not be reached"
}

#[tokio::test]
async fn answers_that_are_no_answers_are_refused() {
    let empty = json!({"stopReason": "end_turn", "output": {}});
    let fake = Fake::saying(vec![Says::Json(200, None, Vec::new(), empty)]).await;
    let error = turn_of(&builder(&fake).streaming(false).build().unwrap(), question()).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff), "{error}");
    let fake = Fake::saying(vec![Says::Json(200, None, Vec::new(), json!("nothing"))]).await;
    let error = turn_of(&builder(&fake).streaming(false).build().unwrap(), question()).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Protocol, Retry::Backoff), "{error}");
}

#[tokio::test]
async fn without_credentials_the_error_says_what_to_do() {
    let fake = Fake::saying(vec![Says::HangUp]).await;
    let sdk = aws_types::SdkConfig::builder()
        .behavior_version(aws_sdk_bedrockruntime::config::BehaviorVersion::latest())
        .build();
    let model = Bedrock::builder(MODEL).region("eu-west-1").endpoint_url(&fake.url).build_from(&sdk).unwrap();
    let error = turn_of(&model, question()).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Authentication, Retry::Never), "{error}");
    assert!(
        error.message.contains("AWS_BEARER_TOKEN_BEDROCK") && error.message.contains("profile"),
        "{error}"
    );
    assert_eq!(fake.seen().len(), 0, "nothing was sent");
}
