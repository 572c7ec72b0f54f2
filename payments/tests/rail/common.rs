//! A rail, requests and answers for every test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_payments::x402::{Finality, NetworkReader, X402, X402Options};
use bursar_payments::{Exchange, HttpTransport, Offer, OfferError, Order, Rail as _};
use bursar_types::{AssetRegistry, HttpRequest, HttpResponse, LedgerId, PaymentId, Timestamp};
use bytes::Bytes;
use std::sync::{Arc, LazyLock};

/// The address of the key in the protocol's test vector.
pub(crate) const PAYER: &str = "0x90f79bf6eb2c4f870365e785982e1f101e93b906";
pub(crate) const TOKEN: &str = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
pub(crate) const PAYEE: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
pub(crate) const SELLER: &str = "http://127.0.0.1:46817";
/// When every answer is received and every order made.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_795_266_600_000);

pub(crate) fn rail(rpc_urls: &[&str], finality: Finality) -> X402 {
    X402::new(X402Options {
        assets: Arc::new(AssetRegistry::pinned()),
        networks: vec![NetworkReader {
            network: "eip155:84532".to_owned(),
            rpc_urls: rpc_urls.iter().map(|&url| url.to_owned()).collect(),
            finality,
        }],
        transport: Arc::new(HttpTransport::new().unwrap()),
        payer: PAYER.to_owned(),
        quote_ttl_ms: 60_000,
    })
}

/// A rail whose reader is never asked.
pub(crate) fn offline() -> &'static X402 {
    static RAIL: LazyLock<X402> = LazyLock::new(|| rail(&["http://127.0.0.1:1"], Finality::Finalized));
    &RAIL
}

pub(crate) fn ask(path: &str) -> HttpRequest {
    http::Request::builder().uri(format!("{SELLER}{path}")).body(Bytes::new()).unwrap()
}

/// The answer of a version 2 seller.
pub(crate) fn v2(demand: &str) -> HttpResponse {
    let header = STANDARD.encode(demand);
    http::Response::builder().status(402).header("PAYMENT-REQUIRED", header).body("{}".into()).unwrap()
}

/// The answer of a version 1 seller.
pub(crate) fn v1(demand: &str) -> HttpResponse {
    http::Response::builder().status(402).body(demand.to_owned().into()).unwrap()
}

pub(crate) fn offers(path: &str, response: &HttpResponse) -> Result<Vec<Offer>, OfferError> {
    offline().offers(&Exchange { request: &ask(path), response, received_at: NOW })
}

pub(crate) fn order(offer: Offer) -> Order {
    Order {
        ledger: LedgerId::derived(&[b"test"]),
        payment: PaymentId::derived(&[b"test"]),
        attempt: 0,
        offer,
        payer: PAYER.to_owned(),
        now: NOW,
        window_s_max: 300,
    }
}

/// An offer as the official seller made it.
pub(crate) fn offer() -> Offer {
    offers("/paid/choice", &v2(include_str!("fixtures/choice.json"))).unwrap().remove(0)
}
