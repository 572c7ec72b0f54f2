//! Asking a market that has no sockets.

use crate::support::{Shop, decode, encode};
use axum::http::{Request, Response};
use bursar_market::{Broken, Market, MarketBuilder};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// What a future comes to that waits for nothing.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

pub(crate) fn open(change: impl FnOnce(MarketBuilder) -> MarketBuilder) -> Shop {
    now(Shop::open_with(|market| change(market.in_process())))
}

pub(crate) fn get(market: &Market, url: &str) -> Result<Response<Bytes>, Broken> {
    now(market.exchange(Request::get(url).body(Bytes::new()).unwrap()))
}

pub(crate) fn quote(market: &Market, url: &str) -> Value {
    let answer = get(market, url).unwrap();
    assert_eq!(answer.status(), 402);
    decode(answer.headers()["payment-required"].to_str().unwrap()).unwrap()
}

pub(crate) fn present(market: &Market, url: &str, payment: &Value) -> Result<Response<Bytes>, Broken> {
    let request = Request::get(url).header("payment-signature", encode(payment));
    now(market.exchange(request.body(Bytes::new()).unwrap()))
}

/// The status and the JSON of the answer.
pub(crate) fn post(market: &Market, url: &str, body: &Value) -> Result<(u16, Value), Broken> {
    let request = Request::post(url).body(Bytes::from(body.to_string())).unwrap();
    let answer = now(market.exchange(request))?;
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap()))
}

/// The result of a JSON-RPC call, or its error.
pub(crate) fn rpc(market: &Market, method: &str, params: Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let (_, answer) = post(market, market.rpc_url(), &call).unwrap();
    answer.get("result").cloned().unwrap_or_else(|| answer["error"].clone())
}
