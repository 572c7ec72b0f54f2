//! Where credentials are added: below the purse, so that no journal, quote or receipt has them.

use super::api::Place;
use super::secret::Redaction;
use super::security::Filled;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_types::{HttpRequest, HttpResponse, Limits, Transport, TransportError};
use http::{HeaderName, HeaderValue, header};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use url::Url;
use zeroize::Zeroizing;

/// The header that marks a request whose credentials are added on the way. It never leaves, and it keeps a purchase from being asked for
/// again without them: no request with a header of unknown meaning is journaled as whole.
pub(super) const MARK: &str = "bursar-api";

/// What goes with a request of an operation: in its extensions, where no model writes.
#[derive(Clone)]
pub(super) struct Errand {
    pub(super) origin: url::Origin,
    pub(super) filled: Arc<[Filled]>,
    pub(super) redaction: Redaction,
    /// Set when it was seen on the way.
    pub(super) seen: Arc<AtomicBool>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("origin", &self.origin.ascii_serialization()).finish_non_exhaustive()
    }
}

/// A transport that adds the credentials of operations, and leaves all other requests as they are.
///
/// A purse sends through it: a credential then is in no URL or header that a rule, a journal or a quote sees. It is added only on the way
/// to the origin of the API's server, and is taken out of what comes back.
#[derive(Debug, Clone)]
pub struct ApiTransport {
    below: Arc<dyn Transport>,
}

impl ApiTransport {
    /// Stands before `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Transport>) -> Self {
        Self { below }
    }
}

#[async_trait]
impl Transport for ApiTransport {
    async fn send(&self, mut request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let marked = request.headers_mut().remove(MARK).is_some();
        let Some(errand) = request.extensions_mut().remove::<Errand>() else {
            if marked {
                return Err(not_sent(
                    &request,
                    "its credentials are not known here any more; make the call again",
                ));
            }
            return self.below.send(request, limits).await;
        };
        errand.seen.store(true, Ordering::Relaxed);
        add(&mut request, &errand)?;
        match self.below.send(request, limits).await {
            Ok(response) => Ok(without(response, &errand.redaction)),
            Err(error) => Err(scrubbed(error, &errand.redaction)),
        }
    }
}

fn not_sent(request: &HttpRequest, problem: &str) -> TransportError {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    TransportError::NotSent { host, source: problem.into() }
}

fn add(request: &mut HttpRequest, errand: &Errand) -> Result<(), TransportError> {
    let mut url =
        Url::parse(&request.uri().to_string()).map_err(|_| not_sent(request, "it has no whole address"))?;
    if url.origin() != errand.origin {
        return Err(not_sent(request, "its credentials belong to another server"));
    }
    for filled in errand.filled.iter() {
        let value = filled.secret.value();
        let wrong = || not_sent(request, "a credential cannot be written");
        match &filled.place {
            Place::Bearer => {
                let value = sensitive(&format!("Bearer {value}")).ok_or_else(wrong)?;
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            Place::Basic => {
                let encoded = Zeroizing::new(STANDARD.encode(value));
                let value = sensitive(&format!("Basic {}", *encoded)).ok_or_else(wrong)?;
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            Place::Header(name) => {
                let value = sensitive(value).ok_or_else(wrong)?;
                request.headers_mut().insert(HeaderName::clone(name), value);
            }
            Place::Cookie(name) => {
                let before = request.headers().get(header::COOKIE).and_then(|value| value.to_str().ok());
                let before = before.map(|before| format!("{before}; ")).unwrap_or_default();
                let value = sensitive(&format!("{before}{name}={value}")).ok_or_else(wrong)?;
                request.headers_mut().insert(header::COOKIE, value);
            }
            Place::Query(name) => {
                url.query_pairs_mut().append_pair(name, value);
                *request.uri_mut() =
                    url.as_str().parse().map_err(|_| not_sent(request, "a credential cannot be written"))?;
            }
        }
    }
    Ok(())
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn without(response: HttpResponse, redaction: &Redaction) -> HttpResponse {
    let (mut head, body) = response.into_parts();
    redaction.headers(&mut head.headers);
    let body = redaction.bytes(&body).map_or(body, Into::into);
    HttpResponse::from_parts(head, body)
}

/// The same error; where its words or its causes' hold a credential (such as an address with one), in words without it.
fn scrubbed(error: TransportError, redaction: &Redaction) -> TransportError {
    let clean = |source: Box<dyn std::error::Error + Send + Sync>| {
        let mut words = source.to_string();
        // `Debug` may say more than the words do, and whoever logs an error may print it.
        let debugged = format!("{source:?}");
        let mut cause = source.source();
        while let Some(next) = cause {
            words = format!("{words}: {next}");
            cause = next.source();
        }
        match (redaction.text(&words), redaction.text(&debugged)) {
            (None, None) => source,
            (Some(words), _) => words.into(),
            (None, Some(_)) => words.into(),
        }
    };
    match error {
        TransportError::NotSent { host, source } => TransportError::NotSent { host, source: clean(source) },
        TransportError::NoAnswer { host, source } => TransportError::NoAnswer { host, source: clean(source) },
        TransportError::Body { host, mut head, problem } => {
            redaction.headers(&mut head.headers);
            TransportError::Body { host, head, problem }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::Secret;
    use bytes::Bytes;
    use std::sync::Mutex;

    /// Answers with what it was sent.
    #[derive(Debug, Default)]
    struct Echo(Mutex<Vec<HttpRequest>>);

    #[async_trait]
    impl Transport for Echo {
        async fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
            let said = format!("{} {:?}", request.uri(), request.headers().get("x-key"));
            let header = HeaderValue::from_str(&format!("/again?{}", request.uri())).unwrap();
            let fails = request.uri().path() == "/fails";
            self.0.lock().unwrap().push(request);
            if fails {
                return Err(TransportError::NoAnswer { host: "h".to_owned(), source: said.into() });
            }
            let mut response = HttpResponse::new(Bytes::from(said));
            response.headers_mut().insert(header::LOCATION, header);
            Ok(response)
        }
    }

    fn errand(places: &[(Place, &str)]) -> Errand {
        let filled: Vec<Filled> = places
            .iter()
            .map(|(place, value)| Filled {
                place: place.clone(),
                secret: Secret::new("KEY", *value).unwrap(),
            })
            .collect();
        let redaction = Redaction::of(filled.iter().map(|filled| &filled.secret));
        let origin = Url::parse("https://api.example").unwrap().origin();
        Errand { origin, filled: filled.into(), redaction, seen: Arc::default() }
    }

    async fn sent(
        url: &str,
        errand: Option<Errand>,
    ) -> (Result<HttpResponse, TransportError>, Vec<HttpRequest>) {
        let echo = Arc::new(Echo::default());
        let mut request = http::Request::get(url).header("cookie", "a=1").body(Bytes::new()).unwrap();
        if let Some(errand) = errand {
            request.headers_mut().insert(MARK, HeaderValue::from_static("x"));
            request.extensions_mut().insert(errand);
        }
        let answer = ApiTransport::new(echo.clone()).send(request, Limits::default()).await;
        let sent = std::mem::take(&mut *echo.0.lock().unwrap());
        (answer, sent)
    }

    #[tokio::test]
    async fn credentials_are_added_for_their_server_and_taken_out_of_what_comes_back() {
        let all = [
            (Place::Bearer, "token-token"),
            (Place::Header(HeaderName::from_static("x-key")), "header-key"),
            (Place::Query("k".to_owned()), "query key+1"),
            (Place::Cookie("c".to_owned()), "cookie-key"),
        ];
        let (answer, sent) = self::sent("https://api.example/x?a=1", Some(errand(&all))).await;
        let request = &sent[0];
        assert_eq!(request.uri(), "https://api.example/x?a=1&k=query+key%2B1");
        assert_eq!(request.headers()["authorization"], "Bearer token-token");
        assert_eq!(request.headers()["x-key"], "header-key");
        assert_eq!(request.headers()["cookie"], "a=1; c=cookie-key");
        assert!(request.headers()["authorization"].is_sensitive() && request.headers().get(MARK).is_none());
        let answer = answer.unwrap();
        let told = format!("{} {:?}", String::from_utf8_lossy(answer.body()), answer.headers());
        assert!(
            told.contains("[KEY]") && !told.contains("header-key") && !told.contains("query+key"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn basic_authentication_is_encoded() {
        let (_, sent) =
            self::sent("https://api.example/x", Some(errand(&[(Place::Basic, "user:password")]))).await;
        assert_eq!(sent[0].headers()["authorization"], "Basic dXNlcjpwYXNzd29yZA==");
    }

    #[tokio::test]
    async fn credentials_go_to_no_other_origin() {
        let places = [(Place::Bearer, "token-token")];
        for url in [
            "https://evil.test/x",
            "http://api.example/x",
            "https://api.example:8443/x",
            "https://sub.api.example/x",
        ] {
            let (answer, sent) = self::sent(url, Some(errand(&places))).await;
            assert!(matches!(answer, Err(TransportError::NotSent { .. })) && sent.is_empty(), "{url}");
        }
    }

    #[tokio::test]
    async fn an_error_that_names_the_address_does_not_name_the_credential() {
        let (answer, _) = self::sent(
            "https://api.example/fails",
            Some(errand(&[(Place::Query("k".to_owned()), "query-key")])),
        )
        .await;
        let told = format!("{:?} {}", answer, answer.as_ref().unwrap_err());
        assert!(told.contains("[KEY]") && !told.contains("query-key"), "{told}");
    }

    #[tokio::test]
    async fn a_marked_request_without_its_errand_is_not_sent_and_any_other_passes() {
        let echo = Arc::new(Echo::default());
        let marked =
            http::Request::get("https://api.example/x").header(MARK, "x").body(Bytes::new()).unwrap();
        let answer = ApiTransport::new(echo.clone()).send(marked, Limits::default()).await;
        assert!(matches!(answer, Err(TransportError::NotSent { .. })));
        let (answer, sent) = self::sent("https://other.example/x", None).await;
        assert!(answer.is_ok() && sent.len() == 1 && sent[0].headers().len() == 1);
    }
}
