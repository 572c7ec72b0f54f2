//! Resource families: which URLs are the same kind of thing.

use url::Url;

/// A name longer than this is an identifier.
const WORD_MAX: usize = 32;
/// A name of this length that holds a digit is an identifier.
const TOKEN_MIN: usize = 16;
/// Hexadecimal digits of this length, at least one of them a number, are an identifier.
const HEX_MIN: usize = 8;

/// The resource family of a URL: what a loop or a purchase split into parts has in common. `None` for a text that is no URL
/// with a host.
///
/// It is the host, with the port where it is not the scheme's own, and the path, in lower case, where
/// - query, fragment, `;` parameters and empty segments are left out;
/// - a segment is `*` if it is an identifier: only digits, eight or more hexadecimal digits and dashes of which one is a
///   number (UUIDs, digests), sixteen or more characters with a digit among them, or more than 32 characters;
/// - in any other segment each run of digits is `#`;
/// - the last segment is `*` if there are others before it.
///
/// A seller chooses its own paths, so one that wants to can spread a family over many names: caps on the vendor and the
/// payee count those.
///
/// # Example
/// ```
/// use bursar_payments::family_of;
/// assert_eq!(family_of("https://api.example/verify-wallet?n=17").unwrap(), "api.example/verify-wallet");
/// assert_eq!(family_of("https://api.example/v1/reports/2026-11").unwrap(), "api.example/v#/reports/*");
/// assert_eq!(family_of("https://api.example/users/42/orders/7").unwrap(), "api.example/users/*/orders/*");
/// ```
#[must_use]
pub fn family_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut family = url.host_str()?.to_ascii_lowercase();
    if let Some(port) = url.port() {
        family.push_str(&format!(":{port}"));
    }
    let segments: Vec<String> = url.path().split('/').map(plain).filter(|name| !name.is_empty()).collect();
    let last = segments.len().saturating_sub(1);
    for (index, name) in segments.iter().enumerate() {
        family.push('/');
        match (index == last && last > 0) || is_identifier(name) {
            true => family.push('*'),
            false => family.push_str(&without_numbers(name)),
        }
    }
    Some(family)
}

/// A segment as it is compared: without parameters, escapes resolved, in lower case.
fn plain(segment: &str) -> String {
    let name = segment.split(';').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let mut digits = rest.clone();
        let escaped = (byte == b'%').then(|| (digits.next(), digits.next()));
        match escaped {
            Some((Some(high), Some(low))) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let value =
                    |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
                let (high, low) = (value(high).unwrap_or_default(), value(low).unwrap_or_default());
                bytes.push(high.wrapping_mul(16).wrapping_add(low));
                rest = digits;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

fn is_identifier(name: &str) -> bool {
    let digit = name.chars().any(|c| c.is_ascii_digit());
    let length = name.chars().count();
    let hex = name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    name.chars().all(|c| c.is_ascii_digit())
        || (hex && digit && length >= HEX_MIN)
        || (digit && length >= TOKEN_MIN)
        || length > WORD_MAX
}

fn without_numbers(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_same_kind_are_one_family() {
        for (url, family) in [
            ("https://API.example", "api.example"),
            ("https://api.example/", "api.example"),
            ("https://api.example:8443/a", "api.example:8443/a"),
            ("https://api.example:443/a", "api.example/a"),
            ("https://api.example/verify-wallet?1", "api.example/verify-wallet"),
            ("https://api.example/verify-wallet?200#x", "api.example/verify-wallet"),
            ("https://api.example//verify-wallet/", "api.example/verify-wallet"),
            ("https://api.example/Verify%2DWallet;s=9", "api.example/verify-wallet"),
            ("https://api.example/part1", "api.example/part#"),
            ("https://api.example/part22", "api.example/part#"),
            ("https://api.example/17", "api.example/*"),
            ("https://api.example/documents/alpha", "api.example/documents/*"),
            ("https://api.example/documents/beta.md", "api.example/documents/*"),
            ("https://api.example/v2/cities/paris/today", "api.example/v#/cities/paris/*"),
            ("https://api.example/r/0b1c2d3e-0000-4000-8000-0123456789ab/x", "api.example/r/*/*"),
            ("https://api.example/r/deadbeef/x", "api.example/r/deadbeef/*"),
            ("https://api.example/r/deadbee5/x", "api.example/r/*/*"),
            ("https://api.example/r/QmYwAPJzv5CZsnA6/x", "api.example/r/*/*"),
            ("https://api.example/a/../b/c", "api.example/b/*"),
        ] {
            assert_eq!(family_of(url).as_deref(), Some(family), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_with_a_host_has_no_family() {
        for text in ["", "alpha", "/a/b", "data:text/plain,x"] {
            assert_eq!(family_of(text), None, "{text}");
        }
    }
}
