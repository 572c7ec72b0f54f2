//! The street that buyers walk: virtual hosts on loopback ports, and a look at every payment that passes.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::payments::HttpTransport;
use bursar::types::{Clock, HttpRequest, HttpResponse, Limits, ManualClock, Transport, TransportError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An authorization that was seen on its way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// To whom it went.
    pub(crate) host: String,
    /// For what.
    pub(crate) path: String,
    /// Atomic units.
    pub(crate) value: u128,
    /// From then on it is worthless, in seconds since 1970.
    pub(crate) valid_before: u64,
    /// When it was seen, in seconds since 1970.
    pub(crate) at_s: u64,
    /// What its seller could keep of it.
    pub(crate) payload: Value,
}

/// Where each virtual host listens, and what has passed.
#[derive(Debug)]
pub(crate) struct Street {
    clock: Arc<ManualClock>,
    /// Origins on loopback, without a slash at the end, by `scheme://host`.
    houses: BTreeMap<String, String>,
    presented: Mutex<BTreeMap<String, Presented>>,
}

impl Street {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, houses: BTreeMap::new(), presented: Mutex::default() }
    }

    /// A house for a host, reached over TLS as far as its buyers can tell.
    pub(crate) fn build(&mut self, host: &str, bound: &str) {
        self.houses.insert(format!("https://{host}"), bound.to_owned());
        self.houses.insert(format!("http://{host}"), bound.to_owned());
    }

    /// Every authorization that was presented, by nonce.
    pub(crate) fn presented(&self) -> BTreeMap<String, Presented> {
        self.presented.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, request: &HttpRequest) {
        let Some((nonce, presented)) = payment(request, self.clock.now().unix_s()) else { return };
        self.presented.lock().unwrap_or_else(PoisonError::into_inner).entry(nonce).or_insert(presented);
    }

    /// The same request to the port behind the host.
    fn inward(&self, mut request: HttpRequest) -> Option<HttpRequest> {
        let (scheme, host) = (request.uri().scheme_str()?, request.uri().authority()?.as_str());
        let house = self.houses.get(&format!("{scheme}://{host}"))?;
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = format!("{house}{path}").parse().ok()?;
        Some(request)
    }
}

/// The nonce and terms of the payment on a request, of either version.
fn payment(request: &HttpRequest, at_s: u64) -> Option<(String, Presented)> {
    let header = ["payment-signature", "x-payment"].iter().find_map(|name| request.headers().get(*name))?;
    let json: Value = serde_json::from_slice(&STANDARD.decode(header.as_bytes()).ok()?).ok()?;
    let authorization = json.pointer("/payload/authorization")?;
    let field = |name: &str| authorization.get(name).and_then(Value::as_str);
    let presented = Presented {
        host: request.uri().authority()?.to_string(),
        path: request.uri().path().to_owned(),
        value: field("value")?.parse().ok()?,
        valid_before: field("validBefore")?.parse().ok()?,
        at_s,
        payload: json.get("payload")?.clone(),
    };
    Some((field("nonce")?.to_lowercase(), presented))
}

/// A buyer's network: real HTTP, by way of the street.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) street: Arc<Street>,
    pub(crate) http: HttpTransport,
}

#[async_trait]
impl Transport for Walk {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        self.street.note(&request);
        let Some(request) = self.street.inward(request) else {
            return Err(TransportError::NotSent { host, source: "there is no such host".into() });
        };
        // What failed is told with the name that the buyer knows: a port differs from run to run.
        self.http.send(request, limits).await.map_err(|error| match error {
            TransportError::NotSent { source, .. } => TransportError::NotSent { host, source },
            TransportError::Blocked { problem, .. } => TransportError::Blocked { host, problem },
            TransportError::HeadTooLong { max, .. } => TransportError::HeadTooLong { host, max },
            TransportError::NoAnswer { source, .. } => TransportError::NoAnswer { host, source },
            TransportError::Body { head, problem, .. } => TransportError::Body { host, head, problem },
        })
    }
}
