//! Why the service did not answer.

use super::access::{Access, Signed};
use super::turn::garbled;
use crate::model::{ModelError, ModelErrorKind, Retry};
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::operation::RequestId;
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamError;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_smithy_types::event_stream::RawMessage;
use bursar_types::visible;
use std::error::Error;

/// The service's own words, as many as are passed on. Whoever answers in its place may write anything there.
const WORDS_MAX: usize = 400;
/// The same of the name that it has for an error.
const CODE_MAX: usize = 80;

/// The longest pause that the service may ask for.
const AFTER_S_MAX: u64 = 300;

/// What an operation may fail with.
pub(super) trait Fault: ProvideErrorMetadata + Error + Send + Sync + 'static {
    /// The status that the model itself answered with.
    fn original_status(&self) -> Option<i32>;
}

impl Fault for ConverseError {
    fn original_status(&self) -> Option<i32> {
        match self {
            Self::ModelErrorException(error) => error.original_status_code(),
            _ => None,
        }
    }
}

impl Fault for ConverseStreamError {
    fn original_status(&self) -> Option<i32> {
        match self {
            Self::ModelErrorException(error) => error.original_status_code(),
            Self::ModelStreamErrorException(error) => error.original_status_code(),
            _ => None,
        }
    }
}

/// A request that got no turn. One that was not even signed failed for want of credentials: nothing else is done before.
pub(super) fn of_request<E: Fault>(
    error: SdkError<E, HttpResponse>,
    access: &Access,
    signed: &Signed,
) -> ModelError {
    match error {
        SdkError::ServiceError(_) => of_service(error, access),
        SdkError::TimeoutError(_) => network("Bedrock did not answer in time").with_source(error),
        SdkError::ResponseError(ref response) => {
            let (status, id) = (response.raw().status().as_u16(), request_id(response.raw()));
            garbled("it does not follow the protocol").status(status).request_id(id).with_source(error)
        }
        _ if !signed.is_set() => not_signed(error, access),
        SdkError::DispatchFailure(ref failure) if failure.is_timeout() => {
            network("Bedrock could not be reached in time").with_source(error)
        }
        _ => {
            let why = causes(&error);
            network(&format!("Bedrock could not be reached, or hung up: {why}")).with_source(error)
        }
    }
}

/// An error with what caused it; the SDK's own say little without.
fn causes(error: &dyn Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.dedup();
    visible(&causes.join(": "), WORDS_MAX)
}

fn not_signed<E: Fault>(error: SdkError<E, HttpResponse>, access: &Access) -> ModelError {
    let why = causes(&error);
    let message = format!("no request to Bedrock could be made with {access}: {why}; {}", access.next_step());
    ModelError::new(ModelErrorKind::Authentication, message).with_source(error)
}

fn of_service<E: Fault>(error: SdkError<E, HttpResponse>, access: &Access) -> ModelError {
    let Some(response) = error.raw_response() else { return garbled("an error without a response") };
    let status = response.status().as_u16();
    let after = response.headers().get("retry-after").and_then(|value| value.trim().parse::<u64>().ok());
    let id = request_id(response);
    if response.status().is_success() {
        return garbled("it does not follow the protocol").status(status).request_id(id).with_source(error);
    }
    let code = visible(error.code().unwrap_or("an error without a name"), CODE_MAX);
    let words = visible(error.message().unwrap_or("no message"), WORDS_MAX);
    let original = error.as_service_error().and_then(Fault::original_status);
    let (kind, retry) = judge(&code, status, original, &words);
    let retry = match (retry, after) {
        (Retry::Backoff, Some(seconds)) => {
            Retry::After { ms: seconds.min(AFTER_S_MAX).saturating_mul(1_000) }
        }
        (retry, _) => retry,
    };
    let hint = hint(&code, kind, &words, access);
    ModelError::new(kind, format!("Bedrock said {code}: {words}{hint}"))
        .retry(retry)
        .status(status)
        .request_id(id)
        .with_source(error)
}

/// What an error means, and whether another try makes sense. The code counts; for one that is new, the status does.
fn judge(code: &str, status: u16, original: Option<i32>, words: &str) -> (ModelErrorKind, Retry) {
    use ModelErrorKind as Kind;
    match code {
        "ThrottlingException" => (Kind::RateLimited, Retry::Backoff),
        "ServiceQuotaExceededException" => (Kind::RateLimited, Retry::Never),
        "ValidationException" if too_long(words) => (Kind::TooLong, Retry::Never),
        "ValidationException" | "ResourceNotFoundException" => (Kind::Refused, Retry::Never),
        "ModelTimeoutException" => (Kind::TimedOut, Retry::Backoff),
        "ModelNotReadyException" | "InternalServerException" | "ServiceUnavailableException" => {
            (Kind::Provider, Retry::Backoff)
        }
        "ModelErrorException" | "ModelStreamErrorException" => (Kind::Provider, after_model(original)),
        "AccessDeniedException" => (Kind::Authentication, Retry::Never),
        _ => match status {
            401 | 403 => (Kind::Authentication, Retry::Never),
            408 => (Kind::TimedOut, Retry::Backoff),
            413 => (Kind::TooLong, Retry::Never),
            429 => (Kind::RateLimited, Retry::Backoff),
            500.. => (Kind::Provider, Retry::Backoff),
            _ => (Kind::Refused, Retry::Never),
        },
    }
}

/// A model that refused the request itself refuses it again.
fn after_model(original: Option<i32>) -> Retry {
    match original {
        Some(400..=407 | 409..=428 | 430..=499) => Retry::Never,
        _ => Retry::Backoff,
    }
}

/// The service has no code for a conversation that does not fit, only these words.
fn too_long(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let known = [
        "input is too long",
        "prompt is too long",
        "too many input tokens",
        "too many total text bytes",
        "exceed context limit",
        "exceeds the maximum context",
        "maximum context length",
        "context window",
    ];
    known.iter().any(|known| words.contains(known))
}

fn hint(code: &str, kind: ModelErrorKind, words: &str, access: &Access) -> String {
    match code {
        "AccessDeniedException" => {
            "; check that the policy allows bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on \
             this model, and that the account has access to it in this region"
                .to_owned()
        }
        "ResourceNotFoundException" => "; check the model's id and the region".to_owned(),
        "ValidationException" if words.contains("on-demand throughput") => {
            "; name an inference profile, such as `us.` before the model's id".to_owned()
        }
        _ if kind == ModelErrorKind::Authentication => {
            format!("; it was asked with {access}: {}", access.next_step())
        }
        _ => String::new(),
    }
}

/// A turn that began and went wrong.
pub(super) fn in_stream(error: SdkError<ConverseStreamOutputError, RawMessage>) -> ModelError {
    match &error {
        SdkError::ServiceError(service) => {
            let fault = service.err();
            let (code, original) = named(fault);
            let words = visible(fault.message().unwrap_or("no message"), WORDS_MAX);
            // The answer's status was 200: what was written until then may have its price.
            let (kind, retry) = judge(&code, 200, original, &words);
            let message = format!("Bedrock broke its answer off with {code}: {words}");
            ModelError::new(kind, message).retry(retry).with_source(error)
        }
        SdkError::ResponseError(_) => garbled("a frame is damaged or cut").with_source(error),
        _ => network("the connection to Bedrock broke in the middle of an answer").with_source(error),
    }
}

/// The code of an exception in a stream, and the status that the model itself answered with.
fn named(fault: &ConverseStreamOutputError) -> (String, Option<i32>) {
    let code = match fault {
        ConverseStreamOutputError::InternalServerException(_) => "InternalServerException",
        ConverseStreamOutputError::ModelStreamErrorException(error) => {
            return ("ModelStreamErrorException".to_owned(), error.original_status_code());
        }
        ConverseStreamOutputError::ValidationException(_) => "ValidationException",
        ConverseStreamOutputError::ThrottlingException(_) => "ThrottlingException",
        ConverseStreamOutputError::ServiceUnavailableException(_) => "ServiceUnavailableException",
        other => other.code().unwrap_or("an exception without a name"),
    };
    (visible(code, CODE_MAX), None)
}

fn network(message: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Network, message).retry(Retry::Backoff)
}

fn request_id(response: &HttpResponse) -> Option<String> {
    response.request_id().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_does_not_fit_is_known_by_the_words() {
        for words in
            ["Input is too long for requested model.", "prompt is too long: 200001 tokens > 200000 maximum"]
        {
            assert_eq!(
                judge("ValidationException", 400, None, words),
                (ModelErrorKind::TooLong, Retry::Never)
            );
        }
        let other = judge("ValidationException", 400, None, "The model ID is not valid");
        assert_eq!(other, (ModelErrorKind::Refused, Retry::Never));
    }

    #[test]
    fn a_model_that_refused_is_not_asked_again() {
        let retries = [(None, Retry::Backoff), (Some(503), Retry::Backoff), (Some(429), Retry::Backoff)];
        for (original, retry) in retries.into_iter().chain([(Some(400), Retry::Never)]) {
            assert_eq!(
                judge("ModelErrorException", 424, original, ""),
                (ModelErrorKind::Provider, retry),
                "{original:?}"
            );
        }
    }
}
