//! Names of hosts, and names that only look like them.
//!
//! What is compared is always the ASCII form (the A-label); what is looked at is the Unicode form that a person would see.

use crate::reasons;
use bursar_types::Reason;
use std::borrow::Cow;
use unicode_security::MixedScript as _;
use unicode_security::confusable_detection::skeleton;

/// A host without its port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an address in brackets are no port's.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

/// A host or a pattern as a mandate may write it, in the form in which hosts are compared: lower case, A-labels. `*.` and the
/// port stay. What cannot be such a name stays as it is, and then equals no host.
pub(crate) fn normal(pattern: &str) -> Cow<'_, str> {
    if !pattern.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
        return Cow::Borrowed(pattern);
    }
    let (star, host) = pattern.strip_prefix("*.").map_or(("", pattern), |rest| ("*.", rest));
    let name = name_of(host);
    let port = host.strip_prefix(name).unwrap_or_default();
    match idna::domain_to_ascii(name) {
        Ok(name) => Cow::Owned(format!("{star}{name}{port}")),
        Err(_) => Cow::Borrowed(pattern),
    }
}

/// Why a host's name is not to be trusted: it mixes scripts, or it looks like one of the known hosts and is none of them.
///
/// `known` are hosts and patterns as mandates and plans write them, with or without a port.
pub(crate) fn suspicious<'a>(host: &str, known: impl IntoIterator<Item = &'a str>) -> Option<Reason> {
    let name = name_of(host);
    if name.parse::<std::net::Ipv4Addr>().is_ok() || name.starts_with('[') {
        return None;
    }
    let (seen, _) = idna::domain_to_unicode(name);
    if let Some(label) = seen.split('.').find(|label| !label.is_single_script()) {
        return Some(reasons::mixed_script(name, label));
    }
    let looks = look(&seen);
    for pattern in known {
        let pattern = normal(pattern);
        let plain = name_of(pattern.strip_prefix("*.").unwrap_or(&pattern));
        let (meant, _) = idna::domain_to_unicode(plain);
        let labels = meant.split('.').count();
        let (asked, look_of_asked) = match pattern.starts_with("*.") {
            true => (last_labels(name, labels), Cow::Owned(look(last_labels(&seen, labels)))),
            false => (name, Cow::Borrowed(looks.as_str())),
        };
        if asked != plain && look_of_asked == look(&meant) {
            return Some(reasons::confusable(name, plain));
        }
    }
    None
}

/// What a name looks like: the same for names that a reader takes for one another (UTS #39), capital letters included.
fn look(name: &str) -> String {
    let once: String = skeleton(&name.to_lowercase()).collect();
    skeleton(&once.to_lowercase()).collect::<String>().to_lowercase()
}

/// The last labels of a name; all of it if it has fewer.
fn last_labels(name: &str, count: usize) -> &str {
    let skipped = name.split('.').count().saturating_sub(count);
    let mut rest = name;
    for _ in 0..skipped {
        rest = rest.split_once('.').map_or(rest, |(_, rest)| rest);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host as a URL gives it.
    fn host(text: &str) -> String {
        let url = url::Url::parse(&format!("https://{text}/")).unwrap();
        let host = url.host_str().unwrap();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    #[test]
    fn names_that_only_look_like_a_known_one_are_told() {
        let known = ["api.weather.test", "data.market.test:8443", "*.books.example", "google.example"];
        for (asked, code) in [
            ("api.weather.test", None),
            ("API.Weather.Test", None),
            ("api.weather.test:8443", None),
            ("data.market.test", None),
            ("any.books.example", None),
            ("other.example", None),
            // Another name, and no look-alike: not listed is reason enough.
            ("api.weathre.test", None),
            ("xn--bcher-kva.example", None),
            ("пример.example", None),
            ("例え.example", None),
            ("127.0.0.1:4021", None),
            ("[::1]:4021", None),
            // Cyrillic a; Greek o; a whole word in Cyrillic; digits and letter pairs.
            ("аpi.weather.test", Some("HOST_MIXED_SCRIPT")),
            ("gοogle.example", Some("HOST_MIXED_SCRIPT")),
            ("аррӏе.example", None),
            ("g00gle.example", Some("HOST_CONFUSABLE")),
            ("goog1e.example", Some("HOST_CONFUSABLE")),
            ("data.rnarket.test", Some("HOST_CONFUSABLE")),
            ("any.b00ks.example", Some("HOST_CONFUSABLE")),
            ("deep.any.b0oks.example", Some("HOST_CONFUSABLE")),
        ] {
            let found = suspicious(&host(asked), known);
            assert_eq!(found.map(|reason| reason.code), code.map(Cow::Borrowed), "{asked}");
        }
        let whole = suspicious(&host("аррӏе.example"), ["apple.example"]);
        assert_eq!(whole.unwrap().code, "HOST_CONFUSABLE");
        assert_eq!(
            suspicious(&host("бош.example"), ["бош.example"]),
            None,
            "a Unicode name is its own A-label"
        );
    }

    #[test]
    fn a_name_has_one_form() {
        for (written, form) in [
            ("api.example", "api.example"),
            ("API.Example:8443", "api.example:8443"),
            ("*.Bücher.example", "*.xn--bcher-kva.example"),
            ("bücher.example:1", "xn--bcher-kva.example:1"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(normal(written), form);
        }
        assert_eq!(name_of("[::1]:80"), "[::1]");
        assert_eq!(name_of("[::1]"), "[::1]");
        assert_eq!(name_of("api.example"), "api.example");
    }
}
