//! The proxy in front of every seller: buyers speak `https`, sellers `http`, and each reads its own address everywhere.
//!
//! Sellers name their own addresses in terms, receipts and offers of refunds. What leaves them is written anew for the
//! buyer, what comes back is written anew for them; signatures cover none of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_types::{HttpRequest, HttpResponse};
use http::{HeaderMap, HeaderValue};

const INSIDE: &str = "http://seller-";
const OUTSIDE: &str = "https://seller-";
/// Headers whose value is base64 of JSON.
const ENCODED: [&str; 3] = ["payment-required", "payment-signature", "x-payment"];

/// A request as its seller sees it.
pub(crate) fn inward(mut request: HttpRequest) -> HttpRequest {
    let address = request.uri().to_string().replacen("https://", "http://", 1);
    if let Ok(address) = address.parse() {
        *request.uri_mut() = address;
    }
    rewrite(request.headers_mut(), OUTSIDE, INSIDE);
    if let Some(body) = replaced(request.body(), OUTSIDE, INSIDE) {
        *request.body_mut() = body.into();
    }
    request
}

/// An answer as its buyer sees it.
pub(crate) fn outward(mut answer: HttpResponse) -> HttpResponse {
    rewrite(answer.headers_mut(), INSIDE, OUTSIDE);
    if let Some(body) = replaced(answer.body(), INSIDE, OUTSIDE) {
        *answer.body_mut() = body.into();
    }
    answer
}

fn rewrite(headers: &mut HeaderMap, from: &str, to: &str) {
    for name in ENCODED {
        let Some(value) = headers.get(name).and_then(|value| STANDARD.decode(value.as_bytes()).ok()) else {
            continue;
        };
        let Some(value) = replaced(&value, from, to) else { continue };
        if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(value)) {
            headers.insert(name, value);
        }
    }
}

/// The text with every address written anew; `None` if there is none in it.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.contains(from).then(|| text.replace(from, to))
}
