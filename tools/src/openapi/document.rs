//! A document as it was given: read once, never followed outside itself.

use super::withheld::Withholding;
use serde_json::{Map, Value};

/// Most references that lead to one another.
const HOPS_MAX: usize = 16;
/// Deepest nesting of a document in YAML; JSON has the reader's own bound of 128.
const DEPTH_MAX: usize = 128;

/// Which specification a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.0: schemas in a dialect of their own.
    V30,
    /// 3.1 and 3.2: schemas of JSON Schema 2020-12.
    V31,
}

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    version: Version,
}

impl Document {
    /// Reads it, as JSON or as YAML.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(bytes: &[u8], bytes_max: usize) -> Result<Self, String> {
        if bytes.len() > bytes_max {
            return Err(format!("it is longer than {bytes_max} bytes"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let text = text.trim_start_matches('\u{feff}');
        let root: Value = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?,
            false => yaml(text)?,
        };
        let version = match root.get("openapi").and_then(Value::as_str) {
            Some(version) if version.starts_with("3.0.") => Version::V30,
            Some(version) if version.starts_with("3.1.") || version.starts_with("3.2.") => Version::V31,
            Some(version) => {
                return Err(format!(
                    "OpenAPI {} is not read; 3.0 and 3.1 are",
                    bursar_types::visible(version, 20)
                ));
            }
            None if root.get("swagger").is_some() => {
                return Err("Swagger 2.0 is not read; convert it to OpenAPI 3".to_owned());
            }
            None => return Err("it has no `openapi` version".to_owned()),
        };
        if !root.get("paths").is_none_or(Value::is_object) {
            return Err("its `paths` are no object".to_owned());
        }
        Ok(Self { root, version })
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer)
    }

    /// The path items.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root.get("paths").and_then(Value::as_object).into_iter().flatten()
    }

    /// The object that a value is, or that its references lead to.
    ///
    /// # Errors
    /// [`Withholding::Elsewhere`] for one outside the document, [`Withholding::Reference`] for one that leads to nothing or in a circle.
    pub(super) fn object<'a>(&'a self, value: &'a Value) -> Result<&'a Map<String, Value>, Withholding> {
        let mut at = value;
        for _ in 0..HOPS_MAX {
            match at.get("$ref") {
                None => return at.as_object().ok_or(Withholding::Unreadable),
                Some(Value::String(to)) => at = self.referred(to)?.1,
                Some(_) => return Err(Withholding::Reference),
            }
        }
        Err(Withholding::Reference)
    }

    /// What a reference leads to, with the pointer to it.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub(super) fn referred(&self, to: &str) -> Result<(String, &Value), Withholding> {
        let Some(fragment) = to.strip_prefix('#') else { return Err(Withholding::Elsewhere) };
        let pointer = percent_decoded(fragment).ok_or(Withholding::Reference)?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            // A name that some schema gives itself.
            return Err(Withholding::Reference);
        }
        let value = self.root.pointer(&pointer).ok_or(Withholding::Reference)?;
        Ok((pointer, value))
    }
}

/// Reads YAML within budgets: anchors that expand to more than a document has are an error.
fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 8_000_000,
            max_nodes: 4_000_000,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            max_aliases: 10_000,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let told = error.to_string();
        format!("it is neither JSON nor YAML: {}", bursar_memory::clean_line(&told, 300))
    })
}

/// A fragment without its percent signs.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn json_and_yaml_of_3_0_and_3_1_are_read_and_nothing_else() {
        let bomb = format!(
            "openapi: 3.1.0\nx0: &x0 [a, a, a, a, a, a, a, a, a]\n{}paths: {{}}\n",
            (1..12).fold(String::new(), |all, n| {
                let before = n - 1;
                format!("{all}x{n}: &x{n} [{}]\n", format!("*x{before}, ").repeat(9).trim_end_matches(", "))
            })
        );
        let deep = format!("{{\"openapi\":\"3.1.0\",\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for (text, problem) in [
            ("{\"openapi\":\"3.0.3\",\"paths\":{}}", None),
            ("\u{feff}{\"openapi\":\"3.1.0\"}", None),
            (
                "openapi: 3.1.0\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: ok}\n",
                None,
            ),
            ("openapi: '3.0.0'\npaths: {}\n", None),
            ("{\"swagger\":\"2.0\"}", Some("Swagger 2.0")),
            ("{\"openapi\":\"4.0.0\"}", Some("OpenAPI 4.0.0")),
            ("{\"openapi\":3}", Some("no `openapi` version")),
            ("{\"openapi\":\"3.1.0\",\"paths\":[]}", Some("no object")),
            ("{\"openapi\":", Some("no JSON")),
            (&deep, Some("no JSON")),
            (&bomb, Some("neither JSON nor YAML")),
            ("just words", Some("no `openapi` version")),
            ("", Some("no `openapi` version")),
        ] {
            let read = Document::read(text.as_bytes(), MAX).map(drop);
            match problem {
                None => assert_eq!(read, Ok(()), "{text}"),
                Some(problem) => {
                    assert!(read.as_ref().unwrap_err().contains(problem), "{text:.40}: {read:?}")
                }
            }
        }
        assert!(Document::read(b"{\"openapi\":\"3.1.0\"}", 4).unwrap_err().contains("longer"));
    }

    #[test]
    fn yaml_gives_words_and_numbers_as_json_would() {
        let text = "openapi: 3.1.0\npaths:\n  /a: {get: {responses: {200: {description: no}, default: {x: on, y: 012}}}}\n";
        let document = Document::read(text.as_bytes(), MAX).unwrap();
        assert_eq!(document.get("/paths/~1a/get/responses/200/description"), Some(&Value::from("no")));
        assert_eq!(document.get("/paths/~1a/get/responses/default/x"), Some(&Value::from("on")));
    }

    #[test]
    fn references_stay_inside_and_end() {
        let text = r##"{"openapi":"3.1.0","components":{"a":{"$ref":"#/components/b"},"b":{"x":1},"c":{"$ref":"#/components/c"},
            "d":{"$ref":"https://evil.test/x.json"},"e":{"$ref":"other.yaml#/x"},"f":{"$ref":"#named"},"g":{"$ref":"#/nowhere"},"h":{"$ref":7},
            "i":{"$ref":"#/components/sp%61ce~1d"},"space/d":{"x":2},"j":{"$ref":"file:///etc/passwd"},"k":5}}"##;
        let document = Document::read(text.as_bytes(), MAX).unwrap();
        for (name, expected) in [
            ("a", Ok(1)),
            ("b", Ok(1)),
            ("c", Err(Withholding::Reference)),
            ("d", Err(Withholding::Elsewhere)),
            ("e", Err(Withholding::Elsewhere)),
            ("f", Err(Withholding::Reference)),
            ("g", Err(Withholding::Reference)),
            ("h", Err(Withholding::Reference)),
            ("i", Ok(2)),
            ("j", Err(Withholding::Elsewhere)),
            ("k", Err(Withholding::Unreadable)),
        ] {
            let value = document.get(&format!("/components/{name}")).unwrap();
            assert_eq!(
                document.object(value).map(|object| object["x"].as_i64().unwrap()),
                expected,
                "{name}"
            );
        }
    }
}
