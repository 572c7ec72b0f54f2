//! The market without sockets: requests handed to its services by a call, under names that no resolver knows.

use super::message::{Answer, Delivery, Request, Service};
use crate::{chain::Rpc, facilitator::FacilitatorService, seller::SellerService};
use axum::http::{self, response::Parts, uri::Scheme};
use bytes::Bytes;
use std::collections::BTreeMap;
use thiserror::Error;

/// What a client sees when it gets no whole answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Broken {
    /// Nobody in this market listens under the request's host. Nothing was processed.
    #[error("no one in this market listens at `{host}`")]
    NoSuchHost {
        /// Whom the request was for; empty if it named no host.
        host: String,
    },
    /// The connection closed without a byte. The request was processed, as far as it went.
    #[error("the connection closed without an answer")]
    Dropped,
    /// The connection broke in the middle of the body. The request was processed.
    #[error("the connection broke after {} bytes of the body", body.len())]
    BrokeOff {
        /// The answer's head, whose `content-length` is that of the whole body.
        head: Parts,
        /// As much of the body as arrived.
        body: Bytes,
    },
}

/// A service of the market.
#[derive(Debug, Clone)]
pub(crate) enum Host {
    /// The chain's JSON-RPC.
    Rpc(Rpc),
    /// The facilitator and its discovery.
    Facilitator(FacilitatorService),
    /// A seller.
    Seller(SellerService),
}

impl Service for Host {
    fn answer(&self, request: Request) -> Answer {
        match self {
            Self::Rpc(rpc) => rpc.answer(request),
            Self::Facilitator(facilitator) => facilitator.answer(request),
            Self::Seller(seller) => seller.answer(request),
        }
    }
}

/// Who listens where.
#[derive(Debug, Default)]
pub(crate) struct Switchboard {
    hosts: BTreeMap<String, Host>,
}

impl Switchboard {
    /// Puts a service under an origin such as `http://rpc.market.test`.
    pub(crate) fn connect(&mut self, origin: &str, host: Host) {
        let authority = origin.strip_prefix("http://").unwrap_or(origin);
        self.hosts.insert(authority.to_ascii_lowercase(), host);
    }

    /// Hands a request to the service it is for, and gives back what a client would have got of the answer.
    pub(crate) fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Broken> {
        let authority = authority(&request);
        let Some(host) = self.hosts.get(&authority) else {
            return Err(Broken::NoSuchHost { host: authority });
        };
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let request = Request {
            method: head.method.as_str().to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
        };
        let answer = host.answer(request);
        let delivery = answer.delivery;
        let (head, mut body) = answer.into_parts();
        match delivery {
            Delivery::Whole | Delivery::Paused(_) => Ok(http::Response::from_parts(head, Bytes::from(body))),
            Delivery::Half => {
                body.truncate(body.len() / 2);
                Err(Broken::BrokeOff { head, body: Bytes::from(body) })
            }
            Delivery::Dropped => Err(Broken::Dropped),
        }
    }
}

/// Whom a request is for: the authority of its URL, else its `Host` header, without the port that is meant anyway.
/// A scheme that nobody here speaks stays in front of it, and so nobody is found.
fn authority(request: &http::Request<Bytes>) -> String {
    let uri = request.uri();
    let header = || request.headers().get("host").and_then(|value| value.to_str().ok());
    let authority = uri.authority().map(http::uri::Authority::as_str).or_else(header).unwrap_or_default();
    let authority = authority.strip_suffix(":80").unwrap_or(authority).to_ascii_lowercase();
    match uri.scheme() {
        Some(scheme) if *scheme != Scheme::HTTP => format!("{scheme}://{authority}"),
        _ => authority,
    }
}
