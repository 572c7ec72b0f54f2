//! Redirects: followed on the same origin and before anything is paid, and nowhere else.

use crate::reasons;
use bursar_types::{HttpRequest, HttpResponse, Reason};
use http::{Method, StatusCode, header};
use url::Url;

/// Where an answer leads.
#[derive(Debug)]
pub(super) enum Redirect {
    /// The answer is the answer.
    None,
    /// The same origin, elsewhere.
    To(Box<HttpRequest>),
    /// Another origin.
    Refused(Reason),
}

/// Where an answer leads. A redirect to another origin is refused whatever the method: what is there is another vendor's.
pub(super) fn redirect(request: &HttpRequest, response: &HttpResponse, url: &Url) -> Redirect {
    let moved = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let to = response.headers().get(header::LOCATION).filter(|_| moved);
    let Some(to) = to.and_then(|to| url.join(to.to_str().ok()?).ok()) else { return Redirect::None };
    if to.origin() != url.origin() {
        let shown = to.origin().ascii_serialization();
        return Redirect::Refused(match url.scheme() == "https" && to.scheme() != "https" {
            true => reasons::tls_required(&shown),
            false => reasons::cross_origin(&url.origin().ascii_serialization(), &shown),
        });
    }
    let next = matches!(*request.method(), Method::GET | Method::HEAD).then(|| to.as_str().parse().ok());
    let Some(Some(next)) = next else { return Redirect::None };
    let mut request = request.clone();
    *request.uri_mut() = next;
    Redirect::To(Box::new(request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn lead(method: &str, status: u16, from: &str, to: &str) -> String {
        let request = http::Request::builder().method(method).uri(from).body(Bytes::new()).unwrap();
        let answer =
            http::Response::builder().status(status).header("location", to).body(Bytes::new()).unwrap();
        match redirect(&request, &answer, &Url::parse(from).unwrap()) {
            Redirect::None => "stays".to_owned(),
            Redirect::To(next) => next.uri().to_string(),
            Redirect::Refused(reason) => reason.code.into_owned(),
        }
    }

    #[test]
    fn only_the_same_origin_is_followed() {
        for (method, status, from, to, expected) in [
            ("GET", 302, "https://a.test/x", "/y", "https://a.test/y"),
            ("GET", 308, "https://a.test/x", "https://A.test:443/y", "https://a.test/y"),
            ("HEAD", 307, "https://a.test/x/", "y", "https://a.test/x/y"),
            ("GET", 302, "https://a.test/x", "http://a.test/y", "TLS_REQUIRED"),
            ("GET", 307, "https://a.test/x", "http://b.test/y", "TLS_REQUIRED"),
            ("POST", 307, "https://a.test/x", "http://a.test/y", "TLS_REQUIRED"),
            ("GET", 302, "https://a.test/x", "https://billing.attacker.test", "CROSS_ORIGIN_402"),
            ("GET", 301, "https://a.test/x", "//b.test/y", "CROSS_ORIGIN_402"),
            ("GET", 303, "https://a.test/x", "https://a.test:8443/y", "CROSS_ORIGIN_402"),
            ("GET", 302, "https://a.test/x", "https://sub.a.test/y", "CROSS_ORIGIN_402"),
            ("GET", 302, "https://a.test/x", "https://a.test@b.test/y", "CROSS_ORIGIN_402"),
            ("GET", 302, "https://a.test/x", "javascript:alert(1)", "TLS_REQUIRED"),
            ("GET", 302, "http://a.test/x", "https://a.test/x", "CROSS_ORIGIN_402"),
            ("POST", 302, "https://a.test/x", "/y", "stays"),
            ("GET", 304, "https://a.test/x", "https://b.test/y", "stays"),
            ("GET", 200, "https://a.test/x", "https://b.test/y", "stays"),
        ] {
            assert_eq!(lead(method, status, from, to), expected, "{method} {status} {from} -> {to}");
        }
    }
}
