//! Foreign text in our own sentences.

/// Cuts foreign text to `chars_max` characters and escapes what could write over a terminal or break a line.
pub(super) fn shown(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(chars_max).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Cuts text to `chars_max` characters and leaves it as it is otherwise.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// The host of a URL and, where it is not the scheme's own, the port. Never the path, which may hold a key.
pub(super) fn host_of(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else {
        return "an unreadable address".to_owned();
    };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "an address without a host".to_owned(),
    }
}
