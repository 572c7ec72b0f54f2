//! What both entrances over HTTP ask first: is this machine meant, and who calls.

use crate::teller::Teller;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who calls, once the token was found good. Set by [`known`], never by the caller.
#[derive(Debug, Clone)]
pub(crate) struct Known(pub(crate) Arc<str>);

/// By which names the listener may be called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    hosts: Arc<[String]>,
}

impl Names {
    /// The listener's own address, the names of this machine if it listens there only, and those that the operator gives.
    pub(crate) fn of(address: SocketAddr, given: Vec<String>) -> Self {
        let port = address.port();
        let mut hosts: Vec<String> = given.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.push(address.to_string());
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            hosts.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        }
        Self { hosts: hosts.into() }
    }

    pub(crate) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Whether the request names one of them, and comes from no page of another: a browser that was led here by a name that changed
    /// its address says so in one of the two.
    pub(crate) fn fit(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
        let ours = |host: &str| self.hosts.iter().any(|known| known == host);
        let host = text(header::HOST).is_some_and(|host| ours(&host));
        let origin = text(header::ORIGIN).is_none_or(|origin| {
            let uri = origin.parse::<Uri>().ok();
            uri.as_ref().and_then(Uri::authority).is_some_and(|authority| ours(authority.as_str()))
        });
        host && origin
    }
}

/// What the first layer of an entrance asks with.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) teller: Teller,
    pub(crate) names: Names,
    /// How this entrance says no.
    pub(crate) refuse: fn(Refused) -> Response,
}

/// Why nobody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// By a name that leads here from elsewhere.
    Host,
    /// Without a token.
    NoToken,
    /// With a token that nobody has.
    UnknownToken,
}

impl Refused {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Host => "HOST_NOT_SERVED",
            Self::NoToken => "TOKEN_MISSING",
            Self::UnknownToken => "TOKEN_UNKNOWN",
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Host => "the request names a host, or an origin, that this gateway does not answer to",
            Self::NoToken => "there is no bearer token in the Authorization header",
            Self::UnknownToken => "no caller has this token",
        }
    }

    pub(crate) const fn next_step(self) -> &'static str {
        match self {
            Self::Host => "call it by the address it listens at, or have its operator list the name",
            Self::NoToken | Self::UnknownToken => {
                "send `Authorization: Bearer TOKEN` with the token that the operator gave you"
            }
        }
    }

    /// What `WWW-Authenticate` says (RFC 6750); none where a token would not help.
    pub(crate) const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::NoToken => Some(r#"Bearer realm="bursar""#),
            Self::UnknownToken => Some(r#"Bearer realm="bursar", error="invalid_token""#),
        }
    }
}

/// Lets a caller in, and says who it is.
pub(crate) async fn known(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    // Nobody but this layer says who calls.
    request.extensions_mut().remove::<Known>();
    if !door.names.fit(request.headers()) {
        return (door.refuse)(Refused::Host);
    }
    let Some(token) = bearer(request.headers()) else { return (door.refuse)(Refused::NoToken) };
    let Some(caller) = door.teller.known_by(token) else {
        tracing::warn!("a token that nobody has");
        return (door.refuse)(Refused::UnknownToken);
    };
    let caller = Known(Arc::from(caller));
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The token of the one Authorization header. Two of them are none: it is not certain which counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (one, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_name_that_leads_here_from_elsewhere_does_not_fit() {
        let names = Names::of("127.0.0.1:8402".parse().unwrap(), vec!["Pay.example:8402".to_owned()]);
        for (given, fits) in [
            (vec![("host", "127.0.0.1:8402")], true),
            (vec![("host", "LOCALHOST:8402")], true),
            (vec![("host", "[::1]:8402")], true),
            (vec![("host", "pay.example:8402")], true),
            (vec![("host", "localhost:8402"), ("origin", "http://localhost:8402")], true),
            (vec![], false),
            (vec![("host", "localhost")], false),
            (vec![("host", "evil.example:8402")], false),
            (vec![("host", "127.0.0.1:8402.evil.example")], false),
            (vec![("host", "localhost:8402"), ("origin", "http://evil.example")], false),
            (vec![("host", "localhost:8402"), ("origin", "null")], false),
        ] {
            assert_eq!(names.fit(&headers(&given)), fits, "{given:?}");
        }
        // A gateway for others does not answer to the names of this machine.
        let others = Names::of("192.0.2.1:80".parse().unwrap(), Vec::new());
        assert!(!others.fit(&headers(&[("host", "localhost:80")])));
    }

    #[test]
    fn a_token_is_one_bearer_token() {
        for (given, token) in [
            (vec![("authorization", "Bearer abc")], Some("abc")),
            (vec![("authorization", "bearer  abc ")], Some("abc")),
            (vec![("authorization", "Basic abc")], None),
            (vec![("authorization", "Bearer ")], None),
            (vec![("authorization", "Bearer a"), ("authorization", "Bearer b")], None),
            (vec![], None),
        ] {
            assert_eq!(bearer(&headers(&given)), token, "{given:?}");
        }
    }
}
