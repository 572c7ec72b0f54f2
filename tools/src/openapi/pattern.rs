//! Which operations an operator means.

use http::Method;

/// Operations by `operationId`, or by `METHOD /path` as the document writes it; `*` stands for anything.
///
/// One with a space means a method and a path, and any other an id: an id cannot be made to look like a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn means(&self, id: Option<&str>, method: &Method, path: &str) -> bool {
        match self.0.split_once(' ') {
            Some((verb, place)) => {
                (verb == "*" || verb.eq_ignore_ascii_case(method.as_str())) && glob(place.trim(), path)
            }
            None if self.0 == "*" => true,
            None => id.is_some_and(|id| glob(&self.0, id)),
        }
    }
}

/// Whether `text` is what `pattern` says, in time that grows with the product of their lengths at worst.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_an_id_or_a_method_and_a_path_and_never_one_for_the_other() {
        for (pattern, id, method, path, means) in [
            ("*", None, "POST", "/x", true),
            ("getUser", Some("getUser"), "GET", "/u", true),
            ("getUser", Some("getUsers"), "GET", "/u", false),
            ("get*", Some("getUsers"), "POST", "/u", true),
            ("*/list-*", Some("repos/list-tags"), "GET", "/u", true),
            ("GET /u", None, "GET", "/u", true),
            ("get /u", None, "GET", "/u", true),
            ("GET /u", Some("GET /u"), "POST", "/v", false),
            ("GET /u*", None, "GET", "/u/{id}", true),
            ("GET /u*", None, "DELETE", "/u/{id}", false),
            ("* /u/{id}", None, "DELETE", "/u/{id}", true),
            ("GET /a*a", None, "GET", "/a", false),
            ("", None, "GET", "/a", false),
        ] {
            let method: Method = method.parse().unwrap();
            assert_eq!(
                Pattern::new(pattern).means(id, &method, path),
                means,
                "{pattern} {id:?} {method} {path}"
            );
        }
    }
}
